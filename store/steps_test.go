package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestStatementsPerEntry: what an entry costs is bounded, and does not grow with what is
// stored: of its domain, its issuer and its key.
func TestStatementsPerEntry(t *testing.T) {
	for name, tt := range map[string]struct {
		sameKey bool
		most    float64
	}{
		"a key each": {false, 19},
		"one key":    {true, 16},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHoster(t)
			h.domains, h.sameKey = 1, tt.sameKey
			db, _ := openHoster(t, h)
			round := func() float64 {
				before, entries := db.Statements(), 0
				for _, b := range h.batches() {
					must(t, db.Logs.Record(t.Context(), b, b.End))
					entries += len(b.Found)
				}
				for i, l := range h.logs {
					must(t, db.Logs.Advance(t.Context(), l.ID, tree(h.at[i]), head(h.at[i])))
				}
				return float64(db.Statements()-before) / float64(entries)
			}
			round() // in which the key becomes trusted
			first, last := round(), round()
			if first > tt.most || last > first*1.01 {
				t.Errorf("%.2f statements per entry, later %.2f: want at most %v, and no more later", first, last, tt.most)
			}
		})
	}
}

// interrupted opens a database whose next transaction that writes events is the last that
// the context allows.
func interrupted(t *testing.T, path string, judge ctwatch.Judge) (*store.DB, context.Context, func()) {
	t.Helper()
	prepare(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	armed := false
	db, err := store.Open(t.Context(), path, store.Options{Logger: discard(), Now: newClock().Now, Judge: judge, OnEvents: func() {
		if armed {
			cancel()
		}
	}})
	must(t, err)
	return db, ctx, func() { armed = true }
}

// TestAdvanceInSteps: what a step verified stays verified if the next one never comes, and
// is not reported again.
func TestAdvanceInSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, ctx, arm := interrupted(t, path, issuerRule("issuer"))
	db.SetAdvanceStep(3)
	l := started(t, db, 1)
	var all []ctwatch.Found
	for n := range 10 {
		all = append(all, found(l, n, uint64(n)))
	}
	recordUnproven(t, db, l, 10, all...)
	arm()
	if err := db.Logs.Advance(ctx, l.ID, tree(10), head(10)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := len(eventsOf(t, db, ctwatch.PinCandidate)); n == 0 || n > 4 {
		t.Errorf("the first step reported %d keys", n)
	}
	if s := status(t, db, l); s.Verified != 0 {
		t.Errorf("it is verified up to %d", s.Verified)
	}
	must(t, db.Crash())

	db = judging(t, path, issuerRule("issuer"))
	db.SetAdvanceStep(3)
	if _, err := db.Logs.Follow(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	recordUnproven(t, db, l, 10, all...)
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(10), head(10)))
	if s := status(t, db, l); s.Verified != 10 {
		t.Errorf("it is verified up to %d", s.Verified)
	}
	if n := len(eventsOf(t, db, ctwatch.PinCandidate)); n != 10 {
		t.Errorf("%d keys are reported", n)
	}
	for n := range 10 {
		if c := get(t, db, n); !c.Sightings[0].Verified || state(t, db, c.Key.Pin) != pins.StateApproved {
			t.Errorf("certificate %d: %+v", n, c.Sightings)
		}
	}
}

// TestRejudgeKeyInSteps: the certificates of a key that has very many are judged again in
// steps, and, after a crash, by the next start.
func TestRejudgeKeyInSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	judge := func(_ *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		if k.Compromised {
			return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons(ctwatch.ReasonKeyCompromised)}
		}
		return ctwatch.Judgment{Verdict: ctwatch.Unreviewed}
	}
	db, ctx, arm := interrupted(t, path, judge)
	db.SetRejudgeStep(2)
	l := started(t, db, 1)
	var all []ctwatch.Found
	for n := range 7 {
		all = append(all, found(l, 10*n+1, uint64(n)))
	}
	record(t, db, l, 7, all...)
	arm()
	if err := db.Keys.Retire(ctx, pin("key1"), true, "ada", "leaked"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(t, db.Crash())
	db = judging(t, path, judge)
	db.SetRejudgeStep(2)
	must(t, db.Issuers.RejudgeNew(t.Context()))
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 7 {
		t.Errorf("%d of 7 certificates are alarms", n)
	}
	before := changes(t, db)
	must(t, db.Issuers.RejudgeNew(t.Context()))
	if n := changes(t, db) - before; n != 0 {
		t.Errorf("done again, it wrote %d rows", n)
	}
}

// TestGrantsOfPeopleHaveIndex: what rules granted a key, for any number of hosts, is not
// read with each of its certificates.
func TestGrantsOfPeopleHaveIndex(t *testing.T) {
	db := open(t)
	n := 0
	for _, q := range store.HotStatements() {
		if strings.Contains(q, "FROM grants WHERE key = ? AND source <> 'rule'") {
			n++
			if plan, err := db.QueryPlan(t.Context(), q); err != nil || len(plan) != 1 || !strings.Contains(plan[0], "grants_by_people (key=?)") {
				t.Errorf("%s: %q, %v", q, plan, err)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d such statements", n)
	}
}
