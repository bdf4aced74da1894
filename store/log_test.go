package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// TestFollowResumesAtVerified: reading resumes at the verified position.
func TestFollowResumesAtVerified(t *testing.T) {
	db := open(t)
	l := testLog(1)
	p, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	if diff := cmp.Diff(ctwatch.Progress{}, p); diff != "" {
		t.Errorf("progress of a new log (-want +got):\n%s", diff)
	}
	must(t, db.Logs.Start(t.Context(), l.ID, tree(100), head(130), ""))
	recordUnproven(t, db, l, 120)
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(110), head(110)))
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(150)))
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(140)))

	l.Name = "Renamed"
	p, err = db.Logs.Follow(t.Context(), l)
	must(t, err)
	largest := head(150)
	want := ctwatch.Progress{Position: 110, Verified: tree(110), Head: &largest, Started: true}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if s := status(t, db, l); s.Name != "Renamed" || s.Position != 110 || s.TreeSize != 150 || s.LagEntries != 40 {
		t.Errorf("status %+v", s)
	}
}

// TestStartReportsGap: what lies before the starting point is a gap.
func TestStartReportsGap(t *testing.T) {
	for _, tt := range []struct {
		size uint64
		gap  string
		want int
	}{{0, "", 0}, {0, "configured", 0}, {5, "", 0}, {5, "it is older than configured", 1}} {
		db := open(t)
		l := testLog(1)
		_, err := db.Logs.Follow(t.Context(), l)
		must(t, err)
		must(t, db.Logs.Start(t.Context(), l.ID, tree(tt.size), head(9), tt.gap))
		es := events(t, db)
		if len(es) != tt.want {
			t.Fatalf("start at %d, gap %q: events %v, want %d", tt.size, tt.gap, types(es), tt.want)
		}
		if tt.want == 1 && (*es[0].Data.Start != 0 || *es[0].Data.End != 5 || !strings.Contains(es[0].Data.Summary, tt.gap) || es[0].Data.Log.Position != 5) {
			t.Errorf("event %+v", es[0])
		}
		if err := db.Logs.Start(t.Context(), l.ID, tree(tt.size), head(9), tt.gap); err == nil {
			t.Error("a log was started twice")
		}
	}
}

// TestInvalidPositionsAreRefused: a position that contradicts what is recorded is an
// error.
func TestInvalidPositionsAreRefused(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 10)
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(8), head(8)))
	unknown := testLog(2).ID
	for name, err := range map[string]error{
		"verified past what was read": db.Logs.Advance(t.Context(), l.ID, tree(11), head(11)),
		"verified back":               db.Logs.Advance(t.Context(), l.ID, tree(7), head(7)),
		"range of another size":       db.Logs.Advance(t.Context(), l.ID, ctwatch.Tree{Size: 9, Range: tree(8).Range}, head(9)),
		"read before verified":        db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID}, 7),
		"unknown log, Record":         db.Logs.Record(t.Context(), ctwatch.Batch{Log: unknown}, 7),
		"unknown log, Advance":        db.Logs.Advance(t.Context(), unknown, tree(1), head(1)),
		"unknown log, Rewind":         db.Logs.Rewind(t.Context(), unknown),
		"unknown log, AddHead":        db.Logs.AddHead(t.Context(), unknown, head(1)),
		"unknown log, SetError":       db.Logs.SetError(t.Context(), unknown, "x"),
		"unknown log, ClearFaults":    db.Logs.ClearFaults(t.Context(), unknown),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if s := status(t, db, l); s.Position != 10 || s.Verified != 8 {
		t.Errorf("positions %d and %d, want 10 and 8", s.Position, s.Verified)
	}
}

// TestAdvanceVerifiesSightings: sightings below the verified position are verified.
func TestAdvanceVerifiesSightings(t *testing.T) {
	db := open(t)
	l, other := started(t, db, 1), started(t, db, 2)
	recordUnproven(t, db, l, 10, found(l, 1, 3), found(l, 2, 4), found(l, 3, 9))
	recordUnproven(t, db, other, 10, found(other, 1, 2))
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(4), head(4)))
	verified := func(n, sighting int) bool { return get(t, db, n).Sightings[sighting].Verified }
	// Sightings are oldest first: certificate 1 was entry 2 of the other log before.
	got := []bool{verified(1, 0), verified(1, 1), verified(2, 0), verified(3, 0)}
	if diff := cmp.Diff([]bool{false, true, false, false}, got); diff != "" {
		t.Errorf("verified (-want +got):\n%s", diff)
	}
	s := status(t, db, l)
	if s.Verified != 4 || s.LastVerifiedAt == nil || !s.LastVerifiedAt.Equal(epoch) {
		t.Errorf("status %+v", s)
	}
}

// TestAlteredEntryIsNotVerified: an entry that differs when it is read again stays
// unverified.
func TestAlteredEntryIsNotVerified(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	recordUnproven(t, db, l, 10, found(l, 1, 3), found(l, 2, 5)) // 2 is what the log made of 5
	must(t, db.Logs.Rewind(t.Context(), l.ID))
	if p := status(t, db, l).Position; p != 0 {
		t.Errorf("position %d, want the verified one, 0", p)
	}
	recordUnproven(t, db, l, 10, found(l, 1, 3), found(l, 4, 5))
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(10), head(10)))
	for n, want := range map[int]bool{1: true, 2: false, 4: true} {
		if got := get(t, db, n).Sightings[0].Verified; got != want {
			t.Errorf("certificate %d: verified %v, want %v", n, got, want)
		}
	}
	// Not even when the log is followed again and grows.
	_, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	recordUnproven(t, db, l, 20)
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(20), head(20)))
	if get(t, db, 2).Sightings[0].Verified {
		t.Error("the altered entry became verified later")
	}
}

func TestHeads(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	fork := head(50)
	fork.Root = hash("other root")
	later := head(50)
	later.Timestamp = later.Timestamp.Add(time.Hour)
	for _, h := range []ctwatch.Head{head(50), fork, head(50), later, head(20)} {
		must(t, db.Logs.AddHead(t.Context(), l.ID, h))
	}
	got, err := db.Logs.HeadsOfSize(t.Context(), l.ID, 50)
	must(t, err)
	if diff := cmp.Diff([]ctwatch.Head{head(50), fork, later}, got); diff != "" {
		t.Errorf("heads of size 50 (-want +got):\n%s", diff)
	}
	none, err := db.Logs.HeadsOfSize(t.Context(), l.ID, 1<<63)
	if len(none) != 0 || err != nil {
		t.Errorf("heads of an impossible size: %v, %v", none, err)
	}
	p, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	if diff := cmp.Diff(&later, p.Head); diff != "" {
		t.Errorf("largest head (-want +got):\n%s", diff)
	}
}

// TestOldHeadsAreDeleted: the latest heads are kept, and the largest.
func TestOldHeadsAreDeleted(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(5000)))
	_, err := db.Writer().Exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		INSERT INTO heads SELECT 1, i + 2, i, zeroblob(32), i, x'' FROM n`) // head(0) and head(5000) are 1 and 2
	must(t, err)
	for i := range uint64(5) {
		must(t, db.Logs.AddHead(t.Context(), l.ID, head(i+1001)))
	}
	kept := func(size uint64) bool {
		hs, err := db.Logs.HeadsOfSize(t.Context(), l.ID, size)
		must(t, err)
		return len(hs) == 1
	}
	if kept(5) || !kept(6) || !kept(1005) || !kept(5000) {
		t.Errorf("kept: 5 %v, 6 %v, 1005 %v, 5000 %v; want the newest 1000 and the largest", kept(5), kept(6), kept(1005), kept(5000))
	}
}

func TestLag(t *testing.T) {
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	l := started(t, db, 1)
	lag := func() float64 { return status(t, db, l).LagSeconds }
	if lag() != 0 {
		t.Errorf("lag %v before there are entries", lag())
	}
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(100)))
	c.Add(10 * time.Second)
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(200)))
	recordUnproven(t, db, l, 100)
	c.Add(5 * time.Second)
	if s := status(t, db, l); s.LagSeconds != 15 || s.LagEntries != 100 {
		t.Errorf("lag %v s and %d entries, want 15 and 100", s.LagSeconds, s.LagEntries)
	}
	recordUnproven(t, db, l, 200)
	if s := status(t, db, l); s.LagSeconds != 0 || s.LagEntries != 0 {
		t.Errorf("lag %v s and %d entries when caught up", s.LagSeconds, s.LagEntries)
	}
	must(t, db.Logs.Rewind(t.Context(), l.ID))
	c.Add(time.Second)
	if s := status(t, db, l); s.LagSeconds != 1 || s.LagEntries != 200 {
		t.Errorf("lag %v s and %d entries after Rewind, want 1 and 200", s.LagSeconds, s.LagEntries)
	}
}

func TestHealth(t *testing.T) {
	db := open(t)
	l := testLog(1)
	_, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	check := func(when string, healthy bool, lastError string) {
		t.Helper()
		if s := status(t, db, l); s.Healthy != healthy || s.LastError != lastError {
			t.Errorf("%s: healthy %v, error %q; want %v, %q", when, s.Healthy, s.LastError, healthy, lastError)
		}
	}
	check("before the first tree head", false, "")
	must(t, db.Logs.AddHead(t.Context(), l.ID, head(1)))
	check("with a tree head", true, "")
	must(t, db.Logs.SetError(t.Context(), l.ID, "503 \x1b[31m"))
	check("failed once", true, "503 \uFFFD[31m") // which is no illness
	must(t, db.Logs.SetUnhealthy(t.Context(), l.ID, "away"))
	check("unhealthy", false, "503 \uFFFD[31m")
	must(t, db.Logs.SetError(t.Context(), l.ID, ""))
	check("answered once", false, "")
	must(t, db.Logs.SetHealthy(t.Context(), l.ID))
	check("back", true, "")
	must(t, db.Logs.AddFault(t.Context(), l.ID, ctwatch.Fault{Cause: ctwatch.CauseFork}))
	check("misbehaving", false, "")
	must(t, db.Logs.ClearFaults(t.Context(), l.ID))
	check("at the end", true, "")
}

// TestFaultReportedUntilCleared: a fault is reported once, and again after it was
// cleared.
func TestFaultReportedUntilCleared(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	fault := func(cause string, size uint64) ctwatch.Fault {
		return ctwatch.Fault{Cause: cause, Detail: "it lies", Evidence: ctwatch.Evidence{Cause: cause, Heads: []ctwatch.EvidenceHead{head(size).Evidence()}}}
	}
	misbehave := func(f ctwatch.Fault) { t.Helper(); must(t, db.Logs.AddFault(t.Context(), l.ID, f)) }
	expect := func(want int) {
		t.Helper()
		es := events(t, db)
		ids := make(map[string]bool)
		for _, e := range es {
			ids[e.ID] = true
		}
		if len(es) != want || len(ids) != want {
			t.Errorf("%d events with %d IDs, want %d", len(es), len(ids), want)
		}
	}
	misbehave(fault(ctwatch.CauseFork, 1))
	misbehave(fault(ctwatch.CauseFork, 1))
	misbehave(fault(ctwatch.CauseFork, 2)) // the cause stands
	expect(1)
	p, err := db.Logs.Follow(t.Context(), l)
	must(t, err)
	if p.Fault != ctwatch.CauseFork {
		t.Errorf("fault %q after a restart", p.Fault)
	}
	misbehave(fault(ctwatch.CauseRollback, 1)) // another cause
	expect(2)
	must(t, db.Logs.ClearFaults(t.Context(), l.ID))
	must(t, db.Logs.ClearFaults(t.Context(), l.ID))
	misbehave(fault(ctwatch.CauseFork, 2)) // kept, and never reported
	expect(3)
	must(t, db.Logs.ClearFaults(t.Context(), l.ID))
	misbehave(fault(ctwatch.CauseFork, 1)) // the very same as at first
	expect(4)

	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM evidence`).Scan(&n))
	if n != 3 {
		t.Errorf("%d pieces of evidence are kept, want 3", n)
	}
	if diff := cmp.Diff(fault(ctwatch.CauseFork, 1).Evidence, *events(t, db)[0].Data.Evidence); diff != "" {
		t.Errorf("evidence (-given +stored):\n%s", diff)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	misbehave := func(i int) {
		t.Helper()
		f := ctwatch.Fault{Cause: ctwatch.CauseBadSignature, Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{{Raw: fmt.Append(nil, i)}}}}
		must(t, db.Logs.AddFault(t.Context(), l.ID, f))
	}
	misbehave(0)
	_, err := db.Writer().Exec(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998)
		INSERT INTO evidence SELECT 'made up ' || i, log, cause, detail, evidence, first_seen, told FROM evidence, n`)
	must(t, err)
	for i := range 5 {
		misbehave(i + 1)
	}
	var n int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM evidence`).Scan(&n))
	if n != 1000 {
		t.Errorf("%d pieces of evidence are kept, want the bound of 1000", n)
	}
}
