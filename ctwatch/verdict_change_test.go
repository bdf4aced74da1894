package ctwatch_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// reasons are those of these codes.
func reasons(codes ...string) (out []ctwatch.Reason) {
	for _, code := range codes {
		out = append(out, ctwatch.Reason{Code: code})
	}
	return out
}

// What follows from a judgment depends on the verdict before, on who
// gave it, and on whether the certificate is new or has expired.
func TestApplyRules(t *testing.T) {
	const (
		expected, unexpected, unreviewed = ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed
		conflict                         = ctwatch.ReasonIssuerConflict
	)
	type change = ctwatch.RuleChange
	for name, c := range map[string]struct {
		before  ctwatch.Verdict
		had     []string
		j       ctwatch.Judgment
		past    ctwatch.Past
		found   bool
		expired bool
		want    change
	}{
		"new and expected": {
			before: unreviewed, j: ctwatch.Judgment{Verdict: expected}, found: true,
			want: change{Grants: true, Verdict: true, New: true, Before: unreviewed},
		},
		"new and unexpected": {
			before: unreviewed, j: ctwatch.Judgment{Verdict: unexpected}, found: true,
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Event: true, Before: unreviewed},
		},
		"new and unreviewed": {
			before: unreviewed, j: ctwatch.Judgment{Verdict: unreviewed}, found: true,
			want: change{Grants: true, Before: unreviewed},
		},
		"new, unexpected and expired": {
			before: unreviewed, j: ctwatch.Judgment{Verdict: unexpected}, found: true, expired: true,
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Event: true, Before: unreviewed},
		},
		"again the same": {
			before: expected, j: ctwatch.Judgment{Verdict: expected},
			want: change{Grants: true, Before: expected},
		},
		"the same for other reasons": {
			before: expected, had: []string{"a"}, j: ctwatch.Judgment{Verdict: expected, Reasons: reasons("b")},
			want: change{Grants: true, Verdict: true, Before: expected},
		},
		"the same with a CA": {
			before: expected, j: ctwatch.Judgment{Verdict: expected, CAA: "ca.example"},
			want: change{Grants: true, Verdict: true, Before: expected},
		},
		"unexpected later": {
			before: expected, j: ctwatch.Judgment{Verdict: unexpected},
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Event: true, Before: expected},
		},
		"expected later": {
			before: unexpected, j: ctwatch.Judgment{Verdict: expected},
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Event: true, Before: unexpected},
		},
		"unexpected after it expired": {
			before: expected, j: ctwatch.Judgment{Verdict: unexpected}, expired: true,
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Before: expected},
		},
		"two issuers, unexpected before": {
			before: unexpected, had: []string{"a"}, j: ctwatch.Judgment{Verdict: unexpected, Reasons: reasons("a", conflict)},
			want: change{Grants: true, Verdict: true, New: true, Audit: true, Event: true, Before: unreviewed},
		},
		"two issuers, known before": {
			before: unexpected, had: []string{conflict}, j: ctwatch.Judgment{Verdict: unexpected, Reasons: reasons(conflict)},
			want: change{Grants: true, Before: unexpected},
		},
		"two issuers, and expected": {
			before: expected, j: ctwatch.Judgment{Verdict: expected, Reasons: reasons(conflict)},
			want: change{Grants: true, Verdict: true, Before: expected},
		},
		"authorized by a person": {
			before: expected, j: ctwatch.Judgment{Verdict: unexpected}, past: ctwatch.Past{ByPerson: true},
			want: change{Grants: true, Before: expected},
		},
		"rejected by a person": {
			before: unexpected, j: ctwatch.Judgment{Verdict: expected}, past: ctwatch.Past{ByPerson: true},
			want: change{Before: unexpected},
		},
	} {
		cert := ctwatch.Certificate{Verdict: c.before, Reasons: c.had, NotAfter: now.Add(time.Hour)}
		if c.expired {
			cert.NotAfter = now
		}
		if diff := cmp.Diff(c.want, ctwatch.ApplyRules(&cert, c.j, c.past, c.found, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A person's verdict replaces any other; a confirmation that all is well is not reported.
func TestApplyPerson(t *testing.T) {
	const expected, unexpected, unreviewed = ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed
	type change = ctwatch.PersonChange
	for name, c := range map[string]struct {
		before  ctwatch.Verdict
		had     []string
		past    ctwatch.Past
		verdict ctwatch.Verdict
		reasons []string
		want    change
	}{
		"authorized":           {before: unreviewed, verdict: expected, want: change{Verdict: true, Event: true}},
		"expected, confirmed":  {before: expected, verdict: expected, want: change{Verdict: true}},
		"an alarm, confirmed":  {before: unexpected, verdict: unexpected, want: change{Verdict: true, DropGrants: true, Event: true}},
		"an alarm, called off": {before: unexpected, verdict: expected, want: change{Verdict: true, Event: true}},
		"rejected":             {before: expected, verdict: unexpected, want: change{Verdict: true, Event: true}},
		"authorized again":     {before: expected, past: ctwatch.Past{ByPerson: true}, verdict: expected, want: change{}},
		"rejected for another cause": {
			before: unexpected, past: ctwatch.Past{ByPerson: true}, verdict: unexpected, reasons: []string{"b"},
			want: change{Verdict: true, Event: true},
		},
	} {
		cert := ctwatch.Certificate{Verdict: c.before, Reasons: c.had}
		if diff := cmp.Diff(c.want, ctwatch.ApplyPerson(&cert, c.verdict, c.reasons, c.past)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Each event about a certificate has an ID of its own, and only a
// certificate that was not unexpected before becomes so.
func TestVerdictEvent(t *testing.T) {
	ids := make(map[string]string)
	for name, c := range map[string]struct {
		verdict, before ctwatch.Verdict
		past            ctwatch.Past
		want            ctwatch.EventType
	}{
		"unexpected":            {ctwatch.Unexpected, ctwatch.Unreviewed, ctwatch.Past{}, ctwatch.CertificateUnexpected},
		"unexpected once more":  {ctwatch.Unexpected, ctwatch.Expected, ctwatch.Past{Unexpected: 1, Times: 2}, ctwatch.CertificateUnexpected},
		"unexpected, confirmed": {ctwatch.Unexpected, ctwatch.Unexpected, ctwatch.Past{Unexpected: 1, Times: 1}, ctwatch.CertificateJudged},
		"called off":            {ctwatch.Expected, ctwatch.Unexpected, ctwatch.Past{Unexpected: 1, Times: 2}, ctwatch.CertificateJudged},
		"to be reviewed":        {ctwatch.Unreviewed, ctwatch.Expected, ctwatch.Past{Times: 3}, ctwatch.CertificateJudged},
	} {
		e := ctwatch.VerdictEvent(ctwatch.Certificate{ID: ctwatch.Hash{1}, Verdict: c.verdict}, c.before, "why", "ada", c.past, now)
		if e.Type != c.want || e.Data.By != "ada" {
			t.Errorf("%s: %s by %q, want %s by ada", name, e.Type, e.Data.By, c.want)
		}
		if other, ok := ids[e.ID]; ok {
			t.Errorf("%s and %s have the same ID", name, other)
		}
		ids[e.ID] = name
	}
}

// Nothing that a log only claims to have makes a candidate, and
// nothing unexpected.
func TestMayBeCandidate(t *testing.T) {
	proven := []ctwatch.Sighting{{}, {Verified: true}}
	for name, c := range map[string]struct {
		c    ctwatch.Certificate
		want bool
	}{
		"proven":     {ctwatch.Certificate{Key: ctwatch.CertificateKey{Pin: pins.Pin{1}}, Sightings: proven}, true},
		"unproven":   {ctwatch.Certificate{Key: ctwatch.CertificateKey{Pin: pins.Pin{1}}, Sightings: proven[:1]}, false},
		"without":    {ctwatch.Certificate{Sightings: proven}, false},
		"unexpected": {ctwatch.Certificate{Key: ctwatch.CertificateKey{Pin: pins.Pin{1}}, Sightings: proven, Verdict: ctwatch.Unexpected}, false},
	} {
		if got := ctwatch.MayBeCandidate(&c.c); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// One host that no pattern covers is enough.
func TestApprovedForAll(t *testing.T) {
	below, err := pins.ParsePattern(".example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hosts []string
		want  bool
	}{
		"none":      {nil, true},
		"all":       {[]string{"a.example.com", "*.b.example.com"}, true},
		"one not":   {[]string{"a.example.com", "a.example.org"}, false},
		"no domain": {[]string{"a b"}, false},
	} {
		if got := ctwatch.ApprovedForAll([]pins.Pattern{below}, c.hosts); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	c := ctwatch.Certificate{Matches: []ctwatch.Match{{Name: "b"}, {Name: "a"}, {Name: "b", Watch: "other"}}}
	if got := c.MatchedHosts(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("matched hosts %v", got)
	}
}
