package store

import (
	"context"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Judge notes a person's verdict on a certificate, and returns it. That a
// certificate becomes unexpected is told in an event. It fails with ErrNotFound,
// and with ErrTrustedKey if what should not exist has a key that is trusted.
func (db *DB) Judge(ctx context.Context, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string) (ctwatch.Certificate, error) {
	what := fmt.Sprintf("judging certificate %v", id)
	var c ctwatch.Certificate
	switch verdict {
	case ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed:
	default:
		return c, fmt.Errorf("%s: there is no verdict %q", what, verdict)
	}
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
		return t.judge(seq, &c, verdict, textList(reasons), by, reason)
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
	if becomes {
		// What rules made of this certificate ends with it. Other trust does not.
		standing, err := t.standing(c.Key.Pin)
		if err != nil {
			return err
		}
		if len(standing.ApprovedFor) > 0 {
			return fmt.Errorf("key %v: %w", c.Key.Pin, ErrTrustedKey)
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
	if err := t.record(r); err != nil {
		return err
	}
	if err := t.syncVouched(c.Key.Pin, reason); err != nil || !becomes {
		return err
	}
	e := unexpectedEvent(t, *c, reason, rejected)
	e.Data.By = text(by)
	return t.event(e)
}

// judgements says whether a person judged a certificate, and how often it became
// unexpected, by whomever.
func (t *tx) judgements(id ctwatch.Hash) (judged bool, rejected int64, err error) {
	var n int64
	err = t.queryRow(`
		SELECT count(*) FILTER (WHERE actor = ?3), count(*) FILTER (WHERE verdict = ?2) FROM audit
		WHERE certificate = ?1 AND action = 'judge'`, id[:], string(ctwatch.Unexpected), string(pins.Person)).Scan(&n, &rejected)
	return n > 0, rejected, err
}
