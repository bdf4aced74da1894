package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Approve allows a key to be pinned for hosts, besides those it was approved for before,
// and returns it. A key that is not trusted becomes approved, or, if it is not known and
// Declare is set, declared. A retired key that a person approves again is approved for
// those hosts alone. Approving what is approved changes nothing.
//
// It fails with ctwatch.ErrNotFound if the key is not known; with pins.ErrState if it is compromised,
// or if a policy approves what a person retired; and with pins.ErrUnexpected if it has an
// unexpected certificate and a person approves it without a reason, or, if nothing else
// is known of it, without Despite.
func (db Keys) Approve(ctx context.Context, a pins.Approval) (pins.Key, error) {
	what := fmt.Sprintf("approving key %v", a.Pin)
	if err := a.Check(); err != nil {
		return pins.Key{}, fmt.Errorf("%s: %w", what, err)
	}
	var out pins.Key
	err := db.write(ctx, what, func(t *tx) error {
		role, err := t.approve(a)
		if err != nil {
			return err
		}
		if err := t.rejudgeKey(a.Pin); err != nil {
			return err
		}
		keys, err := loadKeys(t, a.Pin)
		for _, k := range keys {
			if k.Role == role {
				out = k
			}
		}
		return err
	})
	return out, err
}

// approve approves a key in each role that is meant, and returns the first role.
func (t *tx) approve(a pins.Approval) (pins.Role, error) {
	known, err := keysOf(t, a.Pin)
	if err != nil {
		return "", err
	}
	for _, k := range known {
		// A compromised key cannot be used in any role.
		if k.State == pins.StateCompromised {
			return "", pins.CheckMove(k.State, pins.StateApproved, a.Actor)
		}
	}
	meant := inRole(known, a.Pin, a.Role)
	for i := range meant {
		if err := t.approveKey(&meant[i], a, string(a.Actor)); err != nil {
			return "", err
		}
	}
	return meant[0].Role, nil
}

// inRole returns the keys of a pin in a role; "" means every role it is known in. If
// there is none, it returns a new key.
func inRole(known []keyRow, pin pins.Pin, role pins.Role) []keyRow {
	var out []keyRow
	for _, k := range known {
		if role == "" || k.Role == role {
			out = append(out, k)
		}
	}
	if out == nil {
		if role == "" {
			role = pins.RoleLeaf
		}
		out = []keyRow{{Key: pins.Key{Pin: pin, Role: role}}}
	}
	return out
}

func (t *tx) approveKey(k *keyRow, a pins.Approval, source string) error {
	if k.seq == 0 && !a.Declare {
		return ctwatch.ErrNotFound
	}
	if k.Role == pins.RoleLeaf && a.Actor == pins.Person {
		if err := t.checkUnexpected(k, a); err != nil {
			return err
		}
	}
	a.Reason = cmp.Or(a.Reason, "no reason was given")
	before := k.State
	if err := t.trust(k, a); err != nil {
		return err
	}
	if err := t.setAlgorithm(k, a.Algorithm); err != nil {
		return err
	}
	if err := t.grant(k, a, source); err != nil || before != pins.StateRetired || k.Role != pins.RoleLeaf {
		return err
	}
	// What rules granted before it was retired counts again; but its certificates may have
	// been judged otherwise since.
	return t.syncRuleGrants(k.Pin, a.Reason)
}

// trust brings a key to a trusted state if it is in none, or cancels its retirement.
func (t *tx) trust(k *keyRow, a pins.Approval) error {
	from, byPerson := k.State, false
	back := from == pins.StateRetired && a.Actor == pins.Policy
	if back {
		var err error
		if byPerson, err = retiredByPerson(t, k); err != nil {
			return err
		}
	}
	for _, to := range pins.Approving(from, a.Actor, byPerson) {
		actor, by, reason := a.Actor, a.By, a.Reason
		switch to {
		case pins.StateDeclared:
			k.Algorithm = a.Algorithm
		case pins.StateSeen:
			actor, by, reason = pins.ByPlan, string(pins.ByPlan), "approved again, and not retired by a person: "+a.Reason
		}
		if err := t.move(k, to, actor, by, reason); err != nil {
			return err
		}
	}
	if from != pins.StateRetired || back {
		return nil // one that is seen has no grants
	}
	return t.withdrawStale(k, a)
}

// withdrawStale withdraws what people granted to a key before it was retired.
func (t *tx) withdrawStale(k *keyRow, a pins.Approval) error {
	granted, err := patterns(t.query(sqlGrants, k.seq, string(pins.Person)))
	stale := pins.Without(granted, a.Hosts)
	if err != nil || len(stale) == 0 {
		return err
	}
	return t.withdraw(k, string(pins.Person), stale, pins.Record{Actor: a.Actor, By: a.By, Reason: "granted before the key was retired"})
}

// grant records for which hosts a key is approved. The audit trail gets those that are
// new.
func (t *tx) grant(k *keyRow, a pins.Approval, source string) error {
	hosts := slices.Clone(a.Hosts)
	sortPatterns(hosts)
	var fresh []pins.Pattern
	for _, p := range slices.Compact(hosts) {
		n, err := t.exec(sqlGrant,
			k.seq, p.String(), source, text(a.By), ms(t.now), text(a.Reason))
		if err != nil {
			return err
		}
		if n == 1 {
			fresh = append(fresh, p)
		}
	}
	if fresh == nil {
		return nil
	}
	t.changeGrants(k, fresh)
	return t.record(pins.Record{Pin: k.Pin, Role: k.Role, Action: "approve", Hosts: fresh, Actor: a.Actor, By: a.By, Reason: a.Reason})
}

// withdraw takes hosts of a source from a key, and adds r to the audit trail.
func (t *tx) withdraw(k *keyRow, source string, hosts []pins.Pattern, r pins.Record) error {
	for _, p := range hosts {
		if _, err := t.exec(`DELETE FROM grants WHERE key = ? AND pattern = ? AND source = ?`, k.seq, p.String(), source); err != nil {
			return err
		}
	}
	t.changed = true
	r.Pin, r.Role, r.Action, r.Hosts = k.Pin, k.Role, "withdraw", hosts
	return t.record(r)
}

// Retire ends the trust in a key, in every role. A trusted key is retiring until it is
// neither served nor shipped; any other is retired at once. A compromised key, known or
// not, is so at once and forever. It fails with ctwatch.ErrNotFound if the key is not known and
// not compromised.
func (db Keys) Retire(ctx context.Context, pin pins.Pin, compromised bool, by, reason string) error {
	what := fmt.Sprintf("retiring key %v", pin)
	if pin.IsZero() {
		return fmt.Errorf("%s: no pin to retire", what)
	}
	return db.write(ctx, what, func(t *tx) error {
		keys, err := keysOf(t, pin)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			if !compromised {
				return ctwatch.ErrNotFound
			}
			keys = inRole(nil, pin, pins.RoleLeaf)
		}
		for i := range keys {
			k := &keys[i]
			to, ok := pins.Retiring(k.State, compromised, k.ordered)
			if !ok {
				continue
			}
			k.ordered = k.ordered || to == pins.StateRetiring
			if err := t.move(k, to, pins.Person, by, reason); err != nil {
				return err
			}
		}
		return t.rejudgeKey(pin)
	})
}

const sqlGrant = `INSERT INTO grants (key, pattern, source, by, at, reason) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

const sqlGrantsOf = `SELECT DISTINCT key, pattern FROM grants WHERE key IN (SELECT value FROM json_each(?))`

// loadGrants fills in what keys are approved for. Grants of a key that is not trusted do
// not count; but a compromised key lists them as hosts, since apps there may still have
// it.
func loadGrants(q querier, keys []int64, bySeq map[int64]*pins.Key) error {
	rows, err := q.query(sqlGrantsOf, numberList(keys))
	if err != nil {
		return err
	}
	defer rows.Close()
	leaked := make(map[int64]map[string]bool) // hosts of compromised keys
	for rows.Next() {
		var seq int64
		var s string
		if err := rows.Scan(&seq, &s); err != nil {
			return err
		}
		p, err := pins.PatternOf(s)
		if err != nil {
			return err
		}
		switch k := bySeq[seq]; {
		case k == nil:
		case k.State.Trusted():
			k.ApprovedFor = append(k.ApprovedFor, p)
		case k.State == pins.StateCompromised:
			if leaked[seq] == nil {
				leaked[seq] = make(map[string]bool, len(k.Hosts))
				for _, h := range k.Hosts {
					leaked[seq][h] = true
				}
			}
			if h := p.String(); !leaked[seq][h] {
				leaked[seq][h] = true
				k.Hosts = append(k.Hosts, h)
			}
		}
	}
	for _, k := range bySeq {
		sortPatterns(k.ApprovedFor)
	}
	return rows.Err()
}

func patterns(rows *sql.Rows, err error) ([]pins.Pattern, error) {
	return collect(rows, err, func(r *sql.Rows) (p pins.Pattern, err error) {
		var s string
		if err := r.Scan(&s); err != nil {
			return p, err
		}
		return pins.PatternOf(s)
	})
}

// patternsOf reads what list wrote of patterns.
func patternsOf(stored string) (out []pins.Pattern, err error) {
	var texts []string
	if err := (listOf{&texts}).Scan(stored); err != nil {
		return nil, err
	}
	for _, s := range texts {
		p, err := pins.PatternOf(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func sortPatterns(ps []pins.Pattern) {
	slices.SortFunc(ps, func(a, b pins.Pattern) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reach, b.Reach))
	})
}
