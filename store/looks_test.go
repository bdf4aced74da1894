package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// at is a look at a later time.
func at(after time.Duration, l pins.Look) pins.Look {
	l.At = epoch.Add(after)
	return l
}

// dead is a look at a host whose address refuses connections.
func dead(h, a string) pins.Look {
	return pins.Look{Endpoint: pins.Endpoint{Host: h}, At: epoch, Addresses: []pins.Address{{Addr: a, Err: errors.New("connection refused")}}}
}

// TestFirstLookOfHost: what any later look shows first may be an intruder's as well as
// the owner's, however the address or the endpoint comes to be new.
func TestFirstLookOfHost(t *testing.T) {
	const h, a1, a2 = "w1.example.com", "192.0.2.1:443", "192.0.2.2:443"
	dead := dead(h, a1)
	other := look(h, a2, 1)
	other.Endpoint.Target = "192.0.2.2:443"
	for name, c := range map[string]struct {
		before func(*store.DB)
		counts bool
	}{
		"nothing was seen before":       {func(*store.DB) {}, true},
		"it was dead":                   {func(db *store.DB) { observe(t, db, dead) }, true},
		"another key was served":        {func(db *store.DB) { observe(t, db, look(h, a1, 2)) }, false},
		"that address was dead":         {func(db *store.DB) { observe(t, db, look(h, a1, 2)); observe(t, db, dead) }, false},
		"then all addresses were gone":  {func(db *store.DB) { observe(t, db, look(h, a1, 2)); observe(t, db, look(h, a2)) }, false},
		"then the host was forgotten":   {func(db *store.DB) { observe(t, db, look(h, a1, 2)); must(t, db.Endpoints.KeepOnly(t.Context(), nil)) }, false},
		"it was seen at another target": {func(db *store.DB) { l := other; l.Addresses = look(h, a2, 2).Addresses; observe(t, db, l) }, false},
		"another host was looked at":    {func(db *store.DB) { observe(t, db, look("w2.example.com", a1, 2)) }, true},
		"what is served was pruned": {func(db *store.DB) {
			observe(t, db, look(h, a1, 2))
			_, err := db.Writer().Exec(`DELETE FROM served`)
			must(t, err)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ctwatch.db")
			db := judging(t, path, unlessServed)
			c.before(db)
			observe(t, db, at(time.Minute, look(h, a2, 1)))
			l := started(t, db, 1)
			record(t, db, l, 1, logged(l, 11, 0, time.Hour))
			want := "unreviewed no_rule"
			if c.counts {
				want = "expected key_served"
			}
			wantEqual(t, "verdict", []string{want}, verdicts(t, db, 11))
		})
	}
}

// TestLaterLooks: a key that is served later counts if its certificate is expected for
// another reason than having been served.
func TestLaterLooks(t *testing.T) {
	const h, a = "w1.example.com", "192.0.2.1:443"
	db := judging(t, "", unlessServed)
	l := started(t, db, 1)
	observe(t, db, look(h, a, 1))
	record(t, db, l, 2, logged(l, 2, 0, time.Second), logged(l, 3, 1, time.Second))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(2).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours")
	must(t, err)
	observe(t, db, at(time.Minute, look(h, a, 2, 3)))
	record(t, db, l, 4, logged(l, 12, 2, time.Hour), logged(l, 13, 3, time.Hour))
	wantEqual(t, "verdicts", []string{"expected key_served", "unreviewed no_rule"}, verdicts(t, db, 12, 13))
	// Its certificate is authorized only while it is served already.
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(3).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours, too")
	must(t, err)
	observe(t, db, at(2*time.Minute, look(h, a, 2, 3)))
	record(t, db, l, 5, logged(l, 23, 4, 2*time.Hour))
	wantEqual(t, "verdict", []string{"expected key_served"}, verdicts(t, db, 23))
	// One that is expected for having been served proves nothing at another host.
	observe(t, db, look("w5.example.com", a, 5))
	observe(t, db, at(time.Hour+time.Minute, look("w5.example.com", a, 12)))
	s, err := db.Certificates.Standing(t.Context(), certificate(23).ID)
	must(t, err)
	wantEqual(t, "served for", []string{h}, s.ServedFor)
}

// TestFirstLookCoversCheckedNames: besides the host, only names that a CA has checked.
func TestFirstLookCoversCheckedNames(t *testing.T) {
	names := []string{"w1.example.com", "*.example.com", "f*o.example.com", ".example.com"}
	for name, c := range map[string]struct {
		accepted bool
		want     []string
	}{
		"self-signed":        {false, []string{"w1.example.com"}},
		"accepted by client": {true, []string{"w1.example.com", "*.example.com", "w1.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := judging(t, "", unlessServed)
			o := look("w1.example.com", "192.0.2.1:443", 1)
			s := &o.Addresses[0].Served[0]
			if c.accepted {
				s.Problem = ""
			}
			must(t, db.Endpoints.Observe(t.Context(), o, func(der []byte) ctwatch.Certificate {
				cert := describe(der)
				cert.Names = names
				return cert
			}))
			l := started(t, db, 1)
			record(t, db, l, 1, logged(l, 11, 0, time.Hour))
			got, err := db.Certificates.Standing(t.Context(), certificate(11).ID)
			must(t, err)
			wantEqual(t, "served for", c.want, got.ServedFor)
		})
	}
}

// TestOneWrongLookRetiresNothing: neither what the configuration lists nor what a person
// approved, nor what rules approve; and it comes back when the look was wrong.
func TestOneWrongLookRetiresNothing(t *testing.T) {
	const h, a = "w1.example.com", "192.0.2.1:443"
	grant := policyGrant("key1", ".example.com")
	for name, c := range map[string]struct {
		approve func(*store.DB, ctwatch.Log)
		then    pins.State
	}{
		"the configuration": {func(db *store.DB, _ ctwatch.Log) {
			must(t, db.Keys.SyncPolicy(t.Context(), []pins.PolicyGrant{grant}))
		}, pins.StateApproved},
		"a person": {func(db *store.DB, _ ctwatch.Log) { approve(t, db, declaration(pin("key1"), h)) }, pins.StateDeployed},
		"rules":    {func(db *store.DB, l ctwatch.Log) { record(t, db, l, 1, found(l, 1, 0)) }, pins.StateDeployed},
	} {
		for what, elsewhere := range map[string]pins.Look{
			"a foreign key":       look(h, a, 2),
			"no address answers":  dead(h, "192.0.2.9:443"),
			"no address is there": {Endpoint: pins.Endpoint{Host: h}, At: epoch},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				db := judging(t, "", issuerRule("issuer"))
				c.approve(db, started(t, db, 1))
				observe(t, db, look(h, a, 1))
				settle(t, db)
				if s := state(t, db, pin("key1")); s != pins.StateDeployed {
					t.Fatalf("served, it is %s", s)
				}
				observe(t, db, elsewhere)
				settle(t, db)
				if s := state(t, db, pin("key1")); s != c.then {
					t.Errorf("after one look elsewhere it is %s", s)
				}
				observe(t, db, look(h, a, 1))
				settle(t, db)
				if s := state(t, db, pin("key1")); s != pins.StateDeployed {
					t.Errorf("served again, it is %s", s)
				}
				if n := len(eventsOf(t, db, ctwatch.PinRetired)); n > 0 {
					t.Errorf("that it is retired was reported %d times", n)
				}
			})
		}
	}
}

// TestListedKeyIsNotReplaced: what the configuration lists ends when its line is
// removed.
func TestListedKeyIsNotReplaced(t *testing.T) {
	const h, a = "w1.example.com", "192.0.2.1:443"
	db := open(t)
	listed := []pins.PolicyGrant{policyGrant("key1", ".example.com"), policyGrant("key2", ".example.com")}
	must(t, db.Keys.SyncPolicy(t.Context(), listed))
	observe(t, db, look(h, a, 1))
	settle(t, db)
	observe(t, db, look(h, a, 2))
	settle(t, db)
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("another listed key is served, and it is %s", s)
	}
	must(t, db.Keys.SyncPolicy(t.Context(), listed[1:]))
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("without its line it is %s", s)
	}
}

// TestRetiredByPlanComesBack: the configuration approves again what was retired
// automatically, with a record of it, and not if a person retired the key in any way.
func TestRetiredByPlanComesBack(t *testing.T) {
	grant := []pins.PolicyGrant{policyGrant("key1", ".example.com")}
	audit := `INSERT INTO audit (at, pin, role, action, from_state, to_state, hosts, verdict, app, version, actor, by, reason)
		VALUES (1, ?1, 'leaf', 'state', ?2, ?3, '[]', '', '', '', ?4, ?4, 'as it was')`
	for name, c := range map[string]struct {
		retire func(*store.DB)
		want   pins.State
	}{
		"by the program": {func(db *store.DB) {
			p := pin("key1")
			for _, step := range [][]string{{"declared", "deployed", "probe"}, {"deployed", "retiring", "probe"}, {"retiring", "retired", "plan"}} {
				_, err := db.Writer().Exec(audit, p[:], step[0], step[1], step[2])
				must(t, err)
			}
			_, err := db.Writer().Exec(`UPDATE keys SET state = 'retired', changed_by = 'plan' WHERE pin = ?`, p[:])
			must(t, err)
		}, pins.StateApproved},
		"by a person": {func(db *store.DB) {
			must(t, db.Keys.Retire(t.Context(), pin("key1"), false, "plan", "rotated")) // a person's name is not the actor
			settle(t, db)
		}, pins.StateRetired},
		"by a person, then out of the configuration": {func(db *store.DB) {
			must(t, db.Keys.Retire(t.Context(), pin("key1"), false, "ada", "rotated"))
			must(t, db.Keys.SyncPolicy(t.Context(), nil))
		}, pins.StateRetired},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			must(t, db.Keys.SyncPolicy(t.Context(), grant))
			c.retire(db)
			if s := state(t, db, pin("key1")); s != pins.StateRetired {
				t.Fatalf("it is %s", s)
			}
			before := len(history(t, db, pin("key1")))
			must(t, db.Keys.SyncPolicy(t.Context(), grant))
			k := key(t, db, pin("key1"), pins.RoleLeaf)
			if k.State != c.want || k.State.Trusted() != (len(k.ApprovedFor) == 1) {
				t.Errorf("it is %s for %v, want %s", k.State, k.ApprovedFor, c.want)
			}
			if got := history(t, db, pin("key1"))[before:]; c.want == pins.StateApproved {
				wantEqual(t, "audit trail", []string{"retired→seen by plan plan", "seen→approved by policy policy"}, got)
			}
			writesNothing(t, db, "the same again", func() { must(t, db.Keys.SyncPolicy(t.Context(), grant)) })
		})
	}
}

// TestRuleKeyEndsWithItsCertificates: and comes back by a new one.
func TestRuleKeyEndsWithItsCertificates(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db, err := store.Open(t.Context(), path, store.Options{Logger: discard(), Now: c.Now, Judge: issuerRule("issuer")})
	must(t, err)
	defer db.Close()
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	c.Add(365 * 24 * time.Hour)
	if n := settle(t, db, pin("key1")); n != 1 || state(t, db, pin("key1")) != pins.StateShipped {
		t.Errorf("while it is shipped, it is %s", state(t, db, pin("key1")))
	}
	settle(t, db)
	if s := state(t, db, pin("key1")); s != pins.StateRetired {
		t.Errorf("when all have ended, it is %s", s)
	}
	if es := eventsOf(t, db, ctwatch.PinRetired); len(es) != 1 || es[0].Data.Severity != ctwatch.Debug {
		t.Errorf("reported as %+v", es)
	}
	next := found(l, 11, 1)
	next.Certificate.NotAfter = c.Now().AddDate(0, 1, 0)
	record(t, db, l, 2, next)
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateApproved || len(k.ApprovedFor) != 2 {
		t.Errorf("renewed, it is %s for %v", k.State, k.ApprovedFor)
	}
}
