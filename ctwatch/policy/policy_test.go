package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Rules grant a key the hosts that they expect it for; that it is known grants nothing.
func TestGrants(t *testing.T) {
	lets := func(r *policy.Rule) { r.Issuers = issuers(t, "letsencrypt.org") }
	for _, tt := range []struct {
		name  string
		rules []policy.Rule
		cert  *ctwatch.Certificate
		known ctwatch.Standing
		want  []string
	}{
		{"names, by an allowed issuer", []policy.Rule{rule(t, ".example.com", lets)}, certificate("a.example.com", "*.b.example.com"), ctwatch.Standing{}, []string{"a.example.com", "*.b.example.com"}},
		{"names, by an authorized key", []policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("our key")} })}, certificate("a.example.com"), ctwatch.Standing{}, []string{"a.example.com"}},
		{"of a wildcard only the host a rule is about", []policy.Rule{rule(t, "a.example.com", lets)}, certificate("*.example.com"), ctwatch.Standing{}, []string{"a.example.com"}},
		{"not names that no rule is about", []policy.Rule{rule(t, ".example.com", lets)}, certificateAlso("a.example.com", "shop.example.org"), ctwatch.Standing{}, []string{"a.example.com"}},
		{"not a key that is merely served", nil, certificate("a.example.com"), ctwatch.Standing{ServedFor: []string{"a.example.com"}}, nil},
		{"not a key that a person approved", nil, certificate("a.example.com"), ctwatch.Standing{ApprovedFor: patterns(t, ".example.com")}, nil},
		{"not a key that is not listed, by an allowed issuer", []policy.Rule{rule(t, ".example.com", lets, func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("another key")} })}, certificate("a.example.com"), ctwatch.Standing{}, nil},
		{"a listed key by an allowed issuer", []policy.Rule{rule(t, ".example.com", lets, func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("our key")} })}, certificate("a.example.com"), ctwatch.Standing{}, []string{"a.example.com"}},
		{"nothing while CAA records are not known", []policy.Rule{rule(t, ".example.com", lets, func(r *policy.Rule) { r.CAA = true })}, certificate("a.example.com"), ctwatch.Standing{}, nil},
		{"not where another name is unexpected", []policy.Rule{rule(t, ".example.com", lets), rule(t, "b.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "pki.goog") })}, certificate("a.example.com", "b.example.com"), ctwatch.Standing{}, nil},
		{"not where another name is unreviewed", []policy.Rule{rule(t, "a.example.com", lets)}, certificate("a.example.com", "b.example.com"), ctwatch.Standing{}, nil},
		{"not a compromised key", []policy.Rule{rule(t, ".example.com", lets)}, certificate("a.example.com"), ctwatch.Standing{Compromised: true}, nil},
		{"not a name that cannot be read", []policy.Rule{rule(t, ".example.com", lets)}, certificate("f*o.example.com"), ctwatch.Standing{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := policy.New(tt.rules, policy.NewCAs()).Judge(tt.cert, tt.known)
			if diff := cmp.Diff(patterns(t, tt.want...), got.Grants, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("grants (-want +got):\n%s", diff)
			}
		})
	}
}

// certificateAlso is a certificate with a name that is not watched.
func certificateAlso(watched, other string) *ctwatch.Certificate {
	c := certificate(watched)
	c.Names = append(c.Names, other)
	return c
}

// TestMonthOfRenewalsAndRogues plays a month: 10,000 renewals of five services, each
// with its rule, and among them fifty certificates of ten kinds that were not requested.
func TestMonthOfRenewalsAndRogues(t *testing.T) {
	const renewals, rogues = 10_000, 50
	internal := patterns(t, ".internal.example.com")
	p := policy.New([]policy.Rule{
		rule(t, ".example.com", func(r *policy.Rule) {
			r.Issuers, r.Never, r.CAA = issuers(t, "letsencrypt.org", "pki.goog"), internal, true
			r.MaxValidity, r.Algorithms = 100*24*time.Hour, []string{"ECDSA", "RSA 2048"}
		}),
		rule(t, "pay.example.com", func(r *policy.Rule) { r.Issuers, r.Wildcards = issuers(t, "digicert.com"), no() }),
		rule(t, ".apps.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, unknownCA.String()) }),
		rule(t, "pinned.example.com", func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("pinned 1"), pinOf("pinned 2")} }),
		rule(t, ".example.net", nil),
	}, policy.NewCAs())
	caa := map[string]policy.CAAResult{}
	for _, name := range []string{"www.example.com", "cdn.example.com", "locked.example.com", "a.internal.example.com"} {
		caa[name] = policy.CAAResult{Found: true, Domain: "example.com", Issue: []policy.Permit{{CA: "letsencrypt.org"}, {CA: "pki.goog"}}}
	}
	caa["locked.example.com"] = policy.CAAResult{Found: true, Domain: "locked.example.com", Issue: []policy.Permit{{}}}

	random := rand.New(rand.NewPCG(5, 50))
	type issued struct {
		*ctwatch.Certificate
		ctwatch.Standing
		rogue string
	}
	fresh := func(c *ctwatch.Certificate) *ctwatch.Certificate { return with(c, fmt.Sprint(random.Uint64())) }
	var month []issued
	for i := range renewals {
		known := ctwatch.Standing{CAA: policy.EncodeCAA(caa)}
		var c *ctwatch.Certificate
		switch i % 6 {
		case 0:
			c = fresh(certificate("www.example.com", "cdn.example.com"))
		case 1:
			c = from(fresh(certificate("cdn.example.com")), google, "CN=WR1,O=Google Trust Services,C=US")
		case 2:
			c = from(fresh(certificate("pay.example.com")), digiCert, dnDigiCert)
		case 3:
			c = from(fresh(certificate(fmt.Sprintf("app%d.apps.example.com", i))), unknownCA, dnUnknown)
		case 4:
			c = from(with(certificate("pinned.example.com"), fmt.Sprintf("pinned %d", i%2+1)), digiCert, dnDigiCert)
		case 5:
			c = with(certificate("shop.example.net"), "served there")
			known.ServedFor = []string{"shop.example.net"}
		}
		c.Serial = fmt.Sprintf("%x", random.Uint64())
		month = append(month, issued{c, known, ""})
	}
	kinds := []struct {
		name string
		make func() *ctwatch.Certificate
	}{
		{"a CA that is not allowed", func() *ctwatch.Certificate {
			return from(fresh(certificate("www.example.com")), digiCert, dnDigiCert)
		}},
		{"a forged issuer name", func() *ctwatch.Certificate {
			return from(fresh(certificate("www.example.com")), pinOf(fmt.Sprint(random.Uint64())), dnLetsEncrypt)
		}},
		{"the serial and subject of an earlier one, with another key", func() *ctwatch.Certificate {
			c := fresh(certificate("pinned.example.com"))
			c.Serial, c.Subject = month[4].Serial, month[4].Subject
			return c
		}},
		{"a name never to be issued", func() *ctwatch.Certificate { return fresh(certificate("a.internal.example.com")) }},
		{"a wildcard over a name of stricter rules", func() *ctwatch.Certificate { return fresh(certificate("*.example.com")) }},
		{"valid too long", func() *ctwatch.Certificate {
			c := fresh(certificate("www.example.com"))
			c.NotAfter = c.NotBefore.AddDate(1, 0, 0)
			return c
		}},
		{"a weak key", func() *ctwatch.Certificate {
			c := fresh(certificate("www.example.com"))
			c.Key.Algorithm = "RSA 1024"
			return c
		}},
		{"against the CAA records", func() *ctwatch.Certificate { return fresh(certificate("locked.example.com")) }},
		{"our own key, by a CA that is not allowed", func() *ctwatch.Certificate {
			return from(certificate("www.example.com"), unknownCA, dnUnknown)
		}},
		{"a foreign name in an ordinary one", func() *ctwatch.Certificate {
			return fresh(certificate("www.example.com", "pay.example.com"))
		}},
	}
	for i := range rogues {
		k := kinds[i%len(kinds)]
		known := ctwatch.Standing{CAA: policy.EncodeCAA(caa)}
		if i%len(kinds) == 8 {
			known.ServedFor, known.ApprovedFor = []string{"www.example.com"}, patterns(t, ".example.com")
		}
		month = append(month, issued{k.make(), known, k.name})
	}
	random.Shuffle(len(month), func(i, j int) { month[i], month[j] = month[j], month[i] })

	unexpected := 0
	for _, c := range month {
		got := p.Judge(c.Certificate, c.Standing)
		switch want := map[bool]ctwatch.Verdict{true: ctwatch.Expected, false: ctwatch.Unexpected}[c.rogue == ""]; {
		case got.Verdict != want:
			t.Errorf("%v (%s) is %s: %q", c.Names, c.rogue, got.Verdict, got.Codes())
		case want == ctwatch.Unexpected:
			unexpected++
		}
	}
	if unexpected != rogues {
		t.Errorf("%d certificates are unexpected, want %d", unexpected, rogues)
	}
}

// Sentences and suggestions about a hostile certificate are printable and bounded.
func TestReasonsArePrintable(t *testing.T) {
	evil := "a\x1b]0;x\a\u202e<!channel>\n" + strings.Repeat("x", 10_000) + ".example.com"
	c := certificate(evil, "*.*.example.com")
	c.Issuer = ctwatch.Issuer{Name: "O=Evil\r\n\x1b[31m" + strings.Repeat("y", 10_000), Pin: unknownCA, Proven: true}
	c.Key.Algorithm = "1.2.3\n\x00"
	r := rule(t, ".example.com", func(r *policy.Rule) {
		r.Issuers, r.Algorithms, r.Wildcards, r.MaxValidity = issuers(t, "letsencrypt.org"), []string{"RSA"}, no(), time.Hour
		r.Never = patterns(t, "a.example.com")
	})
	p := policy.New([]policy.Rule{r}, policy.NewCAs())
	got := p.Judge(c, ctwatch.Standing{Compromised: true})
	if len(got.Reasons) < 6 {
		t.Fatalf("reasons %q", got.Codes())
	}
	var details []string
	for _, r := range got.Reasons {
		details = append(details, words.Reason(c, r))
	}
	for _, d := range append(details, strings.Split(strings.TrimSuffix(suggest(p, c, ctwatch.Standing{}), "\n"), "\n")...) {
		if len(d) > 1000 || strings.ContainsFunc(d, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", d)
		}
	}
}

// A reason names the first of ten thousand names and counts the others.
func TestReasonsCountNames(t *testing.T) {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("host%d.example.com", i))
	}
	c := from(certificate(names...), digiCert, dnDigiCert)
	r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers, r.CAA = issuers(t, "letsencrypt.org"), true })
	p := policy.New([]policy.Rule{r}, policy.NewCAs())
	got := p.Judge(c, ctwatch.Standing{})
	if got.Verdict != ctwatch.Unexpected || !strings.Contains(words.Reasons(c, got.Reasons), "host0.example.com (and 9999 more)") {
		t.Errorf("%+v", got)
	}
	if n := len(p.CAANames(c)); n != 100 {
		t.Errorf("%d domains are to be asked about, want 100", n)
	}
}

// Only names whose rule checks CAA are looked up, without wildcards, each once.
func TestCAANames(t *testing.T) {
	p := policy.New([]policy.Rule{
		rule(t, ".example.com", func(r *policy.Rule) { r.CAA = true }),
		rule(t, "quiet.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "letsencrypt.org") }),
	}, policy.NewCAs())
	c := certificate("a.example.com", "*.a.example.com", "*.b.example.com", "quiet.example.com", "f*o.example.com")
	c.Names = append(c.Names, "elsewhere.example.org")
	if diff := cmp.Diff([]string{"a.example.com", "b.example.com"}, p.CAANames(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSuggestionsMakeItExpected reads the suggested lines back into rules and
// judges again.
func TestSuggestionsMakeItExpected(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []policy.Rule
		cert  *ctwatch.Certificate
		want  string
	}{
		{
			"a CA of the table",
			[]policy.Rule{rule(t, ".example.com", nil)},
			certificate("a.example.com"),
			"watch:\n  - domain: example.com\n    issuers: [letsencrypt.org] # Let's Encrypt\n",
		},
		{
			"an unknown CA",
			[]policy.Rule{rule(t, "a.example.com", nil)},
			from(certificate("a.example.com"), unknownCA, dnLetsEncrypt),
			"watch:\n  - domain: a.example.com\n    subdomains: false\n    issuers: [\"" + unknownCA.String() + "\"] # unknown CA, calls itself O=\"Let's Encrypt\", CN=\"E7\": verify before trusting\n",
		},
		{
			"an issuer that is not known",
			[]policy.Rule{rule(t, ".example.com", nil)},
			from(certificate("a.example.com"), pins.Pin{}, dnLetsEncrypt),
			"watch:\n  - domain: example.com\n    keys: [\"" + pinOf("our key").String() + "\"]\n",
		},
		{
			"another CA",
			[]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "Google Trust Services") })},
			certificate("a.example.com"),
			"watch:\n  - domain: example.com\n    issuers: [\"Google Trust Services\", letsencrypt.org] # Let's Encrypt\n",
		},
		{
			"a key where keys are listed",
			[]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("our key")} })},
			with(certificate("a.example.com"), "z"),
			"watch:\n  - domain: example.com\n    keys: [\"" + pinOf("z").String() + "\", \"" + pinOf("our key").String() + "\"]\n",
		},
		{
			"a watched network",
			[]policy.Rule{rule(t, "192-0-2-0_24.ip", nil)},
			change(certificate("x"), func(c *ctwatch.Certificate) {
				c.Names, c.Matches = nil, []ctwatch.Match{{Watch: "192.0.2.0/24", Domain: "192-0-2-0_24.ip", Name: "192.0.2.7"}}
			}),
			"watch:\n  - domain: \"192.0.2.0/24\"\n    issuers: [letsencrypt.org] # Let's Encrypt\n",
		},
		{
			"a wildcard over two rules",
			[]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "letsencrypt.org") }), rule(t, "a.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "pki.goog") })},
			certificate("*.example.com"),
			"watch:\n  - domain: a.example.com\n    subdomains: false\n    issuers: [pki.goog, letsencrypt.org] # Let's Encrypt\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cas := policy.NewCAs()
			got := suggest(policy.New(tt.rules, cas), tt.cert, ctwatch.Standing{})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			rules := append(suggested(t, got), tt.rules...)
			for i, r := range rules { // what was suggested takes the place of what was there
				if i >= len(rules)-len(tt.rules) && r.Pattern == rules[0].Pattern {
					rules[i] = policy.Rule{Pattern: r.Pattern}
				}
			}
			if after := policy.New(rules, cas).Judge(tt.cert, ctwatch.Standing{}); after.Verdict != ctwatch.Expected {
				t.Errorf("with what was suggested it is %s: %q", after.Verdict, after.Codes())
			}
		})
	}
}

// suggested reads a watch list.
func suggested(t *testing.T, text string) (out []policy.Rule) {
	t.Helper()
	var doc struct {
		Watch []struct {
			Domain     string     `yaml:"domain"`
			Subdomains *bool      `yaml:"subdomains"`
			Issuers    []string   `yaml:"issuers"`
			Keys       []pins.Pin `yaml:"keys"`
		} `yaml:"watch"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for _, w := range doc.Watch {
		if w.Domain == "192.0.2.0/24" {
			w.Domain, w.Subdomains = "192-0-2-0_24.ip", no()
		}
		r := policy.Rule{Pattern: pins.Pattern{Name: w.Domain, Reach: pins.AllBelow}, Issuers: issuers(t, w.Issuers...), Keys: w.Keys}
		if w.Subdomains != nil && !*w.Subdomains {
			r.Pattern.Reach = pins.Exact
		}
		out = append(out, r)
	}
	return out
}

// What is expected, or what no issuer or key can change, gets no line.
func TestNoSuggestionWhereNoRuleHelps(t *testing.T) {
	lets := func(r *policy.Rule) { r.Issuers, r.Wildcards = issuers(t, "letsencrypt.org"), no() }
	p := policy.New([]policy.Rule{rule(t, ".example.com", lets)}, policy.NewCAs())
	if got := suggest(p, certificate("a.example.com"), ctwatch.Standing{}); got != "" {
		t.Errorf("for what is expected already: %s", got)
	}
	got := suggest(p, certificate("*.example.com"), ctwatch.Standing{})
	if !strings.HasPrefix(got, "# No rule below changes this: *.example.com is a wildcard") || strings.Contains(got, "watch:") {
		t.Errorf("for a wildcard: %s", got)
	}
}

func BenchmarkJudge(b *testing.B) {
	rules := []policy.Rule{
		rule(b, ".example.com", func(r *policy.Rule) {
			r.Issuers, r.CAA, r.Never = issuers(b, "pki.goog", "letsencrypt.org"), true, patterns(b, ".internal.example.com")
			r.Algorithms, r.MaxValidity = []string{"ECDSA", "RSA 2048"}, 100*24*time.Hour
		}),
	}
	for i := range 10_000 {
		rules = append(rules, rule(b, fmt.Sprintf(".d%d.example.org", i), func(r *policy.Rule) { r.Issuers = issuers(b, "letsencrypt.org") }))
	}
	p := policy.New(rules, policy.NewCAs())
	for name, c := range map[string]*ctwatch.Certificate{
		"expected":   certificate("example.com", "*.example.com", "www.example.com"),
		"unexpected": from(certificate("example.com", "*.example.com", "www.example.com"), unknownCA, dnUnknown),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Judge(c, ctwatch.Standing{})
			}
		})
	}
}

// Suggestions for several certificates of a domain are one entry.
func TestSuggestionsAreOneEntryPerDomain(t *testing.T) {
	p := policy.New([]policy.Rule{rule(t, ".example.com", nil)}, policy.NewCAs())
	other := change(certificate("b.example.com"), func(c *ctwatch.Certificate) { c.Issuer.Pin = pins.FromSPKI([]byte("an unknown CA")) })
	s := p.Suggest()
	for range 2 {
		s.Add(certificate("a.example.com"), ctwatch.Standing{})
		s.Add(other, ctwatch.Standing{})
	}
	want := "watch:\n  - domain: example.com\n    issuers: [letsencrypt.org, \"" + pins.FromSPKI([]byte("an unknown CA")).String() + "\"] # Let's Encrypt; unknown CA, calls itself O=\"Let's Encrypt\", CN=\"E7\": verify before trusting\n"
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Error(diff)
	}
}

// To allow its CA would be to trust who issued it.
func TestNoRogueOfOurKeyIsSuggested(t *testing.T) {
	lets := func(r *policy.Rule) { r.Issuers = issuers(t, "letsencrypt.org") }
	listed := func(r *policy.Rule) { lets(r); r.Keys = []pins.Pin{pinOf("our key")} }
	rogue := from(certificate("a.example.com"), digiCert, dnDigiCert)
	for name, c := range map[string]struct {
		set   func(*policy.Rule)
		known ctwatch.Standing

		approved, ours bool
	}{
		"a person approved it":     {lets, ctwatch.Standing{ApprovedFor: patterns(t, "a.example.com")}, false, true},
		"it was served before":     {lets, ctwatch.Standing{ServedFor: []string{"a.example.com"}}, false, true},
		"a rule approved it":       {lets, ctwatch.Standing{}, true, true},
		"the configuration has it": {listed, ctwatch.Standing{}, false, true},
		"nothing is known of it":   {lets, ctwatch.Standing{}, false, false},
	} {
		s := policy.New([]policy.Rule{rule(t, ".example.com", c.set)}, policy.NewCAs()).Suggest()
		if c.approved {
			s.Approve(rogue.Key.Pin)
		}
		s.Add(rogue, c.known)
		text := s.String()
		if comment := strings.Contains(text, "Keep the pin, reject the certificate"); comment != c.ours || strings.Contains(text, "issuers:") == c.ours {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// What an unknown CA calls itself is shown as a claim that cannot
// pass for anything else.
func TestSuggestShowsClaims(t *testing.T) {
	for dn, want := range map[string]string{
		dnUnknown:               `unknown CA, calls itself O="Nobody Knows", CN="Lab Issuing CA": verify before trusting`,
		"CN=only":               `unknown CA, calls itself CN="only": verify`,
		"2.5.4.10=by OID":       `unknown CA, calls itself O="by OID": verify`,
		"OU=a unit":             `unknown CA, calls itself "OU=a unit": verify`,
		"":                      "unknown CA, calls itself nothing: verify",
		`O=a\" # Let's Encrypt`: `unknown CA, calls itself O="a\" # Let's Encrypt": verify`,
		"O=Let's Encrypt\n    issuers: [evil.example]": "calls itself O=\"Let's Encrypt\ufffd    issuers: [evil.example]\": verify",
		"O=\u202egro.tpyrcnestel":                      "calls itself O=\"\ufffdgro.tpyrcnestel\": verify",
		"O=Digi\u0421ert":                              "DigiCert",
		"O=" + strings.Repeat("long", 1000):            strings.Repeat("long", 15) + `…": verify`,
	} {
		c := from(certificate("a.example.com"), unknownCA, dn)
		got := suggest(policy.New([]policy.Rule{rule(t, ".example.com", nil)}, policy.NewCAs()), c, ctwatch.Standing{})
		lines := strings.Split(got, "\n")
		if len(lines) != 4 || !strings.HasPrefix(lines[2], `    issuers: ["`+unknownCA.String()+`"] # `) || !strings.Contains(lines[2], want) || len(lines[2]) > 400 {
			t.Errorf("%q: %q, want %s", dn, got, want)
		}
		if rules := suggested(t, got); len(rules) != 1 || len(rules[0].Issuers) != 1 || rules[0].Issuers[0].Pin != unknownCA {
			t.Errorf("%q: the lines are read as %+v", dn, rules)
		}
	}
}

// An issuer whose certificate a person rejected is
// suggested by no way of naming it, and the lines say why.
func TestRejectedIssuerIsNotSuggested(t *testing.T) {
	byLets := certificate("a.example.com")
	otherLets := from(with(certificate("b.example.com"), "another"), mustPin("sha256/0Bbh/jEZSKymTy3kTOhsmlHKBB32EDu1KojrP3YfV9c="), "CN=E6,O=Let's Encrypt,C=US")
	byGoogle := from(with(certificate("c.example.com"), "c"), google, "O=Google Trust Services")
	byUnknown := from(with(certificate("d.example.com"), "d"), unknownCA, dnUnknown)
	sameName := from(with(certificate("e.example.com"), "e"), pinOf("of the same name"), dnUnknown)
	unproven := change(from(with(certificate("f.example.com"), "f"), google, "O=Google Trust Services"), func(c *ctwatch.Certificate) { c.Issuer.Proven = false })
	all := []*ctwatch.Certificate{byLets, otherLets, byGoogle, byUnknown, sameName}
	const lets, goog = "letsencrypt.org", "pki.goog"
	lab, same := unknownCA.String(), pinOf("of the same name").String()
	for name, tt := range map[string]struct {
		rejected []*ctwatch.Certificate
		want     []string // issuers
		comments int
	}{
		"none":                        {nil, []string{lets, goog, lab, same}, 0},
		"a key of a CA, so all of it": {[]*ctwatch.Certificate{otherLets}, []string{goog, lab, same}, 1},
		"two":                         {[]*ctwatch.Certificate{byGoogle, byUnknown}, []string{lets, same}, 2},
		"an unknown CA, by its key":   {[]*ctwatch.Certificate{sameName}, []string{lets, goog, lab}, 1},
		"what only names a CA":        {[]*ctwatch.Certificate{unproven}, []string{lets, goog, lab, same}, 0},
	} {
		s := policy.New([]policy.Rule{rule(t, ".example.com", nil)}, policy.NewCAs()).Suggest()
		for _, c := range tt.rejected {
			s.Reject(c)
		}
		for _, c := range all {
			s.Add(c, ctwatch.Standing{})
		}
		text := s.String()
		if n := strings.Count(text, "# Not suggested: "); n != tt.comments {
			t.Errorf("%s: %d comments:\n%s", name, n, text)
		}
		var got []string
		for _, r := range suggested(t, text) {
			for _, i := range r.Issuers {
				got = append(got, i.String())
			}
			if len(r.Keys) > 0 {
				t.Errorf("%s: keys are suggested in place of issuers:\n%s", name, text)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", name, diff, text)
		}
	}

	// Where keys are listed, the key of a rejected certificate is not ours.
	s := policy.New([]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("listed")} })}, policy.NewCAs()).Suggest()
	s.Reject(unproven)
	s.Add(with(certificate("a.example.com"), "f"), ctwatch.Standing{})
	if text := s.String(); strings.Contains(text, "watch:") || !strings.Contains(text, "# Not suggested: the key "+pinOf("f").String()) {
		t.Errorf("a rejected key:\n%s", text)
	}
}
