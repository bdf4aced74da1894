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

// A verdict is what the rules say of a certificate, and what that changes.
type verdict struct {
	ctwatch.Judgment
	ctwatch.RuleChange
	past ctwatch.Past
	why  string // for people; only of a verdict that is recorded or reported
}

// apply has the rules judge a certificate, and changes the verdict in r.
func (t *tx) apply(r *certificateRow, known ctwatch.Standing, found bool) verdict {
	j := t.judge(&r.Certificate, known)
	v := verdict{Judgment: j, RuleChange: ctwatch.ApplyRules(&r.Certificate, j, r.past, found, t.now), past: r.past}
	if v.RuleChange.Verdict {
		r.Verdict, r.Reasons, r.Issuer.CAA = j.Verdict, j.Codes(), j.CAA
	}
	if v.Audit || v.Event {
		v.why = whyOf(&r.Certificate, j)
	}
	return v
}

// judgeNew has the rules judge a certificate that is not stored yet, and completes r.
// No entry with it is proven, so rules grant nothing by it yet.
func (t *tx) judgeNew(r *certificateRow, known ctwatch.Standing) (v verdict) {
	if t.db.rules == nil {
		return v
	}
	v = t.apply(r, known, true)
	r.caa = text(v.Records)
	if !r.Key.Pin.IsZero() {
		r.grants = grantsOf(v.Judgment)
	}
	return v
}

// judgeByRules has the rules judge a stored certificate again, and stores the result: the
// verdict, unless a person gave one, and what they grant. It returns the event that
// reports it, if one is due (ctwatch.ApplyRules).
func (t *tx) judgeByRules(r *certificateRow, leaf leafKey) (*ctwatch.Event, error) {
	if t.db.rules == nil {
		return nil, nil
	}
	known, err := standing(t, r, leaf)
	if err != nil {
		return nil, err
	}
	before := r.Verdict
	v := t.apply(r, known, false)
	if v.RuleChange.Verdict {
		t.countOpen(before, r.Domains(), -1)
		if err := t.setVerdict(r.seq, &r.Certificate, r.Verdict, r.Reasons, r.Issuer.CAA); err != nil {
			return nil, err
		}
		t.countOpen(r.Verdict, r.Domains(), +1)
	}
	if !r.past.ByPerson && v.Records != "" && v.Records != known.CAA {
		r.caa = text(v.Records)
		if _, err := t.exec(sqlSetCAA, r.caa, r.seq); err != nil {
			return nil, err
		}
	}
	if v.Audit {
		if err := t.recordVerdict(&r.Certificate, pins.Policy, byPolicy, v.why); err != nil {
			return nil, err
		}
	}
	if v.RuleChange.Grants {
		if err := t.grantByRules(r, v); err != nil {
			return nil, err
		}
	}
	return t.eventOf(r, v)
}

// eventOf returns the event that reports a verdict by rules; nil if none is due.
func (t *tx) eventOf(r *certificateRow, v verdict) (*ctwatch.Event, error) {
	if !v.Event {
		return nil, nil
	}
	e, err := addTrustedKey(t, ctwatch.VerdictEvent(r.Certificate, v.Before, v.why, "", v.past, t.now))
	e.Data.ReportTo = v.ReportTo
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
		r, known, err := findRow(t, id)
		if err != nil {
			return err
		} else if !known {
			return ctwatch.ErrNotFound
		}
		if err := r.load(t); err != nil {
			return err
		}
		leaf, err := leafKeyOf(t, r.Key.Pin)
		if err != nil {
			return err
		}
		s, err = standing(t, r, leaf)
		return err
	})
	return s, err
}

// standing returns what is known of a certificate in addition to its content.
func standing(q querier, r *certificateRow, leaf leafKey) (s ctwatch.Standing, err error) {
	s.CAA = r.caa
	if r.Key.Pin.IsZero() {
		return s, nil
	}
	if s.OtherIssuers, err = r.otherIssuers(q); err != nil {
		return s, err
	}
	slices.SortFunc(s.OtherIssuers, func(a, b pins.Pin) int { return bytes.Compare(a[:], b[:]) })
	s.OtherIssuers = slices.Compact(s.OtherIssuers)
	s.Compromised = leaf.compromised()
	if s.ApprovedFor, err = leaf.approvedFor(q); err != nil || !leaf.served {
		return s, err
	}
	// Before any log had it, not before it was read there: an attacker who obtained it may
	// have served it meanwhile. And an attacker who serves a certificate that a person
	// rejected may have obtained others for its key.
	first := r.FirstSeen
	for _, seen := range r.Sightings { // the first of those stored, and one that is not stored yet
		if seen.Timestamp.Before(first) {
			first = seen.Timestamp
		}
	}
	rows, err := q.query(sqlServedFor, r.Key.Pin[:], ms(first), r.seq)
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
	sqlServedFor  = `
		SELECT host, names FROM served_keys WHERE pin = ?1
			AND since < min(?2, coalesce((SELECT min(timestamp) FROM sightings WHERE certificate = ?3), ?2))
			AND NOT EXISTS (SELECT 1 FROM certificates WHERE key_pin = ?1 AND verdict = 'unexpected' AND decided = 1)
		ORDER BY host`
	sqlOtherGrants = `SELECT DISTINCT pattern FROM grants WHERE key = ? AND source <> '` + sourceRule + `' ORDER BY pattern`
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
		t.reportCandidates(before, &c)
		return nil
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
