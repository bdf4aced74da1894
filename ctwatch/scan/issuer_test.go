package scan_test

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
)

// TestAnIssuerThatDidNotSignIsNone: the chain beside a final certificate is not
// under the log's signature, so that a log could name a trusted CA as the issuer of
// a rogue's certificate.
func TestAnIssuerThatDidNotSignIsNone(t *testing.T) {
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
			scan.SetIssuer(&f, i.Issuer)
		}
		c := f.Certificate
		if !c.Issuer.Pin.IsZero() || len(c.Pins) != 1 {
			t.Errorf("%s: the issuer is %v", kind, c.Issuer)
		}
		if len(c.Problems) != 1 || !strings.Contains(c.Problems[0], "does not prove to be") {
			t.Errorf("%s: problems %q", kind, c.Problems)
		}
	}
}
