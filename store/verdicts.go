package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// sourceRule is the source of grants that rest on a certificate which rules expect:
// they last as long as it does.
const sourceRule = "rule"

// maxWhy bounds what rules say of a certificate, in runes.
const maxWhy = 4000

// assess has the rules judge a certificate, and writes down what they say: the
// verdict, unless a person gave one, and what they vouch for. It returns the event to
// tell of it, if there is news: of one that is found now, only that it should not
// exist, and of one that has ended, none.
func (t *tx) assess(seq int64, c *ctwatch.Certificate, found bool) (*ctwatch.Event, error) {
	if t.db.rules == nil {
		return nil, nil
	}
	past, err := t.pastOf(c.ID)
	if err != nil {
		return nil, err
	}
	known, err := standing(t, seq, c)
	if err != nil {
		return nil, err
	}
	j := t.judge(c, known)
	change := ctwatch.ApplyRules(c, j, past, found, t.now)
	if change.Verdict {
		if err := t.setVerdict(seq, c, j.Verdict, j.Codes(), j.CAA); err != nil {
			return nil, err
		}
	}
	if !past.ByPerson && j.Records != "" && j.Records != known.CAA {
		if _, err := t.exec(sqlSetCAA, text(j.Records), seq); err != nil {
			return nil, err
		}
	}
	why := whyOf(c, j)
	if change.Audit {
		if err := t.recordVerdict(c, pins.Policy, byPolicy, why); err != nil {
			return nil, err
		}
	}
	if change.Grants {
		if err := t.vouch(seq, c, j, change.New, found); err != nil {
			return nil, err
		}
	}
	if !change.Event {
		return nil, nil
	}
	e, err := withTrustedKey(t, ctwatch.VerdictEvent(*c, change.Before, why, "", past, t.now))
	e.Data.ReportTo = j.ReportTo
	return &e, err
}

// judge has the rules judge a certificate.
func (t *tx) judge(c *ctwatch.Certificate, known ctwatch.Standing) ctwatch.Judgment {
	j := t.db.rules(c, known)
	j.CAA = text(j.CAA)
	return j
}

// whyOf returns the reasons for a verdict, for people.
func whyOf(c *ctwatch.Certificate, j ctwatch.Judgment) string {
	return ctwatch.Printable(words.Reasons(c, j.Reasons), maxWhy)
}

// setVerdict writes down the verdict on a certificate.
func (t *tx) setVerdict(seq int64, c *ctwatch.Certificate, v ctwatch.Verdict, reasons []string, caa string) error {
	c.Verdict, c.Reasons, c.Issuer.CAA, t.changed = v, reasons, caa, true
	_, err := t.exec(sqlSetVerdict, seq, string(v), list(reasons), caa)
	return err
}

// recordVerdict adds the verdict on a certificate to the audit trail.
func (t *tx) recordVerdict(c *ctwatch.Certificate, actor pins.Actor, by, why string) error {
	r := pins.Record{
		Pin: c.Key.Pin, Action: "judge", Certificate: c.ID.String(), Verdict: string(c.Verdict), Actor: actor, By: by, Reason: why,
	}
	if !r.Pin.IsZero() {
		r.Role = pins.RoleLeaf
	}
	return t.record(r)
}

func (t *tx) pastOf(id ctwatch.Hash) (p ctwatch.Past, err error) {
	err = t.queryRow(sqlPast, id[:], string(ctwatch.Unexpected), string(pins.Person)).Scan(&p.ByPerson, &p.Unexpected, &p.Times)
	return p, err
}

const sqlPast = `
	SELECT count(*) FILTER (WHERE actor = ?3) > 0, count(*) FILTER (WHERE verdict = ?2), count(*)
	FROM audit WHERE certificate = ?1 AND action = 'judge'`

// Standing returns what rules go by when they judge a certificate, besides what it
// says itself. It fails with ErrNotFound.
func (db Certificates) Standing(ctx context.Context, id ctwatch.Hash) (s ctwatch.Standing, err error) {
	err = db.read(ctx, fmt.Sprintf("reading what is known of certificate %v", id), func(t readTx) error {
		seq, known, err := certificateSeq(t, id)
		if err != nil {
			return err
		} else if !known {
			return ErrNotFound
		}
		c, err := loadCertificate(t, seq)
		if err != nil {
			return err
		}
		s, err = standing(t, seq, &c)
		return err
	})
	return s, err
}

// standing returns what is known of a certificate besides what it says itself.
func standing(q querier, seq int64, c *ctwatch.Certificate) (s ctwatch.Standing, err error) {
	if err := q.queryRow(sqlCAA, seq).Scan(&s.CAA); err != nil || c.Key.Pin.IsZero() {
		return s, err
	}
	if s.OtherIssuers, err = columns[pins.Pin](q.query(sqlOtherIssuers, seq, c.Issuer.Pin[:])); err != nil {
		return s, err
	}
	slices.SortFunc(s.OtherIssuers, func(a, b pins.Pin) int { return bytes.Compare(a[:], b[:]) })
	s.OtherIssuers = slices.Compact(s.OtherIssuers)
	if s.ApprovedFor, s.Compromised, err = approvedFor(q, c.Key.Pin); err != nil {
		return s, err
	}
	// Before any log had it, and not before it was read there: who obtained it may have
	// come to serve it while nobody read. And who serves one certificate that a person
	// rejected may have got others for its key.
	rows, err := q.query(sqlServedFor, c.Key.Pin[:], ms(c.FirstSeen), string(pins.Person), seq)
	all, err := collect(rows, err, func(r *sql.Rows) (names []string, err error) {
		var host string
		err = r.Scan(&host, listOf{&names})
		return append(names, host), err
	})
	s.ServedFor = slices.Concat(all...)
	return s, err
}

const (
	sqlSetVerdict = `UPDATE certificates SET verdict = ?2, reasons = ?3, issuer_caa = ?4 WHERE seq = ?1`
	sqlCAA        = `SELECT coalesce(caa, '') FROM certificates WHERE seq = ?`
	sqlServedFor  = `
		SELECT host, names FROM served_keys WHERE pin = ?1
			AND since < min(?2, coalesce((SELECT min(timestamp) FROM sightings WHERE certificate = ?4), ?2))
			AND NOT EXISTS (SELECT 1 FROM certificates c JOIN audit a ON a.certificate = c.id
				WHERE c.key_pin = ?1 AND c.verdict = 'unexpected' AND a.action = 'judge' AND a.actor = ?3)
		ORDER BY host`
	sqlOtherGrants = `SELECT DISTINCT pattern FROM grants WHERE key = ? AND source <> ? ORDER BY pattern`
	sqlGrants      = `SELECT pattern FROM grants WHERE key = ? AND source = ? ORDER BY pattern`
	sqlVouch       = `UPDATE certificates SET vouched = ?2 WHERE seq = ?1 AND vouched <> ?2`
	// An alarm about two issuers takes nothing from what the proven one vouches for.
	sqlVouched = `
		SELECT DISTINCT v.value FROM certificates c, json_each(c.vouched) v
		WHERE c.key_pin = ?1 AND (c.verdict = ?2 OR instr(c.reasons, ?3) > 0)
			AND EXISTS (SELECT 1 FROM sightings WHERE certificate = c.seq AND verified = 1)
		ORDER BY 1`
	sqlInTree = `SELECT EXISTS (SELECT 1 FROM sightings WHERE certificate = ? AND verified = 1)`
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
