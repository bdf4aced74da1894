package scan_test

import (
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
)

// The log's signature does not cover the chain of a final certificate, so a log could name
// a trusted CA as the issuer of a rogue certificate. Only a signature proves the issuer.
func TestIssuerMustHaveSigned(t *testing.T) {
	rogue, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Rogue"})
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Trusted"})
	if err != nil {
		t.Fatal(err)
	}
	i, err := rogue.Issue(ctlogtest.Request{Names: []string{"api.shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := trusted.Issue(ctlogtest.Request{Names: []string{"api.shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	i.Chain, i.Issuer = other.Chain, other.Issuer
	final, err := i.Final()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []ctwatch.LogKind{ctwatch.KindRFC6962, ctwatch.KindStatic} {
		l, log := serve(t, ctlogtest.Options{Kind: kind, Name: "Lab"})
		if _, _, err := l.AddFinal(i, final); err != nil {
			t.Fatal(err)
		}
		b := scanAll(t, l, log, &scan.Scanner{Log: l.Info(), List: list(t, "shop.example")})
		if len(b.Found) != 1 {
			t.Fatalf("%d found", len(b.Found))
		}
		f := b.Found[0]
		if kind == ctwatch.KindStatic {
			scan.ProveIssuer(&f, i.Chain)
		}
		c := f.Certificate
		if c.Issuer.Proven || !c.Issuer.Pin.IsZero() || len(c.Pins) != 1 {
			t.Errorf("%s: the issuer is %v", kind, c.Issuer)
		}
		if len(c.Problems) != 1 || !strings.Contains(c.Problems[0], ctwatch.ProblemUnproven) {
			t.Errorf("%s: problems %q", kind, c.Problems)
		}
	}
}

// A log, or an attacker on the way to it, can put the public key of a trusted CA into an
// entry, and serve that CA's chain with it. That proves no issuer.
func TestForgedEntryProvesNoIssuer(t *testing.T) {
	inBothKinds(t, func(t *testing.T, lab *lab) {
		trusted := lab.issue(ctlogtest.Request{Names: []string{"api.shop.example"}})
		ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rogue, err := ca.Issue(ctlogtest.Request{Names: []string{"api.shop.example"}})
		if err != nil {
			t.Fatal(err)
		}
		forged := *rogue
		forged.IssuerKeyHash, forged.Issuer = trusted.IssuerKeyHash, trusted.Issuer
		forged.Chain, forged.PrecertChain = trusted.Chain, trusted.PrecertChain
		for _, i := range []*ctlogtest.Issued{&forged, rogue, trusted} {
			if _, _, err := lab.l.AddPrecert(i); err != nil {
				t.Fatal(err)
			}
		}
		b := lab.scan("shop.example")
		if len(b.Found) != 3 {
			t.Fatalf("%d found", len(b.Found))
		}
		for n, chain := range [][][]byte{trusted.PrecertChain, rogue.PrecertChain, trusted.PrecertChain} {
			f := b.Found[n]
			scan.ProveIssuer(&f, chain)
			c, honest := f.Certificate, n > 0
			if c.Issuer.Proven != honest || f.Unsettled() == honest {
				t.Errorf("entry %d: issuer %+v", n, c.Issuer)
			}
			if reported := slices.ContainsFunc(c.Problems, func(p string) bool { return strings.HasPrefix(p, ctwatch.ProblemUnproven) }); reported == honest {
				t.Errorf("entry %d: problems %q", n, c.Problems)
			}
			if hasIssuer := len(c.Pins) == 2; hasIssuer != honest {
				t.Errorf("entry %d: pins %v", n, c.Pins)
			}
		}
	})
}
