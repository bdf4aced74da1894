package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// host reads a pattern.
func host(s string) pins.Pattern {
	p, err := pins.PatternOf(s)
	if err != nil {
		panic(err)
	}
	return p
}

func hosts(ss ...string) (out []pins.Pattern) {
	for _, s := range ss {
		out = append(out, host(s))
	}
	return out
}

// approval is a person's approval of a key for hosts.
func approval(p pins.Pin, on ...string) pins.Approval {
	return pins.Approval{Pin: p, Hosts: hosts(on...), Actor: pins.Person, By: "ada", Reason: "ours"}
}

func declaration(p pins.Pin, on ...string) pins.Approval {
	a := approval(p, on...)
	a.Declare = true
	return a
}

func approve(t testing.TB, db *store.DB, a pins.Approval) pins.Key {
	t.Helper()
	k, err := db.Keys.Approve(t.Context(), a)
	must(t, err)
	return k
}

// key returns a key of the store; the zero key if it is not known.
func key(t testing.TB, db *store.DB, p pins.Pin, role pins.Role) pins.Key {
	t.Helper()
	keys, err := db.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	i := slices.IndexFunc(keys, func(k pins.Key) bool { return k.Pin == p && k.Role == role })
	if i < 0 {
		return pins.Key{}
	}
	return keys[i]
}

func state(t testing.TB, db *store.DB, p pins.Pin) pins.State {
	t.Helper()
	return key(t, db, p, pins.RoleLeaf).State
}

// history returns the audit trail of a pin in short.
func history(t testing.TB, db *store.DB, p pins.Pin) []string {
	t.Helper()
	rs, err := db.Keys.History(t.Context(), p, 0)
	must(t, err)
	out := []string{}
	for _, r := range rs {
		s := r.Action
		if r.Action == "state" {
			s = fmt.Sprintf("%s→%s", r.From, r.To)
		}
		if r.Hosts != nil {
			s += fmt.Sprint(" ", r.Hosts)
		}
		if r.Verdict != "" {
			s += " " + r.Verdict
		}
		out = append(out, fmt.Sprintf("%s by %s %s", s, r.Actor, r.By))
	}
	return out
}

func revision(t testing.TB, db *store.DB) int64 {
	t.Helper()
	n, err := db.Plans.Revision(t.Context())
	must(t, err)
	return n
}

// changes counts all rows that a database's connection wrote.
func changes(t testing.TB, db *store.DB) (n int64) {
	t.Helper()
	must(t, db.Writer().QueryRow(`SELECT total_changes()`).Scan(&n))
	return n
}

// writesNothing checks that f writes nothing.
func writesNothing(t *testing.T, db *store.DB, what string, f func()) {
	t.Helper()
	before, rev := changes(t, db), revision(t, db)
	f()
	if n := changes(t, db) - before; n != 0 {
		t.Errorf("%s: %d rows were written", what, n)
	}
	if revision(t, db) != rev {
		t.Errorf("%s: the revision changed", what)
	}
}

// eventsOf returns the events of a type, from the outbox.
func eventsOf(t testing.TB, db *store.DB, et ctwatch.EventType) (out []ctwatch.Event) {
	t.Helper()
	for _, e := range events(t, db) {
		if e.Type == et {
			out = append(out, e)
		}
	}
	return out
}

// served is certificate n as a server has it, below its issuer and a root that clients do
// not trust.
func served(n int) pins.Served {
	c := certificate(n)
	return pins.Served{
		Chain: pins.Chain{Pins: []pins.Pin{c.Key.Pin, c.Issuer.Pin, pin("root")}}, Certificates: [][]byte{fmt.Appendf(nil, "leaf %d", n)},
		CommonName: c.Names[0], Problem: "an unknown root",
	}
}

// describe describes what served makes.
func describe(der []byte) ctwatch.Certificate {
	var n int
	if _, err := fmt.Sscanf(string(der), "leaf %d", &n); err != nil {
		panic(err)
	}
	c := certificate(n)
	c.Matches = nil
	return c
}

// look is what host h serves at address a.
func look(h, a string, ns ...int) pins.Look {
	addr := pins.Address{Addr: a}
	for _, n := range ns {
		addr.Served = append(addr.Served, served(n))
	}
	return pins.Look{Endpoint: pins.Endpoint{Host: h}, At: epoch, Addresses: []pins.Address{addr}}
}

func observe(t testing.TB, db *store.DB, l pins.Look) {
	t.Helper()
	must(t, db.Endpoints.Observe(t.Context(), l, describe))
}

func settle(t testing.TB, db *store.DB, shipped ...pins.Pin) int {
	t.Helper()
	m := make(map[pins.Pin][]pins.AppVersion)
	for _, p := range shipped {
		m[p] = []pins.AppVersion{{Name: "shop", Version: "1"}}
	}
	n, err := db.Plans.SettleKeys(t.Context(), m)
	must(t, err)
	return n
}

// TestCandidateOfPinnedName: a new key is a warning if an app pins a name of its
// certificate, and says which; otherwise it is information.
func TestCandidateOfPinnedName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	prepare(t, path)
	db, err := store.Open(t.Context(), path, store.Options{Logger: discard(), Now: newClock().Now, Pinned: func(name string) (app, host string, ok bool) {
		return "shop", "*.example.com", name == "w2.example.com"
	}})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	es := eventsOf(t, db, ctwatch.PinCandidate)
	if len(es) != 2 || es[0].Data.Severity != ctwatch.Info || es[0].Data.App != "" || strings.Contains(es[0].Data.Summary, "apps") {
		t.Fatalf("without an app: %+v", es)
	}
	if d := es[1].Data; d.Severity != ctwatch.Warning || d.App != "shop" || d.Host != "*.example.com" || !strings.Contains(d.Summary, "shop") {
		t.Errorf("with an app: %+v", d)
	}
}
