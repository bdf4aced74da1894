package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// sourceRule is the source of grants that rest on a certificate which rules expect:
// they last as long as it does.
const sourceRule = "rule"

// assess has the rules judge a certificate, unless a person did, and writes down
// what they say: the verdict, and what they vouch for. It returns the event to tell
// of it, if the certificate has become unexpected.
func (t *tx) assess(seq int64, c *ctwatch.Certificate) (*ctwatch.Event, error) {
	if t.db.judge == nil {
		return nil, nil
	}
	byPerson, rejected, err := t.judgements(c.ID)
	if err != nil || byPerson {
		return nil, err
	}
	standing, err := t.standing(c.Key.Pin)
	if err != nil {
		return nil, err
	}
	j := t.db.judge(c, standing)
	if j.Verdict != ctwatch.Expected {
		j.Grants = nil
	}
	before := c.Verdict
	if before != j.Verdict || !slices.Equal(c.Reasons, j.Reasons) {
		c.Verdict, c.Reasons = j.Verdict, textList(j.Reasons)
		if _, err := t.exec(`UPDATE certificates SET verdict = ?, reasons = ? WHERE seq = ?`, string(c.Verdict), list(c.Reasons), seq); err != nil {
			return nil, err
		}
		t.changed = true
	}
	if err := t.vouch(seq, c, j); err != nil {
		return nil, err
	}
	if before == c.Verdict || c.Verdict == ctwatch.Expected && before == ctwatch.Unreviewed {
		return nil, nil // what is expected from the start is no news
	}
	why := strings.Join(j.Details, " ")
	r := pins.Record{
		Pin: c.Key.Pin, Action: "judge", Certificate: c.ID.String(), Verdict: string(c.Verdict),
		Actor: pins.Policy, By: byPolicy, Reason: ctwatch.Printable(why, 1000),
	}
	if !r.Pin.IsZero() {
		r.Role = pins.RoleLeaf
	}
	if err := t.record(r); err != nil || c.Verdict != ctwatch.Unexpected {
		return nil, err
	}
	e := unexpectedEvent(t, *c, why, rejected)
	e.Data.ReportTo = j.ReportTo
	return &e, nil
}

// unexpectedEvent tells that a certificate should not exist; of each time that it
// came to that, under an ID of its own.
func unexpectedEvent(t *tx, c ctwatch.Certificate, why string, before int64) ctwatch.Event {
	e := ctwatch.UnexpectedEvent(c, text(why), t.now)
	if before > 0 {
		e.ID = ctwatch.NewEventID(e.Type, e.ID, strconv.FormatInt(before, 10))
	}
	return e
}

// standing returns what is known of a leaf key.
func (t *tx) standing(pin pins.Pin) (ctwatch.Standing, error) {
	var s ctwatch.Standing
	if pin.IsZero() {
		return s, nil
	}
	keys, err := keysOf(t, pin)
	if err != nil {
		return s, err
	}
	for _, k := range keys {
		s.Compromised = s.Compromised || k.State == pins.StateCompromised
		if k.Role != pins.RoleLeaf || !k.State.Trusted() {
			continue
		}
		s.ApprovedFor, err = patterns(t.query(`SELECT DISTINCT pattern FROM grants WHERE key = ? AND source <> ? ORDER BY pattern`, k.seq, sourceRule))
		if err != nil {
			return s, err
		}
	}
	s.ServedAt, err = texts(t.query(`SELECT DISTINCT host FROM served WHERE substr(chain, 1, 32) = ? ORDER BY host`, pin[:]))
	return s, err
}

// vouch approves a certificate's key for the names that rules vouch for by it, and
// by its others; and for no more.
func (t *tx) vouch(seq int64, c *ctwatch.Certificate, j ctwatch.Judgement) error {
	if c.Key.Pin.IsZero() {
		return nil
	}
	var names []string
	for _, p := range j.Grants {
		names = append(names, p.String())
	}
	slices.Sort(names)
	n, err := t.exec(`UPDATE certificates SET vouched = ?2 WHERE seq = ?1 AND vouched <> ?2`, seq, list(names))
	if err != nil || n == 0 && c.Verdict != ctwatch.Unexpected {
		return err
	}
	return t.syncVouched(c.Key.Pin, strings.Join(j.Details, " "))
}

// syncVouched brings what a leaf key is approved for by its certificates in line
// with what rules say of them.
func (t *tx) syncVouched(pin pins.Pin, why string) error {
	k, err := scanKey(t.queryRow(sqlKey, pin[:], string(pins.RoleLeaf)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	want, err := patterns(t.query(`
		SELECT DISTINCT v.value FROM certificates c, json_each(c.vouched) v WHERE c.key_pin = ? AND c.verdict = ? ORDER BY 1`, pin[:], string(ctwatch.Expected)))
	if err != nil {
		return err
	}
	if id, err := unexpectedOf(t, pin); err != nil {
		return err
	} else if !id.IsZero() {
		want = nil // who has one certificate that should not exist may have made others
	}
	have, err := patterns(t.query(`SELECT pattern FROM grants WHERE key = ? AND source = ? ORDER BY pattern`, k.seq, sourceRule))
	if err != nil {
		return err
	}
	without := func(list, other []pins.Pattern) []pins.Pattern {
		return slices.DeleteFunc(slices.Clone(list), func(p pins.Pattern) bool { return slices.Contains(other, p) })
	}
	if fresh := without(want, have); len(fresh) > 0 {
		known, err := keysOf(t, pin)
		if err != nil {
			return err
		}
		if may, err := mayApprove(t, k, known); err != nil {
			return err
		} else if may {
			err := t.approveKey(&k, Approval{
				Pin: pin, Role: pins.RoleLeaf, Hosts: fresh, Actor: pins.Policy, By: byPolicy, Reason: ctwatch.Printable(why, 500), source: sourceRule,
			})
			if err != nil {
				return err
			}
		}
	}
	if stale := without(have, want); len(stale) > 0 {
		return t.withdrawPolicy(k, sourceRule, stale)
	}
	return nil
}

// reassess has the rules judge all certificates of a leaf key again, since what is
// known of the key has changed.
func (t *tx) reassess(pin pins.Pin) error {
	if t.db.judge == nil || pin.IsZero() {
		return nil
	}
	seqs, err := t.sequences(`SELECT seq FROM certificates WHERE key_pin = ? AND (not_after > ? OR not_after IS NULL) ORDER BY seq`, pin[:], ms(t.now))
	if err != nil {
		return err
	}
	return t.assessAll(seqs)
}

func (t *tx) sequences(query string, args ...any) ([]int64, error) {
	rows, err := t.query(query, args...)
	return collect(rows, err, func(r *sql.Rows) (seq int64, err error) {
		err = r.Scan(&seq)
		return seq, err
	})
}

func (t *tx) assessAll(seqs []int64) error {
	for _, seq := range seqs {
		c, err := loadCertificate(t, seq)
		if err != nil {
			return err
		}
		e, err := t.assess(seq, &c)
		if err != nil {
			return fmt.Errorf("certificate %v: %w", c.ID, err)
		}
		if e != nil {
			if err := t.event(*e); err != nil {
				return err
			}
		}
	}
	return nil
}

// rejudgeStep is how many certificates are judged again in one transaction.
const rejudgeStep = 500

// Rejudge has the rules judge every certificate again that has not ended and that
// no person judged, unless these are the rules, known by a digest, by which all were
// judged the last time.
func (db *DB) Rejudge(ctx context.Context, digest string) error {
	const what = "judging certificates by new rules"
	var last string
	err := db.read(ctx, what, func(t readTx) error {
		err := t.queryRow(`SELECT value FROM meta WHERE key = 'rules'`).Scan(&last)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || last == digest {
		return err
	}
	for after := int64(0); ; {
		var seqs []int64
		err := db.write(ctx, what, func(t *tx) (err error) {
			seqs, err = t.sequences(`SELECT seq FROM certificates WHERE seq > ? AND (not_after > ? OR not_after IS NULL) ORDER BY seq LIMIT ?`, after, ms(t.now), rejudgeStep)
			if err != nil {
				return err
			}
			return t.assessAll(seqs)
		})
		if err != nil {
			return err
		}
		if len(seqs) < rejudgeStep {
			break
		}
		after = seqs[len(seqs)-1]
	}
	return db.write(ctx, what, func(t *tx) error {
		_, err := t.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('rules', ?)`, text(digest))
		return err
	})
}

// RejudgeCertificate has the rules judge one certificate again, since more has become
// known that they go by. It fails with ErrNotFound.
func (db *DB) RejudgeCertificate(ctx context.Context, id ctwatch.Hash) error {
	return db.write(ctx, fmt.Sprintf("judging certificate %v again", id), func(t *tx) error {
		seq, known, err := t.certificateSeq(id)
		if err != nil {
			return err
		}
		if !known {
			return ErrNotFound
		}
		return t.assessAll([]int64{seq})
	})
}
