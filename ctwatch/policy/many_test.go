package policy_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// manyNames is a certificate for n names, and what is known of its key: that it is
// approved, or else was served, for each of them.
func manyNames(n int, approved bool) (*ctwatch.Certificate, ctwatch.Standing) {
	c := &ctwatch.Certificate{Key: ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.Pin{1}}}
	var k ctwatch.Standing
	for i := range n {
		name := fmt.Sprintf("host-%d.shop.example", i)
		c.Names = append(c.Names, name)
		c.Matches = append(c.Matches, ctwatch.Match{Watch: "shop.example", Name: name, Domain: "shop.example"})
		if approved {
			k.ApprovedFor = append(k.ApprovedFor, pins.Pattern{Name: name})
		} else {
			k.ServedFor = append(k.ServedFor, name)
		}
	}
	return c, k
}

// What a judgment costs grows with the names of a certificate, and not with what is
// known of its key for each of them.
func BenchmarkJudgeManyNames(b *testing.B) {
	p := policy.New([]policy.Rule{{Pattern: pins.Pattern{Name: "shop.example", Reach: pins.AllBelow}}}, policy.NewCAs())
	for _, n := range []int{6_000, 60_000} {
		for what, approved := range map[string]bool{"approved": true, "served": false} {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				c, k := manyNames(n, approved)
				b.ReportAllocs()
				for b.Loop() {
					if j := p.Judge(c, k); j.Verdict != ctwatch.Expected {
						b.Fatalf("%+v", j)
					}
				}
			})
		}
	}
}

// A hundred thousand names, each with something known of it, are judged at once: each
// compared with all that is known would be 10,000,000,000 comparisons.
func TestJudgeManyNames(t *testing.T) {
	p := policy.New([]policy.Rule{{Pattern: pins.Pattern{Name: "shop.example", Reach: pins.AllBelow}}}, policy.NewCAs())
	for _, approved := range []bool{true, false} {
		c, k := manyNames(100_000, approved)
		begun := cpu(t)
		if j := p.Judge(c, k); j.Verdict != ctwatch.Expected {
			t.Errorf("approved %v: %+v", approved, j)
		}
		if took := cpu(t) - begun; took > 20*time.Second {
			t.Errorf("approved %v: took %v of processor time", approved, took)
		}
	}
}

// A key is trusted for a name exactly where one of the approved patterns covers it.
func TestJudgeTrustedPatterns(t *testing.T) {
	p := policy.New([]policy.Rule{{Pattern: pins.Pattern{Name: "example", Reach: pins.AllBelow}}}, policy.NewCAs())
	var patterns []pins.Pattern
	for _, name := range []string{"example", "shop.example", "a.shop.example", "other.example"} {
		for _, reach := range []pins.Reach{pins.Exact, pins.OneBelow, pins.AllBelow} {
			patterns = append(patterns, pins.Pattern{Name: name, Reach: reach})
		}
	}
	for name, hosts := range map[string]pins.Pattern{
		"shop.example":       {Name: "shop.example"},
		"a.shop.example":     {Name: "a.shop.example"},
		"b.a.shop.example":   {Name: "b.a.shop.example"},
		"*.shop.example":     {Name: "shop.example", Reach: pins.OneBelow},
		"*.b.a.shop.example": {Name: "b.a.shop.example", Reach: pins.OneBelow},
	} {
		for _, trusted := range patterns {
			c := &ctwatch.Certificate{Names: []string{name}, Key: ctwatch.CertificateKey{Pin: pins.Pin{1}}}
			j := p.Judge(c, ctwatch.Standing{ApprovedFor: []pins.Pattern{trusted}})
			if got, want := j.Verdict == ctwatch.Expected, trusted.Covers(hosts); got != want {
				t.Errorf("%s, approved for %v: trusted %v, want %v", name, trusted, got, want)
			}
		}
	}
}

// cpu returns the processor time that this process has used, which does not pass faster
// on a busy machine.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
