package policy_test

import (
	"crypto/x509"
	"strings"
	"sync"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
)

// The name in a CA's certificate assigns its key to no CA.
func TestSignerOwnsLearnedKey(t *testing.T) {
	for name, tt := range map[string]struct {
		play func(w *fixture) (ca, [][]byte)
		want string
	}{
		"an intermediate": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "DigiCert Inc")
			return c, chain(c, w.digicert)
		}, "DigiCert"},
		"one with the name of no CA": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "Unheard Of")
			return c, chain(c, w.digicert)
		}, "DigiCert"},
		"one with the name of another CA": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "Let's Encrypt")
			return c, chain(c, w.digicert)
		}, "DigiCert"},
		"one with the subject of another CA's root": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "", func(c *x509.Certificate) { c.Subject = w.lets.cert.Subject })
			return c, chain(c, w.lets, w.digicert)
		}, "DigiCert"},
		"one below another with a false name": {func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.digicert, "Let's Encrypt")
			c := w.sub(middle, "Let's Encrypt")
			return c, chain(c, middle, w.digicert)
		}, "DigiCert"},
		"in any order, each twice": {func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.digicert, "DigiCert Inc")
			c := w.sub(middle, "DigiCert Inc")
			return c, chain(w.digicert, c, w.digicert, c, middle, middle)
		}, "DigiCert"},
		"one below a CA with a key in the table, below another's root": {func(w *fixture) (ca, [][]byte) {
			cross := w.sub(w.digicert, "Amazon")
			w.with(cross, "Amazon Trust Services")
			c := w.sub(cross, "DigiCert Inc")
			return c, chain(c, cross, w.digicert)
		}, "Amazon Trust Services"},
		"a key of the table, signed by another": {func(w *fixture) (ca, [][]byte) {
			cross := w.sub(w.digicert, "DigiCert Inc")
			w.with(cross, "Amazon Trust Services")
			return cross, chain(cross, w.digicert)
		}, "Amazon Trust Services"},
		"a key that two CAs certified": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "Shared")
			cross := certify(w.t, &w.lets, c.key, "Shared")
			return c, chain(c, cross, w.digicert, w.lets)
		}, "DigiCert, Let's Encrypt"},
		"a key that a CA certified, and a foreign CA": {func(w *fixture) (ca, [][]byte) {
			c := w.sub(w.digicert, "Shared")
			cross := certify(w.t, &w.nowhere, c.key, "Shared")
			return c, chain(c, cross, w.digicert, w.nowhere)
		}, "DigiCert"},
		"the longest path that a root allows": {func(w *fixture) (ca, [][]byte) {
			root := sign(w.t, nil, "Root", pathLen(2))
			w.with(root, "Sectigo")
			middle := w.sub(root, "Middle", pathLen(1))
			c := w.sub(middle, "Issuing", pathLen(0))
			return c, chain(c, middle, root)
		}, "Sectigo"},
		"for servers, and for any use": {func(w *fixture) (ca, [][]byte) {
			middle := w.sub(w.digicert, "Middle", usage(x509.ExtKeyUsageAny))
			c := w.sub(middle, "Issuing", usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth))
			return c, chain(c, middle, w.digicert)
		}, "DigiCert"},
		"the largest key that is looked at": {func(w *fixture) (ca, [][]byte) {
			c := certify(w.t, &w.digicert, hugeKey(8192), "Large")
			return c, chain(c, w.digicert)
		}, "DigiCert"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			c, chain := tt.play(w)
			cert := issued(c.pin())
			w.cas.Learn(cert, chain...)
			if got := owners(w.cas, cert); got != tt.want {
				t.Errorf("the key belongs to %q, want %q", got, tt.want)
			}
			if again := w.cas.Learn(cert, chain...); again != nil {
				t.Errorf("learned once more: %v", again)
			}
		})
	}
}

// Of a key that is known already.
func TestSecondOwnerIsLearned(t *testing.T) {
	w := newFixture(t)
	first := w.sub(w.digicert, "Shared")
	second := certify(t, &w.lets, first.key, "Shared")
	cert := issued(first.pin())
	w.cas.Learn(cert, chain(first, w.digicert)...)
	learned := w.cas.Learn(cert, chain(second, w.lets)...)
	if got := owners(w.cas, cert); got != "DigiCert, Let's Encrypt" || len(learned) != 1 {
		t.Errorf("it is of %q, by %v", got, learned)
	}
	r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers, r.CAA = issuers(t, "letsencrypt.org"), true })
	records := ctwatch.Standing{CAA: policy.EncodeCAA(map[string]policy.CAAResult{"www.example.com": {Found: true, Issue: []policy.Permit{{CA: "digicert.com"}}}})}
	if j := policy.New([]policy.Rule{r}, w.cas).Judge(cert, records); j.Verdict != ctwatch.Expected {
		t.Errorf("judged %+v", j)
	}
	other := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "sectigo.com") })
	if j := policy.New([]policy.Rule{other}, w.cas).Judge(cert, ctwatch.Standing{}); j.Verdict != ctwatch.Unexpected || !strings.Contains(words.Reasons(cert, j.Reasons), "DigiCert and Let's Encrypt") {
		t.Errorf("judged %+v", j)
	}
}

// A rule that allows a CA by name does not allow a sub-CA of
// another that took the name.
func TestPosingCAIsUnexpected(t *testing.T) {
	w := newFixture(t)
	posing := w.sub(w.digicert, "Let's Encrypt")
	cert := from(certificate("www.example.com"), posing.pin(), posing.cert.Subject.String())
	w.cas.Learn(cert, chain(posing, w.digicert)...)
	for _, allowed := range []string{"letsencrypt.org", "Let's Encrypt"} {
		r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, allowed) })
		j := policy.New([]policy.Rule{r}, w.cas).Judge(cert, ctwatch.Standing{})
		if j.Verdict != ctwatch.Unexpected || len(j.Grants) > 0 || !strings.Contains(words.Reasons(cert, j.Reasons), "DigiCert") {
			t.Errorf("where %s may issue: %+v", allowed, j)
		}
	}
}

// TestLearningAndJudgingAtOnce has the race detector look.
func TestLearningAndJudgingAtOnce(t *testing.T) {
	w := newFixture(t)
	r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "digicert.com") })
	p := policy.New([]policy.Rule{r}, w.cas)
	var wg sync.WaitGroup
	for range 4 {
		issuing := w.sub(w.digicert, "Issuing")
		wg.Go(func() {
			cert := issued(issuing.pin())
			w.cas.Learn(cert, chain(issuing, w.digicert)...)
			if got := p.Judge(cert, ctwatch.Standing{}); got.Verdict != ctwatch.Expected {
				t.Errorf("judged %+v", got)
			}
		})
	}
	wg.Wait()
}

// TestChainsAreParsedOnce: most certificates of a log have one of a few chains.
func TestChainsAreParsedOnce(t *testing.T) {
	root := sign(t, nil, "Root")
	above := chain(sign(t, &root, "Intermediate"), root)
	cas, c := policy.NewCAs(), issued(root.pin())
	cas.Shown(c, above)
	if n := testing.AllocsPerRun(10, func() { cas.Shown(c, above) }); n > 40 {
		t.Errorf("%v allocations, as if the chain was parsed", n)
	}
}
