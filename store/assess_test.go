package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// issuerRule is a rule: certificates of the issuer are expected, others are not; a
// key that is authorised or served makes one expected, too.
func issuerRule(issuer string) ctwatch.Judge {
	return func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgement {
		var names []pins.Pattern
		for _, m := range c.Matches {
			names = append(names, host(m.Name))
		}
		switch {
		case k.Compromised:
			return ctwatch.Judgement{Verdict: ctwatch.Unexpected, Reasons: []string{"key_compromised"}, Details: []string{"Its key is compromised."}}
		case c.Issuer.Pin == pin(issuer):
			return ctwatch.Judgement{Verdict: ctwatch.Expected, Reasons: []string{"issuer_allowed"}, Details: []string{"Its issuer is allowed."}, Grants: names}
		case len(k.ApprovedFor) > 0:
			return ctwatch.Judgement{Verdict: ctwatch.Expected, Reasons: []string{"key_authorized"}, Details: []string{"Its key is authorised."}}
		case len(k.ServedAt) > 0:
			return ctwatch.Judgement{Verdict: ctwatch.Expected, Reasons: []string{"key_served"}, Details: []string{"Its key is served."}}
		}
		return ctwatch.Judgement{Verdict: ctwatch.Unexpected, Reasons: []string{"issuer_not_allowed"}, Details: []string{"Its issuer is not allowed."}, ReportTo: "abuse@ca.test"}
	}
}

// judging opens a database with a rule.
func judging(t testing.TB, path string, rule ctwatch.Judge) *store.DB {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "ctwatch.db")
	}
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard(), Now: newClock().Now, Judge: rule})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func TestRulesJudgeWhatIsFoundAndVouchForItsKey(t *testing.T) {
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
	if len(es) != 1 || es[0].Data.Certificate.ID != certificate(2).ID || es[0].Data.ReportTo != "abuse@ca.test" || !strings.Contains(es[0].Data.Summary, "Its issuer is not allowed") {
		t.Fatalf("events %+v", es)
	}
	for _, e := range eventsOf(t, db, ctwatch.CertificateIssued) {
		if e.Data.Certificate.Verdict == ctwatch.Unreviewed {
			t.Error("it was told of before it was judged")
		}
	}
	// Seen again, in full: told once.
	record(t, db, l, 3, final(rogue))
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms about one certificate", n)
	}
	want := []string{"→seen by log log", "judge unexpected by policy policy"}
	if diff := cmp.Diff(want, history(t, db, pin("key2"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
	// Nobody can approve the key of what should not exist.
	if _, err := db.Approve(t.Context(), approval(pin("key2"), "w2.example.com")); !errors.Is(err, store.ErrUnexpected) {
		t.Errorf("approving its key: %v", err)
	}
}

func TestRulesOfNewDigestJudgeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := judging(t, path, issuerRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	must(t, db.Rejudge(t.Context(), "first"))
	c, err := db.Judge(t.Context(), certificate(2).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours")
	must(t, err)
	must(t, db.Close())

	db = judging(t, path, issuerRule("another"))
	writesNothing(t, db, "the same digest", func() { must(t, db.Rejudge(t.Context(), "first")) })
	must(t, db.Rejudge(t.Context(), "second"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
		t.Errorf("by the new rules it is %s", c.Verdict)
	}
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("the key that only a rule vouched for is %s", s)
	}
	if c = get(t, db, 2); c.Verdict != ctwatch.Expected || c.Reasons[0] != "authorized" {
		t.Errorf("a person's verdict became %s %q", c.Verdict, c.Reasons)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
	writesNothing(t, db, "judged already", func() { must(t, db.Rejudge(t.Context(), "second")) })
}

func TestWhatBecomesOfAKeyJudgesItsCertificatesAgain(t *testing.T) {
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgement {
		j := issuerRule("nobody")(c, k)
		if j.Verdict == ctwatch.Unexpected && !k.Compromised {
			j = ctwatch.Judgement{Verdict: ctwatch.Unreviewed, Reasons: []string{"no_rule"}}
		}
		return j
	})
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Errorf("with an authorised key it is %s", c.Verdict)
	}
	must(t, db.Retire(t.Context(), pin("key1"), true, "ada", "stolen"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
		t.Errorf("with a compromised key it is %s", c.Verdict)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
}

func TestRejectingWhatOnlyARuleExpectedEndsTheTrust(t *testing.T) {
	db := judging(t, "", issuerRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 11, 1)) // two certificates of one key
	if _, err := db.Judge(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours"); err != nil {
		t.Fatal(err)
	}
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateSeen || len(k.ApprovedFor) > 0 {
		t.Errorf("its key is still trusted: %+v", k)
	}
}
