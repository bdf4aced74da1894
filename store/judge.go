package store

import (
	"context"
	"fmt"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// SetVerdict notes a person's verdict on a certificate, and returns it. That a
// certificate becomes unexpected is told in an event. What else vouches for its key
// stays. It fails with ErrNotFound.
func (db Certificates) SetVerdict(ctx context.Context, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string) (ctwatch.Certificate, error) {
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
func (db Certificates) Authorize(ctx context.Context, id ctwatch.Hash, reasons []string, a Approval) (ctwatch.Certificate, error) {
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
func (db Certificates) judge(ctx context.Context, what string, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string, with func(*tx) error) (ctwatch.Certificate, error) {
	var c ctwatch.Certificate
	err := db.write(ctx, what, func(t *tx) error {
		seq, known, err := certificateSeq(t, id)
		if err != nil {
			return err
		}
		if !known {
			return ErrNotFound
		}
		if c, err = loadCertificate(t, seq); err != nil {
			return err
		}
		before := c.Verdict
		if err := t.setByPerson(seq, &c, verdict, textList(reasons), by, reason); err != nil {
			return err
		}
		if with != nil {
			if err := with(t); err != nil {
				return err
			}
		}
		// Others of its key may be judged by what this person said.
		if err := t.reassess(c.Key.Pin); err != nil {
			return err
		}
		return t.cleared(before, &c)
	})
	return c, err
}

// setByPerson notes a person's verdict, with what follows from it.
func (t *tx) setByPerson(seq int64, c *ctwatch.Certificate, verdict ctwatch.Verdict, reasons []string, by, reason string) error {
	past, err := t.pastOf(c.ID)
	if err != nil {
		return err
	}
	before := c.Verdict
	change := ctwatch.ApplyPerson(c, verdict, reasons, past)
	if !change.Verdict {
		return nil
	}
	if err := t.setVerdict(seq, c, verdict, reasons, c.Issuer.CAA); err != nil {
		return err
	}
	if change.DropGrants {
		if _, err := t.exec(sqlVouch, seq, list(nil)); err != nil {
			return err
		}
	}
	if err := t.recordVerdict(c, pins.Person, by, reason); err != nil {
		return err
	}
	if err := t.syncVouched(c.Key.Pin, reason); err != nil {
		return err
	}
	if !change.Event {
		return nil
	}
	e, err := withTrustedKey(t, ctwatch.VerdictEvent(*c, before, text(reason), text(by), past, t.now))
	if err != nil {
		return err
	}
	return t.event(e)
}
