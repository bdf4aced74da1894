package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
	"ctwatch/store/pack"
)

func TestMain(m *testing.M) {
	childMain()   // does not return in a child of the crash test
	readerMain()  // nor this in one that reads as another user
	commandMain() // nor does this in a child that writes as a command does
	// Each check opens several databases. More of them: -rapid.checks.
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(withPlans{m})
}

// epoch is when tests begin.
var epoch = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open opens a new database.
func open(t testing.TB) *store.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "ctwatch.db"), newClock())
}

// empty is a database in which there is nothing yet: to create the schema takes
// most of the time of a small test.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "ctwatch")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "ctwatch.db")
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard()})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// prepare puts an empty database where there is none.
func prepare(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	b, err := empty()
	must(t, err)
	must(t, os.WriteFile(path, b, 0o600))
}

func openAt(t testing.TB, path string, c *clock) *store.DB {
	t.Helper()
	prepare(t, path)
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard(), Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r := db.Reader(); r.PingContext(context.Background()) == nil { // not closed by the test
			checkLists(t, r)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// older makes a database as a version of the schema left it, with the rows that are in
// testdata for it and for those before.
func older(t testing.TB, version int) (path string, w *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	for v := 1; v <= version; v++ {
		must(t, store.Migrate(t.Context(), w, store.Migrations()[:v]))
		rows, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", v))
		must(t, err)
		_, err = w.Exec(string(rows))
		must(t, err)
	}
	return path, w
}

func testLog(n int) ctwatch.Log {
	key := fmt.Appendf(nil, "key of log %d", n)
	return ctwatch.Log{
		ID: ctwatch.LogIDOf(key), Name: fmt.Sprintf("Lab %d", n), Operator: "Lab", Kind: ctwatch.KindStatic,
		State: ctwatch.LogUsable, Key: key, URL: "https://log.example/",
	}
}

// started registers a log and starts it at its beginning.
func started(t testing.TB, db *store.DB, n int) ctwatch.Log {
	t.Helper()
	l := testLog(n)
	if _, err := db.Logs.Follow(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	must(t, db.Logs.Start(t.Context(), l.ID, ctwatch.Tree{}, head(0), ""))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hash(parts ...any) ctwatch.Hash { return sha256.Sum256(fmt.Append(nil, parts...)) }

func pin(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

// tree makes a tree up: its hashes mean nothing.
func tree(size uint64) ctwatch.Tree {
	t := ctwatch.Tree{Size: size}
	for i := range bits.OnesCount64(size) {
		t.Range = append(t.Range, hash("node", size, i))
	}
	return t
}

func head(size uint64) ctwatch.Head {
	return ctwatch.Head{
		Size: size, Root: hash("root", size), Timestamp: epoch.Add(time.Duration(size) * time.Second),
		Raw: fmt.Appendf(nil, "signed %d", size),
	}
}

// certificate makes up the certificate with a number. Those whose numbers differ
// by a multiple of 10 have the same key.
func certificate(n int) ctwatch.Certificate {
	c := ctwatch.Certificate{
		ID: hash("certificate", n), Serial: fmt.Sprintf("%x", n+1),
		Names:     []string{fmt.Sprintf("w%d.example.com", n), "other.test"},
		Subject:   fmt.Sprintf("CN=w%d.example.com", n),
		NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.AddDate(0, 3, 0),
		Issuer:    ctwatch.Issuer{Name: "CN=CA,C=US", Pin: pin("issuer"), Proven: true, CAA: "ca.test"},
		Key:       ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pin(fmt.Sprint("key", n%10))},
		Matches:   []ctwatch.Match{{Watch: ".Example.com", Name: fmt.Sprintf("w%d.example.com", n), Domain: "example.com"}},
		Verdict:   ctwatch.Unreviewed,
		FirstSeen: epoch.Add(time.Duration(n) * time.Second),
	}
	c.SetPins()
	return c
}

// found is certificate n as entry index of a log.
func found(l ctwatch.Log, n int, index uint64) ctwatch.Found {
	c := certificate(n)
	c.Sightings = []ctwatch.Sighting{{
		Log: l.Name, LogID: l.ID, Index: index, Timestamp: epoch.Add(time.Duration(index) * time.Millisecond), Kind: ctwatch.Precertificate,
	}}
	der := fmt.Appendf(nil, "precertificate %d", n)
	sum := ctwatch.Hash(sha256.Sum256(der))
	c.Fingerprints.Precertificate = &sum
	return ctwatch.Found{Certificate: c, LeafHash: leafHash(n, index), TBS: fmt.Appendf(nil, "tbs %d", n), DER: der}
}

func leafHash(n int, index uint64) ctwatch.Hash {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	binary.BigEndian.PutUint64(b[8:], index)
	return sha256.Sum256(b[:])
}

// final turns a found precertificate into its final certificate.
func final(f ctwatch.Found) ctwatch.Found {
	f.DER = append([]byte("final "), f.DER...)
	sum := ctwatch.Hash(sha256.Sum256(f.DER))
	f.Certificate.Fingerprints = ctwatch.Fingerprints{Certificate: &sum}
	f.Certificate.Sightings[0].Kind = ctwatch.FinalCertificate
	f.LeafHash = hash("final", f.LeafHash)
	return f
}

// record records one batch that ends at position, and proves it to be in the tree.
func record(t testing.TB, db *store.DB, l ctwatch.Log, position uint64, fs ...ctwatch.Found) {
	t.Helper()
	recordUnproven(t, db, l, position, fs...)
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(position), head(position)))
}

// recordUnproven records one batch that ends at position.
func recordUnproven(t testing.TB, db *store.DB, l ctwatch.Log, position uint64, fs ...ctwatch.Found) {
	t.Helper()
	must(t, db.Logs.Record(t.Context(), ctwatch.Batch{Log: l.ID, End: position, Found: fs}, position))
}

// events returns everything that was written to the outbox, and drops nothing.
func events(t testing.TB, db *store.DB) []ctwatch.Event {
	t.Helper()
	must(t, db.Outbox.Register(t.Context(), "test"))
	pending, err := db.Outbox.Pending(t.Context(), "test", 1_000_000)
	must(t, err)
	var out []ctwatch.Event
	for _, q := range pending {
		out = append(out, q.Event)
	}
	return out
}

// storedEvents returns the JSON of the events in the outbox.
func storedEvents(t testing.TB, db *store.DB) (out [][]byte) {
	t.Helper()
	rows, err := db.Reader().Query(`SELECT event FROM outbox ORDER BY seq`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var packed []byte
		must(t, rows.Scan(&packed))
		json, err := pack.EventJSON(packed)
		must(t, err)
		out = append(out, json)
	}
	must(t, rows.Err())
	return out
}

// types lists the types of events, shortened.
func types(es []ctwatch.Event) []string {
	out := []string{}
	for _, e := range es {
		out = append(out, string(e.Type))
	}
	return out
}

func status(t testing.TB, db *store.DB, l ctwatch.Log) ctwatch.LogStatus {
	t.Helper()
	all, err := db.Logs.List(t.Context())
	must(t, err)
	for _, s := range all {
		if s.ID == l.ID {
			return s
		}
	}
	t.Fatalf("no log %s", l.Name)
	return ctwatch.LogStatus{}
}

func get(t testing.TB, db *store.DB, n int) ctwatch.Certificate {
	t.Helper()
	c, err := db.Certificates.Get(t.Context(), hash("certificate", n).String())
	must(t, err)
	return c
}
