package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Plans reads and writes what planning needs. It is a planner.Store.
type Plans struct{ *database }

// Certificate returns a certificate as Certificates.Get does.
func (db Plans) Certificate(ctx context.Context, id string) (ctwatch.Certificate, error) {
	return Certificates(db).Get(ctx, id)
}

// Key returns the key of a pin in a role, with as many of its hosts and certificates as an
// event can have. It fails with ctwatch.ErrNotFound.
func (db Plans) Key(ctx context.Context, pin pins.Pin, role pins.Role) (k pins.Key, err error) {
	err = db.read(ctx, fmt.Sprintf("reading key %v", pin), func(t readTx) error {
		keys, err := loadKeys(t, pin)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k pins.Key) bool { return k.Role == role })
		if i < 0 {
			return ctwatch.ErrNotFound
		}
		k = keys[i]
		return nil
	})
	return k, err
}

// SettleKeys moves every key to the state that follows from its use: what supported
// versions of apps ship, by pin, what is served, and what has not expired. It returns
// how many keys changed, and writes nothing if none did. It reads the keys that are in use,
// and those whose last certificates have ended, however many others are approved. A database
// that is opened to read stays as it is, and Facts has the new states.
func (db Plans) SettleKeys(ctx context.Context, shipped map[pins.Pin][]pins.AppVersion) (changed int, err error) {
	const what = "settling keys"
	var moving []settlingKey
	var live []int64
	err = db.read(ctx, what, func(t readTx) (err error) {
		moving, live, err = keysToSettle(t, sqlMaySettle, ms(db.now()), shipped)
		return err
	})
	if err == nil && db.conn == nil {
		return db.settleInMemory(moving), nil
	}
	if err != nil || len(moving) == 0 && len(live) == 0 {
		return 0, err
	}
	err = db.write(ctx, what, func(t *tx) error {
		moving, live, err := keysToSettle(t, sqlMaySettle, ms(t.now), shipped)
		if err != nil {
			return err
		}
		changed = len(moving)
		for _, s := range moving {
			if err := t.settle(s); err != nil {
				return fmt.Errorf("key %v: %w", s.key.Pin, err)
			}
		}
		_, err = t.exec(sqlEndLater, numberList(live), maxTime)
		return err
	})
	if err != nil {
		return 0, err
	}
	return changed, nil
}

// A settlingKey is a key that changes its state.
type settlingKey struct {
	key   keyRow
	facts pins.KeyFacts
	due   bool     // it is approved, and a certificate of it has ended that was its last
	place servedAt // where it is served, if it is
}

// maxSteps bounds how often one key is settled: there are no more states than that.
const maxSteps = 8

// next returns the next state of a key.
func (s *settlingKey) next() (to pins.State, actor pins.Actor, reason string) {
	to, actor, reason = pins.Settle(s.key.State, s.facts)
	if to == pins.StateDeployed && s.key.State != to {
		reason += ": " + s.place.String()
	}
	return to, actor, reason
}

// settleInMemory has Facts return keys as they are once they are settled. It returns how
// many changed since it was last called.
func (db *database) settleInMemory(moving []settlingKey) (changed int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	before := db.settled
	db.settled = make(map[int64]pins.Key, len(moving))
	for _, s := range moving {
		k := &s.key
		for range maxSteps {
			to, actor, reason := s.next()
			if to == k.State {
				break
			}
			k.State, k.ChangedAt, k.By, k.Reason = to, stored(db.now()), string(actor), reason
			k.ordered = k.ordered && to == pins.StateRetiring
		}
		if old, ok := before[k.seq]; !ok || old.State != k.State {
			changed++
		}
		db.settled[k.seq] = k.Key
	}
	return changed
}

// settledIn replaces what settleInMemory changed of a key.
func (db *database) settledIn(k *keyRow) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if s, ok := db.settled[k.seq]; ok {
		k.State, k.ChangedAt, k.By, k.Reason = s.State, s.ChangedAt, s.By, s.Reason
	}
}

func (t *tx) settle(s settlingKey) error {
	for range maxSteps {
		to, actor, reason := s.next()
		if to == s.key.State {
			return nil
		}
		if err := t.move(&s.key, to, actor, string(actor), reason); err != nil {
			return err
		}
		if to == pins.StateDeployed {
			key, subject, episode, err := t.keyForEvent(s.key)
			if err != nil {
				return err
			}
			if err := t.event(ctwatch.PinDeployedEvent(key, s.place.host, s.place.String(), subject, episode, t.now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A servedAt is an address of a host that serves something.
type servedAt struct{ host, address string }

func (s servedAt) String() string { return fmt.Sprintf("%s (%s)", s.host, s.address) }

const (
	// Which keys may have to be settled: those in use, those that may have ended, and those
	// that are served or shipped, by their pins.
	sqlMaySettle = `
		SELECT seq FROM keys WHERE state NOT IN ('seen', 'approved', 'retired') AND state IN ('shipped', 'deployed', 'retiring')
		UNION ALL SELECT seq FROM keys WHERE state = 'approved' AND ends <= ?1
		UNION ALL SELECT k.seq FROM json_each(?4) p CROSS JOIN keys k ON k.pin = unhex(p.value)`

	// A certificate without an end may be in use forever.
	sqlEndLater = `
		UPDATE keys SET ends = (
			SELECT CASE WHEN count(*) = count(not_after) THEN max(not_after) ELSE ?2 END FROM certificates WHERE key_pin = keys.pin)
		WHERE seq IN (SELECT value FROM json_each(?1))`
)

// sqlSettling reads the trusted keys of those that a query selects, with facts of their use.
func sqlSettling(which string) string {
	return `
		SELECT ` + keyColumns + `, state = 'approved' AND ends <= ?1, CASE role
			WHEN 'leaf' THEN EXISTS (SELECT 1 FROM certificates WHERE key_pin = k.pin AND (not_after > ?1 OR not_after IS NULL))
			ELSE EXISTS (SELECT 1 FROM certificates WHERE issuer_pin = k.pin AND (not_after > ?1 OR not_after IS NULL)) END,
			EXISTS (SELECT 1 FROM grants WHERE key = k.seq AND source <> ?2), EXISTS (SELECT 1 FROM grants WHERE key = k.seq AND source = ?3)
		FROM keys k WHERE state NOT IN ('seen', 'retired', 'compromised') AND seq IN (` + which + `) ORDER BY seq`
}

// keysToSettle returns the trusted keys whose state does not follow from what is known
// of their use, of those that a query selects. No other key moves automatically. live
// has approved keys that do not end yet, though one of their certificates has.
func keysToSettle(q querier, which string, now int64, shipped map[pins.Pin][]pins.AppVersion) (moving []settlingKey, live []int64, err error) {
	served, err := loadServed(q)
	if err != nil {
		return nil, nil, err
	}
	leaves, issuers := servedPins(served)
	used := slices.Concat(slices.Collect(maps.Keys(shipped)), slices.Collect(maps.Keys(leaves)), slices.Collect(maps.Keys(issuers)))
	rows, err := q.query(sqlSettling(which), now, sourceRule, string(pins.Policy), pinList(used))
	all, err := collect(rows, err, func(r *sql.Rows) (s settlingKey, err error) {
		s.key, err = scanKey(withColumns{r, []any{&s.due, &s.facts.Live, &s.facts.Approved, &s.facts.Kept}})
		return s, err
	})
	if err != nil {
		return nil, nil, err
	}
	var hosts map[string]bool // read when needed
	for _, s := range all {
		places := leaves
		if s.key.Role == pins.RoleIssuer {
			places = issuers
		}
		s.place, s.facts.Served = places[s.key.Pin]
		s.facts.Shipped = len(shipped[s.key.Pin]) > 0
		s.facts.Ordered = s.key.ordered
		if s.facts.Kept = s.facts.Kept || s.key.Role == pins.RoleIssuer; !s.facts.Kept && !s.facts.Served && s.key.State == pins.StateDeployed {
			if hosts == nil {
				if hosts, err = trustedHosts(q, served); err != nil {
					return nil, nil, err
				}
			}
			mine, err := patterns(q.query(`SELECT DISTINCT pattern FROM grants WHERE key = ?`, s.key.seq))
			if err != nil {
				return nil, nil, err
			}
			s.facts.Replaced = pins.Replaced(mine, hosts)
		}
		if to, _, _ := pins.Settle(s.key.State, s.facts); to != s.key.State {
			moving = append(moving, s)
		} else if s.due && s.facts.Live && s.key.Role == pins.RoleLeaf {
			live = append(live, s.key.seq)
		}
	}
	return moving, live, nil
}

// trustedHosts returns the hosts that were seen, and of each whether all leaf keys that
// it serves are trusted for it.
func trustedHosts(q querier, served []pins.Served) (map[string]bool, error) {
	var leaves []pins.Pin
	for _, s := range served {
		leaves = append(leaves, s.Chain.Leaf())
	}
	rows, err := q.query(`
		SELECT k.pin, g.pattern FROM keys k CROSS JOIN grants g ON g.key = k.seq
		WHERE k.pin IN (SELECT unhex(value) FROM json_each(?)) AND k.role = 'leaf' AND k.state NOT IN ('seen', 'retired', 'compromised')`, pinList(leaves))
	granted := make(map[pins.Pin][]pins.Pattern)
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		var pin pins.Pin
		var s string
		if err = r.Scan(&pin, &s); err == nil {
			var p pins.Pattern
			p, err = pins.PatternOf(s)
			granted[pin] = append(granted[pin], p)
		}
		return struct{}{}, err
	})
	return pins.HostsTrusted(served, granted), err
}

// A withColumns scans additional columns.
type withColumns struct {
	row  interface{ Scan(...any) error }
	last []any
}

func (w withColumns) Scan(dest ...any) error { return w.row.Scan(append(dest, w.last...)...) }

// servedPins returns the keys that are served, by role, each with the first place by
// name.
func servedPins(served []pins.Served) (leaves, issuers map[pins.Pin]servedAt) {
	leaves, issuers = make(map[pins.Pin]servedAt), make(map[pins.Pin]servedAt)
	for _, s := range served {
		for i, p := range s.Chain.Pins {
			in := issuers
			if i == 0 {
				in = leaves
			}
			if _, ok := in[p]; !ok {
				in[p] = servedAt{s.Host, s.Address}
			}
		}
	}
	return leaves, issuers
}

// SyncConditions is given all conditions that hold now, and reports those that did not
// hold the last time. If nothing changed nothing is written.
func (db Plans) SyncConditions(ctx context.Context, holding []ctwatch.Condition) error {
	const what = "updating conditions"
	var same bool
	err := db.read(ctx, what, func(t readTx) error {
		begun, ended, err := changedConditions(t, holding)
		same = len(begun) == 0 && len(ended) == 0
		return err
	})
	if err != nil || same {
		return err
	}
	return db.write(ctx, what, func(t *tx) error {
		begun, ended, err := changedConditions(t, holding)
		if err != nil {
			return err
		}
		for _, k := range ended {
			_, err := t.exec(`UPDATE conditions SET active = 0, since = ?5 WHERE kind = ?1 AND app = ?2 AND host = ?3 AND what = ?4`,
				string(k.Kind), k.App, k.Host, k.What, ms(t.now))
			if err != nil {
				return err
			}
		}
		for i := range begun {
			k := begun[i].Key()
			var episode int64
			err := t.queryRow(`
				INSERT INTO conditions (kind, app, host, what, active, episode, since) VALUES (?, ?, ?, ?, 1, 1, ?)
				ON CONFLICT DO UPDATE SET active = 1, episode = episode + 1, since = excluded.since
				RETURNING episode`, string(k.Kind), k.App, k.Host, k.What, ms(t.now)).Scan(&episode)
			if err != nil {
				return err
			}
			if err := t.event(begun[i].Event(episode)); err != nil {
				return err
			}
		}
		return nil
	})
}

// changedConditions compares the conditions that hold with those that held the last
// time.
func changedConditions(q querier, holding []ctwatch.Condition) (begun []ctwatch.Condition, ended []ctwatch.ConditionKey, err error) {
	rows, err := q.query(`SELECT kind, app, host, what FROM conditions WHERE active = 1 ORDER BY kind, app, host, what`)
	active, err := collect(rows, err, func(r *sql.Rows) (k ctwatch.ConditionKey, err error) {
		err = r.Scan(&k.Kind, &k.App, &k.Host, &k.What)
		return k, err
	})
	begun, ended = ctwatch.CompareConditions(active, holding)
	return begun, ended, err
}
