package policy_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// A learnedStore is a policy.Store that notes the calls to it.
type learnedStore struct {
	learned []ctwatch.IssuerKey
	claims  map[pins.Pin]string
	digests []string
	calls   []string
	fails   string // the call that fails
}

var errStore = errors.New("disk full")

func (s *learnedStore) call(name string) error {
	s.calls = append(s.calls, name)
	if s.fails == name {
		return errStore
	}
	return nil
}

func (s *learnedStore) Keys(context.Context) ([]ctwatch.IssuerKey, error) {
	return s.learned, s.call("Keys")
}

func (s *learnedStore) Claims(context.Context) (map[pins.Pin]string, error) {
	return s.claims, s.call("Claims")
}

func (s *learnedStore) RejudgeAll(_ context.Context, digest string) error {
	s.digests = append(s.digests, digest)
	return s.call("RejudgeAll")
}

func (s *learnedStore) RejudgeNew(context.Context) error { return s.call("RejudgeNew") }

func allow(t *testing.T, about string, cas ...string) []policy.Rule {
	t.Helper()
	return []policy.Rule{rule(t, about, func(r *policy.Rule) { r.Issuers = issuers(t, cas...) })}
}

// Apply learns what earlier runs learned before anything is judged again.
func TestApplyRecallsBeforeJudging(t *testing.T) {
	w := newFixture(t)
	sub, claimed := pinOf("a sub-CA"), pinOf("an old claim")
	s := &learnedStore{
		learned: []ctwatch.IssuerKey{{Pin: sub, Anchor: w.lets.pin(), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}},
		claims:  map[pins.Pin]string{claimed: "Let's Encrypt"},
	}
	l := policy.NewLive(allow(t, ".example.com", "letsencrypt.org"), "1.0")
	l.CAs = w.cas
	l.Replace(allow(t, ".example.com", "letsencrypt.org"))
	if err := l.Apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Keys", "Claims", "RejudgeAll", "RejudgeNew"}, s.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for pin, want := range map[pins.Pin]string{sub: ctwatch.ReasonIssuerAllowed, claimed: ctwatch.ReasonIssuerUnknown, unknownCA: ctwatch.ReasonIssuerNotAllowed} {
		if j := l.Judge(from(certificate("a.example.com"), pin, "CN=x"), ctwatch.Standing{}); !slices.Contains(j.Codes(), want) {
			t.Errorf("issued by %v: %q, want %s", pin, j.Codes(), want)
		}
	}
}

// Apply returns the store's error and does nothing after it.
func TestApplyStopsAtFirstError(t *testing.T) {
	for i, name := range []string{"Keys", "Claims", "RejudgeAll", "RejudgeNew"} {
		s := &learnedStore{fails: name}
		if err := policy.NewLive(nil, "").Apply(t.Context(), s); !errors.Is(err, errStore) || len(s.calls) != i+1 {
			t.Errorf("%s fails: %v after %q", name, err, s.calls)
		}
	}
}

// The digest that Rejudge gets changes with the rules and the version, and with nothing
// else.
func TestDigestIdentifiesRulesAndVersion(t *testing.T) {
	s := &learnedStore{}
	apply := func(version string, rules []policy.Rule) {
		t.Helper()
		if err := policy.NewLive(rules, version).Apply(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	apply("1.0", allow(t, ".example.com", "letsencrypt.org"))
	apply("1.0", allow(t, ".example.com", "letsencrypt.org"))
	apply("1.0", allow(t, ".example.com", "pki.goog"))
	apply("1.1", allow(t, ".example.com", "pki.goog"))
	apply("1.1", nil)
	if s.digests[0] != s.digests[1] {
		t.Error("the same rules have two digests")
	}
	if all := slices.Compact(slices.Sorted(slices.Values(s.digests))); len(all) != 4 {
		t.Errorf("%d digests, want 4", len(all))
	}
}

// Judge uses the new rules after Replace.
func TestReplace(t *testing.T) {
	l := policy.NewLive(allow(t, ".example.com", "letsencrypt.org"), "1.0")
	c := certificate("a.example.com")
	if j := l.Judge(c, ctwatch.Standing{}); j.Verdict != ctwatch.Expected {
		t.Errorf("before: %+v", j)
	}
	l.Replace(allow(t, ".example.com", "pki.goog"))
	if j := l.Judge(c, ctwatch.Standing{}); j.Verdict != ctwatch.Unexpected {
		t.Errorf("after: %+v", j)
	}
}

// A judgment says which CA issued as far as a signature proves it.
func TestJudgmentNamesAProvenIssuer(t *testing.T) {
	lab := pinOf("a lab")
	l := policy.NewLive([]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = []policy.Issuer{{Pin: lab}} })}, "1.0")
	for name, tt := range map[string]struct {
		cert  *ctwatch.Certificate
		known bool
		caa   string
	}{
		"a CA of the table":      {certificate("a.example.com"), true, "letsencrypt.org"},
		"the same, not proven":   {unproven(certificate("a.example.com")), false, ""},
		"a key that a rule has":  {from(certificate("a.example.com"), lab, dnUnknown), true, ""},
		"a key of no CA":         {from(certificate("a.example.com"), unknownCA, dnLetsEncrypt), false, ""},
		"an entry without a key": {from(certificate("a.example.com"), pins.Pin{}, dnLetsEncrypt), false, ""},
	} {
		j := l.Judge(tt.cert, ctwatch.Standing{})
		if j.IssuerKnown != tt.known || j.CAA != tt.caa {
			t.Errorf("%s: known %v as %q", name, j.IssuerKnown, j.CAA)
		}
		if want := l.CAs.ReportTo(tt.cert); j.ReportTo != want || (want != "") != (tt.caa != "") {
			t.Errorf("%s: report to %q, and by the CAs to %q", name, j.ReportTo, want)
		}
	}
}

// Records that were looked up for other certificates decide at once, and are returned to
// be kept; records that the store has go first.
func TestLiveUsesRememberedRecords(t *testing.T) {
	s := serve(t, map[string][]string{"example.com": {`CAA 0 issue "pki.goog"`}}, func(_ string, r *dns.Msg) *dns.Msg { return r })
	l := policy.NewLive([]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.Issuers, r.CAA = issuers(t, "letsencrypt.org"), true })}, "1.0")
	l.CAA = checker(s)
	c := certificate("a.example.com", "b.example.com")
	judge := func(want, records string, standing ctwatch.Standing) {
		t.Helper()
		j := l.Judge(c, standing)
		if !slices.Contains(j.Codes(), want) || (j.Records != "") != (records != "") {
			t.Errorf("reasons %q, want %s; records %q", j.Codes(), want, j.Records)
		}
	}
	judge(ctwatch.ReasonCAAUnknown, "", ctwatch.Standing{})
	for i, name := range c.Names {
		if _, err := l.CAA.Lookup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			judge(ctwatch.ReasonCAAUnknown, "", ctwatch.Standing{}) // those of b are missing
		}
	}
	judge(ctwatch.ReasonCAAForbids, "some", ctwatch.Standing{})
	stored := policy.EncodeCAA(map[string]policy.CAAResult{"a.example.com": {}, "b.example.com": {}})
	judge(ctwatch.ReasonIssuerAllowed, "", ctwatch.Standing{CAA: stored})
	if got := l.Judge(c, ctwatch.Standing{CAA: l.Judge(c, ctwatch.Standing{}).Records}); !slices.Contains(got.Codes(), ctwatch.ReasonCAAForbids) {
		t.Errorf("by the records that were returned: %q", got.Codes())
	}
}
