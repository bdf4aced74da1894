package store_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// A model is what a log followed in a store is to be like, said simply.
type model struct {
	position, verified uint64
	met                map[uint64]bool // versions of entries, by version<<32|index: met since the last rewind
	seen               map[uint64]bool // ever: whether verified
	tree               uint64          // size of the tree that is kept; 0: none
	doubted            bool            // what is past the verified position is known not to have verified
}

func (m *model) rewind() {
	switch {
	case m.doubted:
		clear(m.met)
		return
	case m.tree == 0:
		m.position = m.verified
	default:
		m.position = m.tree
	}
	maps.DeleteFunc(m.met, func(key uint64, _ bool) bool { return key&(1<<32-1) >= m.tree })
}

// TestAnySequenceOfBatches: the promises hold whatever a log serves, in whatever order
// batches come, however often they repeat, and wherever the process ends.
func TestAnySequenceOfBatches(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		must(t, err)
		path := filepath.Join(dir, "ctwatch.db")
		open := func() *store.DB {
			prepare(t, path)
			db, err := store.Open(t.Context(), path, store.Options{Logger: discard()})
			must(t, err)
			return db
		}
		db := open()
		defer func() { _ = db.Close() }()
		l := started(t, db, 1)
		m := model{met: make(map[uint64]bool), seen: make(map[uint64]bool)}

		rt.Repeat(map[string]func(*rapid.T){
			"record": func(rt *rapid.T) {
				from := rapid.Uint64Range(m.verified, m.position).Draw(rt, "from")
				b := ctwatch.Batch{Log: l.ID, Start: from, End: from + rapid.Uint64Range(0, 4).Draw(rt, "entries")}
				version := rapid.Uint64Range(0, 1).Draw(rt, "version") // 1 is what an altered entry says
				for i := b.Start; i < b.End; i++ {
					f := found(l, int(10*version+i%7), i)
					b.Found = append(b.Found, f)
					key := version<<32 | i
					m.met[key] = true
					if !m.seen[key] {
						m.seen[key] = false
					}
				}
				m.position = max(m.position, b.End)
				must(t, db.Logs.Record(t.Context(), b, m.position))
			},
			"advance": func(rt *rapid.T) {
				m.verified = rapid.Uint64Range(m.verified, m.position).Draw(rt, "to")
				for key := range m.met {
					if key&(1<<32-1) < m.verified {
						m.seen[key] = true
					}
				}
				must(t, db.Logs.Advance(t.Context(), l.ID, tree(m.verified), head(m.verified)))
				if m.verified >= m.tree {
					m.tree = 0
				}
				m.doubted = m.doubted && m.verified < m.position
			},
			"keep": func(rt *rapid.T) {
				m.tree, m.doubted = m.position, rapid.Bool().Draw(rt, "doubted")
				k := ctwatch.Kept{Tree: tree(m.position)}
				if m.doubted {
					m.tree, k = 0, ctwatch.Kept{Unverified: true, Repair: epoch, Pause: time.Minute}
				}
				must(t, db.Logs.Keep(t.Context(), l.ID, m.position, k))
			},
			"reread": func(*rapid.T) {
				must(t, db.Logs.Rewind(t.Context(), l.ID))
				m.rewind()
			},
			"crash": func(*rapid.T) {
				must(t, db.Crash())
				db = open()
				p, err := db.Logs.Follow(t.Context(), l)
				must(t, err)
				m.rewind()
				if p.Position != m.position || p.Verified.Size != m.verified {
					rt.Fatalf("resumes at %d, verified %d; want %d and %d", p.Position, p.Verified.Size, m.position, m.verified)
				}
				if p.Kept.Tree.Size != m.tree || p.Kept.Unverified != m.doubted {
					rt.Fatalf("kept is %+v, want a tree of %d, or doubts: %v", p.Kept, m.tree, m.doubted)
				}
			},
			"check": func(rt *rapid.T) { m.check(t, rt, db, l) },
		})
		m.check(t, rt, db, l)
	})
}

func (m *model) check(t *testing.T, rt *rapid.T, db *store.DB, l ctwatch.Log) {
	if s := status(t, db, l); s.Position != m.position || s.Verified != m.verified {
		rt.Fatalf("positions %d and %d, want %d and %d", s.Position, s.Verified, m.position, m.verified)
	}
	certificates := make(map[string]bool)
	got := make(map[uint64]bool)
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		certificates[c.ID.String()] = true
		version := uint64(0)
		if len(c.Names[0]) == len("w10.example.com") { // and not w0.example.com
			version = 1
		}
		for _, s := range c.Sightings {
			got[version<<32|s.Index] = s.Verified
		}
	}
	if diff := cmp.Diff(m.seen, got); diff != "" {
		rt.Fatalf("sightings and whether verified (-want +got):\n%s", diff)
	}

	issued := make(map[string]bool)
	ids := make(map[string]bool)
	logged := 0
	for _, e := range events(t, db) {
		if ids[e.ID] {
			rt.Fatalf("event %s twice", e.ID)
		}
		ids[e.ID] = true
		switch e.Type {
		case ctwatch.CertificateIssued:
			id := e.Data.Certificate.ID.String()
			if issued[id] {
				rt.Fatalf("certificate %s was issued twice", id)
			}
			issued[id] = true
		case ctwatch.CertificateLogged:
			logged++
		}
	}
	if !maps.Equal(certificates, issued) || logged != len(m.seen)-len(issued) {
		rt.Fatalf("%d certificates with %d sightings; %d were reported as issued, %d as logged", len(certificates), len(m.seen), len(issued), logged)
	}
}
