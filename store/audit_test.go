package store_test

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/store"
)

// TestAuditTrailIsAppendOnly: the database itself refuses to change or delete a record.
func TestAuditTrailIsAppendOnly(t *testing.T) {
	db := open(t)
	approve(t, db, declaration(pin("key1"), "a.example"))
	before := history(t, db, pins.Pin{})
	for _, q := range []string{
		`DELETE FROM audit`,
		`DELETE FROM audit WHERE seq = 1`,
		`UPDATE audit SET by = 'nobody'`,
		`UPDATE audit SET seq = 7 WHERE seq = 1`,
		`INSERT OR REPLACE INTO audit SELECT seq, at, pin, role, action, from_state, to_state, hosts, certificate, verdict, app, version, actor, 'nobody', reason FROM audit`,
		`REPLACE INTO audit (seq, at, role, action, from_state, to_state, hosts, verdict, app, version, actor, by, reason)
			VALUES (1, 0, '', '', '', '', '[]', '', '', '', '', '', '')`,
		`INSERT INTO audit SELECT * FROM audit WHERE seq = 1 ON CONFLICT DO UPDATE SET by = 'nobody'`,
	} {
		if _, err := db.Writer().Exec(q); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: error %v", q, err)
		}
	}
	if diff := cmp.Diff(before, history(t, db, pins.Pin{})); diff != "" {
		t.Errorf("audit trail (-before +after):\n%s", diff)
	}
	approve(t, db, approval(pin("key1"), "b.example"))
	if n := len(history(t, db, pins.Pin{})); n != len(before)+1 {
		t.Errorf("%d records, want one more than %d", n, len(before))
	}
}

func TestMigrateFromVersion2(t *testing.T) {
	path, w := older(t, 2)
	must(t, w.Close())

	db := openAt(t, path, newClock())
	keys, err := db.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	if len(keys) != 2 {
		t.Fatalf("keys %+v", keys)
	}
	for _, k := range keys {
		if k.State != pins.StateSeen || k.By != "log" || len(k.ApprovedFor) != 0 {
			t.Errorf("key %+v: want one that is only seen", k)
		}
		rs, err := db.Keys.History(t.Context(), k.Pin, 0)
		must(t, err)
		want := []pins.Record{{
			At: k.FirstSeen, Pin: k.Pin, Role: k.Role, Action: "state", To: pins.StateSeen, Actor: pins.ByLog, By: "log", Reason: k.Reason,
		}}
		if diff := cmp.Diff(want, rs); diff != "" {
			t.Errorf("audit trail (-want +got):\n%s", diff)
		}
	}
	for c, err := range db.Certificates.List(t.Context(), store.Filter{}) {
		must(t, err)
		if c.Deployed || c.DeployedAt != nil {
			t.Errorf("deployed %v at %v", c.Deployed, c.DeployedAt)
		}
	}
	f, err := db.AllFacts(t.Context(), epoch)
	must(t, err)
	if len(f.Issued) != 1 || len(f.Served) != 0 || revision(t, db) != 1 {
		t.Errorf("facts %+v, revision %d", f, revision(t, db))
	}
	approve(t, db, approval(keys[0].Pin, "api.example.com"))
}

func TestMigrateFromVersion3(t *testing.T) {
	path, w := older(t, 3)
	must(t, w.Close())

	// Judged by rules that expect what was served: the key was, long before.
	db := judging(t, path, unlessServed)
	leaf := pins.Pin(bytes.Repeat([]byte{0xd1}, pins.Size))
	if k := key(t, db, leaf, pins.RoleLeaf); k.State != pins.StateApproved || !cmp.Equal(k.ApprovedFor, hosts("api.example.com", "*.example.com")) {
		t.Errorf("key %+v", k)
	}
	must(t, db.Keys.SyncPolicy(t.Context(), nil))
	if k := key(t, db, leaf, pins.RoleLeaf); !cmp.Equal(k.ApprovedFor, hosts("api.example.com")) {
		t.Errorf("without policy it is approved for %v: grants forgot whose they are", k.ApprovedFor)
	}
	rows, err := db.Reader().Query(`SELECT lower(hex(pin)) || ' ' || host || ' ' || since FROM served_keys ORDER BY pin, host`)
	must(t, err)
	defer rows.Close()
	var got []string
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		got = append(got, s)
	}
	must(t, rows.Err())
	wantEqual(t, "keys served", []string{strings.Repeat("d1", 32) + " api.example.com 1763660003000"}, got)

	l := started(t, db, 1)
	f := found(l, 1, 0)
	f.Certificate.Key.Pin = leaf
	must(t, db.Keys.Retire(t.Context(), leaf, false, "ada", "so that only serving speaks for it"))
	_, err = db.Writer().Exec(`DELETE FROM grants`)
	must(t, err)
	record(t, db, l, 1, f)
	wantEqual(t, "verdict", []string{"expected key_served"}, verdicts(t, db, 1))
	replay(t, db, "stdout", store.Replay{}, 1)
}

// TestMigrateToFirstLooks: of what counted as a first look, the first of each host does.
func TestMigrateToFirstLooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	must(t, store.Migrate(t.Context(), w, store.Migrations()[:4]))
	key1, key2 := pin("key1"), pin("key2")
	for _, row := range []struct {
		pin   pins.Pin
		host  string
		since int
	}{{key1, "w1.example.com", 10}, {key2, "w1.example.com", 11}, {key2, "w2.example.com", 5}} {
		_, err = w.Exec(`INSERT INTO served_keys VALUES (?, ?, ?)`, row.pin[:], row.host, row.since)
		must(t, err)
	}
	must(t, w.Close())

	db := judging(t, path, unlessServed)
	l := started(t, db, 1)
	observe(t, db, look("w2.example.com", "192.0.2.1:443", 3)) // the second at this host
	record(t, db, l, 4, logged(l, 11, 0, time.Hour), logged(l, 12, 1, time.Hour), logged(l, 13, 2, time.Hour))
	for n, want := range map[int][]string{11: {"w1.example.com"}, 12: {"w2.example.com"}, 13: nil} {
		s, err := db.Certificates.Standing(t.Context(), certificate(n).ID)
		must(t, err)
		wantEqual(t, certificate(n).Key.Pin.String(), want, s.ServedFor)
	}
}
