package policy_test

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// Of today, whatever was kept.
func TestRestoreGoesByTheTable(t *testing.T) {
	w := newFixture(t)
	issuing := w.sub(w.digicert, "Issuing")
	cert := issued(issuing.pin())
	learned := w.cas.Learn(cert, chain(issuing, w.digicert)...)
	for name, tt := range map[string]struct {
		keys map[pins.Pin]string
		want string
	}{
		"as it was":            {map[pins.Pin]string{w.digicert.pin(): "DigiCert"}, "DigiCert"},
		"the root was sold":    {map[pins.Pin]string{w.digicert.pin(): "Sectigo"}, "Sectigo"},
		"the root is gone":     {nil, ""},
		"the key itself is in": {map[pins.Pin]string{w.digicert.pin(): "DigiCert", issuing.pin(): "Microsoft"}, "Microsoft"},
	} {
		cas := policy.Knowing(tt.keys)
		cas.Add(append(learned, ctwatch.IssuerKey{}, ctwatch.IssuerKey{Anchor: w.digicert.pin()})...)
		if got := owners(cas, cert); got != tt.want {
			t.Errorf("%s: it is of %q, want %q", name, got, tt.want)
		}
	}
}

// What an earlier version learned by name neither allows
// nor forbids, until a chain shows who signed.
func TestClaimedKeyIsUnreviewed(t *testing.T) {
	w := newFixture(t)
	issuing := w.sub(w.digicert, "Let's Encrypt")
	cert := from(certificate("www.example.com"), issuing.pin(), issuing.cert.Subject.String())
	w.cas.Claim(issuing.pin(), "Let's Encrypt")
	w.cas.Claim(unknownCA, "No Such CA")
	w.cas.Claim(letsEncrypt, "DigiCert")
	judge := func(allowed string, caa bool) ctwatch.Judgment {
		r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers, r.CAA = issuers(t, allowed), caa })
		permit := policy.CAAResult{Found: true, Issue: []policy.Permit{{CA: allowed}}}
		return policy.New([]policy.Rule{r}, w.cas).Judge(cert, ctwatch.Standing{CAA: policy.EncodeCAA(map[string]policy.CAAResult{"www.example.com": permit})})
	}
	if got := owners(w.cas, cert) + owners(w.cas, issued(unknownCA)); got != "" {
		t.Errorf("it is of %s", got)
	}
	if got := owners(w.cas, issued(letsEncrypt)); got != "Let's Encrypt" {
		t.Errorf("a claim changed the table: %s", got)
	}
	for _, caa := range []bool{false, true} {
		if j := judge("letsencrypt.org", caa); j.Verdict != ctwatch.Unreviewed || len(j.Grants) > 0 || !strings.Contains(words.Reasons(cert, j.Reasons), "by name only") {
			t.Errorf("where the claimed CA may issue: %+v", j)
		}
		if j := judge("sectigo.com", caa); j.Verdict != ctwatch.Unexpected {
			t.Errorf("where another may issue: %+v", j)
		}
	}
	w.cas.Learn(cert, chain(issuing, w.digicert)...)
	w.cas.Claim(issuing.pin(), "Let's Encrypt")
	if j := judge("letsencrypt.org", false); j.Verdict != ctwatch.Unexpected {
		t.Errorf("after a chain showed who signed: %+v", j)
	}
}
