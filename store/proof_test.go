package store_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// provenRule is issuerRule as rules are: an issuer counts if it is proven.
func provenRule(issuer string) ctwatch.Judge {
	return func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		if c.Issuer.Pin == pin(issuer) && !c.Issuer.Proven {
			return ctwatch.Judgment{Verdict: ctwatch.Unexpected, Reasons: reasons("issuer_unproven")}
		}
		j := issuerRule(issuer)(c, k)
		if len(k.OtherIssuers) > 0 {
			j.Verdict, j.Reasons = ctwatch.Unexpected, append(reasons(ctwatch.ReasonIssuerConflict), j.Reasons...)
		}
		return j
	}
}

// claimed is certificate n in an entry that names an issuer without proof.
func claimed(l ctwatch.Log, n int, index uint64, issuer string) ctwatch.Found {
	f := found(l, n, index)
	f.Certificate.Issuer.Pin, f.Certificate.Issuer.Proven = pin(issuer), false
	f.Certificate.Problems = []string{ctwatch.ProblemUnproven + "the chain is missing."}
	f.Certificate.SetPins()
	return f
}

func advance(t testing.TB, db *store.DB, l ctwatch.Log, size uint64) {
	t.Helper()
	must(t, db.Logs.Advance(t.Context(), l.ID, tree(size), head(size)))
}

// TestUnprovenEntryGrantsNothing: an entry raises alarms at once, and gives trust only
// once it is in the log's tree.
func TestUnprovenEntryGrantsNothing(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l := started(t, db, 1)
	rogue := found(l, 2, 1)
	rogue.Certificate.Issuer.Pin = pin("another")
	recordUnproven(t, db, l, 2, found(l, 1, 0), rogue)
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected {
		t.Fatalf("it is %s %q", c.Verdict, c.Reasons)
	}
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("before its entry is proven the key is %s", s)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms: one does not wait for a proof", n)
	}
	if n := len(eventsOf(t, db, ctwatch.PinCandidate)); n != 0 {
		t.Errorf("%d keys are proposed of what is not proven", n)
	}
	advance(t, db, l, 2)
	k := key(t, db, pin("key1"), pins.RoleLeaf)
	if k.State != pins.StateApproved || !slices.Equal(k.ApprovedFor, hosts("w1.example.com")) {
		t.Errorf("once its entry is proven the key is %+v", k)
	}
	if n := len(eventsOf(t, db, ctwatch.PinCandidate)); n != 1 {
		t.Errorf("%d keys are proposed", n)
	}
}

// TestEntryOutsideTreeGrantsNothing: an altered entry is served first, and the log
// serves what it signed when it is read again.
func TestEntryOutsideTreeGrantsNothing(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l := started(t, db, 1)
	recordUnproven(t, db, l, 1, found(l, 1, 0))
	must(t, db.Logs.Rewind(t.Context(), l.ID))
	recordUnproven(t, db, l, 1, found(l, 2, 0))
	advance(t, db, l, 1)
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("the key of an entry that is not in the tree is %s", s)
	}
	if s := state(t, db, pin("key2")); s != pins.StateApproved {
		t.Errorf("the key of the entry in the tree is %s", s)
	}
	// Proving its issuer proves nothing of the tree.
	must(t, db.Logs.AddProof(t.Context(), l.ID, found(l, 1, 0)))
	record(t, db, l, 3)
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("with a proven issuer the key of an entry that is not in the tree is %s", s)
	}
}

// TestUnprovenIssuerGrantsNothing: not even when the entry is in the tree, since a log
// can include anything; until the entry is read again with a proof.
func TestUnprovenIssuerGrantsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	db := judging(t, path, provenRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 1, claimed(l, 1, 0, "issuer"))
	c := get(t, db, 1)
	if c.Verdict != ctwatch.Unexpected || c.Reasons[0] != "issuer_unproven" || len(c.Pins) != 1 {
		t.Errorf("it is %s %q with the pins %v", c.Verdict, c.Reasons, c.Pins)
	}
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("its key is %s", s)
	}
	if keys, err := db.Keys.List(t.Context(), pins.PinRole{}, 0); err != nil || len(keys) != 1 {
		t.Errorf("%d keys are known, %v: an unproven issuer has no key", len(keys), err)
	}
	must(t, db.Close())

	db = judging(t, path, provenRule("issuer"))
	todo, err := db.Logs.EntriesToReread(t.Context(), l.ID, 10)
	must(t, err)
	if want := (ctwatch.EntryRef{Index: 0, LeafHash: leafHash(1, 0)}); len(todo) != 1 || todo[0] != want {
		t.Fatalf("after a restart %v are to be read again", todo)
	}
	altered := found(l, 1, 0)
	altered.LeafHash = hash("altered")
	must(t, db.Logs.AddProof(t.Context(), l.ID, altered))
	if get(t, db, 1).Issuer.Proven {
		t.Error("another entry proved the issuer")
	}
	must(t, db.Logs.AddProof(t.Context(), l.ID, found(l, 1, 0)))
	c = get(t, db, 1)
	if c.Verdict != ctwatch.Expected || !c.Issuer.Proven || len(c.Problems) > 0 || len(c.Pins) != 2 {
		t.Errorf("with a proof it is %s %q, issuer %+v, problems %q", c.Verdict, c.Reasons, c.Issuer, c.Problems)
	}
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("with a proof its key is %s", s)
	}
	if todo, err := db.Logs.EntriesToReread(t.Context(), l.ID, 10); err != nil || len(todo) != 0 {
		t.Errorf("%v are to be read again, %v", todo, err)
	}
}

// TestForgedEntryHidesNoAlarm: a rogue certificate raises its alarm though an entry with
// the same TBSCertificate named a trusted issuer before, or names one later.
func TestForgedEntryHidesNoAlarm(t *testing.T) {
	for name, forgedFirst := range map[string]bool{"forged first": true, "forged later": false} {
		t.Run(name, func(t *testing.T) {
			db := judging(t, "", provenRule("issuer"))
			l, other := started(t, db, 1), started(t, db, 2)
			forged, rogue := claimed(l, 1, 0, "issuer"), found(other, 1, 5)
			rogue.Certificate.Issuer.Pin = pin("rogue")
			if forgedFirst {
				recordUnproven(t, db, l, 1, forged)
				record(t, db, other, 6, rogue)
			} else {
				record(t, db, other, 6, rogue)
				recordUnproven(t, db, l, 1, forged)
			}
			c := get(t, db, 1)
			if c.Verdict != ctwatch.Unexpected || c.Issuer.Pin != pin("rogue") || !c.Issuer.Proven {
				t.Errorf("it is %s %q by %+v", c.Verdict, c.Reasons, c.Issuer)
			}
			if !slices.Equal(c.Reasons, []string{"issuer_conflict", "issuer_not_allowed"}) {
				t.Errorf("reasons %q", c.Reasons)
			}
			if es := eventsOf(t, db, ctwatch.CertificateUnexpected); len(es) != 2 || es[0].ID == es[1].ID {
				t.Errorf("%d alarms: that its issuers differ is one of its own", len(es))
			}
			if s := state(t, db, pin("key1")); s != pins.StateSeen {
				t.Errorf("its key is %s", s)
			}
		})
	}
}

// TestForgedFinalIsReplaced: a log can serve our TBSCertificate as a certificate that
// our CA never signed; its fingerprint is not published.
func TestForgedFinalIsReplaced(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	forged := final(claimed(l, 1, 1, "issuer"))
	forged.DER = []byte("forged")
	sum := hash("forged")
	forged.Certificate.Fingerprints.Certificate = &sum
	record(t, db, l, 2, forged)
	finals := func() []pins.Leaf {
		t.Helper()
		out, err := db.Documents.FinalCertificates(t.Context(), []pins.Pin{pin("key1")})
		must(t, err)
		return out
	}
	if got := finals(); len(got) != 0 {
		t.Errorf("%d forged certificates are published", len(got))
	}
	honest := final(found(l, 1, 2))
	record(t, db, l, 3, honest)
	forged.Certificate.Sightings[0].Index, forged.LeafHash = 3, hash("another")
	record(t, db, l, 4, forged)
	if got := finals(); len(got) != 1 || string(got[0].DER) != string(honest.DER) {
		t.Errorf("published are %d certificates", len(got))
	}
	if f := get(t, db, 1).Fingerprints.Certificate; f == nil || *f != *honest.Certificate.Fingerprints.Certificate {
		t.Errorf("the fingerprint is %v", f)
	}
}

// TestOldIssuersAreProvenLater: an issuer in an older database is believed, if the entry
// is in a log's tree, until the entry is read again; any other is not.
func TestOldIssuersAreProvenLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctwatch.db")
	l := testLog(1)
	version4(t, path, l)
	db := judging(t, path, provenRule("issuer"))
	must(t, db.Issuers.RejudgeAll(t.Context(), "by signature"))
	if c := get(t, db, 1); c.Verdict != ctwatch.Expected || !c.Issuer.Proven {
		t.Errorf("what was in the tree is %s %q", c.Verdict, c.Reasons)
	}
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("its key is %s", s)
	}
	if c := get(t, db, 2); c.Verdict != ctwatch.Unexpected || c.Issuer.Proven {
		t.Errorf("what was not in the tree is %s %q", c.Verdict, c.Reasons)
	}
	if s := state(t, db, pin("key2")); s != pins.StateSeen {
		t.Errorf("its key is %s", s)
	}
	if h := history(t, db, pin("key2")); !slices.ContainsFunc(h, func(s string) bool { return strings.HasPrefix(s, "withdraw ") }) {
		t.Errorf("that its trust was taken back is not in the audit trail: %q", h)
	}
	todo, err := db.Logs.EntriesToReread(t.Context(), l.ID, 10)
	must(t, err)
	if len(todo) != 2 {
		t.Errorf("%d entries are to be read again", len(todo))
	}
	// The log serves all there is, and it is no proof.
	must(t, db.Logs.AddProof(t.Context(), l.ID, claimed(l, 1, 0, "issuer")))
	if c := get(t, db, 1); c.Verdict != ctwatch.Unexpected || c.Issuer.Proven {
		t.Errorf("without a proof it is %s %q", c.Verdict, c.Reasons)
	}
	if s := state(t, db, pin("key1")); s != pins.StateSeen {
		t.Errorf("without a proof its key is %s", s)
	}
	must(t, db.Logs.AddProof(t.Context(), l.ID, found(l, 1, 0)))
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("with a proof its key is %s", s)
	}
}

// version4 makes a database as version 4 of the schema has it, with the certificates 1
// and 2, both expected by their issuer, of which only the entry of the first is in the
// log's tree.
func version4(t testing.TB, path string, l ctwatch.Log) {
	t.Helper()
	w, err := sql.Open("sqlite", path)
	must(t, err)
	must(t, store.Migrate(t.Context(), w, store.Migrations()[:4]))
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := w.Exec(query, args...)
		must(t, err)
	}
	at, issuer := epoch.UnixMilli(), pin("issuer")
	exec(`INSERT INTO logs (seq, id, name, operator, kind, state, url, submission_url, key, started, position, verified_size)
		VALUES (1, ?, ?, '', 'rfc6962', '', '', '', x'', 1, 2, 1)`, l.ID[:], l.Name)
	for n := 1; n <= 2; n++ {
		c := certificate(n)
		name, leaf := c.Matches[0].Name, leafHash(n, uint64(n-1))
		exec(`INSERT INTO certificates (seq, id, first_seen, verdict, reasons, serial, names, ip_addresses, subject, not_before, not_after,
				issuer_name, issuer_pin, issuer_caa, key_algorithm, key_pin, problems, vouched)
			VALUES (?, ?, ?, 'expected', '["issuer_allowed"]', '', json_array(?), '[]', '', ?, ?, '', ?, '', '', ?, '[]', json_array(?))`,
			n, c.ID[:], at, name, at, c.NotAfter.UnixMilli(), issuer[:], c.Key.Pin[:], name)
		exec(`INSERT INTO matches VALUES (?, 0, 'example.com', ?, 'example.com')`, n, name)
		exec(`INSERT INTO sightings VALUES (?, 1, ?, ?, ?, 'precertificate', 0, ?)`, n, n-1, leaf[:], at, n == 1)
		exec(`INSERT INTO keys (seq, pin, role, algorithm, state, first_seen, changed_at, changed_by, reason)
			VALUES (?, ?, 'leaf', '', 'approved', ?, ?, 'policy', '')`, n, c.Key.Pin[:], at, at)
		exec(`INSERT INTO grants VALUES (?, ?, 'rule', 'policy', ?, '')`, n, name, at)
	}
	must(t, w.Close())
}

// TestForgedIssuerTakesNothing: an entry that names another issuer for a certificate of
// ours is an alarm, and the key stays trusted.
func TestForgedIssuerTakesNothing(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l, other := started(t, db, 1), started(t, db, 2)
	record(t, db, l, 1, found(l, 1, 0))
	record(t, db, other, 1, claimed(other, 1, 0, "rogue"))
	c := get(t, db, 1)
	if c.Verdict != ctwatch.Unexpected || !slices.Contains(c.Reasons, ctwatch.ReasonIssuerConflict) || c.Issuer.Pin != pin("issuer") {
		t.Errorf("it is %s %q by %+v", c.Verdict, c.Reasons, c.Issuer)
	}
	if n := len(eventsOf(t, db, ctwatch.CertificateUnexpected)); n != 1 {
		t.Errorf("%d alarms", n)
	}
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateApproved || len(k.ApprovedFor) != 1 {
		t.Errorf("its key is %+v", k)
	}
}
