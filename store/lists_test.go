package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// checkLists compares the lists of certificates, and the counts of open verdicts, with what
// they are derived from. Every test that opens a database by openAt ends with it.
func checkLists(t testing.TB, r *sql.DB) {
	t.Helper()
	type row struct{ list, firstSeen, certificate int64 }
	got, want := make(map[row]bool), make(map[row]bool)
	each := func(query string, scan func(*sql.Rows) error) {
		t.Helper()
		rows, err := r.Query(query)
		must(t, err)
		defer rows.Close()
		for rows.Next() {
			must(t, scan(rows))
		}
		must(t, rows.Err())
	}
	matches := make(map[int64][]ctwatch.Match)
	each(`SELECT certificate, name, domain FROM matches`, func(r *sql.Rows) error {
		var seq int64
		var m ctwatch.Match
		err := r.Scan(&seq, &m.Name, &m.Domain)
		matches[seq] = append(matches[seq], m)
		return err
	})
	firstSeen := make(map[int64]int64)
	each(`SELECT seq, first_seen, names FROM certificates`, func(r *sql.Rows) error {
		var seq, at int64
		var text string
		var names []string
		if err := r.Scan(&seq, &at, &text); err != nil {
			return err
		}
		for _, l := range store.ListsOf(names, matches[seq]) {
			want[row{l, at, seq}] = true
		}
		firstSeen[seq] = at
		return json.Unmarshal([]byte(text), &names)
	})
	each(`SELECT DISTINCT s.log, c.first_seen, c.seq FROM sightings s JOIN certificates c ON c.seq = s.certificate`, func(r *sql.Rows) error {
		var log, at, seq int64
		err := r.Scan(&log, &at, &seq)
		want[row{store.LogList(log), at, seq}] = true
		return err
	})
	each(`SELECT list, first_seen, certificate FROM lists`, func(r *sql.Rows) error {
		var l row
		err := r.Scan(&l.list, &l.firstSeen, &l.certificate)
		got[l] = true
		if firstSeen[l.certificate] != l.firstSeen {
			t.Errorf("a list has certificate %d as of %d, seen at %d", l.certificate, l.firstSeen, firstSeen[l.certificate])
		}
		return err
	})
	for l := range want {
		if !got[l] {
			t.Errorf("certificate %d is not on list %d", l.certificate, l.list)
		}
	}

	count := func(query string) map[string]int64 {
		out := make(map[string]int64)
		each(query, func(r *sql.Rows) error {
			var domain, verdict string
			var n int64
			err := r.Scan(&domain, &verdict, &n)
			out[domain+" "+verdict] = n
			out[" "+verdict] += n
			return err
		})
		return out
	}
	const open = `c.verdict <> 'expected' AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.certificate = c.id AND a.action = 'judge' AND a.actor = 'person')`
	should := count(`SELECT m.domain, c.verdict, count(DISTINCT c.seq) FROM certificates c JOIN matches m ON m.certificate = c.seq WHERE ` + open + ` GROUP BY 1, 2`)
	have := count(`SELECT domain, verdict, count FROM open_verdicts WHERE count <> 0 AND domain <> ''`)
	if diff := cmp.Diff(should, have); diff != "" {
		t.Errorf("open verdicts (-want +got):\n%s", diff)
	}
	all := make(map[string]int64)
	each(`SELECT verdict, count FROM open_verdicts WHERE count <> 0 AND domain = ''`, func(r *sql.Rows) error {
		var verdict string
		var n int64
		err := r.Scan(&verdict, &n)
		all[" "+verdict] = n
		return err
	})
	maps.DeleteFunc(should, func(k string, _ int64) bool { return !strings.HasPrefix(k, " ") })
	if diff := cmp.Diff(should, all); diff != "" {
		t.Errorf("open verdicts in all (-want +got):\n%s", diff)
	}
	each(`SELECT c.seq, c.decided, `+open+` FROM certificates c WHERE c.verdict <> 'expected'`, func(r *sql.Rows) error {
		var seq int64
		var decided, isOpen bool
		err := r.Scan(&seq, &decided, &isOpen)
		if decided == isOpen {
			t.Errorf("certificate %d: decided %v, open %v", seq, decided, isOpen)
		}
		return err
	})
}

// TestDomainLists: a domain's two lists have every name at or below it, and a name is on
// few lists, however deep it is.
func TestDomainLists(t *testing.T) {
	deep := "a.b.c.d.e.f.g.h.example.com"
	on := func(names []string, matches ...ctwatch.Match) func(string) bool {
		lists := store.ListsOf(names, matches)
		if most := (1 + 6) * (len(names) + 2*len(matches)); len(lists) > most {
			t.Errorf("%v are on %d lists, want at most %d", names, len(lists), most)
		}
		return func(domain string) bool {
			name, below := store.DomainLists(domain)
			return slices.Contains(lists, name) || slices.Contains(lists, below)
		}
	}
	for _, tt := range []struct {
		names   []string
		matches []ctwatch.Match
		on, off []string
	}{
		{names: []string{"www.example.com"}, on: []string{"www.example.com", "example.com", "com"}, off: []string{"w.example.com", "ww.example.com", "net", "a.www.example.com"}},
		{names: []string{"example.com", "www.example.com"}, on: []string{"www.example.com", "example.com", "com"}},
		{names: []string{"*.example.com"}, on: []string{"*.example.com", "example.com"}, off: []string{"www.example.com"}},
		{names: []string{deep}, on: []string{deep, "h.example.com", "b.c.d.e.f.g.h.example.com"}, off: []string{"x.example.com"}},
		{names: []string{deep, "e.f.g.h.example.com"}, on: []string{deep, "c.d.e.f.g.h.example.com"}},
		{names: []string{"a.example"}, matches: []ctwatch.Match{{Name: "b.example.net", Domain: "example.net"}}, on: []string{"a.example", "b.example.net", "example.net"}},
		{matches: []ctwatch.Match{{Name: "192.0.2.1", Domain: "192.0.2.0/24"}}, on: []string{"192.0.2.1", "192.0.2.0/24"}, off: []string{"2.1", "1"}},
		{names: []string{""}, on: []string{""}, off: []string{"com"}},
	} {
		is := on(tt.names, tt.matches...)
		for _, d := range tt.on {
			if !is(d) {
				t.Errorf("%v, %v: not among those of %q", tt.names, tt.matches, d)
			}
		}
		for _, d := range tt.off {
			if is(d) {
				t.Errorf("%v, %v: among those of %q", tt.names, tt.matches, d)
			}
		}
	}
}

// TestCertificatesForPatterns: of the certificates whose names cover a pattern, or that it
// covers, none is left out, and others are left out.
func TestCertificatesForPatterns(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	names := []string{"example.com", "api.example.com", "*.example.com", "a.api.example.com", "*.api.example.com", "example.net", "a.b.c.d.e.f.g.example.com"}
	for i, n := range names {
		f := found(l, i, uint64(i))
		f.Certificate.Names = []string{n}
		f.Certificate.Matches = []ctwatch.Match{{Watch: "w", Name: n, Domain: "example"}}
		recordUnproven(t, db, l, uint64(len(names)), f)
	}
	for pattern, want := range map[string][]string{
		"api.example.com":              {"api.example.com", "*.example.com"},
		"example.com":                  {"example.com"},
		"*.example.com":                {"example.com", "api.example.com", "*.example.com", "a.api.example.com", "*.api.example.com", "a.b.c.d.e.f.g.example.com"},
		".api.example.com":             {"api.example.com", "*.example.com", "a.api.example.com", "*.api.example.com"},
		"a.b.c.d.e.f.g.example.com":    {"a.b.c.d.e.f.g.example.com"},
		".x.y.b.c.d.e.f.g.example.com": {"a.b.c.d.e.f.g.example.com"}, // may be: it is deep
		"other.example":                nil,
	} {
		p, err := pins.ParsePattern(pattern)
		must(t, err)
		seqs, err := db.CertificatesFor(t.Context(), p)
		must(t, err)
		var got []string
		for _, seq := range seqs {
			got = append(got, names[seq-1])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
}

// TestMigrateLists: certificates of an older database are listed and counted as new ones are.
func TestMigrateLists(t *testing.T) {
	path, w := older(t, 1)
	must(t, store.Migrate(t.Context(), w, store.Migrations()[:12]))
	// Several thousand more, for more than one step: some judged by a person, some expected.
	w.SetMaxOpenConns(1)
	_, err := w.Exec(`BEGIN`)
	must(t, err)
	for i := range 4500 {
		verdict := []string{"unreviewed", "unexpected", "expected"}[i%3]
		id := hash(i)
		_, err := w.Exec(`
			INSERT INTO certificates (seq, id, first_seen, verdict, reasons, serial, names, ip_addresses, subject, issuer_name, issuer_caa, key_algorithm, problems)
			VALUES (?1, ?2, ?1, ?3, '[]', '', ?4, '[]', '', '', '', '', '[]')`, 100+i, id[:], verdict, fmt.Sprintf(`["h%d.example.com","www.example.com"]`, i))
		must(t, err)
		for n := range i % 3 {
			_, err := w.Exec(`INSERT INTO matches VALUES (?, ?, 'w', ?, ?)`, 100+i, n, fmt.Sprintf("m%d.example.net", n), []string{"example.net", "m1.example.net"}[n])
			must(t, err)
		}
		if i%5 == 0 {
			_, err := w.Exec(`INSERT INTO audit (at, role, action, from_state, to_state, hosts, certificate, verdict, app, version, actor, by, reason)
				VALUES (0, '', 'judge', '', '', '[]', ?, ?, '', '', 'person', '', '')`, id[:], verdict)
			must(t, err)
		}
	}
	_, err = w.Exec(`COMMIT`)
	must(t, err)
	must(t, w.Close())
	openAt(t, path, newClock()) // checkLists follows
}
