package store_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// learner is a store's IssuerLearner and Judge: it learns the issuer's key from any chain
// of two certificates, and expects the certificates of keys that it knows.
type learner struct {
	mu    sync.Mutex
	known []ctwatch.IssuerKey
}

func (l *learner) Shown(c *ctwatch.Certificate, chain [][]byte) []ctwatch.IssuerKey {
	if len(chain) < 2 {
		return nil
	}
	return []ctwatch.IssuerKey{{Pin: c.Issuer.Pin, Anchor: pin("root"), NotBefore: epoch, NotAfter: epoch.AddDate(1, 0, 0)}}
}

func (l *learner) Add(keys ...ctwatch.IssuerKey) (added []ctwatch.IssuerKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if !slices.ContainsFunc(l.known, k.Equal) {
			l.known, added = append(l.known, k), append(added, k)
		}
	}
	return added
}

func (l *learner) judge(c *ctwatch.Certificate, _ ctwatch.Standing) ctwatch.Judgment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.known, func(k ctwatch.IssuerKey) bool { return k.Pin == c.Issuer.Pin }) {
		return ctwatch.Judgment{Verdict: ctwatch.Expected}
	}
	return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("issuer_not_allowed")}
}

func learning(t *testing.T, path string, l *learner) *store.DB {
	t.Helper()
	prepare(t, path)
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard(), Now: newClock().Now, Judge: l.judge, Learner: l})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// withChain gives a certificate that was found the chain that proves its issuer.
func withChain(f ctwatch.Found, chain ...[]byte) ctwatch.Found {
	f.Certificate.Issuer.Proven = true
	f.Chain = chain
	return f
}

var wholeChain = [][]byte{[]byte("the issuer"), []byte("the root")}

// TestRecordLearnsIssuers: an issuer is known before the first certificate of the batch
// that shows it is judged, and certificates found before are judged again in the same
// transaction.
func TestRecordLearnsIssuers(t *testing.T) {
	for name, by := range map[string]func(t *testing.T, db *store.DB, l ctwatch.Log, f ctwatch.Found){
		"by another certificate": func(t *testing.T, db *store.DB, l ctwatch.Log, _ ctwatch.Found) {
			record(t, db, l, 2, withChain(found(l, 2, 1), wholeChain...))
		},
		"by the same one again": func(t *testing.T, db *store.DB, l ctwatch.Log, f ctwatch.Found) {
			must(t, db.Logs.AddProof(t.Context(), l.ID, withChain(f, wholeChain...)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := learning(t, filepath.Join(t.TempDir(), "ctwatch.db"), &learner{})
			l := started(t, db, 1)
			first := withChain(found(l, 1, 0), wholeChain[:1]...)
			record(t, db, l, 1, first)
			if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected {
				t.Fatalf("of an unknown issuer, and %s", c.Verdict)
			}
			before := len(events(t, db))
			by(t, db, l, first)
			if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
				t.Errorf("it is %s %q", c.Verdict, c.Reasons)
			}
			for _, e := range events(t, db)[before:] {
				if e.Type == ctwatch.CertificateUnexpected {
					t.Errorf("an alarm: %s", e.Data.Summary)
				}
			}
			keys, err := db.Issuers.Keys(t.Context())
			if err != nil || len(keys) != 1 {
				t.Errorf("%d keys are kept, %v", len(keys), err)
			}
			writesNothing(t, db, "what is known and judged", func() { must(t, db.Issuers.RejudgeNew(t.Context())) })
		})
	}
}

// TestLearningIsPartOfBatch: issuers are learned with the batch or not at all.
func TestLearningIsPartOfBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := learning(t, path, &learner{})
	l := started(t, db, 1)
	record(t, db, l, 1, withChain(found(l, 1, 0)))
	good, bad := withChain(found(l, 2, 1), wholeChain...), found(l, 3, 2)
	bad.Certificate.Sightings = nil // cannot be recorded
	before := len(events(t, db))
	if err := db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Start: 1, End: 3, Found: []ctwatch.Found{good, bad}}, 3); err == nil {
		t.Fatal("the batch was recorded")
	}
	must(t, db.Crash())

	db = learning(t, path, &learner{})
	keys, err := db.Issuers.Keys(t.Context())
	certificates, certErr := db.Issuers.Certificates(t.Context(), 0)
	if err != nil || certErr != nil || len(keys) > 0 || len(certificates) > 0 {
		t.Errorf("%d keys and %d certificates of CAs are kept (%v, %v)", len(keys), len(certificates), err, certErr)
	}
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected || len(events(t, db)) != before {
		t.Errorf("it is %s, with %d new events", c.Verdict, len(events(t, db))-before)
	}
	// Read again, it is learned.
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, Start: 1, End: 2, Found: []ctwatch.Found{good}}, 2))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Errorf("it is %s %q", c.Verdict, c.Reasons)
	}
}

// TestRecordLearnsPopularIssuer: an issuer with more certificates than one transaction
// judges has all of them judged again.
func TestRecordLearnsPopularIssuer(t *testing.T) {
	db := learning(t, filepath.Join(t.TempDir(), "ctwatch.db"), &learner{})
	l := started(t, db, 1)
	const many = 501
	var fs []ctwatch.Found
	for i := range many {
		fs = append(fs, withChain(found(l, i, uint64(i))))
	}
	record(t, db, l, many, fs...)
	record(t, db, l, many+1, withChain(found(l, many, many), wholeChain...))
	for _, n := range []int{0, 250, many - 1, many} {
		if c := get(t, db, n); c.Verdict != ctwatch.Expected {
			t.Errorf("certificate %d is %s %q", n, c.Verdict, c.Reasons)
		}
	}
	writesNothing(t, db, "what is known and judged", func() { must(t, db.Issuers.RejudgeNew(t.Context())) })
}
