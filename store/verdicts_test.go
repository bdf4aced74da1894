package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// reasons are those of these codes.
func reasons(codes ...string) (out []ctwatch.Reason) {
	for _, code := range codes {
		out = append(out, ctwatch.Reason{Code: code})
	}
	return out
}

// issuerRule is a rule: certificates of the issuer are expected, others are not; a
// key that is authorized or served makes one expected, too.
func issuerRule(issuer string) ctwatch.Judge {
	return func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		var names []pins.Pattern
		for _, m := range c.Matches {
			names = append(names, host(m.Name))
		}
		switch {
		case k.Compromised:
			return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("key_compromised")}
		case c.Issuer.Pin == pin(issuer):
			return ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("issuer_allowed"), Grants: names}
		case len(k.ApprovedFor) > 0:
			return ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("key_authorized")}
		case len(k.ServedFor) > 0:
			return ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("key_served")}
		}
		return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("issuer_not_allowed"), ReportTo: "abuse@ca.test"}
	}
}

// unlessServed is a rule: nothing is expected but by its key, and unexpected only what
// is compromised.
func unlessServed(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
	j := issuerRule("nobody")(c, k)
	if j.Verdict == ctwatch.Unexpected && !k.Compromised {
		j = ctwatch.Judgment{Verdict: ctwatch.Unreviewed, Reasons: reasons("no_rule")}
	}
	return j
}

// judging opens a database with a rule.
func judging(t testing.TB, path string, rule ctwatch.Judge) *store.DB {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "ctwatch.db")
	}
	prepare(t, path)
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard(), Now: newClock().Now, Judge: rule})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// TestRulesJudgeAndGrant: rules judge what is found, and grant its key.
func TestRulesJudgeAndGrant(t *testing.T) {
	db := judging(t, "", issuerRule("issuer"))
	l := started(t, db, 1)
	rogue := found(l, 2, 1)
	rogue.Certificate.Issuer.Pin = pin("another")
	record(t, db, l, 2, found(l, 1, 0), rogue)

	if c := get(t, db, 1); c.Verdict != ctwatch.Expected || !slices.Equal(c.Reasons, []string{"issuer_allowed"}) {
		t.Errorf("the expected one is %s %q", c.Verdict, c.Reasons)
	}
	k := key(t, db, pin("key1"), pins.RoleLeaf)
	if k.State != pins.StateApproved || !slices.Equal(k.ApprovedFor, hosts("w1.example.com")) || k.By != "policy" {
		t.Errorf("its key is %+v", k)
	}
	if s := state(t, db, pin("key2")); s != pins.StateSeen {
		t.Errorf("the rogue's key is %s", s)
	}
	es := eventsOf(t, db, ctwatch.CertificateUnexpected)
	if len(es) != 1 || es[0].Data.Certificate.ID != certificate(2).ID || es[0].Data.ReportTo != "abuse@ca.test" || !strings.Contains(es[0].Data.Summary, "It was issued by") {
		t.Fatalf("events %+v", es)
	}
	for _, e := range eventsOf(t, db, ctwatch.CertificateIssued) {
		if e.Data.Certificate.Verdict == ctwatch.Unreviewed {
			t.Error("it was reported before it was judged")
		}
	}
	// Seen again, in full: reported once.
	record(t, db, l, 3, final(rogue))
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms about one certificate", n)
	}
	want := []string{"→seen by log log", "judge unexpected by policy policy"}
	if diff := cmp.Diff(want, history(t, db, pin("key2"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
	// The key of an unexpected certificate cannot be approved.
	if _, err := db.Keys.Approve(t.Context(), approval(pin("key2"), "w2.example.com")); !errors.Is(err, pins.ErrUnexpected) {
		t.Errorf("approving its key: %v", err)
	}
}

// TestNewRulesJudgeAgain: rules with another digest judge all certificates again.
func TestNewRulesJudgeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := judging(t, path, issuerRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	must(t, db.Issuers.RejudgeAll(t.Context(), "first"))
	c, err := db.Certificates.SetVerdict(t.Context(), certificate(2).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours")
	must(t, err)
	must(t, db.Close())

	db = judging(t, path, issuerRule("another"))
	writesNothing(t, db, "the same digest", func() { must(t, db.Issuers.RejudgeAll(t.Context(), "first")) })
	must(t, db.Issuers.RejudgeAll(t.Context(), "second"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
		t.Errorf("by the new rules it is %s", c.Verdict)
	}
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("the key that only a rule granted is %s", s)
	}
	if c = get(t, db, 2); c.Verdict != ctwatch.Expected || c.Reasons[0] != "authorized" {
		t.Errorf("a person's verdict became %s %q", c.Verdict, c.Reasons)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
	writesNothing(t, db, "judged already", func() { must(t, db.Issuers.RejudgeAll(t.Context(), "second")) })
}

// TestRejudgeAllReportsProgress: how far judging all certificates again is, and then
// comparing what rules grant, is reported after each transaction; of the latter by the
// number of the last key.
func TestRejudgeAllReportsProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	prepare(t, path)
	var seen []store.Progress
	db, err := store.Open(t.Context(), path, store.Options{
		Logger: discard(), Now: newClock().Now, Judge: issuerRule("issuer"),
		Progress: func(p store.Progress) { seen = append(seen, p) },
	})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	db.SetRejudgeStep(2)
	l := started(t, db, 1)
	record(t, db, l, 3, found(l, 1, 0), found(l, 2, 1), found(l, 3, 2))
	must(t, db.Issuers.RejudgeAll(t.Context(), "changed"))
	const judging, comparing = "judging certificates by changed rules", "comparing what rules grant to keys"
	want := []store.Progress{
		{What: judging, Done: 2, Total: 3},
		{What: judging, Done: 3, Total: 3},
		{What: comparing, Done: 3, Total: 4},
		{What: comparing, Done: 4, Total: 4},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	seen = nil
	must(t, db.Issuers.RejudgeAll(t.Context(), "changed"))
	if len(seen) != 0 {
		t.Errorf("by the same rules, it reported %v", seen)
	}
}

// TestKeyChangeRejudges: a change of a key judges its certificates again.
func TestKeyChangeRejudges(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Errorf("with an authorized key it is %s", c.Verdict)
	}
	must(t, db.Keys.Retire(t.Context(), pin("key1"), true, "ada", "stolen"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
		t.Errorf("with a compromised key it is %s", c.Verdict)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
}

// TestRejectingEndsRuleTrust: to reject a certificate that only rules expected ends the
// trust in its key.
func TestRejectingEndsRuleTrust(t *testing.T) {
	db := judging(t, "", issuerRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 11, 1)) // two certificates of one key
	if _, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours"); err != nil {
		t.Fatal(err)
	}
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateSeen || len(k.ApprovedFor) > 0 {
		t.Errorf("its key is still trusted: %+v", k)
	}
}

// verdicts lists what certificates are judged to be, and why.
func verdicts(t testing.TB, db *store.DB, ns ...int) (out []string) {
	t.Helper()
	for _, n := range ns {
		c := get(t, db, n)
		out = append(out, strings.Join(append([]string{string(c.Verdict)}, c.Reasons...), " "))
	}
	return out
}

// reportedOf lists events about verdicts and candidates: type, severity, who, and which
// certificate of those with the numbers.
func reportedOf(t testing.TB, db *store.DB, ns ...int) (out []string) {
	t.Helper()
	for _, e := range events(t, db) {
		switch e.Type {
		case ctwatch.CertificateJudged, ctwatch.CertificateUnexpected, ctwatch.PinCandidate:
		default:
			continue
		}
		for _, n := range ns {
			if e.Data.Certificate.ID == certificate(n).ID {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", e.Type, n, e.Data.Severity, e.Data.By)))
			}
		}
	}
	return out
}

// logged is certificate n, which a log has since after the epoch.
func logged(l ctwatch.Log, n int, index uint64, after time.Duration) ctwatch.Found {
	f := found(l, n, index)
	f.Certificate.Sightings[0].Timestamp = epoch.Add(after)
	f.Certificate.FirstSeen = epoch.Add(after + time.Minute)
	return f
}

// TestNewVerdictsAreReported: each change of a verdict is reported.
func TestNewVerdictsAreReported(t *testing.T) {
	allowed := "another"
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return issuerRule(allowed)(c, k) })
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	wantEqual(t, "reported when found", []string{"certificate.unexpected 1 critical", "certificate.unexpected 2 critical"}, reportedOf(t, db, 1, 2))

	allowed = "issuer"
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	allowed = "another"
	must(t, db.Issuers.RejudgeAll(t.Context(), "2"))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours")
	must(t, err)
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unreviewed, nil, "bob", "perhaps not")
	must(t, err)
	allowed = "issuer"
	must(t, db.Issuers.RejudgeAll(t.Context(), "3"))
	want := []string{
		"certificate.unexpected 1 critical",
		"certificate.judged 1 info", "pin.candidate 1 info", // once
		"certificate.unexpected 1 critical",
		"certificate.judged 1 info ada",
		"certificate.judged 1 info bob",
	}
	wantEqual(t, "reported of the first", want, reportedOf(t, db, 1))
	ids := make(map[string]bool)
	for _, e := range events(t, db) {
		if ids[e.ID] {
			t.Errorf("two events have the ID of %s %q", e.Type, e.Data.Summary)
		}
		ids[e.ID] = true
	}
	wantEqual(t, "audit trail", []string{
		"→seen by log log", "judge unexpected by policy policy",
		"judge expected by policy policy", "seen→approved by policy policy", "approve [w1.example.com] by policy policy",
		"judge unexpected by policy policy", "withdraw [w1.example.com] by policy policy", "approved→seen by policy policy",
		"judge expected by person ada", "judge unreviewed by person bob",
	}, history(t, db, pin("key1")))
}

// TestQuietVerdicts: a verdict that ends no alarm is not urgent.
func TestQuietVerdicts(t *testing.T) {
	rule := unlessServed
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return rule(c, k) })
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	rule = issuerRule("issuer")
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	wantEqual(t, "reported", []string{"pin.candidate 1 info", "certificate.judged 1 debug"}, reportedOf(t, db, 1))
}

// TestCAARecordsChangeVerdict: CAA records can change a verdict.
func TestCAARecordsChangeVerdict(t *testing.T) {
	c := newClock()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{
		Logger: discard(), Now: c.Now, Judge: func(_ *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
			switch k.CAA {
			case "":
				return ctwatch.Judgment{Verdict: ctwatch.Unreviewed, Reasons: reasons("no_rule", "caa_unknown")}
			case "forbids":
				return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("caa_forbids")}
			}
			return ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("issuer_allowed")}
		},
	})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	ended := found(l, 3, 3)
	ended.Certificate.NotAfter = epoch.Add(-time.Minute)
	record(t, db, l, 5, found(l, 0, 0), found(l, 1, 1), found(l, 2, 2), ended, found(l, 4, 4))
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(4).ID, ctwatch.Expected, []string{"mentions \"caa_unknown\"", "caa_unknown"}, "ada", "")
	must(t, err)
	unknown := func(limit int) (out []string) {
		t.Helper()
		cs, err := db.Certificates.AwaitingCAA(t.Context(), limit)
		must(t, err)
		for _, c := range cs {
			out = append(out, c.Serial)
		}
		return out
	}
	wantEqual(t, "to be asked", []string{"3", "2", "1"}, unknown(10))
	wantEqual(t, "to be asked first", []string{"3"}, unknown(1))
	must(t, db.Certificates.SetCAA(t.Context(), ctwatch.CAARecords{Certificate: certificate(1).ID, Records: "forbids"}))
	must(t, db.Certificates.SetCAA(t.Context(), ctwatch.CAARecords{Certificate: certificate(2).ID, Records: "permits"}))
	if err := db.Certificates.SetCAA(t.Context(), ctwatch.CAARecords{Certificate: hash("?"), Records: "permits"}); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("of an unknown certificate: %v", err)
	}
	wantEqual(t, "to be asked", []string{"1"}, unknown(10))
	wantEqual(t, "verdicts", []string{"unexpected caa_forbids", "expected issuer_allowed"}, verdicts(t, db, 1, 2))
	// They are kept for the next time.
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	wantEqual(t, "verdicts", []string{"unexpected caa_forbids", "expected issuer_allowed"}, verdicts(t, db, 1, 2))
	c.Add(365 * 24 * time.Hour)
	if left := unknown(10); len(left) > 0 {
		t.Errorf("to be asked when all have ended: %v", left)
	}

	plan, err := db.PlanAwaitingCAA(t.Context())
	must(t, err)
	if s := strings.Join(plan, "\n"); !strings.Contains(s, "certificates_caa_unknown") || !strings.Contains(s, "audit_by_certificate") || strings.Contains(s, "B-TREE") {
		t.Errorf("plan:\n%s", s)
	}
}

// TestServedKeyIsExpected: a certificate for a key that was served before is expected.
func TestServedKeyIsExpected(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	observe(t, db, look("w1.example.com", "192.0.2.1:443", 1)) // key1, at the epoch
	record(t, db, l, 2, logged(l, 11, 0, time.Second), logged(l, 2, 1, time.Second))
	wantEqual(t, "verdicts", []string{"expected key_served", "unreviewed no_rule"}, verdicts(t, db, 11, 2))
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("a key that is only served is %s", s)
	}

	// The renewal replaces what is served; the old key was served anyway.
	after := look("w1.example.com", "192.0.2.1:443", 2)
	after.At = epoch.Add(2 * time.Second)
	observe(t, db, after)
	record(t, db, l, 3, logged(l, 21, 2, time.Hour))
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	wantEqual(t, "verdicts", []string{"expected key_served", "unreviewed no_rule", "expected key_served"}, verdicts(t, db, 11, 2, 21))
	// What came to be served only since proves nothing, neither of this one nor of the next.
	record(t, db, l, 5, logged(l, 12, 3, time.Second), logged(l, 22, 4, time.Hour))
	wantEqual(t, "verdicts", []string{"unreviewed no_rule", "unreviewed no_rule"}, verdicts(t, db, 12, 22))
}

// TestServedAfterLogProvesNothing: a key that was first served after a log had its
// certificate proves nothing, even if the log was read later.
func TestServedAfterLogProvesNothing(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	// It was logged, then served, then seen to be served, and only then read.
	o := look("w1.example.com", "192.0.2.1:443", 1)
	o.At = epoch.Add(time.Hour)
	observe(t, db, o)
	f := logged(l, 1, 0, time.Minute)
	f.Certificate.FirstSeen = epoch.Add(2 * time.Hour)
	record(t, db, l, 1, f)
	wantEqual(t, "verdicts", []string{"unreviewed no_rule"}, verdicts(t, db, 1))
}

// TestHijackerProvesNothing: a key that an attacker serves first proves nothing.
func TestHijackerProvesNothing(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	observe(t, db, look("w1.example.com", "192.0.2.1:443", 1))
	// For a look, the host serves a certificate that no log has, with another key.
	hijacked := look("w1.example.com", "192.0.2.1:443", 2)
	hijacked.At = epoch.Add(time.Second)
	observe(t, db, hijacked)
	record(t, db, l, 2, logged(l, 12, 0, time.Hour), logged(l, 11, 1, time.Hour)) // of the hijacker's key, and of ours
	wantEqual(t, "verdicts", []string{"unreviewed no_rule", "expected key_served"}, verdicts(t, db, 12, 11))
}

// TestRejectingEndsServedProof: once a certificate is rejected, serving its key proves
// nothing.
func TestRejectingEndsServedProof(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	observe(t, db, look("w1.example.com", "192.0.2.1:443", 1))
	record(t, db, l, 2, logged(l, 1, 0, time.Second), logged(l, 11, 1, time.Second))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
	must(t, err)
	record(t, db, l, 3, logged(l, 21, 2, time.Hour))
	wantEqual(t, "verdicts", []string{"unexpected rejected", "unreviewed no_rule", "unreviewed no_rule"}, verdicts(t, db, 1, 11, 21))
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Expected, []string{"authorized"}, "ada", "it was ours")
	must(t, err)
	wantEqual(t, "verdicts", []string{"expected authorized", "expected key_served", "expected key_served"}, verdicts(t, db, 1, 11, 21))
}

// TestAuthorizeRejudgesKey: to authorize one certificate judges the others of its key
// again.
func TestAuthorizeRejudgesKey(t *testing.T) {
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	record(t, db, l, 3, found(l, 1, 0), found(l, 11, 1), found(l, 2, 2))
	_, err := db.Certificates.Authorize(t.Context(), certificate(1).ID, []string{"authorized"}, approval(pin("key1"), "w1.example.com"))
	must(t, err)
	wantEqual(t, "verdicts", []string{"expected authorized", "expected key_authorized", "unreviewed no_rule"}, verdicts(t, db, 1, 11, 2))
}

// TestIssuerChangeRejudges: more about an issuer judges its certificates again.
func TestIssuerChangeRejudges(t *testing.T) {
	known := false
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		if !known {
			return ctwatch.Judgment{Verdict: ctwatch.Unreviewed, Reasons: reasons("issuer_unknown")}
		}
		j := issuerRule("issuer")(c, k)
		j.CAA = "ca.test"
		return j
	})
	l := started(t, db, 1)
	other := found(l, 2, 1)
	other.Certificate.Issuer.Pin = pin("another")
	judged := found(l, 3, 2)
	record(t, db, l, 3, found(l, 1, 0), other, judged)
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(3).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "")
	must(t, err)
	known = true
	must(t, db.Issuers.Rejudge(t.Context(), pin("issuer"), pin("nobody")))
	wantEqual(t, "verdicts", []string{"expected issuer_allowed", "unreviewed issuer_unknown", "unexpected rejected"}, verdicts(t, db, 1, 2, 3))
	if c := get(t, db, 1); c.Issuer.CAA != "ca.test" {
		t.Errorf("its CA is %q", c.Issuer.CAA)
	}
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("its key is %s", s)
	}
	writesNothing(t, db, "nothing more", func() { must(t, db.Issuers.Rejudge(t.Context(), pin("issuer"))) })
}

// TestUnexpectedIsNoCandidate: the key of an unexpected certificate is not a candidate.
func TestUnexpectedIsNoCandidate(t *testing.T) {
	rule := issuerRule("issuer")
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return rule(c, k) })
	l := started(t, db, 1)
	rogue := found(l, 1, 0)
	rogue.Certificate.Issuer.Pin = pin("another")
	record(t, db, l, 1, rogue)
	// Its holder has others issued, from an issuer that is allowed.
	second := found(l, 11, 1)
	second.Certificate.Matches = append(second.Certificate.Matches, ctwatch.Match{Watch: "other.test", Name: "other.test", Domain: "other.test"})
	record(t, db, l, 2, second)
	wantEqual(t, "reported", []string{"certificate.unexpected 1 critical"}, reportedOf(t, db, 1, 11))
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateSeen {
		t.Errorf("its key is %s", k.State)
	}

	rule = issuerRule("another") // it was ours: the other CA is allowed
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	wantEqual(t, "verdicts", []string{"expected issuer_allowed", "unexpected issuer_not_allowed"}, verdicts(t, db, 1, 11))
	rule = func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		allowed := *c
		allowed.Issuer.Pin = pin("issuer")
		return issuerRule("issuer")(&allowed, k)
	}
	must(t, db.Issuers.RejudgeAll(t.Context(), "2"))
	var candidates []string
	for _, e := range eventsOf(t, db, ctwatch.PinCandidate) {
		candidates = append(candidates, e.Subject)
	}
	wantEqual(t, "candidates once both may exist", []string{"example.com", "other.test"}, candidates)
	if k := key(t, db, pin("key1"), pins.RoleLeaf); len(k.ApprovedFor) != 3 {
		t.Errorf("its key is %s for %v", k.State, k.ApprovedFor)
	}
}

// TestExpiredRaisesNoAlarm: a certificate that has expired raises no alarm later.
func TestExpiredRaisesNoAlarm(t *testing.T) {
	rule, c := issuerRule("issuer"), newClock()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{
		Logger: discard(), Now: c.Now, Judge: func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return rule(c, k) },
	})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	c.Add(365 * 24 * time.Hour)
	rule = issuerRule("another")
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("a key is %s by a rule that was removed", s)
	}
	wantEqual(t, "reported", []string{"pin.candidate 1 info"}, reportedOf(t, db, 1))
	// Nor does one that has ended stand in the way of its key once the rule is mended.
	rule = issuerRule("issuer")
	must(t, db.Issuers.RejudgeAll(t.Context(), "2"))
	next := found(l, 11, 1)
	next.Certificate.NotAfter = c.Now().AddDate(0, 1, 0)
	record(t, db, l, 2, next)
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("the key is %s", s)
	}
	// One that is found only now is reported.
	rogue := found(l, 2, 2)
	rogue.Certificate.Issuer.Pin = pin("another")
	record(t, db, l, 3, rogue)
	wantEqual(t, "reported", []string{"certificate.unexpected 2 critical"}, reportedOf(t, db, 2))
}

// TestRuleGrantsEndWithRules: grants by rules end with them, though a person agreed.
func TestRuleGrantsEndWithRules(t *testing.T) {
	rule := issuerRule("issuer")
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return rule(c, k) })
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours")
	must(t, err)
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("the key is %s: a person only agreed", s)
	}
	rule = issuerRule("another")
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("the key is %s by a rule that was removed", s)
	}
	wantEqual(t, "verdicts", []string{"expected authorized"}, verdicts(t, db, 1))
}

// TestUsedCAARecordsAreStored: the CAA records that a verdict rests on are stored.
func TestUsedCAARecordsAreStored(t *testing.T) {
	var asked []string
	db := judging(t, "", func(_ *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		asked = append(asked, k.CAA)
		return ctwatch.Judgment{Verdict: ctwatch.Expected, Reasons: reasons("issuer_allowed"), Records: "remembered"}
	})
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	must(t, db.Issuers.RejudgeAll(t.Context(), "1"))
	wantEqual(t, "known when it was judged", []string{"", "remembered"}, asked)
	s, err := db.Certificates.Standing(t.Context(), certificate(1).ID)
	must(t, err)
	if s.CAA != "remembered" {
		t.Errorf("it stands with the records %q", s.CAA)
	}
	if _, err := db.Certificates.Standing(t.Context(), hash("?")); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("of an unknown certificate: %v", err)
	}
}

// TestVerdictByPersonStays: rules do not change a person's verdict.
func TestVerdictByPersonStays(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	judge := func(v ctwatch.Verdict, reasons ...string) ctwatch.Certificate {
		t.Helper()
		c, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, v, reasons, "ada", "I know it")
		must(t, err)
		return c
	}
	if c := judge(ctwatch.Expected, "authorized"); c.Verdict != ctwatch.Expected || !cmp.Equal(c.Reasons, []string{"authorized"}) || len(c.Sightings) != 1 {
		t.Errorf("certificate %+v", c)
	}
	writesNothing(t, db, "the same verdict", func() { judge(ctwatch.Expected, "authorized") })

	again := final(found(l, 1, 5))
	again.Certificate.Verdict = ctwatch.Unexpected
	record(t, db, l, 6, again)
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Errorf("after another sighting it is %s", c.Verdict)
	}

	judge(ctwatch.Unexpected, "rejected")
	judge(ctwatch.Unexpected, "rejected", "twice")
	judge(ctwatch.Unreviewed)
	judge(ctwatch.Unexpected, "rejected")
	es := eventsOf(t, db, ctwatch.CertificateUnexpected)
	if len(es) != 2 || es[0].ID == es[1].ID {
		t.Fatalf("%d events: want one each time that it became unexpected", len(es))
	}
	e := es[0]
	if e.Data.Severity != ctwatch.Critical || e.Subject != "example.com" || !strings.Contains(e.Data.Summary, "I know it") || e.Data.Certificate.Verdict != ctwatch.Unexpected {
		t.Errorf("event %+v", e)
	}
	want := []string{
		"→seen by log log", "judge expected by person ada", "judge unexpected by person ada", "judge unexpected by person ada",
		"judge unreviewed by person ada", "judge unexpected by person ada",
	}
	if diff := cmp.Diff(want, history(t, db, pin("key1"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
	rs, err := db.Keys.History(t.Context(), pin("key1"), 1)
	must(t, err)
	if id := certificate(1).ID.String(); rs[0].Certificate != id {
		t.Errorf("the record is about certificate %q, want %q", rs[0].Certificate, id)
	}
}

// TestRefusedVerdicts: invalid verdicts change nothing.
func TestRefusedVerdicts(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	if _, err := db.Certificates.SetVerdict(t.Context(), hash("?"), ctwatch.Expected, nil, "ada", ""); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("an unknown certificate: %v", err)
	}
	if _, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, "fine", nil, "ada", ""); err == nil {
		t.Error("there is no verdict \"fine\"")
	}
}

// TestCertificateWithoutKey: a certificate without a key is judged.
func TestCertificateWithoutKey(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	f := found(l, 1, 0)
	f.Certificate.Key = ctwatch.CertificateKey{}
	record(t, db, l, 1, f)
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, nil, "ada", "unreadable")
	must(t, err)
	rs, err := db.Keys.History(t.Context(), pins.Pin{}, 1)
	must(t, err)
	if len(rs) != 1 || !rs[0].Pin.IsZero() || rs[0].Verdict != "unexpected" {
		t.Errorf("audit trail %+v", rs)
	}
}

// TestConfirmedAlarmIsReported: that a person confirms an alarm is reported.
func TestConfirmedAlarmIsReported(t *testing.T) {
	db := judging(t, "", issuerRule("another"))
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	for range 2 { // the second time it is no news
		_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
		must(t, err)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
	es := eventsOf(t, db, ctwatch.CertificateJudged)
	if len(es) != 1 || es[0].Data.By != "ada" || es[0].Data.Severity != ctwatch.Info || !strings.Contains(es[0].Data.Summary, "was confirmed unauthorized by ada: not ours") {
		t.Errorf("events %+v", es)
	}
}

// TestVerdictHistory: the history of a certificate has its own verdicts only.
func TestVerdictHistory(t *testing.T) {
	db := judging(t, "", issuerRule("another"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 11, 1)) // two certificates of one key
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
	must(t, err)
	got, err := db.Certificates.History(t.Context(), certificate(1).ID)
	must(t, err)
	var by []string
	for _, r := range got {
		by = append(by, r.Action+" "+r.Verdict+" by "+r.By)
	}
	wantEqual(t, "judgments", []string{"judge unexpected by policy", "judge unexpected by ada"}, by)
}

// TestCountOpen: what is unexpected or unreviewed is open for each watched domain that
// it matches, until a person decides.
func TestCountOpen(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	verdicts := []ctwatch.Verdict{ctwatch.Unreviewed, ctwatch.Unexpected, ctwatch.Unexpected, ctwatch.Expected, ctwatch.Unreviewed}
	for i, v := range verdicts {
		f := found(l, i+1, uint64(i))
		f.Certificate.Verdict = v
		if i == 4 {
			f.Certificate.Matches = append(f.Certificate.Matches,
				ctwatch.Match{Watch: "b.example.com", Name: "b.example.com", Domain: "b.example.com"},
				ctwatch.Match{Watch: "b.example.com", Name: "*.example.com", Domain: "b.example.com"})
		}
		record(t, db, l, uint64(i+1), f)
	}
	expect := func(want ...store.OpenVerdict) {
		t.Helper()
		got, err := db.Certificates.CountOpen(t.Context(), []string{"example.com", "b.example.com", "c.example.com"})
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("open verdicts (-want +got):\n%s", diff)
		}
	}
	all := func(unexpected, unreviewed int64) (out []store.OpenVerdict) {
		return []store.OpenVerdict{{Verdict: ctwatch.Unexpected, Count: unexpected}, {Verdict: ctwatch.Unreviewed, Count: unreviewed}}
	}
	other := store.OpenVerdict{Domain: "b.example.com", Verdict: ctwatch.Unreviewed, Count: 1}
	expect(append(all(2, 3), other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 2}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 2})...)
	for n, v := range map[int]ctwatch.Verdict{1: ctwatch.Expected, 2: ctwatch.Unexpected} {
		_, err := db.Certificates.SetVerdict(t.Context(), certificate(n).ID, v, []string{"decided"}, "ada", "I know it")
		must(t, err)
	}
	expect(append(all(1, 2), other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 1}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 1})...)
}
