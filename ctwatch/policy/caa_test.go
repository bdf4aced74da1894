package policy_test

import (
	"strings"
	"testing"

	"ctwatch/ctwatch/policy"

	"github.com/google/go-cmp/cmp"
)

func permits(cas ...string) (out []policy.Permit) {
	for _, ca := range cas {
		out = append(out, policy.Permit{CA: ca})
	}
	return out
}

// Records come from the domain or the nearest one above that has any, and through aliases.
func TestLookupClimbsTheTree(t *testing.T) {
	zone := map[string][]string{
		"com":                 nil,
		"example.com":         {`CAA 0 issue "letsencrypt.org"`, `CAA 0 issuewild ";"`, `CAA 0 iodef "mailto:x@example.com"`},
		"a.example.com":       nil,
		"locked.example.com":  {`CAA 0 issue ";"`},
		"params.example.com":  {`CAA 0 issue "LetsEncrypt.org ; accounturi=https://ca/1; validationmethods=dns-01"`},
		"mail.example.com":    {`CAA 0 iodef "mailto:x@example.com"`, `CAA 128 issuemail "ca.example"`},
		"odd.example.com":     {`CAA 0 tbs "x"`, `CAA 0 ISSUE "pki.goog"`},
		"crit.example.com":    {`CAA 128 tbs "x"`, `CAA 0 issue "pki.goog"`},
		"broken.example.com":  {`CAA 0 issue "not a domain!"`, `CAA 0 issue "x;=="`},
		"alias.example.com":   {"CNAME target.example.net."},
		"target.example.net":  {`CAA 0 issue "digicert.com"`},
		"dangle.example.com":  {"CNAME nowhere.example.org."},
		"example.org":         {`CAA 0 issue ";"`},
		"far.example.com":     {"CNAME one.example.net."},
		"one.example.net":     {"CNAME two.example.net."},
		"two.example.net":     {"CNAME target.example.net."},
		"mixed.example.com":   {`CAA 0 issue "pki.goog"`},
		"net":                 {`CAA 0 issue "tld.example"`},
		"deep.a.b.c.d.e.f.co": nil,
	}
	s := serve(t, zone, nil)
	c := checker(s)
	for _, tt := range []struct {
		domain string
		want   policy.CAAResult
	}{
		{"example.com", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		{"a.example.com", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		{"x.y.z.example.com", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		{"*.a.example.com", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		{"A.Example.COM.", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		{"locked.example.com", policy.CAAResult{Found: true, Domain: "locked.example.com", Issue: permits("")}},
		{"www.locked.example.com", policy.CAAResult{Found: true, Domain: "locked.example.com", Issue: permits("")}},
		{"params.example.com", policy.CAAResult{Found: true, Domain: "params.example.com", Issue: []policy.Permit{{
			CA: "letsencrypt.org", Parameters: []policy.CAAParameter{{Tag: "accounturi", Value: "https://ca/1"}, {Tag: "validationmethods", Value: "dns-01"}},
		}}}},
		{"mail.example.com", policy.CAAResult{Found: true, Domain: "mail.example.com"}},
		{"odd.example.com", policy.CAAResult{Found: true, Domain: "odd.example.com", Issue: permits("pki.goog")}},
		{"crit.example.com", policy.CAAResult{Found: true, Domain: "crit.example.com", Issue: permits("pki.goog"), Critical: "tbs"}},
		{"broken.example.com", policy.CAAResult{Found: true, Domain: "broken.example.com", Issue: permits("", "")}},
		// An alias has the records of its target, and none of those above the target.
		{"alias.example.com", policy.CAAResult{Found: true, Domain: "alias.example.com", Issue: permits("digicert.com")}},
		{"far.example.com", policy.CAAResult{Found: true, Domain: "far.example.com", Issue: permits("digicert.com")}},
		{"dangle.example.com", policy.CAAResult{Found: true, Domain: "example.com", Issue: permits("letsencrypt.org"), IssueWild: permits("")}},
		// Those of a top-level domain count; where there are none at all, all may issue.
		{"shop.example.net", policy.CAAResult{Found: true, Domain: "net", Issue: permits("tld.example")}},
		{"nothing.example.dev", policy.CAAResult{}},
	} {
		got, err := c.Lookup(t.Context(), tt.domain)
		if err != nil {
			t.Errorf("%s: %v", tt.domain, err)
		}
		got.TTL = 0
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.domain, diff)
		}
	}
}

// Records forbid all CAs but those that they permit, wildcards by issuewild if there is
// any.
func TestForbids(t *testing.T) {
	lets, other := []string{"letsencrypt.org"}, []string{"pki.goog", "google.com"}
	found := func(r policy.CAAResult) policy.CAAResult { r.Found = true; return r }
	for _, tt := range []struct {
		name       string
		records    policy.CAAResult
		identities []string
		wildcard   bool
		want       bool
	}{
		{"no records", policy.CAAResult{}, lets, false, false},
		{"no restriction", found(policy.CAAResult{}), lets, false, false},
		{"the CA", found(policy.CAAResult{Issue: permits("letsencrypt.org")}), lets, false, false},
		{"another", found(policy.CAAResult{Issue: permits("letsencrypt.org")}), other, false, true},
		{"a second identity", found(policy.CAAResult{Issue: permits("google.com")}), other, false, false},
		{"no CA and the CA", found(policy.CAAResult{Issue: permits("", "letsencrypt.org")}), lets, false, false},
		{"no CA", found(policy.CAAResult{Issue: permits("")}), lets, false, true},
		{"no CA, for a CA without identities", found(policy.CAAResult{Issue: permits("")}), nil, false, true},
		{"no restriction, for a CA without identities", found(policy.CAAResult{}), nil, false, false},
		{"an empty identity permits no CA", found(policy.CAAResult{Issue: permits("")}), []string{""}, false, true},
		{"a wildcard by issue", found(policy.CAAResult{Issue: permits("letsencrypt.org")}), lets, true, false},
		{"a wildcard by issuewild", found(policy.CAAResult{Issue: permits("pki.goog"), IssueWild: permits("letsencrypt.org")}), lets, true, false},
		{"issuewild for a name", found(policy.CAAResult{IssueWild: permits("")}), lets, false, false},
		{"a critical tag", found(policy.CAAResult{Issue: permits("letsencrypt.org"), Critical: "x"}), lets, false, true},
	} {
		if got := tt.records.Forbids(tt.identities, tt.wildcard); got != tt.want {
			t.Errorf("%s: Forbids is %v", tt.name, got)
		}
	}
}

func FuzzCAAValue(f *testing.F) {
	for _, s := range []string{"letsencrypt.org", ";", "", "ca.example; a=b; c=d", "ca.example;;", " \tca.example\t;x = y", "-bad.example", "ca.example;=", "ca.example; a b", "x;y=\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := policy.ParsePermit(value)
		if p.CA == "" {
			return
		}
		written := p.CA
		for _, q := range p.Parameters {
			written += ";" + q.Tag + "=" + q.Value
		}
		if diff := cmp.Diff(p, policy.ParsePermit(written)); diff != "" {
			t.Errorf("%q is read as %+v, and written again differs:\n%s", value, p, diff)
		}
		if strings.ContainsAny(written, "\n\r\x00\x1b") || p.CA != strings.ToLower(p.CA) {
			t.Errorf("%q is read as %q", value, written)
		}
	})
}
