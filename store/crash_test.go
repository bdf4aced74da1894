package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// childEnv names the database that a child process records in until it is killed.
const childEnv = "CTWATCH_STORE_TEST_CHILD"

// childMain is the child: it follows a log as the daemon does, from the verified
// position, entry i being certificate i/2.
func childMain() {
	path := os.Getenv(childEnv)
	if path == "" {
		return
	}
	if err := childRun(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childRun(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{Logger: discard()})
	if err != nil {
		return err
	}
	l := testLog(1)
	p, err := db.Logs.Follow(ctx, l)
	if err != nil {
		return err
	}
	if !p.Started {
		if err := db.Logs.Start(ctx, l.ID, ctwatch.Tree{}, head(0), ""); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	for at := p.Position; ; {
		b := ctwatch.Batch{Log: l.ID, Start: at, End: at + 1 + rand.Uint64N(5)}
		for i := b.Start; i < b.End; i++ {
			b.Found = append(b.Found, found(l, int(i/2), i))
		}
		at = b.End
		if err := db.Logs.Record(ctx, b, at); err != nil {
			return err
		}
		if rand.IntN(4) == 0 {
			if err := db.Logs.Advance(ctx, l.ID, tree(at), head(at)); err != nil {
				return err
			}
		}
	}
}

// TestKillLosesNothing: a process that is killed at any moment loses nothing and repeats
// nothing.
func TestKillLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	var high uint64 // entries read so far, by any child
	for round := range 12 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childEnv+"="+path)
		var stderr bytes.Buffer
		child.Stderr = &stderr
		stdout, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		if _, err := stdout.Read(make([]byte, 1)); err != nil {
			t.Fatalf("round %d: the child ended before it was ready: %v: %s", round, err, stderr.String())
		}
		// The one wait that is meant: the child is killed at some moment.
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		must(t, child.Process.Kill())
		_ = child.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: %s", round, stderr.String())
		}
		high = checkCrashed(t, path, high)
	}
	if high == 0 {
		t.Error("no child recorded anything")
	}
	t.Logf("%d entries were recorded", high)
}

// checkCrashed checks that a database that was left by a kill has each entry that
// was read, in full and once, and returns how many those are.
func checkCrashed(t *testing.T, path string, high uint64) uint64 {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{Logger: discard()})
	must(t, err)
	defer db.Close()
	s := status(t, db, testLog(1))
	high = max(high, s.Position)
	if s.Verified > s.Position {
		t.Errorf("verified up to %d, read up to %d", s.Verified, s.Position)
	}

	seen := make(map[uint64]bool)
	certificates := 0
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		certificates++
		for _, e := range c.Sightings {
			if e.Index >= high {
				t.Errorf("entry %d is recorded, and the position is %d", e.Index, high)
			}
			if e.Verified != (e.Index < s.Verified) {
				t.Errorf("entry %d: verified %v, the verified position being %d", e.Index, e.Verified, s.Verified)
			}
			if c.ID != certificate(int(e.Index/2)).ID || seen[e.Index] {
				t.Errorf("entry %d is a sighting of the wrong certificate, or twice", e.Index)
			}
			seen[e.Index] = true
		}
	}
	if uint64(len(seen)) != high {
		t.Errorf("%d of %d entries are recorded", len(seen), high)
	}

	count := make(map[ctwatch.EventType]int)
	ids := make(map[string]bool)
	for _, e := range events(t, db) {
		count[e.Type]++
		ids[e.ID] = true
	}
	// New keys are reported once an entry is verified; each certificate has two entries.
	keys := min((int(s.Verified)+1)/2, 10)
	if count[ctwatch.CertificateIssued] != certificates || count[ctwatch.CertificateLogged] != int(high)-certificates || count[ctwatch.PinCandidate] != keys {
		t.Errorf("events %v for %d entries, %d certificates, %d keys", count, high, certificates, keys)
	}
	if n := count[ctwatch.CertificateIssued] + count[ctwatch.CertificateLogged] + count[ctwatch.PinCandidate]; n != len(ids) {
		t.Errorf("%d events have %d IDs", n, len(ids))
	}
	return high
}
