package store

import (
	"context"
	"database/sql"

	"ctwatch/pins"
)

// A PolicyGrant is a host that a rule in the configuration approves a key for.
type PolicyGrant struct {
	Pin     pins.Pin
	Role    pins.Role // optional: leaf
	Pattern pins.Pattern
	Reason  string // which rule
}

// byPolicy is who did what a rule in the configuration wants.
const byPolicy = "policy"

// SyncPolicy makes what keys are approved for by policy exactly this. A key new to
// it is approved, or declared if it is not known, unless a person retired it, or it is
// compromised. One that the program retired comes back. One that is left with no
// approval at all, not of a person either, is trusted no more. Where nothing changes
// nothing is written.
func (db Keys) SyncPolicy(ctx context.Context, want []PolicyGrant) error {
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
		for _, a := range c.approve {
			if _, err := t.approve(a); err != nil {
				return err
			}
			if err := t.reassess(a.Pin); err != nil {
				return err
			}
		}
		for _, w := range c.withdraw {
			if err := t.withdrawPolicy(w.key, string(pins.Policy), w.hosts); err != nil {
				return err
			}
			if err := t.reassess(w.key.Pin); err != nil {
				return err
			}
		}
		return nil
	})
}

// A policyChange is what has to be done for policy to be as it is wanted.
type policyChange struct {
	approve  []Approval
	withdraw []withdrawal
}

type withdrawal struct {
	key   keyRow
	hosts []pins.Pattern
}

func policyChanges(q querier, want []PolicyGrant) (policyChange, error) {
	var c policyChange
	rows, err := q.query(`SELECT ` + keyColumns + ` FROM keys ORDER BY seq`)
	keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
	if err != nil {
		return c, err
	}
	byPin := make(map[pins.Pin][]keyRow)
	for _, k := range keys {
		byPin[k.Pin] = append(byPin[k.Pin], k)
	}
	type granted struct {
		key     int64
		pattern pins.Pattern
	}
	rows, err = q.query(`SELECT key, pattern FROM grants WHERE source = ? ORDER BY key, pattern`, string(pins.Policy))
	have, err := collect(rows, err, func(r *sql.Rows) (g granted, err error) {
		var s string
		if err := r.Scan(&g.key, &s); err != nil {
			return g, err
		}
		g.pattern, err = pins.PatternOf(s)
		return g, err
	})
	if err != nil {
		return c, err
	}
	had := make(map[granted]bool, len(have))
	for _, g := range have {
		had[g] = true
	}

	type pinRole struct {
		pin  pins.Pin
		role pins.Role
	}
	wanted := make(map[granted]bool, len(want))
	approve := make(map[pinRole]int) // where in c.approve
	for _, w := range want {
		if w.Role == "" {
			// Not every role that the key is known in, as in an Approval: a rule is
			// not to say more as more becomes known.
			w.Role = pins.RoleLeaf
		}
		known := byPin[w.Pin]
		for _, k := range inRole(known, w.Pin, w.Role) {
			g := granted{k.seq, w.Pattern}
			wanted[g] = true
			if k.seq != 0 && had[g] && k.State != pins.StateRetired {
				continue
			}
			may, err := mayApprove(q, k, known)
			if err != nil {
				return c, err
			}
			if !may {
				continue
			}
			i, ok := approve[pinRole{k.Pin, k.Role}]
			if !ok {
				i = len(c.approve)
				approve[pinRole{k.Pin, k.Role}] = i
				c.approve = append(c.approve, Approval{
					Pin: k.Pin, Role: k.Role, Declare: true, Actor: pins.Policy, By: byPolicy, Reason: w.Reason,
				})
			}
			c.approve[i].Hosts = append(c.approve[i].Hosts, w.Pattern)
		}
	}

	bySeq := make(map[int64]keyRow, len(keys))
	for _, k := range keys {
		bySeq[k.seq] = k
	}
	for _, g := range have { // by key
		if wanted[g] {
			continue
		}
		if n := len(c.withdraw); n == 0 || c.withdraw[n-1].key.seq != g.key {
			c.withdraw = append(c.withdraw, withdrawal{key: bySeq[g.key]})
		}
		last := &c.withdraw[len(c.withdraw)-1]
		last.hosts = append(last.hosts, g.pattern)
	}
	return c, nil
}

// mayApprove reports whether policy may approve a key, given all roles that its pin
// is known in.
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

// withdrawPolicy takes hosts from a key that policy approved it for, and the trust
// with the last of them.
func (t *tx) withdrawPolicy(k keyRow, source string, hosts []pins.Pattern) error {
	reason := "the configuration no longer approves it"
	if source == sourceRule {
		reason = "rules no longer vouch for it by any certificate"
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
		// A person wanted it gone: it is not to come back when it is named again.
		return t.move(&k, pins.StateRetired, pins.Policy, byPolicy, reason)
	}
	return t.move(&k, pins.StateSeen, pins.Policy, byPolicy, reason)
}
