package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

func TestAPersonsVerdictStays(t *testing.T) {
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

func TestVerdictsThatAreRefused(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	if _, err := db.Certificates.SetVerdict(t.Context(), hash("?"), ctwatch.Expected, nil, "ada", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown certificate: %v", err)
	}
	if _, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, "fine", nil, "ada", ""); err == nil {
		t.Error("there is no verdict \"fine\"")
	}
}

func TestACertificateWithoutAKeyIsJudged(t *testing.T) {
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

func TestAPersonWhoConfirmsAnAlarmIsTold(t *testing.T) {
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
	if len(es) != 1 || es[0].Data.By != "ada" || es[0].Data.Severity != ctwatch.Info || !strings.Contains(es[0].Data.Summary, "should not exist, as was told: not ours") {
		t.Errorf("events %+v", es)
	}
}

func TestTheJudgmentsOnACertificateAreItsOwn(t *testing.T) {
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

// TestOpenVerdictsWaitForAPerson: what is unexpected or unreviewed is open by each watched
// domain that it matches, until a person judges it, whichever way.
func TestOpenVerdictsWaitForAPerson(t *testing.T) {
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
		got, err := db.Certificates.CountOpen(t.Context())
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("open verdicts (-want +got):\n%s", diff)
		}
	}
	other := store.OpenVerdict{Domain: "b.example.com", Verdict: ctwatch.Unreviewed, Count: 1}
	expect(other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 2}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 2})
	for n, v := range map[int]ctwatch.Verdict{1: ctwatch.Expected, 2: ctwatch.Unexpected} {
		_, err := db.Certificates.SetVerdict(t.Context(), certificate(n).ID, v, []string{"decided"}, "ada", "I know it")
		must(t, err)
	}
	expect(other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 1}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 1})
}
