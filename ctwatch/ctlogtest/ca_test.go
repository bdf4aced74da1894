package ctlogtest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/netip"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	ctx509 "github.com/google/certificate-transparency-go/x509"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// finalID is a certificate's identity by ct-go.
func finalID(t *testing.T, c *ctx509.Certificate) ctwatch.Hash {
	t.Helper()
	tbs := c.RawTBSCertificate
	if len(c.RawSCT) > 0 {
		var err error
		tbs, err = ctx509.RemoveSCTList(tbs)
		must(t, err)
	}
	return sha256.Sum256(tbs)
}

func issuerKeyOf(t *testing.T, der []byte) [32]byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return sha256.Sum256(c.RawSubjectPublicKeyInfo)
}

// A precertificate and its final certificate have one identity, with either kind of key
// and signer.
func TestPrecertHasIdentityOfFinal(t *testing.T) {
	for name, opt := range map[string]CAOptions{
		"intermediate":          {},
		"RSA":                   {RSA: true},
		"precertificate signer": {PrecertSigner: true},
	} {
		t.Run(name, func(t *testing.T) {
			ca := newCA(t, opt)
			i, err := ca.Issue(Request{
				Names: []string{"api.example.com", "*.example.com"}, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
				CommonName:      "api.example.com",
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: []byte("behind")}},
			})
			must(t, err)
			l, err := New(Options{Kind: ctwatch.KindStatic})
			must(t, err)
			sct, _, err := l.AddPrecert(i)
			must(t, err)
			der, err := i.Final(sct, sct)
			must(t, err)

			leaf, err := ct.MerkleTreeLeafFromRawChain(rawChain(i.Precert, i.PrecertChain), ct.PrecertLogEntryType, 0)
			must(t, err)
			if pre := leaf.TimestampedEntry.PrecertEntry; !bytes.Equal(pre.TBSCertificate, i.TBS) || pre.IssuerKeyHash != i.IssuerKeyHash {
				t.Errorf("ct-go takes another TBSCertificate from the precertificate:\n%x\n%x", pre.TBSCertificate, i.TBS)
			}
			final, err := ctx509.ParseCertificate(der)
			must(t, err)
			if id := finalID(t, final); id != i.ID || i.ID != sha256.Sum256(i.TBS) {
				t.Errorf("the final certificate is %v, the precertificate %v", id, i.ID)
			}
			if n := len(final.SCTList.SCTList); n != 2 || !bytes.Equal(final.SCTList.SCTList[0].Val, sct) {
				t.Errorf("%d SCTs in the final certificate, want the log's, twice", n)
			}
			if i.LeafPin != pins.FromSPKI(final.RawSubjectPublicKeyInfo) || i.IssuerPin != issuerKeyOf(t, i.Issuer) {
				t.Error("the pins are not those of leaf and issuer")
			}
			verifyChain(t, ca, der)
			precert, err := x509.ParseCertificate(i.Precert)
			must(t, err)
			signer, err := x509.ParseCertificate(i.PrecertChain[0])
			must(t, err)
			must(t, precert.CheckSignatureFrom(signer))
		})
	}
}

// verifyChain verifies a final certificate as a TLS client would.
func verifyChain(t *testing.T, ca *CA, der []byte) {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	must(t, err)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for pool, der := range map[*x509.CertPool][]byte{roots: ca.Root, intermediates: ca.Intermediate} {
		c, err := x509.ParseCertificate(der)
		must(t, err)
		pool.AddCert(c)
	}
	for _, name := range []string{"api.example.com", "other.example.com", "192.0.2.1", "2001:db8::1"} {
		if _, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
}

// A renewal with the same key shares nothing else with the first certificate.
func TestRenewalKeepsKey(t *testing.T) {
	ca := newCA(t, CAOptions{})
	first := issue(t, ca, "example.com")
	second, err := ca.Issue(Request{Names: []string{"example.com"}, Key: first.Key})
	must(t, err)
	if first.LeafPin != second.LeafPin {
		t.Error("the renewal has another pin")
	}
	if first.ID == second.ID {
		t.Error("the renewal has the same identity")
	}
	if third := issue(t, ca, "example.com"); third.LeafPin == first.LeafPin {
		t.Error("a certificate with a key of its own has the same pin")
	}
}

// A certificate has exactly what the request says.
func TestIssueFollowsRequest(t *testing.T) {
	ca := newCA(t, CAOptions{})
	from, to := time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	hostile := "a\x00b\n<!channel>.example.com"
	i, err := ca.Issue(Request{Names: []string{hostile}, CommonName: "cn.example.com", Serial: big.NewInt(7), NotBefore: from, NotAfter: to})
	must(t, err)
	if !bytes.Contains(i.TBS, []byte(hostile)) || len(i.Names) != 2 || i.Names[1] != "cn.example.com" {
		t.Errorf("names %q", i.Names)
	}
	plain, err := ca.Issue(Request{CommonName: "cn.example.com", Serial: big.NewInt(7), NotBefore: from, NotAfter: to})
	must(t, err)
	der, err := plain.Final()
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	if c.SerialNumber.Int64() != 7 || !c.NotBefore.Equal(from) || !c.NotAfter.Equal(to) || c.DNSNames != nil || c.Subject.CommonName != "cn.example.com" {
		t.Errorf("issued %v %v %v %v %v", c.SerialNumber, c.NotBefore, c.NotAfter, c.DNSNames, c.Subject)
	}
	if !bytes.Equal(c.RawTBSCertificate, plain.TBS) {
		t.Error("without SCTs the final certificate's TBS is not the precertificate's")
	}
}

// A seeded CA issues the same bytes each time.
func TestSeededCA(t *testing.T) {
	opt := CAOptions{Seed: "demo", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	a, b := issue(t, newCA(t, opt), "example.com"), issue(t, newCA(t, opt), "example.com")
	if !bytes.Equal(a.Precert, b.Precert) || !bytes.Equal(a.Issuer, b.Issuer) {
		t.Error("two CAs of one seed differ")
	}
	opt.Seed = "another"
	if c := issue(t, newCA(t, opt), "example.com"); c.ID == a.ID || c.LeafPin == a.LeafPin {
		t.Error("two CAs of different seeds issue the same")
	}
}
