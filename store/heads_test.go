package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// again is a tree head of the same tree as another, signed later.
func again(h ctwatch.Head, later time.Duration) ctwatch.Head {
	h.Timestamp = h.Timestamp.Add(later)
	return h
}

// TestHeadsOfOneTreeAreStoredTogether: logs that sign the same tree again and again cost
// one transaction for all of them, and this process knows at once when it saw them.
func TestHeadsOfOneTreeAreStoredTogether(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, c)
	var logs []ctwatch.Log
	for n := range 20 {
		logs = append(logs, started(t, db, n))
		must(t, db.Logs.AddHead(t.Context(), logs[n].ID, head(50)))
	}
	before := db.Commits()
	for i := range 10 {
		c.Add(time.Second)
		for _, l := range logs {
			must(t, db.Logs.AddHead(t.Context(), l.ID, again(head(50), time.Duration(i)*time.Second)))
		}
	}
	if n := db.Commits() - before; n != 0 {
		t.Errorf("%d transactions for tree heads of the same tree", n)
	}
	for _, l := range logs {
		if at := status(t, db, l).LastHeadAt; at == nil || !at.Equal(c.Now()) {
			t.Fatalf("last seen at %v, want %v", at, c.Now())
		}
	}
	must(t, db.Logs.SaveHeads(t.Context()))
	must(t, db.Logs.SaveHeads(t.Context())) // there is nothing left
	if n := db.Commits() - before; n != 1 {
		t.Errorf("%d transactions to store them, want 1", n)
	}
	must(t, db.Crash())
	db = openAt(t, path, newClock())
	for _, l := range logs {
		if at := status(t, db, l).LastHeadAt; at == nil || !at.Equal(c.Now()) {
			t.Fatalf("stored is that it was last seen at %v, want %v", at, c.Now())
		}
		p, err := db.Logs.Follow(t.Context(), l)
		must(t, err)
		want := again(head(50), 9*time.Second)
		if diff := cmp.Diff(&want, p.Head); diff != "" {
			t.Fatalf("largest tree head (-want +got):\n%s", diff)
		}
	}
}

// TestCrashKeepsLargestHead: what a crash loses of a log's tree heads is only the time of
// one of the same tree. A larger tree, and another root, are stored at once.
func TestCrashKeepsLargestHead(t *testing.T) {
	c := newClock()
	fork := head(60)
	fork.Root = hash("other root")
	for name, tt := range map[string]struct {
		last ctwatch.Head
		want ctwatch.Head // the largest after the crash
		kept int          // of its size
	}{
		"a larger tree":           {head(70), head(70), 1},
		"another root":            {fork, head(60), 2},
		"a smaller tree":          {head(40), head(60), 1},
		"the same tree, later":    {again(head(60), time.Second), head(60), 1},
		"the same tree, the same": {head(60), head(60), 1},
	} {
		path := filepath.Join(t.TempDir(), "ctwatch.db")
		db := openAt(t, path, c)
		l := started(t, db, 1)
		must(t, db.Logs.AddHead(t.Context(), l.ID, head(60)))
		must(t, db.Logs.AddHead(t.Context(), l.ID, tt.last))
		must(t, db.Crash())
		db = openAt(t, path, c)
		p, err := db.Logs.Follow(t.Context(), l)
		must(t, err)
		if diff := cmp.Diff(&tt.want, p.Head); diff != "" {
			t.Errorf("%s: largest tree head (-want +got):\n%s", name, diff)
		}
		if kept, err := db.Logs.HeadsOfSize(t.Context(), l.ID, tt.want.Size); err != nil || len(kept) != tt.kept {
			t.Errorf("%s: %d tree heads of its size, %v, want %d", name, len(kept), err, tt.kept)
		}
	}
}

// TestCloseStoresNewestHeads: a clean stop loses nothing.
func TestCloseStoresNewestHeads(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := openAt(t, path, c)
	l := started(t, db, 1)
	c.Add(time.Minute)
	must(t, db.Logs.AddHead(t.Context(), l.ID, again(head(0), time.Minute)))
	must(t, db.Close())
	db = openAt(t, path, newClock())
	if at := status(t, db, l).LastHeadAt; at == nil || !at.Equal(c.Now()) {
		t.Errorf("last seen at %v, want %v", at, c.Now())
	}
}
