package policy_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"ctwatch/ctwatch"

	"github.com/google/go-cmp/cmp"
)

// What crypto/x509 would not accept at the time of
// issuance makes no key a CA's.
func TestBrokenPathShowsNothing(t *testing.T) {
	ago, ahead := now.AddDate(0, -1, 0), now.AddDate(0, 1, 0)
	past, future := valid(now.AddDate(-2, 0, 0), ago), valid(ahead, now.AddDate(2, 0, 0))
	// below has a CA below one that the root of DigiCert signed in some way.
	below := func(change ...func(*x509.Certificate)) func(*fixture) (ca, [][]byte) {
		return func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.digicert, "DigiCert Inc", change...)
			c := w.sub(middle, "DigiCert Inc")
			return c, chain(c, middle, w.digicert)
		}
	}
	direct := func(change ...func(*x509.Certificate)) func(*fixture) (ca, [][]byte) {
		return func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "DigiCert Inc", change...)
			return c, chain(c, w.digicert)
		}
	}
	// root has a CA below a root of the table that signed itself in some way.
	root := func(change ...func(*x509.Certificate)) func(*fixture) (ca, [][]byte) {
		return func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "Root", change...)
			w.with(root, "Sectigo")
			c := w.sub(root, "Issuing")
			return c, chain(c, root)
		}
	}
	for name, play := range map[string]func(*fixture) (ca, [][]byte){
		"expired":                           direct(past),
		"not valid yet":                     direct(future),
		"below one that has expired":        below(past),
		"below one that is not valid yet":   below(future),
		"below a root that has expired":     root(past),
		"no CA":                             direct(noCA),
		"below no CA":                       below(noCA),
		"no CA of certificates":             direct(noCertSign),
		"below no CA of certificates":       below(noCertSign),
		"a root that may not sign":          root(noCertSign),
		"for clients only":                  direct(usage(x509.ExtKeyUsageClientAuth)),
		"below one for e-mail only":         below(usage(x509.ExtKeyUsageEmailProtection)),
		"below a root for code only":        root(usage(x509.ExtKeyUsageCodeSigning)),
		"for precertificates only":          direct(ctSigning),
		"a critical extension":              direct(critical),
		"below a critical extension":        below(critical),
		"below a root's critical extension": root(critical),
		"below pathlen:0":                   below(pathLen(0)),
		"below a root with pathlen:0":       root(pathLen(0)),
		"third below pathlen:1": func(w *fixture) (ca, [][]byte) {
			a := w.sub(w.digicert, "A", pathLen(1))
			b := w.sub(a, "B")
			c := w.sub(b, "C")
			return c, chain(c, b, a, w.digicert)
		},
		// The intermediate keys of the table have certificates of their own.
		"below an intermediate of the table with pathlen:0": func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.lets, "Let's Encrypt", pathLen(0))
			w.with(middle, "Let's Encrypt")
			c := w.sub(middle, "Let's Encrypt")
			return c, chain(c, middle, w.lets)
		},
		// Someone else writes the certificate of a root's key that allows everything.
		"below the key of the table in a foreign certificate": func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "Root", pathLen(0))
			w.with(root, "Sectigo")
			forged := certify(w.t, &w.nowhere, root.key, "Root")
			c := w.sub(root, "Issuing")
			return c, chain(c, forged, w.nowhere)
		},
		"below the key of the table in a certificate without a valid signature": func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "Root", pathLen(0))
			w.with(root, "Sectigo")
			pose := *root.cert
			pose.PublicKey = w.nowhere.key.Public()
			forged := certify(w.t, &ca{&pose, w.nowhere.key}, root.key, "Root")
			c := w.sub(root, "Issuing")
			return c, chain(c, forged)
		},
		"a foreign root with the subject of one of the table": func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "", func(c *x509.Certificate) { c.Subject, c.SubjectKeyId = w.lets.cert.Subject, w.lets.cert.SubjectKeyId })
			return root, chain(root, w.lets)
		},
		"below it": func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "", func(c *x509.Certificate) { c.Subject, c.SubjectKeyId = w.lets.cert.Subject, w.lets.cert.SubjectKeyId })
			c := w.sub(root, "Let's Encrypt")
			return c, chain(c, root, w.lets)
		},
		"a signature by another key": func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.nowhere, "DigiCert Inc")
			return c, chain(c, w.digicert)
		},
		"a chain without the middle": func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.sub(w.digicert, "DigiCert Inc"), "DigiCert Inc")
			return c, chain(c, w.digicert)
		},
		"a chain without the root": func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.digicert, "DigiCert Inc")
			c := w.sub(middle, "DigiCert Inc")
			return c, chain(c, middle)
		},
		"two that sign each other": func(w *fixture) (ca, [][]byte) {
			a := sign(w.t, nil, "A")
			b := w.sub(a, "B")
			c := certify(w.t, &b, a.key, "A")
			return c, chain(c, b, a, w.digicert)
		},
		"a key of more than 8192 bits": func(w *fixture) (ca, [][]byte) {
			c := certify(w.t, &w.digicert, hugeKey(8193), "Huge")
			return c, chain(c, w.digicert)
		},
		"a certificate of a megabyte": func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "Large", func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 1<<20)}}
			})
			return c, chain(c, w.digicert)
		},
		"a chain of ten thousand": func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "DigiCert Inc")
			long := slices.Repeat(chain(w.nowhere), 10_000)
			return c, append(append(chain(c), long...), w.digicert.cert.Raw)
		},
		"nonsense": func(w *fixture) (ca, [][]byte) {
			return w.sub(w.digicert, "DigiCert Inc"), append(chain(w.digicert), []byte("nonsense"), nil)
		},
		"nothing": func(w *fixture) (ca, [][]byte) { return w.nowhere, nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			c, chain := play(w)
			cert := issued(c.pin())
			w.cas.Learn(cert, chain...)
			if got := owners(w.cas, cert); got != "" {
				t.Errorf("the key is taken for that of %s", got)
			}
		})
	}
}

// At the time of issuance, not today; and a
// renewed certificate of the key extends it.
func TestLearnedKeyCountsWhileItsPathIsValid(t *testing.T) {
	w := newFixture(t)
	key := newKey(t)
	first := certify(t, &w.digicert, key, "Issuing", valid(now.AddDate(-2, 0, 0), now.AddDate(0, 1, 0)))
	second := certify(t, &w.digicert, key, "Issuing", valid(now.AddDate(0, 2, 0), now.AddDate(2, 0, 0)))
	at := func(when time.Time) *ctwatch.Certificate {
		c := issued(first.pin())
		c.NotBefore = when
		return c
	}
	late := at(now.AddDate(0, 3, 0))
	if w.cas.Learn(late, chain(first, w.digicert)...) != nil || w.cas.Learn(at(time.Time{}), chain(first, w.digicert)...) != nil {
		t.Error("a path is believed when it was not valid")
	}
	want := []ctwatch.IssuerKey{{Pin: first.pin(), Anchor: w.digicert.pin(), NotBefore: first.cert.NotBefore, NotAfter: first.cert.NotAfter}}
	learned := w.cas.Learn(at(now), chain(first, w.digicert)...)
	if diff := cmp.Diff(want, learned); diff != "" {
		t.Errorf("learned (-want +got):\n%s", diff)
	}
	for when, want := range map[time.Time]string{
		{}:                                     "",
		first.cert.NotBefore.Add(-time.Second): "",
		first.cert.NotBefore:                   "DigiCert",
		first.cert.NotAfter:                    "DigiCert",
		first.cert.NotAfter.Add(time.Second):   "",
		late.NotBefore:                         "",
	} {
		if got := owners(w.cas, at(when)); got != want {
			t.Errorf("issued at %v, it is of %q, want %q", when, got, want)
		}
	}
	if learned := w.cas.Learn(late, chain(second, w.digicert)...); len(learned) != 1 {
		t.Errorf("of the renewed certificate is learned %v", learned)
	}
	if got := owners(w.cas, late); got != "DigiCert" {
		t.Errorf("with a renewed certificate it is of %q", got)
	}
}

// Below a known CA it shows whose the issuer's key
// is, and not that its own key issues certificates.
func TestPrecertSignerIsNotLearned(t *testing.T) {
	w := newFixture(t)
	issuing := w.sub(w.digicert, "Issuing", pathLen(0))
	signer := w.sub(issuing, "Precertificates", ctSigning)
	w.cas.Learn(issued(issuing.pin()), chain(signer, issuing, w.digicert)...)
	if got := owners(w.cas, issued(issuing.pin())); got != "DigiCert" {
		t.Errorf("the issuer is of %q", got)
	}
	if got := owners(w.cas, issued(signer.pin())); got != "" {
		t.Errorf("the key for precertificates is of %s", got)
	}
}
