package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
)

// Each case is a rule, a certificate and what is known of it, with the verdict and its
// reasons.
func TestVerdicts(t *testing.T) {
	const day = 24 * time.Hour
	lets := func(r *policy.Rule) { r.Issuers = issuers(t, "letsencrypt.org") }
	ours := func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("our key")} }
	both := func(r *policy.Rule) { lets(r); ours(r) }
	byPin := func(r *policy.Rule) { r.Issuers = issuers(t, unknownCA.String()) }
	algorithms := func(list ...string) func(*policy.Rule) {
		return func(r *policy.Rule) { lets(r); r.Algorithms = list }
	}
	never := func(list ...string) func(*policy.Rule) {
		return func(r *policy.Rule) { lets(r); r.Never = patterns(t, list...) }
	}
	noWild := func(r *policy.Rule) { lets(r); r.Wildcards = no() }
	short := func(r *policy.Rule) { lets(r); r.MaxValidity = 90 * day }
	caa := func(r *policy.Rule) { lets(r); r.CAA = true }
	algorithm := func(name string) *ctwatch.Certificate {
		return change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.Key.Algorithm = name })
	}
	valid := func(d time.Duration) *ctwatch.Certificate {
		return change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.NotAfter = c.NotBefore.Add(d) })
	}
	records := func(r policy.CAAResult) ctwatch.Standing {
		r.Found, r.Domain = true, "example.com"
		return ctwatch.Standing{CAA: policy.EncodeCAA(map[string]policy.CAAResult{"a.example.com": r, "example.com": r})}
	}
	permit := func(cas ...string) (out []policy.Permit) {
		for _, ca := range cas {
			out = append(out, policy.Permit{CA: ca})
		}
		return out
	}
	trusted := func(list ...string) ctwatch.Standing { return ctwatch.Standing{ApprovedFor: patterns(t, list...)} }
	served := func(hosts ...string) ctwatch.Standing { return ctwatch.Standing{ServedFor: hosts} }
	tree := func(set func(*policy.Rule)) []policy.Rule { return []policy.Rule{rule(t, ".example.com", set)} }
	and := func(rules []policy.Rule, more ...policy.Rule) []policy.Rule { return append(rules, more...) }

	for _, tt := range []struct {
		name    string
		rules   []policy.Rule
		cert    *ctwatch.Certificate
		known   ctwatch.Standing
		want    ctwatch.Verdict
		reasons string
	}{
		// Without a rule.
		{"no rule at all is unreviewed", nil, certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a rule that sets nothing does not apply", tree(nil), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a rule about another domain does not apply", []policy.Rule{rule(t, ".example.org", lets)}, certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a rule about one name is not about those below", []policy.Rule{rule(t, "example.com", lets)}, certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a rule without issuers and keys leaves it unreviewed", tree(func(r *policy.Rule) { r.MaxValidity = 90 * day }), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a certificate without names is unreviewed", tree(lets), change(certificate("x"), func(c *ctwatch.Certificate) { c.Names, c.Matches = nil, nil }), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},

		// Issuers.
		{"an allowed CA by its CAA identity", tree(lets), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"an allowed CA by name", tree(func(r *policy.Rule) { r.Issuers = issuers(t, "let's encrypt") }), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"an allowed issuing key", tree(byPin), from(certificate("a.example.com"), unknownCA, dnUnknown), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"an allowed issuing key whatever it calls itself", tree(byPin), from(certificate("a.example.com"), unknownCA, dnDigiCert), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"one of several", tree(func(r *policy.Rule) { r.Issuers = issuers(t, "digicert.com", "letsencrypt.org") }), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a second identity of a CA", tree(func(r *policy.Rule) { r.Issuers = issuers(t, "rapidssl.com") }), from(certificate("a.example.com"), digiCert, dnDigiCert), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"another CA is unexpected", tree(lets), from(certificate("a.example.com"), digiCert, dnDigiCert), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"an unknown CA is unexpected", tree(lets), from(certificate("a.example.com"), unknownCA, dnUnknown), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a forged name of an allowed CA is unexpected", tree(lets), from(certificate("a.example.com"), unknownCA, dnLetsEncrypt), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a forged name on another known CA's key is unexpected", tree(lets), from(certificate("a.example.com"), digiCert, dnLetsEncrypt), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a name of another CA on an allowed key is expected", tree(lets), from(certificate("a.example.com"), letsEncrypt, dnDigiCert), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a CA of a table entry that does not exist is never met", tree(func(r *policy.Rule) { r.Issuers = issuers(t, "no-such-ca.example") }), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a stored CAA identity proves nothing", tree(lets), change(from(certificate("a.example.com"), unknownCA, dnUnknown), func(c *ctwatch.Certificate) { c.Issuer.CAA = "letsencrypt.org" }), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},

		// While the issuer's key is not known.
		{"an issuer unknown that says it is allowed is unexpected", tree(lets), from(certificate("a.example.com"), pins.Pin{}, dnLetsEncrypt), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"an issuer unknown that says it is another is unexpected", tree(lets), from(certificate("a.example.com"), pins.Pin{}, dnDigiCert), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"an issuer unknown where issuing keys are allowed", tree(byPin), from(certificate("a.example.com"), pins.Pin{}, dnDigiCert), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"an issuer unknown without a name", tree(lets), from(certificate("a.example.com"), pins.Pin{}, ""), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"an issuer unknown where no issuers are demanded", nil, from(certificate("a.example.com"), pins.Pin{}, ""), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a known key does not show who the issuer is", tree(lets), from(certificate("a.example.com"), pins.Pin{}, dnLetsEncrypt), trusted("a.example.com"), ctwatch.Unexpected, "issuer_unproven key_authorized"},

		// What an entry says of its issuer is not proven by the entry.
		{"an allowed key that signed nothing", tree(lets), unproven(certificate("a.example.com")), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"an allowed pin that signed nothing", tree(byPin), unproven(from(certificate("a.example.com"), unknownCA, dnUnknown)), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_unproven"},
		{"a key that is not allowed, and signed nothing", tree(lets), unproven(from(certificate("a.example.com"), unknownCA, dnUnknown)), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a key of ours by an issuer that is not proven", tree(ours), unproven(certificate("a.example.com")), ctwatch.Standing{}, ctwatch.Expected, "key_authorized"},
		{"records wait for an issuer that is not proven", tree(func(r *policy.Rule) { r.CAA = true }), unproven(certificate("a.example.com")), records(policy.CAAResult{Issue: permit("letsencrypt.org")}), ctwatch.Unreviewed, "issuer_unknown no_rule"},
		{"two issuers of one certificate", tree(lets), certificate("a.example.com"), ctwatch.Standing{OtherIssuers: []pins.Pin{unknownCA}}, ctwatch.Unexpected, "issuer_conflict issuer_allowed"},
		{"two issuers of one certificate without a rule", nil, certificate("a.example.com"), ctwatch.Standing{OtherIssuers: []pins.Pin{unknownCA}}, ctwatch.Unexpected, "issuer_conflict no_rule"},

		// Keys.
		{"a key authorized by the rule", tree(ours), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "key_authorized"},
		{"another key where keys are listed", tree(ours), with(certificate("a.example.com"), "their key"), ctwatch.Standing{}, ctwatch.Unexpected, "key_not_allowed"},
		{"another key from an allowed CA", tree(both), with(certificate("a.example.com"), "new key"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"our key from another CA is unexpected", tree(both), from(certificate("a.example.com"), digiCert, dnDigiCert), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed key_authorized"},
		{"a key that cannot be read is not among those listed", tree(ours), change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.Key = ctwatch.CertificateKey{} }), ctwatch.Standing{}, ctwatch.Unexpected, "key_not_allowed"},
		{"a zero pin in a rule authorizes nothing", tree(func(r *policy.Rule) { r.Keys = []pins.Pin{{}} }), change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.Key = ctwatch.CertificateKey{} }), ctwatch.Standing{}, ctwatch.Unexpected, "key_not_allowed"},
		{"an earlier serial and name give nothing", tree(ours), with(change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.Serial, c.Subject = "03a1", "CN=a.example.com" }), "their key"), ctwatch.Standing{}, ctwatch.Unexpected, "key_not_allowed"},
		{"a declared key without a rule", nil, certificate("a.example.com"), trusted(".example.com"), ctwatch.Expected, "key_authorized"},
		{"a key approved for another host", nil, certificate("a.example.com"), trusted("b.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a key approved for one of two names", nil, certificate("a.example.com", "b.example.com"), trusted("b.example.com"), ctwatch.Unreviewed, "no_rule key_authorized"},
		{"an approved key where others are listed", tree(func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("another")} }), certificate("a.example.com"), trusted("a.example.com"), ctwatch.Expected, "key_authorized"},
		{"a key for the tree covers its wildcard", nil, certificate("*.example.com"), trusted(".example.com"), ctwatch.Expected, "key_authorized"},
		{"a key for one host does not cover a wildcard", nil, certificate("*.example.com"), trusted("a.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a key served already", nil, certificate("a.example.com"), served("a.example.com"), ctwatch.Expected, "key_served"},
		{"a host says nothing of the others under a wildcard", nil, certificate("*.example.com"), served("a.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a wildcard that was served already", nil, certificate("*.example.com"), served("*.example.com"), ctwatch.Expected, "key_served"},
		{"a wildcard that was served says nothing of one below", nil, certificate("*.a.example.com"), served("*.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a wildcard that was served says nothing of a host", nil, certificate("a.example.com"), served("*.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a wildcard and a host with a rule of its own", []policy.Rule{rule(t, "a.example.com", func(r *policy.Rule) { r.MaxValidity = 90 * day })}, certificate("*.example.com"), served("a.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a key served for one of two names", nil, certificate("a.example.com", "b.example.com"), served("a.example.com"), ctwatch.Unreviewed, "no_rule key_served"},
		{"a key served for both names", nil, certificate("a.example.com", "b.example.com"), served("a.example.com", "b.example.com"), ctwatch.Expected, "key_served"},
		{"a key served elsewhere", nil, certificate("a.example.com"), served("b.example.com"), ctwatch.Unreviewed, "no_rule"},
		{"a served key where others are listed", tree(func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("another")} }), certificate("a.example.com"), served("a.example.com"), ctwatch.Unexpected, "key_not_allowed"},
		{"a served wildcard where keys are listed", tree(func(r *policy.Rule) { r.Keys = []pins.Pin{pinOf("another")} }), certificate("*.example.com"), served("*.example.com"), ctwatch.Unexpected, "key_not_allowed"},
		{"a served key from another CA is unexpected", tree(lets), from(certificate("a.example.com"), digiCert, dnDigiCert), served("a.example.com"), ctwatch.Unexpected, "issuer_not_allowed key_served"},
		{"an approved key from another CA is unexpected", tree(lets), from(certificate("a.example.com"), digiCert, dnDigiCert), trusted(".example.com"), ctwatch.Unexpected, "issuer_not_allowed key_authorized"},
		{"a compromised key from an allowed CA", tree(both), certificate("a.example.com"), ctwatch.Standing{Compromised: true}, ctwatch.Unexpected, "key_compromised key_authorized issuer_allowed"},
		{"a compromised key without a rule", nil, certificate("a.example.com"), ctwatch.Standing{Compromised: true}, ctwatch.Unexpected, "key_compromised no_rule"},
		{"a compromised key that is served", nil, certificate("a.example.com"), ctwatch.Standing{Compromised: true, ServedFor: []string{"a.example.com"}}, ctwatch.Unexpected, "key_compromised key_served"},

		// Which rule.
		{"the rule about the one name takes precedence over that about the tree", and(tree(lets), rule(t, "a.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "digicert.com") })), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"the rule about the tree stays for its other names", and(tree(lets), rule(t, "a.example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "digicert.com") })), certificate("b.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"the longer tree takes precedence over the shorter", and(tree(lets), rule(t, ".b.example.com", byPin)), from(certificate("a.b.example.com"), unknownCA, dnUnknown), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"the one name takes precedence over its tree", and(tree(lets), rule(t, "example.com", byPin)), from(certificate("example.com"), unknownCA, dnUnknown), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a rule that sets nothing hides no other", and(tree(lets), rule(t, "a.example.com", nil)), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a rule inherits nothing", and(tree(lets), rule(t, "a.example.com", func(r *policy.Rule) { r.MaxValidity = 90 * day })), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"two rules about one pattern both apply", and(tree(lets), rule(t, ".example.com", func(r *policy.Rule) { r.MaxValidity = day })), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "validity_too_long issuer_allowed"},
		{"each name is judged by its own rule, and the worst counts", and(tree(lets), rule(t, "a.example.com", byPin)), certificate("b.example.com", "a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed issuer_allowed"},
		{"names that are not watched do not count", tree(lets), change(certificate("a.example.com"), func(c *ctwatch.Certificate) { c.Names = append(c.Names, "shop.example.org") }), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a watched name without a rule counts", tree(lets), change(certificate("a.example.com"), func(c *ctwatch.Certificate) {
			c.Names = append(c.Names, "shop.example.org")
			c.Matches = append(c.Matches, ctwatch.Match{Watch: ".example.org", Domain: "example.org", Name: "shop.example.org"})
		}), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule issuer_allowed"},
		{"a look-alike domain is under no rule", tree(lets), certificate("aexample.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule"},
		{"a rule about a network", []policy.Rule{rule(t, "192-0-2-0_24.ip", byPin)}, change(certificate("x"), func(c *ctwatch.Certificate) {
			c.Names, c.IPAddresses = nil, []string{"192.0.2.7"}
			c.Matches = []ctwatch.Match{{Watch: "192.0.2.0/24", Domain: "192-0-2-0_24.ip", Name: "192.0.2.7"}}
		}), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},

		// Wildcards.
		{"a wildcard where nothing is said of it", tree(lets), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a wildcard that is not allowed", tree(noWild), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "wildcard_not_allowed issuer_allowed"},
		{"a partial wildcard that is not allowed", tree(noWild), certificate("f*o.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "wildcard_not_allowed issuer_allowed"},
		{"a wildcard is under the rule of each host it stands for", and(tree(lets), rule(t, "a.example.com", byPin)), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed issuer_allowed"},
		{"a wildcard does not reach two labels down", and(tree(lets), rule(t, "a.b.example.com", byPin)), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a wildcard does not stand for the domain itself", and(tree(lets), rule(t, "example.com", byPin)), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a wildcard above a watched name is under its rule", []policy.Rule{rule(t, "a.example.com", lets)}, from(certificate("*.example.com"), digiCert, dnDigiCert), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"a wildcard half of which has no rule", []policy.Rule{rule(t, ".example.com", nil), rule(t, "a.example.com", lets)}, certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Unreviewed, "no_rule issuer_allowed"},
		{"a name that cannot be read is under the rule it may match", tree(byPin), certificate("?.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},
		{"several wildcards are under the rule they may match", tree(byPin), certificate("*.*.com"), ctwatch.Standing{}, ctwatch.Unexpected, "issuer_not_allowed"},

		// Algorithms and validity.
		{"an algorithm that is listed", tree(algorithms("ECDSA P-256")), algorithm("ECDSA P-256"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a family that is listed, in any case", tree(algorithms("ecdsa")), algorithm("ECDSA P-384"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"another curve", tree(algorithms("ECDSA P-256")), algorithm("ECDSA P-384"), ctwatch.Standing{}, ctwatch.Unexpected, "algorithm_not_allowed issuer_allowed"},
		{"another family", tree(algorithms("ECDSA")), algorithm("RSA 2048"), ctwatch.Standing{}, ctwatch.Unexpected, "algorithm_not_allowed issuer_allowed"},
		{"more bits than asked for", tree(algorithms("RSA 3072")), algorithm("RSA 4096"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"fewer bits than asked for", tree(algorithms("RSA 3072")), algorithm("RSA 2048"), ctwatch.Standing{}, ctwatch.Unexpected, "algorithm_not_allowed issuer_allowed"},
		{"RSA-PSS does not count as RSA of a size", tree(algorithms("RSA 2048")), algorithm("RSA-PSS"), ctwatch.Standing{}, ctwatch.Unexpected, "algorithm_not_allowed issuer_allowed"},
		{"an algorithm that cannot be read", tree(algorithms("RSA")), algorithm(""), ctwatch.Standing{}, ctwatch.Unexpected, "algorithm_not_allowed issuer_allowed"},
		{"a known key does not excuse its algorithm", tree(func(r *policy.Rule) { r.Algorithms = []string{"RSA"} }), certificate("a.example.com"), trusted(".example.com"), ctwatch.Unexpected, "algorithm_not_allowed key_authorized"},
		{"exactly as long as allowed", tree(short), valid(90 * day), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"longer than allowed", tree(short), valid(90*day + time.Second), ctwatch.Standing{}, ctwatch.Unexpected, "validity_too_long issuer_allowed"},
		{"absurdly longer than allowed", tree(short), change(valid(day), func(c *ctwatch.Certificate) { c.NotAfter = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }), ctwatch.Standing{}, ctwatch.Unexpected, "validity_too_long issuer_allowed"},
		{"a validity that cannot be read", tree(short), change(valid(day), func(c *ctwatch.Certificate) { c.NotAfter = time.Time{} }), ctwatch.Standing{}, ctwatch.Unexpected, "validity_too_long issuer_allowed"},

		// Names never to be issued.
		{"a name never to be issued", tree(never("a.example.com")), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"a name below one never to be issued", tree(never(".internal.example.com")), certificate("db.internal.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"the name above one never to be issued", tree(never(".internal.example.com")), certificate("example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a wildcard that stands for a name never to be issued", tree(never("a.example.com")), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"a wildcard that stands for the top of a tree never to be issued", tree(never(".internal.example.com")), certificate("*.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"a partial wildcard that stands for a name never to be issued", tree(never("foo.example.com")), certificate("f*o.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"a partial wildcard that does not", tree(never("bar.example.com")), certificate("f*o.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed"},
		{"a label that cannot be read may be one never to be issued", tree(never("a.example.com")), certificate("?.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"never takes precedence over a more specific rule", and(tree(never(".internal.example.com")), rule(t, "db.internal.example.com", lets)), certificate("db.internal.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never issuer_allowed"},
		{"a rule of nothing but never", []policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Never = patterns(t, "a.example.com") })}, certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Unexpected, "name_never no_rule"},
		{"a known key does not excuse a name never to be issued", tree(never("a.example.com")), certificate("a.example.com"), served("a.example.com"), ctwatch.Unexpected, "name_never key_served issuer_allowed"},

		// CAA records.
		{"records that permit", tree(caa), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("letsencrypt.org")}), ctwatch.Expected, "issuer_allowed"},
		{"records that permit another", tree(caa), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("digicert.com")}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"records that permit no CA", tree(caa), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("")}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"records about something else", tree(caa), certificate("a.example.com"), records(policy.CAAResult{}), ctwatch.Expected, "issuer_allowed"},
		{"no records", tree(caa), certificate("a.example.com"), ctwatch.Standing{CAA: policy.EncodeCAA(map[string]policy.CAAResult{"a.example.com": {}})}, ctwatch.Expected, "issuer_allowed"},
		{"records that could not be asked for decide nothing", tree(caa), certificate("a.example.com"), ctwatch.Standing{}, ctwatch.Expected, "issuer_allowed caa_unknown"},
		{"records about wildcards do not concern a name", tree(caa), certificate("a.example.com"), records(policy.CAAResult{IssueWild: permit("")}), ctwatch.Expected, "issuer_allowed"},
		{"records about wildcards go before others for one", tree(caa), certificate("*.example.com"), records(policy.CAAResult{Issue: permit("letsencrypt.org"), IssueWild: permit("")}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"records without a word on wildcards hold for one", tree(caa), certificate("*.example.com"), records(policy.CAAResult{Issue: permit("digicert.com")}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"a critical property that is not known forbids", tree(caa), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("letsencrypt.org"), Critical: "tbs"}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"records make nothing expected", tree(func(r *policy.Rule) { r.CAA = true }), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("letsencrypt.org")}), ctwatch.Unreviewed, "no_rule"},
		{"records are not looked at unasked", tree(lets), certificate("a.example.com"), records(policy.CAAResult{Issue: permit("digicert.com")}), ctwatch.Expected, "issuer_allowed"},
		{"records that permit CAs we know forbid an unknown one", tree(func(r *policy.Rule) { byPin(r); r.CAA = true }), from(certificate("a.example.com"), unknownCA, dnUnknown), records(policy.CAAResult{Issue: permit("digicert.com")}), ctwatch.Unexpected, "caa_forbids issuer_allowed"},
		{"records that permit a CA we do not know may mean an unknown one", tree(func(r *policy.Rule) { byPin(r); r.CAA = true }), from(certificate("a.example.com"), unknownCA, dnUnknown), records(policy.CAAResult{Issue: permit("ca.example.net")}), ctwatch.Unreviewed, "issuer_unknown issuer_allowed"},
		{"records and a forged name on an unknown key", tree(func(r *policy.Rule) { r.CAA = true }), from(certificate("a.example.com"), unknownCA, dnLetsEncrypt), records(policy.CAAResult{Issue: permit("letsencrypt.org")}), ctwatch.Unexpected, "caa_forbids no_rule"},
		{"records wait for the issuer's key", tree(func(r *policy.Rule) { r.CAA = true }), from(certificate("a.example.com"), pins.Pin{}, dnLetsEncrypt), records(policy.CAAResult{Issue: permit("letsencrypt.org")}), ctwatch.Unreviewed, "issuer_unknown no_rule"},
		{"a known key does not excuse what records forbid", tree(caa), certificate("a.example.com"), ctwatch.Standing{ServedFor: []string{"a.example.com"}, CAA: records(policy.CAAResult{Issue: permit("")}).CAA}, ctwatch.Unexpected, "caa_forbids key_served issuer_allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := policy.New(tt.rules, policy.NewCAs()).Judge(tt.cert, tt.known)
			if got.Verdict != tt.want {
				t.Errorf("verdict %s, want %s", got.Verdict, tt.want)
			}
			if diff := cmp.Diff(strings.Fields(tt.reasons), got.Codes()); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			for _, r := range got.Reasons {
				if s := words.Reason(tt.cert, r); s == "" || strings.Contains(s, "  ") || strings.Contains(s, "()") || strings.Contains(s, "Its verdict has the reason") {
					t.Errorf("%s is written as %q", r.Code, s)
				}
			}
			// An entry that names another issuer is an alarm, and takes no trust away.
			conflict := slices.Contains(got.Codes(), ctwatch.ReasonIssuerConflict)
			if tt.want != ctwatch.Expected && !conflict && len(got.Grants) > 0 {
				t.Errorf("the key of a certificate that is %s is granted %v", tt.want, got.Grants)
			}
		})
	}
}
