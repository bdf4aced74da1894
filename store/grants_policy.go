package store

import (
	"context"
	"database/sql"
	"slices"

	"ctwatch/pins"
)

// byPolicy is who acts for a rule in the configuration.
const byPolicy = "policy"

// SyncPolicy makes what policy approves exactly this. A new key is approved, or declared
// if it is not known, unless a person retired it or it is compromised. A key that was
// retired automatically is approved again. One without any approval left, by a person
// either, is no longer trusted. If nothing changes nothing is written.
func (db Keys) SyncPolicy(ctx context.Context, want []pins.PolicyGrant) error {
	const what = "applying the configuration's policy to keys"
	var c policyChange
	err := db.read(ctx, what, func(t readTx) (err error) {
		c, err = policyChanges(t, want)
		return err
	})
	if err != nil || len(c.approve) == 0 && len(c.withdraw) == 0 {
		return err
	}
	return db.write(ctx, what, func(t *tx) error {
		c, err := policyChanges(t, want)
		if err != nil {
			return err
		}
		// First what is added: a key whose host is renamed stays trusted.
		for _, g := range c.approve {
			a := pins.Approval{
				Pin: g.Pin, Role: g.Role, Hosts: g.Hosts, Declare: true, Actor: pins.Policy, By: byPolicy, Reason: g.Reason,
			}
			if _, err := t.approve(a); err != nil {
				return err
			}
			if err := t.rejudgeKey(a.Pin); err != nil {
				return err
			}
		}
		for _, g := range c.withdraw {
			if err := t.withdrawPolicy(c.keys[g.PinRole], string(pins.Policy), g.Hosts); err != nil {
				return err
			}
			if err := t.rejudgeKey(g.Pin); err != nil {
				return err
			}
		}
		return nil
	})
}

// A policyChange is what has to change for policy to be as wanted.
type policyChange struct {
	approve, withdraw []pins.GrantChange
	keys              map[pins.PinRole]keyRow
}

// policyChanges reads the keys that policy approves, or is to approve.
func policyChanges(q querier, want []pins.PolicyGrant) (c policyChange, err error) {
	rows, err := q.query(sqlPolicyGrants)
	have, err := collect(rows, err, func(r *sql.Rows) (g pins.PolicyGrant, err error) {
		var s string
		if err := r.Scan(&g.Pin, &g.Role, &s); err != nil {
			return g, err
		}
		g.Pattern, err = pins.PatternOf(s)
		return g, err
	})
	if err != nil {
		return c, err
	}
	var concerned []pins.Pin
	for _, g := range slices.Concat(have, want) {
		concerned = append(concerned, g.Pin)
	}
	rows, err = q.query(sqlKeysOfPins+` ORDER BY seq`, pinList(concerned))
	keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
	if err != nil {
		return c, err
	}
	byPin := make(map[pins.Pin][]keyRow)
	states := make(map[pins.PinRole]pins.State, len(keys))
	c.keys = make(map[pins.PinRole]keyRow, len(keys))
	for _, k := range keys {
		id := pins.PinRole{Pin: k.Pin, Role: k.Role}
		if _, known := states[id]; !known { // a pin may be listed for several hosts
			byPin[k.Pin] = append(byPin[k.Pin], k)
			states[id], c.keys[id] = k.State, k
		}
	}
	c.approve, c.withdraw, err = pins.CompareGrants(have, want, states, func(id pins.PinRole) (bool, error) {
		return mayApprove(q, c.keys[id], byPin[id.Pin])
	})
	return c, err
}

const sqlPolicyGrants = `
	SELECT k.pin, k.role, g.pattern FROM grants g CROSS JOIN keys k ON k.seq = g.key
	WHERE g.source = 'policy' ORDER BY g.key, g.pattern`

// mayApprove reports whether policy may approve a key, given its pin's keys in all
// roles.
func mayApprove(q querier, k keyRow, known []keyRow) (bool, error) {
	states := make([]pins.State, 0, len(known))
	for _, other := range known {
		states = append(states, other.State)
	}
	if k.State != pins.StateRetired {
		return pins.PolicyMayApprove(k.State, states, false), nil
	}
	byPerson, err := retiredByPerson(q, &k)
	return pins.PolicyMayApprove(k.State, states, byPerson), err
}

// withdrawPolicy takes hosts from a key that policy approved it for, and the trust with
// the last of them.
func (t *tx) withdrawPolicy(k keyRow, source string, hosts []pins.Pattern) error {
	reason := "the configuration no longer approves it"
	if source == sourceRule {
		reason = "rules no longer grant it by any certificate"
	}
	if err := t.withdraw(&k, source, hosts, pins.Record{Actor: pins.Policy, By: byPolicy, Reason: reason}); err != nil {
		return err
	}
	// Its state may have changed since: what was added may be of another role.
	k, err := scanKey(t.queryRow(sqlKey, k.Pin[:], string(k.Role)))
	if err != nil || !k.State.Trusted() {
		return err
	}
	var left bool
	err = t.queryRow(`SELECT EXISTS (SELECT 1 FROM grants WHERE key = ?)`, k.seq).Scan(&left)
	if err != nil || left {
		return err
	}
	if k.ordered {
		// A person retired it: it must not come back when a rule names it again.
		return t.move(&k, pins.StateRetired, pins.Policy, byPolicy, reason)
	}
	return t.move(&k, pins.StateSeen, pins.Policy, byPolicy, reason)
}
