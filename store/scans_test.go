package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"ctwatch/store"
)

// withPlans runs the tests, and then looks at the query plan of each statement that the
// package ran meanwhile: none may read the whole of a table that grows. It shows in
// the plan of an empty database, which is that of any other: there are no statistics.
type withPlans struct{ m *testing.M }

func (w withPlans) Run() int {
	inner, err := sql.Open("sqlite", "")
	if err != nil {
		panic(err)
	}
	seen := &statements{Driver: inner.Driver(), all: make(map[string]bool)}
	if err := inner.Close(); err != nil {
		panic(err)
	}
	sql.Register("sqlite recording statements", seen)
	store.UseDriver("sqlite recording statements")
	if status := w.m.Run(); status != 0 {
		return status
	}
	for _, q := range store.HotStatements() {
		seen.all[q] = true
	}
	scans, err := seen.scans()
	if err != nil {
		fmt.Fprintln(os.Stderr, "looking at query plans:", err)
		return 1
	}
	for _, s := range scans {
		fmt.Fprintf(os.Stderr, "a statement reads a whole table that grows:\n%s\n", s)
	}
	return min(len(scans), 1)
}

// bounded are the tables that have few rows however many certificates there are: one for
// each log, sender, app, served address, CA, cause, sort of malformed entry or thing that
// holds now.
var bounded = []string{
	"meta", "logs", "senders", "sender_warnings", "shipped", "documents", "conditions", "evidence", "malformed_reasons", "digests",
	"served", "first_looks", "issuers", "issuer_claims", "issuer_certificates",
}

// few are partial indexes that have few rows, in the same sense, or are read in their order
// up to a limit.
var few = []string{
	"grants_by_policy",         // of keys that the configuration names
	"certificates_caa_unknown", // whose records were not looked up yet
}

// exceptions are parts of statements that may read more, each with the table.
var exceptions = []struct{ part, table, why string }{
	{"(SELECT * FROM audit WHERE true ORDER BY seq DESC LIMIT ?)", "audit", "a person reads the audit trail, up to a limit"},
	{"FROM unproven u CROSS JOIN certificates c", "unproven", "a person lists what is unproven; rows go with the proof"},
	{"SELECT seq FROM certificates WHERE (not_after > ? OR not_after IS NULL OR vouched <> '[]' OR verdict = 'unexpected') ORDER BY seq", "certificates", "new rules judge all"},
	{"(SELECT seq FROM outbox WHERE created_at >= ?2 ORDER BY seq LIMIT 1)", "outbox", "pruning: it reads what it deletes"},
	{"(SELECT seq FROM outbox WHERE created_at >= ? ORDER BY seq LIMIT 1)", "outbox", "a person has events replayed"},
}

// A statements is a driver that records statements.
type statements struct {
	driver.Driver
	mu  sync.Mutex
	all map[string]bool
}

func (d *statements) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	return recordingConn{c.(sqliteConn), d}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnBeginTx
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

type recordingConn struct {
	sqliteConn
	seen *statements
}

func (c recordingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.seen.add(query)
	return c.sqliteConn.PrepareContext(ctx, query)
}

func (c recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.seen.add(query)
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.seen.add(query)
	return c.sqliteConn.QueryContext(ctx, query, args)
}

// add records a statement, unless a test runs it, or a migration.
func (d *statements) add(query string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all[query] {
		return
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		file := filepath.Base(f.File)
		switch {
		case strings.HasPrefix(f.Function, "database/sql."):
		case strings.HasSuffix(file, "_test.go"), strings.Contains(file, "migrat"), strings.HasPrefix(file, "backfill"):
			return
		case strings.HasPrefix(f.Function, "ctwatch/store."):
			if file == "tx.go" || file == "db.go" {
				break // who calls it?
			}
			d.all[query] = true
			return
		}
		if !more {
			return
		}
	}
}

// An automatic index is made for one query, of the whole table.
var scanned = regexp.MustCompile(`^(?:SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?|SEARCH (\w+) USING AUTOMATIC)`)

// scans returns the statements that read the whole of a table, with their plans.
func (d *statements) scans() (out []string, err error) {
	dir, err := os.MkdirTemp("", "ctwatch-plans-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "ctwatch.db")
	db, err := store.Open(context.Background(), path, store.Options{Logger: discard()})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	tables, err := db.Tables(context.Background())
	if err != nil {
		return nil, err
	}
	for _, q := range slices.Sorted(maps.Keys(d.all)) {
		plan, err := db.QueryPlan(context.Background(), q)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
		for _, p := range plan {
			m := scanned.FindStringSubmatch(p)
			if m == nil || slices.Contains(few, m[2]) {
				continue
			}
			name := m[1] + m[3]
			for _, table := range tables {
				isIt := regexp.MustCompile(`\b` + table + `(\s+AS)?\s+` + name + `\b`)
				if table != name && !isIt.MatchString(q) || slices.Contains(bounded, table) {
					continue
				}
				excepted := false
				for _, e := range exceptions {
					excepted = excepted || e.table == table && strings.Contains(q, e.part)
				}
				if !excepted {
					out = append(out, table+": "+q+"\n    "+strings.Join(plan, "\n    "))
				}
			}
		}
	}
	return out, nil
}

// TestScansAreFound: statements that read whole tables are found, and no others.
func TestScansAreFound(t *testing.T) {
	for query, want := range map[string]int{
		`SELECT count(*) FROM certificates`:                                             1,
		`SELECT x.name FROM logs l JOIN matches x ON x.watch = l.name`:                  1,
		`UPDATE sightings SET asked = 0`:                                                1,
		`SELECT m.name FROM certificates c JOIN matches m ON m.certificate = c.seq`:     1,
		`SELECT name FROM matches WHERE certificate = ?`:                                0,
		`SELECT value FROM json_each(?) JOIN logs`:                                      0,
		`SELECT seq FROM certificates WHERE first_seen > ? ORDER BY first_seen LIMIT 1`: 0,
		`SELECT n FROM (SELECT max(seq) AS n FROM outbox)`:                              0,
	} {
		got, err := (&statements{all: map[string]bool{query: true}}).scans()
		must(t, err)
		if len(got) != want {
			t.Errorf("%s: %d scans, want %d", query, len(got), want)
		}
	}
}
