package entry_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
)

// real reads a file of real log data, which stands beside the repository.
func real(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/real", path))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no real log data beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// opaque cuts a vector with a length of n octets off the front of b.
func opaque(t *testing.T, b []byte, n int) (v, rest []byte) {
	t.Helper()
	var length [8]byte
	if len(b) < n {
		t.Fatal("a vector is cut short")
	}
	copy(length[8-n:], b)
	size := binary.BigEndian.Uint64(length[:])
	b = b[n:]
	if uint64(len(b)) < size {
		t.Fatal("a vector is cut short")
	}
	return b[:size], b[size:]
}

type getEntries struct {
	Entries []struct {
		Leaf  []byte `json:"leaf_input"`
		Extra []byte `json:"extra_data"`
	}
}

// MerkleTreeLeaf: version, type, timestamp, entry type (RFC 6962 §3.4).
const leafHeader = 1 + 1 + 8 + 2

func TestRealPrecertificateHasTheIdentityOfItsLeaf(t *testing.T) {
	var reply getEntries
	if err := json.Unmarshal(real(t, "google-entry.json"), &reply); err != nil {
		t.Fatal(err)
	}
	for _, e := range reply.Entries {
		leaf, _ := opaque(t, e.Leaf[leafHeader+32:], 3)
		precert, rest := opaque(t, e.Extra, 3)
		tbs, err := entry.TBS(precert)
		if err != nil {
			t.Fatal(err)
		}
		var chain [][]byte
		for rest, _ = opaque(t, rest, 3); len(rest) > 0; {
			var cert []byte
			cert, rest = opaque(t, rest, 3)
			chain = append(chain, cert)
		}
		key := ctwatch.Hash(e.Leaf[leafHeader:])
		if err := entry.PrecertificateIssuedBy(key, leaf, precert, chain); err != nil {
			t.Errorf("its issuer is not proven: %v", err)
		}
		if err := entry.PrecertificateIssuedBy(key, leaf, precert, chain[1:]); err == nil {
			t.Error("the root is taken for its issuer")
		}
		_, without, err := entry.Identity(tbs)
		if err != nil || !bytes.Equal(without, leaf) {
			t.Errorf("the precertificate without its poison is not the leaf (%v)", err)
		}
		compareWithX509(t, precert)
		if got := entry.Describe(leaf); !slices.Contains(got.Names, "*.google.com") || len(got.Problems) > 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestRealCertificateEntry(t *testing.T) {
	var reply getEntries
	if err := json.Unmarshal(real(t, "argon2020/get-entries-start-10000-end-10000"), &reply); err != nil {
		t.Fatal(err)
	}
	for _, e := range reply.Entries {
		cert, _ := opaque(t, e.Leaf[leafHeader:], 3)
		compareWithX509(t, cert)
	}
}

func TestRealTilesHaveTheNamesThatTheirLogSays(t *testing.T) {
	for _, tile := range []string{"000", "001", "002", "003"} {
		data := real(t, "navigli2025h2/tile/data/"+tile)
		lines := bufio.NewScanner(bytes.NewReader(real(t, "navigli2025h2/tile/names/"+tile)))
		n := 0
		for ; lines.Scan(); n++ {
			var want struct {
				Subject struct{ CommonName string }
				DNS     []string
			}
			if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
				t.Fatal(err)
			}
			if data[8] != 0 || data[9] != 1 {
				t.Fatalf("%s: entry %d is no precertificate", tile, n)
			}
			var leaf, precert []byte
			leaf, data = opaque(t, data[8+2+32:], 3)
			_, data = opaque(t, data, 2) // extensions
			precert, data = opaque(t, data, 3)
			_, data = opaque(t, data, 2) // fingerprints of the chain

			all := want.DNS
			if cn := want.Subject.CommonName; cn != "" && !slices.Contains(all, cn) {
				all = append(all, cn)
			}
			c := entry.Describe(leaf)
			if diff := cmp.Diff(all, c.Names); diff != "" || len(c.Problems) > 0 {
				t.Errorf("%s: entry %d: problems %q, names:\n%s", tile, n, c.Problems, diff)
			}
			tbs, err := entry.TBS(precert)
			if err != nil {
				t.Fatal(err)
			}
			if id, _, err := entry.Identity(tbs); err != nil || id != c.ID {
				t.Errorf("%s: entry %d: the precertificate is %v, its leaf %v (%v)", tile, n, id, c.ID, err)
			}
			compareWithX509(t, precert)
		}
		if n != 256 || len(data) != 0 {
			t.Errorf("%s: %d entries, %d octets left over", tile, n, len(data))
		}
	}
}

// compareWithX509 checks that what crypto/x509 sees in a certificate is described.
func compareWithX509(t *testing.T, der []byte) {
	t.Helper()
	want, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := entry.TBS(der)
	if err != nil || !bytes.Equal(tbs, want.RawTBSCertificate) {
		t.Fatalf("TBS: %v", err)
	}
	key, err := entry.SPKI(der)
	if err != nil || !bytes.Equal(key, want.RawSubjectPublicKeyInfo) {
		t.Errorf("SPKI: %v", err)
	}
	got := entry.Describe(tbs)
	if len(got.Problems) > 0 {
		t.Errorf("problems: %q", got.Problems)
	}
	for _, name := range want.DNSNames {
		if !slices.Contains(got.Names, strings.ToLower(name)) {
			t.Errorf("%q is not in %q", name, got.Names)
		}
	}
	var ips []string
	for _, ip := range want.IPAddresses {
		ips = append(ips, ip.String())
	}
	if diff := cmp.Diff(ips, got.IPAddresses); diff != "" {
		t.Error(diff)
	}
	if subject := rdnSequence(t, want.RawSubject); subject != got.Subject {
		t.Errorf("subject %q, want %q", got.Subject, subject)
	}
	if issuer := rdnSequence(t, want.RawIssuer); issuer != got.Issuer.Name {
		t.Errorf("issuer %q, want %q", got.Issuer.Name, issuer)
	}
	if !got.NotBefore.Equal(want.NotBefore) || !got.NotAfter.Equal(want.NotAfter) {
		t.Errorf("valid from %v to %v, want from %v to %v", got.NotBefore, got.NotAfter, want.NotBefore, want.NotAfter)
	}
	if serial := want.SerialNumber.Text(16); strings.TrimLeft(got.Serial, "0") != serial {
		t.Errorf("serial %s, want %s", got.Serial, serial)
	}
	if got.Key.Pin != pins.FromSPKI(want.RawSubjectPublicKeyInfo) {
		t.Error("the pin differs")
	}
}

// rdnSequence writes a Name as crypto/x509 reads it, in the order that it has:
// pkix.Name sorts the attributes.
func rdnSequence(t *testing.T, name []byte) string {
	t.Helper()
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(name, &seq); err != nil {
		t.Fatal(err)
	}
	return seq.String()
}

func TestCertificatesOfEveryKeyAreDescribedAsX509Does(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	edKey, _, _ := ed25519.GenerateKey(rand.Reader)
	for want, key := range map[string]any{
		"ECDSA P-256": &p256.PublicKey, "ECDSA P-384": &p384.PublicKey, "RSA 2048": &rsaKey.PublicKey, "Ed25519": edKey,
	} {
		template := &x509.Certificate{
			SerialNumber: new(big.Int).Lsh(big.NewInt(0xfe), 120),
			Subject:      pkix.Name{CommonName: "Example.com", Organization: []string{"Ü & Co"}},
			NotBefore:    time.Now().Truncate(time.Second),
			NotAfter:     time.Date(2051, 1, 2, 3, 4, 5, 0, time.UTC),
			DNSNames:     []string{"Example.com", "*.example.com"},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key, p256)
		if err != nil {
			t.Fatal(err)
		}
		compareWithX509(t, der)
		tbs, _ := entry.TBS(append(der, "trailing"...))
		if got := entry.Describe(tbs).Key.Algorithm; got != want {
			t.Errorf("algorithm %q, want %q", got, want)
		}
	}
}

func TestWhatIsNoCertificateIsAnError(t *testing.T) {
	whole := certificate(newTemplate().build())
	for name, b := range map[string][]byte{
		"nothing": nil, "empty": seq(), "noise": []byte("noise"), "no TBSCertificate": seq(str(4, "x")), "cut short": whole[:100],
	} {
		if tbs, err := entry.TBS(b); err == nil {
			t.Errorf("%s: TBS %x", name, tbs)
		}
		if key, err := entry.SPKI(b); err == nil {
			t.Errorf("%s: SPKI %x", name, key)
		}
	}
	// The signature may be truncated: nothing is read from it.
	if tbs, err := entry.TBS(whole[:len(whole)-10]); err != nil || !bytes.Equal(tbs, newTemplate().build()) {
		t.Errorf("without its signature: %x, %v", tbs, err)
	}
}
