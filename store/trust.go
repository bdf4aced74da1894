package store

import (
	"context"
	"database/sql"
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
	leaf, err := leafKeyOf(q, c.Key.Pin)
	if k := leaf.leaf(); err != nil || k == nil || !k.State.Trusted() {
		return e, err
	}
	keys, err := loadKeys(q, c.Key.Pin)
	for _, k := range keys {
		if k.Role == pins.RoleLeaf {
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

// grantByRules approves a certificate's key for the names that rules grant by it, and by
// the key's other certificates, and for no others.
func (t *tx) grantByRules(r *certificateRow, v verdict) error {
	if r.Key.Pin.IsZero() {
		return nil
	}
	grants := grantsOf(v.Judgment)
	if grants == r.grants && !v.New {
		return nil
	}
	if grants != r.grants {
		r.grants = grants
		if _, err := t.exec(sqlSetVouched, r.seq, grants); err != nil {
			return err
		}
	}
	// A certificate that is not proven to be in a log's tree gives and takes no trust.
	if proven, err := r.inTree(t); err != nil || !proven {
		return err
	}
	return t.syncRuleGrants(r.Key.Pin, whyOf(&r.Certificate, v.Judgment))
}

// grantsOf returns the names that rules grant by a certificate, as they are stored.
func grantsOf(j ctwatch.Judgment) string {
	var names []string
	for _, p := range j.Grants {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return list(names)
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
func (t *tx) grantByRule(k *keyRow, known []keyRow, hosts []pins.Pattern, why string) error {
	if len(hosts) == 0 {
		return nil
	}
	may, err := mayApprove(t, *k, known)
	if err != nil || !may {
		return err
	}
	return t.approveKey(k, pins.Approval{
		Pin: k.Pin, Role: pins.RoleLeaf, Hosts: hosts, Actor: pins.Policy, By: byPolicy, Reason: ctwatch.Printable(why, maxWhy),
	}, sourceRule)
}

// grantProven is syncRuleGrants after an entry with a certificate was proven to be in a
// log's tree. Of a key in ordinary use without an unexpected certificate that only adds
// what rules grant by this one: the others of the key, of which there may be very many,
// are not read. Of any other key they are, once: synced has the keys for which that is
// done.
func (t *tx) grantProven(r *certificateRow, leaf *leafKey, synced map[pins.Pin]bool) error {
	k := leaf.leaf()
	if k == nil {
		return nil
	}
	why := "an entry with certificate " + r.ID.String()[:16] + " is proven to be in its log"
	ordinary := false
	switch k.State {
	case pins.StateSeen, pins.StateApproved, pins.StateShipped, pins.StateDeployed:
		ordinary = !leaf.unexpected
	}
	switch {
	case !ordinary && synced[k.Pin]:
		return nil
	case !ordinary:
		synced[k.Pin] = true
		err := t.syncRuleGrants(k.Pin, why)
		if err == nil {
			*leaf, err = leafKeyOf(t, k.Pin)
		}
		return err
	case r.Verdict != ctwatch.Expected:
		return nil
	}
	hosts, err := patternsOf(r.grants)
	if err != nil {
		return err
	}
	return t.grantByRule(k, leaf.roles, hosts, why)
}

// syncRuleGrants makes the grants of a leaf key by its certificates what rules say now.
func (t *tx) syncRuleGrants(pin pins.Pin, why string) error {
	leaf, err := leafKeyOf(t, pin)
	if err != nil || leaf.leaf() == nil {
		return err
	}
	k := *leaf.leaf()
	have, err := t.grantedByRule(k)
	if err != nil {
		return err
	}
	var want []pins.Pattern
	may, err := leaf.rulesMayGrant(t, len(have) > 0)
	if err == nil && may {
		want, err = patterns(t.query(sqlVouched, pin[:], string(ctwatch.Expected), `"`+ctwatch.ReasonIssuerConflict+`"`))
	}
	if err != nil {
		return err
	}
	if err := t.grantByRule(&k, leaf.roles, pins.Without(want, have), why); err != nil {
		return err
	}
	if stale := pins.Without(have, want); len(stale) > 0 {
		return t.withdrawPolicy(k, sourceRule, stale)
	}
	return nil
}
