package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// rejudged selects the certificates that are worth judging again: those that have not
// expired, and others that matter for the trust in a key.
const rejudged = `(not_after > ? OR not_after IS NULL OR vouched <> '[]' OR verdict = 'unexpected')`

// rejudgeKey has the rules judge all certificates of a leaf key again, after what is
// known of the key has changed: at once, or, if there are more than rejudgeStep, right
// after the transaction, in steps.
func (t *tx) rejudgeKey(pin pins.Pin) error {
	if t.db.rules == nil || pin.IsZero() {
		return nil
	}
	seqs, err := columns[int64](t.query(`SELECT seq FROM certificates WHERE key_pin = ? AND `+rejudged+` LIMIT ?`, pin[:], ms(t.now), t.db.rejudgeStep+1))
	if err != nil {
		return err
	}
	if len(seqs) > t.db.rejudgeStep {
		t.keys = append(t.keys, pin)
		_, err := t.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES (?, '')`, rejudgePrefix+pin.String())
		return err
	}
	slices.Sort(seqs)
	return t.judgeAll(seqs)
}

// rejudgePrefix and a pin are the key in the table meta of a leaf key whose certificates
// have yet to be judged again.
const rejudgePrefix = "rejudge "

// rejudgeKeys does what rejudgeKey left, or what it left before a crash.
func (db *database) rejudgeKeys(ctx context.Context, keys []pins.Pin) error {
	const what = "judging certificates again"
	for _, pin := range keys {
		if err := db.rejudge(ctx, what, nil, ` AND key_pin = ?`, pin[:]); err != nil {
			return err
		}
		err := db.write(ctx, what, func(t *tx) error {
			_, err := t.exec(`DELETE FROM meta WHERE key = ?`, rejudgePrefix+pin.String())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeAll has the rules judge certificates again, and reports what is new.
func (t *tx) judgeAll(seqs []int64) error {
	for _, seq := range seqs {
		r, err := loadRow(t, seq)
		if err != nil {
			return err
		}
		leaf, err := leafKeyOf(t, r.Key.Pin)
		if err != nil {
			return err
		}
		if err := t.rejudge(r, leaf); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) rejudge(r *certificateRow, leaf leafKey) error {
	before := r.Verdict
	e, err := t.judgeByRules(r, leaf)
	if err != nil {
		return fmt.Errorf("certificate %v: %w", r.ID, err)
	}
	if e != nil {
		if e.Data.InDigest, err = t.holdAlarm(r, e.Type == ctwatch.CertificateUnexpected); err != nil {
			return err
		}
		if err := t.event(*e); err != nil {
			return err
		}
	}
	if err := t.raiseProven(r); err != nil {
		return err
	}
	t.reportCandidates(before, &r.Certificate)
	return nil
}

// reportCandidates reports the keys that were not candidates while a certificate was
// unexpected, if it was so before and is not now: when the transaction ends, since other
// certificates of the key may change with it.
func (t *tx) reportCandidates(before ctwatch.Verdict, c *ctwatch.Certificate) {
	if before == ctwatch.Unexpected && c.Verdict != ctwatch.Unexpected && !c.Key.Pin.IsZero() && !slices.Contains(t.candidates, c.Key.Pin) {
		t.candidates = append(t.candidates, c.Key.Pin)
	}
}

// sqlNotCandidates selects the certificates of a key that match a domain for which the key
// was not reported.
const sqlNotCandidates = `
	SELECT c.seq FROM certificates c WHERE c.key_pin = ?1 AND (c.not_after > ?2 OR c.not_after IS NULL)
		AND EXISTS (SELECT 1 FROM matches m WHERE m.certificate = c.seq AND NOT EXISTS (SELECT 1 FROM key_domains WHERE key = ?3 AND domain = m.domain))
	ORDER BY c.seq`

func (t *tx) flushCandidates() error {
	for _, pin := range t.candidates {
		leaf, err := leafKeyOf(t, pin)
		if err != nil {
			return err
		}
		if leaf.leaf() == nil {
			continue
		}
		seqs, err := columns[int64](t.query(sqlNotCandidates, pin[:], ms(t.now), leaf.leaf().seq))
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			c, err := loadCertificate(t, seq)
			if err != nil {
				return err
			}
			if err := t.candidate(&c, leaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// rejudgeStep is how many certificates are judged again in one transaction.
const rejudgeStep = 500

// RejudgeAll has the rules judge all certificates again that have not expired and have
// no verdict by a person, and the grants that rest on others, unless they were judged by
// the same rules, identified by a digest, the last time. It reports its progress
// (Options.Progress).
func (db Issuers) RejudgeAll(ctx context.Context, digest string) error {
	if db.rules == nil {
		return nil
	}
	const what = "judging certificates by changed rules"
	var last string
	err := db.read(ctx, what, func(t readTx) error {
		err := t.queryRow(`SELECT value FROM meta WHERE key = 'rules'`).Scan(&last)
		return orNone(err)
	})
	if err != nil || last == digest {
		return err
	}
	if err := db.rejudge(ctx, what, db.progress, ""); err != nil {
		return err
	}
	// By the same certificates, rules may grant less.
	p := Progress{What: "comparing what rules grant to keys"}
	err = db.read(ctx, what, func(t readTx) error {
		return t.queryRow(`SELECT coalesce(max(key), 0) FROM grants`).Scan(&p.Total)
	})
	if err != nil {
		return err
	}
	for after, done := int64(0), false; !done; {
		var n int
		err := db.write(ctx, what, func(t *tx) (err error) {
			after, n, err = t.syncSomeRuleGrants(after)
			return err
		})
		if err != nil {
			return err
		}
		done = n < db.rejudgeStep
		if p.Done = min(after, p.Total); done { // others grant meanwhile
			p.Done = p.Total
		}
		if p.Total > 0 {
			db.progress(p)
		}
	}
	return db.write(ctx, what, func(t *tx) error {
		_, err = t.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('rules', ?)`, text(digest))
		return err
	})
}

// syncSomeRuleGrants does so for some of the keys that rules grant hosts: those after one
// in the order of their rows. It returns the last, and how many they are: fewer than
// rejudgeStep if there are no more.
func (t *tx) syncSomeRuleGrants(after int64) (last int64, n int, err error) {
	type key struct {
		seq int64
		pin pins.Pin
	}
	rows, err := t.query(`
		SELECT DISTINCT g.key, k.pin FROM grants g JOIN keys k ON k.seq = g.key
		WHERE g.source = ? AND g.key > ? ORDER BY g.key LIMIT ?`, sourceRule, after, t.db.rejudgeStep)
	granted, err := collect(rows, err, func(r *sql.Rows) (k key, err error) {
		err = r.Scan(&k.seq, &k.pin)
		return k, err
	})
	for _, k := range granted {
		if err := t.syncRuleGrants(k.pin, "its certificates were judged again"); err != nil {
			return last, 0, err
		}
		last = k.seq
	}
	return last, len(granted), err
}

// rejudge has the rules judge certificates again, all or those that meet a condition, in
// steps, so that Record does not have to wait. What is found meanwhile is judged by the
// same rules. It reports its progress after each step, if it is to.
func (db *database) rejudge(ctx context.Context, what string, progress func(Progress), and string, args ...any) error {
	var seqs []int64
	err := db.read(ctx, what, func(t readTx) (err error) {
		seqs, err = columns[int64](t.query(`SELECT seq FROM certificates WHERE `+rejudged+and+` ORDER BY seq`, append([]any{ms(db.now())}, args...)...))
		return err
	})
	if err != nil {
		return err
	}
	done := 0
	for step := range slices.Chunk(seqs, db.rejudgeStep) {
		if err := db.write(ctx, what, func(t *tx) error { return t.judgeAll(step) }); err != nil {
			return err
		}
		done += len(step)
		if progress != nil {
			progress(Progress{What: what, Done: int64(done), Total: int64(len(seqs))})
		}
	}
	return nil
}

// SetCAA stores CAA records of certificates, and has the rules judge those again: all of
// them, or, with an error, none. It fails with ctwatch.ErrNotFound.
func (db Certificates) SetCAA(ctx context.Context, found ...ctwatch.CAARecords) error {
	return db.write(ctx, "storing CAA records", func(t *tx) error {
		for _, f := range found {
			seq, known, err := certificateSeq(t, f.Certificate)
			if err != nil {
				return err
			}
			if !known {
				return fmt.Errorf("certificate %v: %w", f.Certificate, ctwatch.ErrNotFound)
			}
			if _, err := t.exec(sqlSetCAA, text(f.Records), seq); err != nil {
				return err
			}
			if err := t.judgeAll([]int64{seq}); err != nil {
				return err
			}
		}
		return nil
	})
}

const sqlSetCAA = `UPDATE certificates SET caa = ? WHERE seq = ?`

const sqlJudged = `UPDATE issuers SET judged = 1 WHERE pin = ? AND judged = 0`

// Rejudge has the rules judge the certificates of issuing keys again, after more became
// known of the keys.
func (db Issuers) Rejudge(ctx context.Context, keys ...pins.Pin) error {
	const what = "judging certificates again"
	for _, pin := range keys {
		if err := db.rejudge(ctx, what, nil, ` AND issuer_pin = ?`, pin[:]); err != nil {
			return err
		}
		err := db.write(ctx, what, func(t *tx) error {
			_, err := t.exec(sqlJudged, pin[:])
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RejudgeNew is Rejudge for stored keys that Rejudge has not judged by yet, as after a
// crash. The rules have to know them. It judges the certificates of leaf keys, too, for
// which a crash prevented that.
func (db Issuers) RejudgeNew(ctx context.Context) error {
	var keys, leaves []pins.Pin
	err := db.read(ctx, "judging certificates again", func(t readTx) (err error) {
		if keys, err = columns[pins.Pin](t.query(`SELECT DISTINCT pin FROM issuers WHERE judged = 0 ORDER BY pin`)); err != nil {
			return err
		}
		rows, err := t.query(`SELECT substr(key, ?) FROM meta WHERE key > ? AND key < ? ORDER BY key`, len(rejudgePrefix)+1, rejudgePrefix, rejudgePrefix+"~")
		leaves, err = collect(rows, err, func(r *sql.Rows) (p pins.Pin, err error) {
			var s string
			if err := r.Scan(&s); err != nil {
				return p, err
			}
			return pins.Parse(s)
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := db.rejudgeKeys(ctx, leaves); err != nil {
		return err
	}
	return db.Rejudge(ctx, keys...)
}
