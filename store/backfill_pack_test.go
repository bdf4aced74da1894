package store_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
	"ctwatch/store/pack"
	"ctwatch/store/storetest"
)

// TestPackingKeepsBytes: a database of before the packing has the same events and the same
// bytes of certificates afterwards, whatever they are, and no number is used twice.
func TestPackingKeepsBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	w, err := sql.Open("sqlite", path)
	must(t, err)
	w.SetMaxOpenConns(1)
	defer w.Close()
	before := store.Packing() - 1
	must(t, store.Migrate(t.Context(), w, store.Migrations()[:before]))
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := w.Exec(query, args...)
		must(t, err)
	}

	exec(`BEGIN`)
	source, err := storetest.New(storetest.Options{})
	must(t, err)
	var ders [][3][]byte
	for n := range 1200 { // more than a transaction migrates
		i, err := source.Issue(n, uint64(n), uint64(n))
		must(t, err)
		d := [3][]byte{i.Precertificate.TBS, nil, i.Precertificate.DER}
		if i.Final != nil {
			d[1] = i.Final.DER
		}
		if n%100 == 7 {
			d = [3][]byte{{0x30}, []byte("D"), {0}}
		}
		ders = append(ders, d)
		exec(`
			INSERT INTO certificates (seq, id, first_seen, verdict, reasons, serial, names, ip_addresses, subject, issuer_name, issuer_caa, key_algorithm, problems)
			VALUES (?, ?, 0, '', '[]', '', '[]', '[]', '', '', '', '', '[]')`, 2*n+5, i.Precertificate.Certificate.ID[:])
		exec(`INSERT INTO ders (certificate, tbs, final, precertificate, final_proven) VALUES (?, ?, ?, ?, ?)`, 2*n+5, d[0], d[1], d[2], n%2)
	}
	var events []string
	event := func(n int) string {
		b, err := json.Marshal(ctwatch.TestEvent(string(rune('a'+n%26)), epoch))
		must(t, err)
		return string(b)
	}
	for n := range 1200 {
		events = append(events, event(n))
		exec(`INSERT INTO outbox (seq, id, created_at, event) VALUES (?, ?, ?, ?)`, n+10, event(n)[:n%40]+string(rune(n+1000)), n, events[n])
	}
	exec(`DELETE FROM outbox WHERE seq > 1200`) // a number that was used
	events = events[:1191]
	exec(`INSERT INTO senders (name, registered_at, cursor) VALUES ('a', 0, 1190)`)
	exec(`INSERT INTO dead_letters VALUES ('a', 3, ?, 'gone from the outbox', 2), ('a', 20, ?, 'still there', 1)`, event(3), events[10])
	exec(`INSERT INTO redeliveries (n, sender, seq, event, at) VALUES (7, 'a', 4, ?, 3), (8, 'a', 21, NULL, 3), (9, 'a', 22, NULL, 3)`, event(4))
	exec(`DELETE FROM redeliveries WHERE n = 9`)
	exec(`COMMIT`)
	must(t, w.Close())

	db := openAt(t, path, newClock())
	var got []string
	for _, b := range storedEvents(t, db) {
		got = append(got, string(b))
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	rows, err := db.Reader().Query(`SELECT certificate, tbs, final, precertificate, final_proven FROM ders ORDER BY certificate`)
	must(t, err)
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var certificate, proven int
		var packed [3][]byte
		must(t, rows.Scan(&certificate, &packed[0], &packed[1], &packed[2], &proven))
		if certificate != 2*n+5 || proven != n%2 {
			t.Fatalf("row %d is of certificate %d (%d)", n, certificate, proven)
		}
		for k, want := range ders[n] {
			if want == nil {
				if packed[k] != nil {
					t.Errorf("certificate %d: form %d was made up", certificate, k)
				}
				continue
			}
			var base []byte
			if k > 0 {
				base = ders[n][0]
			}
			if der, err := pack.DecodeDER(base, packed[k]); err != nil || !bytes.Equal(der, want) {
				t.Errorf("certificate %d: form %d is %x, want %x (%v)", certificate, k, der, want, err)
			}
		}
	}
	must(t, rows.Err())
	if n != len(ders) {
		t.Errorf("%d certificates, want %d", n, len(ders))
	}

	dead, err := db.Outbox.DeadLetters(t.Context(), "a", 0)
	must(t, err)
	var summaries []string
	for _, d := range dead {
		summaries = append(summaries, d.Reason, d.Event.Data.By, d.Event.Data.Summary)
	}
	first, second := ctwatch.TestEvent("d", epoch), ctwatch.TestEvent("k", epoch)
	want := []string{"gone from the outbox", first.Data.By, first.Data.Summary, "still there", second.Data.By, second.Data.Summary}
	if diff := cmp.Diff(want, summaries); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	pending, err := db.Outbox.Pending(t.Context(), "a", 10)
	must(t, err)
	if len(pending) != 2 || pending[0].Event.Data.Summary != ctwatch.TestEvent("e", epoch).Data.Summary {
		t.Errorf("resent %+v", pending)
	}
	// Numbers go on.
	must(t, db.Outbox.Add(t.Context(), ctwatch.TestEvent("new", epoch)))
	var seq, redelivery int64
	if _, err := db.Outbox.Replay(t.Context(), "a", store.Replay{Seq: 20}); err != nil {
		t.Error(err)
	}
	must(t, db.Reader().QueryRow(`SELECT max(o.seq), (SELECT max(n) FROM redeliveries) FROM outbox o`).Scan(&seq, &redelivery))
	if seq != 1210 || redelivery != 10 {
		t.Errorf("the next event has number %d, the next redelivery %d", seq, redelivery)
	}
	var left int
	must(t, db.Reader().QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name LIKE '%plain%' OR name LIKE 'new_%'`).Scan(&left))
	if left != 0 {
		t.Errorf("%d tables are left", left)
	}
}
