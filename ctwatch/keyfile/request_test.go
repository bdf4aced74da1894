package keyfile

import (
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"ctwatch/pins"
)

// TestRequestsOfOpenSSL: each request that OpenSSL writes is verified, or refused with
// the algorithm that cannot be verified and the pin to give instead.
func TestRequestsOfOpenSSL(t *testing.T) {
	t.Parallel()
	for file, says := range map[string]string{
		"rsapss.csr":       "", // the longest salt
		"rsapss-key.csr":   "", // the key itself is for RSA-PSS only
		"rsapss-salt0.csr": "",
		"rsapss-sha1.csr":  "signed with RSA-PSS (of RSA-PSS ctwatch verifies SHA-2",
		"ed448.csr":        "signed with Ed448 (ctwatch does not verify it)",
		"brainpool.csr":    "unsupported elliptic curve",
	} {
		data, err := os.ReadFile("testdata/requests/" + file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		raw, err := parseRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pin := pins.FromSPKI(raw.Info.Key.Raw)
		if derKind(block.Bytes) != "CERTIFICATE REQUEST" {
			t.Errorf("%s: in DER it is %q", file, derKind(block.Bytes))
		}
		s, err := requestSubject(block.Bytes)
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), pin.String()) || strings.Contains(err.Error(), "own key") {
				t.Errorf("%s: %v; want %q and %s", file, err, says, pin)
			}
			continue
		}
		if err != nil || s.Pin != pin || len(s.Names) == 0 || s.Algorithm == "" {
			t.Errorf("%s: %+v, %v", file, s, err)
		}
		for _, at := range []int{len(block.Bytes) - 1, 12} { // the signature, and what it is of
			forged := append([]byte(nil), block.Bytes...)
			forged[at] ^= 1
			if s, err := requestSubject(forged); err == nil {
				t.Errorf("%s: forged at %d: %+v", file, at, s)
			}
		}
	}
}

// FuzzRequest: no request makes its reader panic, or passes without a key.
func FuzzRequest(f *testing.F) {
	for _, file := range []string{"rsapss.csr", "rsapss-key.csr", "rsapss-sha1.csr", "ed448.csr", "brainpool.csr"} {
		data, err := os.ReadFile("testdata/requests/" + file)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(data)
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if s, err := requestSubject(der); err == nil && s.Pin.IsZero() {
			t.Errorf("a request without a key: %+v", s)
		}
	})
}
