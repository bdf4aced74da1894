package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Judge notes a person's verdict on a certificate, and returns it. That a
// certificate becomes unexpected is told in an event. It fails with ErrNotFound,
// and with ErrTrustedKey if what should not exist has a key that is trusted.
func (db *DB) Judge(ctx context.Context, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string) (ctwatch.Certificate, error) {
	what := fmt.Sprintf("judging certificate %v", id)
	switch verdict {
	case ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed:
	default:
		return ctwatch.Certificate{}, fmt.Errorf("%s: there is no verdict %q", what, verdict)
	}
	return db.judge(ctx, what, id, verdict, reasons, by, reason, nil)
}

// Authorize notes a person's verdict that a certificate should exist, and approves
// its key: both, or neither. Who and why are those of the approval, which fails as
// Approve does.
func (db *DB) Authorize(ctx context.Context, id ctwatch.Hash, reasons []string, a Approval) (ctwatch.Certificate, error) {
	what := fmt.Sprintf("authorising certificate %v and its key %v", id, a.Pin)
	if err := a.check(); err != nil {
		return ctwatch.Certificate{}, fmt.Errorf("%s: %w", what, err)
	}
	return db.judge(ctx, what, id, ctwatch.Expected, reasons, a.By, a.Reason, func(t *tx) error {
		_, err := t.approve(a)
		return err
	})
}

// judge notes a verdict, and does what is to be done with it.
func (db *DB) judge(ctx context.Context, what string, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string, with func(*tx) error) (ctwatch.Certificate, error) {
	var c ctwatch.Certificate
	err := db.write(ctx, what, func(t *tx) error {
		seq, known, err := t.certificateSeq(id)
		if err != nil {
			return err
		}
		if !known {
			return ErrNotFound
		}
		if c, err = loadCertificate(t, seq); err != nil {
			return err
		}
		if err := t.judge(seq, &c, verdict, textList(reasons), by, reason); err != nil || with == nil {
			return err
		}
		return with(t)
	})
	return c, err
}

func (t *tx) judge(seq int64, c *ctwatch.Certificate, verdict ctwatch.Verdict, reasons []string, by, reason string) error {
	judged, rejected, err := t.judgements(c.ID)
	if err != nil {
		return err
	}
	if judged && c.Verdict == verdict && slices.Equal(c.Reasons, reasons) {
		return nil
	}
	becomes := verdict == ctwatch.Unexpected && c.Verdict != verdict
	if becomes && !c.Key.Pin.IsZero() {
		k, err := scanKey(t.queryRow(sqlKey, c.Key.Pin[:], string(pins.RoleLeaf)))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && k.State.Trusted() {
			return fmt.Errorf("key %v: %w", k.Pin, ErrTrustedKey)
		}
	}
	if _, err := t.exec(`UPDATE certificates SET verdict = ?, reasons = ? WHERE seq = ?`, string(verdict), list(reasons), seq); err != nil {
		return err
	}
	c.Verdict, c.Reasons, t.changed = verdict, reasons, true
	r := pins.Record{
		Pin: c.Key.Pin, Action: "judge", Certificate: c.ID.String(), Verdict: string(verdict),
		Actor: pins.Person, By: by, Reason: reason,
	}
	if !r.Pin.IsZero() {
		r.Role = pins.RoleLeaf
	}
	if err := t.record(r); err != nil || !becomes {
		return err
	}
	e := ctwatch.UnexpectedEvent(*c, text(reason), t.now)
	if rejected > 0 {
		// Rejected, taken back, and rejected again: it is told again, under an ID
		// of its own.
		e.ID = ctwatch.NewEventID(e.Type, e.ID, strconv.FormatInt(rejected, 10))
	}
	return t.event(e)
}

// judgements says whether a person judged a certificate, and how often it was
// rejected.
func (t *tx) judgements(id ctwatch.Hash) (judged bool, rejected int64, err error) {
	var n int64
	err = t.queryRow(`SELECT count(*), count(*) FILTER (WHERE verdict = ?2) FROM audit WHERE certificate = ?1 AND action = 'judge'`,
		id[:], string(ctwatch.Unexpected)).Scan(&n, &rejected)
	return n > 0, rejected, err
}
