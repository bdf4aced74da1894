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

// sourceRule is the source of grants that rest on certificates that rules expect: they
// last as long as those.
const sourceRule = "rule"

// maxWhy bounds what rules say of a certificate, in runes.
const maxWhy = 4000

// judgeByRules has the rules judge a certificate, and stores the result: the verdict,
// unless a person gave one, and what they grant. It returns the event that reports it,
// if one is due (ctwatch.ApplyRules).
func (t *tx) judgeByRules(seq int64, c *ctwatch.Certificate, found bool) (*ctwatch.Event, error) {
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
		t.countOpen(c.Verdict, c.Domains(), -1)
		if err := t.setVerdict(seq, c, j.Verdict, j.Codes(), j.CAA); err != nil {
			return nil, err
		}
		t.countOpen(c.Verdict, c.Domains(), +1)
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
		if err := t.grantByRules(seq, c, j, change.New, found); err != nil {
			return nil, err
		}
	}
	if !change.Event {
		return nil, nil
	}
	e, err := addTrustedKey(t, ctwatch.VerdictEvent(*c, change.Before, why, "", past, t.now))
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

// setVerdict stores the verdict on a certificate.
func (t *tx) setVerdict(seq int64, c *ctwatch.Certificate, v ctwatch.Verdict, reasons []string, caa string) error {
	c.Verdict, c.Reasons, c.Issuer.CAA = v, reasons, caa
	t.changeCertificate(c)
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

// pastOf counts the verdicts that a certificate got before.
func (t *tx) pastOf(id ctwatch.Hash) (p ctwatch.Past, err error) {
	err = t.queryRow(sqlPast, id[:], string(ctwatch.Unexpected), string(pins.Person)).Scan(&p.ByPerson, &p.Unexpected, &p.Times)
	return p, err
}

const sqlPast = `
	SELECT count(*) FILTER (WHERE actor = ?3) > 0, count(*) FILTER (WHERE verdict = ?2), count(*)
	FROM audit WHERE certificate = ?1 AND action = 'judge'`

// Standing returns what rules consider when they judge a certificate, besides the
// certificate itself. It fails with ctwatch.ErrNotFound.
func (db Certificates) Standing(ctx context.Context, id ctwatch.Hash) (s ctwatch.Standing, err error) {
	err = db.read(ctx, fmt.Sprintf("reading what is known of certificate %v", id), func(t readTx) error {
		seq, known, err := certificateSeq(t, id)
		if err != nil {
			return err
		} else if !known {
			return ctwatch.ErrNotFound
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

// standing returns what is known of a certificate in addition to its content.
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
	// Before any log had it, not before it was read there: an attacker who obtained it may
	// have served it meanwhile. And an attacker who serves a certificate that a person
	// rejected may have obtained others for its key.
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
	sqlSetVouched  = `UPDATE certificates SET vouched = ?2 WHERE seq = ?1 AND vouched <> ?2`
	// An alarm about two issuers does not withdraw grants by the proven one.
	sqlVouched = `
		SELECT DISTINCT v.value FROM certificates c, json_each(c.vouched) v
		WHERE c.key_pin = ?1 AND (c.verdict = ?2 OR instr(c.reasons, ?3) > 0)
			AND EXISTS (SELECT 1 FROM sightings WHERE certificate = c.seq AND verified = 1)
		ORDER BY 1`
	sqlInTree = `SELECT EXISTS (SELECT 1 FROM sightings WHERE certificate = ? AND verified = 1)`
)

// SetVerdict stores a person's verdict on a certificate, and returns it. An event
// reports it. Other grants of its key stay. It fails with ctwatch.ErrNotFound.
func (db Certificates) SetVerdict(ctx context.Context, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string) (ctwatch.Certificate, error) {
	what := fmt.Sprintf("judging certificate %v", id)
	switch verdict {
	case ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed:
	default:
		return ctwatch.Certificate{}, fmt.Errorf("%s: unknown verdict %q", what, verdict)
	}
	return db.judge(ctx, what, id, verdict, reasons, by, reason, nil)
}

// Authorize stores a person's verdict that a certificate is expected, and approves its
// key: both, or neither. Who and why are those of the approval. It fails as Approve
// does.
func (db Certificates) Authorize(ctx context.Context, id ctwatch.Hash, reasons []string, a pins.Approval) (ctwatch.Certificate, error) {
	what := fmt.Sprintf("authorizing certificate %v and its key %v", id, a.Pin)
	if err := a.Check(); err != nil {
		return ctwatch.Certificate{}, fmt.Errorf("%s: %w", what, err)
	}
	return db.judge(ctx, what, id, ctwatch.Expected, reasons, a.By, a.Reason, func(t *tx) error {
		_, err := t.approve(a)
		return err
	})
}

// judge stores a person's verdict and runs with in the same transaction.
func (db Certificates) judge(ctx context.Context, what string, id ctwatch.Hash, verdict ctwatch.Verdict, reasons []string, by, reason string, with func(*tx) error) (ctwatch.Certificate, error) {
	var c ctwatch.Certificate
	err := db.write(ctx, what, func(t *tx) error {
		seq, known, err := certificateSeq(t, id)
		if err != nil {
			return err
		}
		if !known {
			return ctwatch.ErrNotFound
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
		// It may change the verdict on others of its key.
		if err := t.rejudgeKey(c.Key.Pin); err != nil {
			return err
		}
		return t.reportCandidates(before, &c)
	})
	return c, err
}

// setByPerson stores a person's verdict, and does what follows from it.
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
	if !past.ByPerson {
		t.countOpen(before, c.Domains(), -1)
		if _, err := t.exec(`UPDATE certificates SET decided = 1 WHERE seq = ?`, seq); err != nil {
			return err
		}
	}
	if err := t.setVerdict(seq, c, verdict, reasons, c.Issuer.CAA); err != nil {
		return err
	}
	if change.DropGrants {
		if _, err := t.exec(sqlSetVouched, seq, list(nil)); err != nil {
			return err
		}
	}
	if err := t.recordVerdict(c, pins.Person, by, reason); err != nil {
		return err
	}
	if err := t.syncRuleGrants(c.Key.Pin, reason); err != nil {
		return err
	}
	if !change.Event {
		return nil
	}
	e, err := addTrustedKey(t, ctwatch.VerdictEvent(*c, before, text(reason), text(by), past, t.now))
	if err != nil {
		return err
	}
	return t.event(e)
}
