package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/store"
)

func TestTheAuditTrailCannotBeChanged(t *testing.T) {
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
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	for i, file := range []string{"testdata/version1.sql", "testdata/version2.sql"} {
		must(t, store.Migrate(t.Context(), w, store.Migrations()[:i+1]))
		rows, err := os.ReadFile(file)
		must(t, err)
		_, err = w.Exec(string(rows))
		must(t, err)
	}
	must(t, w.Close())

	db := openAt(t, path, newClock())
	keys, err := db.Keys(t.Context())
	must(t, err)
	if len(keys) != 2 {
		t.Fatalf("keys %+v", keys)
	}
	for _, k := range keys {
		if k.State != pins.StateSeen || k.By != "log" || len(k.ApprovedFor) != 0 {
			t.Errorf("key %+v: want one that is only seen", k)
		}
		rs, err := db.History(t.Context(), k.Pin, 0)
		must(t, err)
		want := []pins.Record{{
			At: k.FirstSeen, Pin: k.Pin, Role: k.Role, Action: "state", To: pins.StateSeen, Actor: pins.ByLog, By: "log", Reason: k.Reason,
		}}
		if diff := cmp.Diff(want, rs); diff != "" {
			t.Errorf("audit trail (-want +got):\n%s", diff)
		}
	}
	for c, err := range db.Certificates(t.Context(), store.Filter{}) {
		must(t, err)
		if c.Deployed || c.DeployedAt != nil {
			t.Errorf("deployed %v at %v", c.Deployed, c.DeployedAt)
		}
	}
	f, err := db.Facts(t.Context())
	must(t, err)
	if len(f.Issued) != 1 || len(f.Served) != 0 || revision(t, db) != 1 {
		t.Errorf("facts %+v, revision %d", f, revision(t, db))
	}
	approve(t, db, approval(keys[0].Pin, "api.example.com"))
}
