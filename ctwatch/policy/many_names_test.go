package policy_test

import (
	"crypto/x509"
	"fmt"
	"runtime"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
)

// A judgment takes work in proportion to a certificate's names, also where the issuer's key
// is known by a path with name constraints: they are compared with the names once.
func TestJudgingWorkGrowsWithNames(t *testing.T) {
	w := newFixture(t)
	issuing := w.sub(w.digicert, "Issuing", func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
	})
	if w.cas.Learn(issued(issuing.pin()), chain(issuing, w.digicert)...) == nil {
		t.Fatal("nothing is learned")
	}
	p := policy.New([]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "DigiCert") })}, w.cas)
	work := func(n int) uint64 {
		c := issued(issuing.pin())
		c.Names, c.Matches = nil, nil
		for i := range n {
			name := fmt.Sprintf("n%d.example.com", i)
			c.Names, c.Matches = append(c.Names, name), append(c.Matches, ctwatch.Match{Watch: ".example.com", Domain: "example.com", Name: name})
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		j := p.Judge(c, ctwatch.Standing{})
		runtime.ReadMemStats(&after)
		if j.Verdict != ctwatch.Expected || len(j.Grants) != n {
			t.Errorf("%d names: %s, %v, %d grants", n, j.Verdict, j.Codes(), len(j.Grants))
		}
		return after.Mallocs - before.Mallocs
	}
	if few, many := work(100), work(400); many > 5*few {
		t.Errorf("100 names take %d allocations, and 400 take %d", few, many)
	}
}

// A name that cannot be read matches each watched domain once, however many there are.
func TestOddNameMatchesManyDomains(t *testing.T) {
	const n = 100_000
	c := certificate("*.*")
	c.Matches = nil
	for i := range n {
		d := fmt.Sprintf("n%d.test", i)
		c.Matches = append(c.Matches, ctwatch.Match{Watch: d, Domain: d, Name: "*.*"})
	}
	if j := policy.New([]policy.Rule{rule(t, ".example.com")}, policy.NewCAs()).Judge(c, ctwatch.Standing{}); j.Verdict != ctwatch.Unreviewed {
		t.Errorf("%s, %v", j.Verdict, j.Codes())
	}
}
