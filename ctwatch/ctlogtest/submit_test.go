package ctlogtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	ct "github.com/google/certificate-transparency-go"

	"ctwatch/ctwatch"
)

// submit posts a chain and returns the status and the SCT.
func submit(t *testing.T, l *Log, path string, chain ...[]byte) (int, ct.AddChainResponse) {
	t.Helper()
	body, err := json.Marshal(map[string][][]byte{"chain": chain})
	must(t, err)
	resp, err := client(t).Post(l.URL()+path, "application/json", bytes.NewReader(body))
	must(t, err)
	defer resp.Body.Close()
	var out ct.AddChainResponse
	if resp.StatusCode == http.StatusOK {
		must(t, json.NewDecoder(resp.Body).Decode(&out))
	}
	return resp.StatusCode, out
}

// Chains submitted over HTTP are logged.
func TestSubmit(t *testing.T) {
	for _, kind := range []ctwatch.LogKind{kindRFC, kindStatic} {
		t.Run(string(kind), func(t *testing.T) {
			l := start(t, Options{Kind: kind, AutoPublish: true})
			i := issue(t, newCA(t, CAOptions{}), "api.example.com")
			status, resp := submit(t, l, "ct/v1/add-pre-chain", append([][]byte{i.Precert}, i.Chain...)...)
			if status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			sct, err := resp.ToSignedCertificateTimestamp()
			must(t, err)
			leaf, err := ct.MerkleTreeLeafFromRawChain(rawChain(i.Precert, i.Chain), ct.PrecertLogEntryType, sct.Timestamp)
			must(t, err)
			leaf.TimestampedEntry.Extensions = sct.Extensions
			must(t, verifier(t, l).VerifySCTSignature(*sct, ct.LogEntry{Leaf: *leaf}))

			final, err := i.Final([]byte("an SCT"))
			must(t, err)
			if status, _ := submit(t, l, "ct/v1/add-chain", append([][]byte{final}, i.Chain...)...); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			truth, err := l.Truth()
			must(t, err)
			if len(truth) != 2 {
				t.Fatalf("%d entries, want 2", len(truth))
			}
			for n, want := range []ctwatch.SightingKind{ctwatch.Precertificate, ctwatch.FinalCertificate} {
				got := truth[n]
				if got.Kind != want || got.ID != i.ID || got.LeafPin != i.LeafPin || got.IssuerPin != i.IssuerPin || got.Names[0] != "api.example.com" {
					t.Errorf("entry %d: %+v", n, got)
				}
			}
		})
	}
}

// Invalid submissions are refused.
func TestSubmitErrors(t *testing.T) {
	l := start(t, Options{})
	i := issue(t, newCA(t, CAOptions{PrecertSigner: true}), "example.com")
	final, err := i.Final()
	must(t, err)
	for name, chain := range map[string][][]byte{
		"nothing":                 {},
		"no issuer":               {i.Precert},
		"a final certificate":     {final, i.Issuer},
		"no certificate":          {[]byte("certificate"), i.Issuer},
		"no issuer's certificate": {i.Precert, []byte("certificate")},
		"precertificate signer":   append([][]byte{i.Precert}, i.PrecertChain...),
	} {
		if status, _ := submit(t, l, "ct/v1/add-pre-chain", chain...); status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, status)
		}
	}
	if status, _ := submit(t, l, "ct/v1/add-chain", i.Precert, i.Issuer); status != http.StatusBadRequest {
		t.Errorf("a precertificate at add-chain: status %d, want 400", status)
	}
	if n := l.Size(); n != 0 {
		t.Errorf("%d entries were logged", n)
	}
}

func FuzzParse(f *testing.F) {
	ca, err := NewCA(CAOptions{Seed: "fuzz"})
	if err != nil {
		f.Fatal(err)
	}
	i, err := ca.Issue(Request{Names: []string{"example.com"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(i.Precert)
	f.Add(i.Issuer)
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parse(der)
		if err != nil {
			return
		}
		if _, err := p.without(oidPoison); err != nil {
			t.Errorf("what was parsed cannot be put together: %v", err)
		}
	})
}
