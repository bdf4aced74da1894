package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// An unexpected certificate is an alarm, but says nothing about its key: anyone who sees
// a public key can have a certificate issued for it, or forge one. So it takes no trust
// from a key that has other evidence.
const (
	sqlUnexpected = `SELECT id FROM certificates WHERE key_pin = ? AND verdict = 'unexpected' ORDER BY seq LIMIT 1`

	// The pins.Evidence about a key. Two issuers of one certificate do not count: anyone
	// can cause that alarm about any certificate.
	sqlEvidence = `
		SELECT count(*) FILTER (WHERE c.vouched <> '[]') > 0,
			count(*) FILTER (WHERE c.seq = (
				SELECT min(seq) FROM certificates f WHERE f.key_pin = ?1
					AND EXISTS (SELECT 1 FROM sightings s WHERE s.certificate = f.seq AND s.verified))
				AND NOT EXISTS (SELECT 1 FROM served_keys WHERE pin = ?1 AND since < c.first_seen)) > 0
		FROM certificates c WHERE c.key_pin = ?1 AND c.verdict = 'unexpected' AND instr(c.reasons, ?2) = 0`
)

// unexpectedOf returns the ID of an unexpected certificate of a leaf key; zero if there
// is none.
func unexpectedOf(q querier, leaf pins.Pin) (id ctwatch.Hash, err error) {
	err = orNone(q.queryRow(sqlUnexpected, leaf[:]).Scan(&id))
	return id, err
}

// rulesMayGrant reports whether rules may approve a leaf key by the certificates that
// they expect (pins.Evidence). already means that they do.
func rulesMayGrant(q querier, leaf pins.Pin, already bool) (bool, error) {
	var e pins.Evidence
	err := q.queryRow(sqlEvidence, leaf[:], `"`+ctwatch.ReasonIssuerConflict+`"`).Scan(&e.Contradicted, &e.UnexpectedFirst)
	return e.RulesMayGrant(already), err
}

// checkUnexpected fails with pins.ErrUnexpected if a person approves a leaf key with an
// unexpected certificate and does not confirm that.
func (t *tx) checkUnexpected(k *keyRow, a pins.Approval) error {
	id, err := unexpectedOf(t, k.Pin)
	if err != nil || id.IsZero() {
		return err
	}
	if a.Reason == "" {
		return fmt.Errorf("certificate %v: %w without a reason", id, pins.ErrUnexpected)
	}
	if k.State.Trusted() || a.Despite {
		return nil
	}
	var more bool
	err = t.queryRow(`
		SELECT EXISTS (SELECT 1 FROM certificates WHERE key_pin = ?1 AND verdict <> ?2) OR EXISTS (SELECT 1 FROM served_keys WHERE pin = ?1)`,
		k.Pin[:], string(ctwatch.Unexpected)).Scan(&more)
	if err != nil || more {
		return err
	}
	return fmt.Errorf("certificate %v: %w like others: nothing else is known of the key", id, pins.ErrUnexpected)
}

// CertifiedNames returns the watched names that a leaf key was certified for, and the
// hosts that serve it, without the names of unexpected certificates.
func (db Keys) CertifiedNames(ctx context.Context, leaf pins.Pin) (names []string, err error) {
	err = db.read(ctx, fmt.Sprintf("reading the names of %v", leaf), func(t readTx) (err error) {
		names, err = columns[string](t.query(`
			SELECT m.name FROM certificates c JOIN matches m ON m.certificate = c.seq WHERE c.key_pin = ?1 AND c.verdict <> ?2
			UNION SELECT host FROM served WHERE substr(chain, 1, 32) = ?1 ORDER BY 1`, leaf[:], string(ctwatch.Unexpected)))
		return err
	})
	return names, err
}

// addTrustedKey adds its key to an event about an unexpected certificate, if the key is
// trusted.
func addTrustedKey(q querier, e ctwatch.Event) (ctwatch.Event, error) {
	c := e.Data.Certificate
	if c.Verdict != ctwatch.Unexpected || c.Key.Pin.IsZero() {
		return e, nil
	}
	keys, err := loadKeys(q, c.Key.Pin, maxKeyRows)
	for _, k := range keys {
		if k.Role == pins.RoleLeaf && k.State.Trusted() {
			return ctwatch.WithTrustedKey(e, k), err
		}
	}
	return e, err
}

// retiredByPerson reports whether a person retired a key, by the audit trail.
func retiredByPerson(q querier, k *keyRow) (bool, error) {
	rows, err := q.query(`
		SELECT actor, to_state FROM audit WHERE pin = ? AND role = ? AND action = 'state' ORDER BY seq DESC LIMIT 2`,
		k.Pin[:], string(k.Role))
	last, err := collect(rows, err, func(r *sql.Rows) (s pins.Record, err error) {
		err = r.Scan(&s.Actor, &s.To)
		return s, err
	})
	return pins.RetiredByPerson(last), err
}

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

// grantByRules approves a certificate's key for the names that rules grant by it, and by
// the key's other certificates, and for no others. news means that its verdict changed,
// and found that the certificate is new.
func (t *tx) grantByRules(seq int64, c *ctwatch.Certificate, j ctwatch.Judgment, news, found bool) error {
	if c.Key.Pin.IsZero() {
		return nil
	}
	var names []string
	for _, p := range j.Grants {
		names = append(names, p.String())
	}
	slices.Sort(names)
	n, err := t.exec(sqlSetVouched, seq, list(names))
	if err != nil || n == 0 && !news {
		return err
	}
	// A certificate that is not proven to be in a log's tree gives and takes no trust.
	var inTree bool
	if err := t.queryRow(sqlInTree, seq).Scan(&inTree); err != nil || !inTree {
		return err
	}
	why := whyOf(c, j)
	if !found || c.Verdict != ctwatch.Expected {
		return t.syncRuleGrants(c.Key.Pin, why)
	}
	// A certificate that is expected from the start withdraws nothing.
	k, err := scanKey(t.queryRow(sqlKey, c.Key.Pin[:], string(pins.RoleLeaf)))
	if err != nil {
		return err
	}
	have, err := t.grantedByRule(k)
	if err != nil {
		return err
	}
	if may, err := rulesMayGrant(t, k.Pin, len(have) > 0); err != nil || !may {
		return err
	}
	return t.grantByRule(k, pins.Without(j.Grants, have), why)
}

// grantedByRule returns the hosts that rules granted to a key. Grants of a key that is
// retired since do not count.
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
	return t.approveKey(&k, pins.Approval{
		Pin: k.Pin, Role: pins.RoleLeaf, Hosts: hosts, Actor: pins.Policy, By: byPolicy, Reason: ctwatch.Printable(why, maxWhy),
	}, sourceRule)
}

// syncRuleGrants makes the grants of a leaf key by its certificates what rules say now.
func (t *tx) syncRuleGrants(pin pins.Pin, why string) error {
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
	may, err := rulesMayGrant(t, pin, len(have) > 0)
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
