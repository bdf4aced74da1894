package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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

// approvedFor returns the hosts for which a person or the configuration approved a
// leaf key, and whether it is compromised.
func approvedFor(q querier, pin pins.Pin) (hosts []pins.Pattern, compromised bool, err error) {
	keys, err := keysOf(q, pin)
	if err != nil {
		return nil, false, err
	}
	for _, k := range keys {
		compromised = compromised || k.State == pins.StateCompromised
		if k.Role != pins.RoleLeaf || !k.State.Trusted() {
			continue
		}
		hosts, err = patterns(q.query(sqlOtherGrants, k.seq, sourceRule))
		if err != nil {
			return nil, false, err
		}
	}
	return hosts, compromised, nil
}

// vouch approves a certificate's key for the names that rules vouch for by it, and
// by its others; and for no more. news says that its verdict is another, and found
// that nothing was made of it before.
func (t *tx) vouch(seq int64, c *ctwatch.Certificate, j ctwatch.Judgment, news, found bool) error {
	if c.Key.Pin.IsZero() {
		return nil
	}
	var names []string
	for _, p := range j.Grants {
		names = append(names, p.String())
	}
	slices.Sort(names)
	n, err := t.exec(sqlVouch, seq, list(names))
	if err != nil || n == 0 && !news {
		return err
	}
	// What nothing has proven to be in a log's tree gives and takes no trust.
	var inTree bool
	if err := t.queryRow(sqlInTree, seq).Scan(&inTree); err != nil || !inTree {
		return err
	}
	why := whyOf(c, j)
	if !found || c.Verdict != ctwatch.Expected {
		return t.syncVouched(c.Key.Pin, why)
	}
	// One that is expected from the start takes nothing away.
	k, err := scanKey(t.queryRow(sqlKey, c.Key.Pin[:], string(pins.RoleLeaf)))
	if err != nil {
		return err
	}
	have, err := t.grantedByRule(k)
	if err != nil {
		return err
	}
	if may, err := rulesMayVouch(t, k.Pin, len(have) > 0); err != nil || !may {
		return err
	}
	return t.grantByRule(k, pins.Without(j.Grants, have), why)
}

// grantedByRule returns what rules granted to a key. What they granted to one that has
// been retired since means nothing.
func (t *tx) grantedByRule(k keyRow) ([]pins.Pattern, error) {
	if !k.State.Trusted() {
		return nil, nil
	}
	return patterns(t.query(sqlGrants, k.seq, sourceRule))
}

// grantByRule approves a key for more hosts, by certificates that rules expect.
func (t *tx) grantByRule(k keyRow, hosts []pins.Pattern, why string) error {
	if len(hosts) == 0 {
		return nil
	}
	known, err := keysOf(t, k.Pin)
	if err != nil {
		return err
	}
	may, err := mayApprove(t, k, known)
	if err != nil || !may {
		return err
	}
	return t.approveKey(&k, Approval{
		Pin: k.Pin, Role: pins.RoleLeaf, Hosts: hosts, Actor: pins.Policy, By: byPolicy, Reason: ctwatch.Printable(why, maxWhy), source: sourceRule,
	})
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
	have, err := t.grantedByRule(k)
	if err != nil {
		return err
	}
	var want []pins.Pattern
	may, err := rulesMayVouch(t, pin, len(have) > 0)
	if err == nil && may {
		want, err = patterns(t.query(sqlVouched, pin[:], string(ctwatch.Expected), `"`+ctwatch.ReasonIssuerConflict+`"`))
	}
	if err != nil {
		return err
	}
	if err := t.grantByRule(k, pins.Without(want, have), why); err != nil {
		return err
	}
	if stale := pins.Without(have, want); len(stale) > 0 {
		return t.withdrawPolicy(k, sourceRule, stale)
	}
	return nil
}
