package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Keys keeps the keys of certificates and of their issuers, and the trust that people
// and policy give them.
type Keys struct{ *database }

const (
	keyColumns   = `seq, pin, role, algorithm, state, first_seen, changed_at, changed_by, reason, ordered`
	sqlKey       = `SELECT ` + keyColumns + ` FROM keys WHERE pin = ? AND role = ?`
	sqlKeys      = `SELECT ` + keyColumns + ` FROM keys WHERE pin = ?`
	sqlInsertKey = `
		INSERT INTO keys (pin, role, algorithm, state, first_seen, changed_at, changed_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
		RETURNING ` + keyColumns
	sqlMoveKey = `
		UPDATE keys SET state = ?2, changed_at = ?3, changed_by = ?4, reason = ?5, ordered = ?6,
			ends = CASE WHEN ?2 = 'approved' AND role = 'leaf' THEN coalesce((SELECT max(not_after) FROM certificates WHERE key_pin = keys.pin), 0) ELSE ends END
		WHERE seq = ?1
		RETURNING ` + keyColumns

	sqlSomeGrants      = `SELECT DISTINCT pattern FROM grants WHERE key = ? LIMIT ?` // of those that an event shows
	sqlInsertKeyDomain = `INSERT INTO key_domains (key, domain) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// A keyRow is a row of the table keys: a key without hosts and certificates. A key that
// is not known has no seq, and the zero State.
type keyRow struct {
	seq     int64
	ordered bool // a person ordered the retirement that is under way
	pins.Key
}

// scanKey reads a row of keyColumns, and what follows them.
func scanKey(row interface{ Scan(...any) error }, more ...any) (k keyRow, err error) {
	var firstSeen, changedAt int64
	err = row.Scan(append([]any{
		&k.seq, &k.Pin, &k.Role, &k.Algorithm, &k.State, &firstSeen, &changedAt, &k.By, &k.Reason, &k.ordered,
	}, more...)...)
	k.FirstSeen, k.ChangedAt = fromMS(firstSeen), fromMS(changedAt)
	k.noLists()
	return k, err
}

// noLists makes the lists empty, which are nil in a new key.
func (k *keyRow) noLists() {
	k.Hosts, k.ApprovedFor, k.Certificates, k.Apps = []string{}, []pins.Pattern{}, []string{}, []pins.AppVersion{}
}

// move brings a key to a state. It is the only way to change one: it asks
// pins.CheckMove, and adds a record to the audit trail.
func (t *tx) move(k *keyRow, to pins.State, actor pins.Actor, by, reason string) error {
	from, by, reason := k.State, text(by), text(reason)
	err := pins.CheckMove(from, to, actor)
	if err != nil {
		return err
	}
	k.State, k.ChangedAt, k.By, k.Reason, k.ordered = to, stored(t.now), by, reason, k.ordered && to == pins.StateRetiring
	if k.seq == 0 {
		k.Algorithm, k.FirstSeen = text(k.Algorithm), k.ChangedAt
		k.noLists()
		k.seq, err = t.insert(sqlInsertKey, k.Pin[:], string(k.Role), k.Algorithm, string(to), ms(t.now), by, reason)
	} else {
		_, err = t.exec(sqlMoveKey, k.seq, string(to), ms(t.now), by, reason, k.ordered)
	}
	if err != nil {
		return err
	}
	t.changeKey(k, from)
	err = t.record(pins.Record{Pin: k.Pin, Role: k.Role, Action: "state", From: from, To: to, Actor: actor, By: by, Reason: reason})
	if err == nil && (to == pins.StateRetired || to == pins.StateCompromised) {
		err = t.reportRetired(*k, from)
	}
	return err
}

// addSeenKey returns the key of a pin and a role that a log or a server shows, and
// inserts it if it is not known. A declared key that a log shows becomes approved. Of
// the zero pin it returns the zero key.
func (t *tx) addSeenKey(pin pins.Pin, role pins.Role, algorithm string, actor pins.Actor, reason string) (keyRow, error) {
	if pin.IsZero() {
		return keyRow{}, nil
	}
	k, err := scanKey(t.queryRow(sqlKey, pin[:], string(role)))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		k = keyRow{Key: pins.Key{Pin: pin, Role: role, Algorithm: algorithm}}
	case err != nil:
		return k, err
	}
	return k, t.seenKey(&k, algorithm, actor, reason)
}

// seenKey is addSeenKey for a key that was looked up.
func (t *tx) seenKey(k *keyRow, algorithm string, actor pins.Actor, reason string) error {
	if k.seq == 0 {
		return t.move(k, pins.StateSeen, actor, string(actor), reason)
	}
	if err := t.setAlgorithm(k, algorithm); err != nil {
		return err
	}
	if k.State == pins.StateDeclared && actor == pins.ByLog {
		return t.move(k, pins.StateApproved, actor, string(actor), reason)
	}
	return nil
}

// addIssuerKey inserts the key of an issuer that a log shows, if it is not known: once in
// a transaction, as most certificates of a batch have the same few issuers.
func (t *tx) addIssuerKey(pin pins.Pin, reason string) error {
	if t.issuers[pin] {
		return nil
	}
	if _, err := t.addSeenKey(pin, pins.RoleIssuer, "", pins.ByLog, reason); err != nil {
		return err
	}
	t.issuers[pin] = true
	return nil
}

// setAlgorithm records the algorithm of a key of which only the pin was known.
func (t *tx) setAlgorithm(k *keyRow, algorithm string) error {
	if algorithm = text(algorithm); k.Algorithm != "" || algorithm == "" {
		return nil
	}
	k.Algorithm = algorithm
	t.change(t.interest == nil || t.interest.Key(k.Pin))
	_, err := t.exec(`UPDATE keys SET algorithm = ? WHERE seq = ?`, algorithm, k.seq)
	return err
}

// candidate reports a certificate's key, once for each watched domain that the
// certificate matches, unless it was authorized beforehand for all the names that match.
// The key in the event has the hosts and the ID of this certificate only. A key that
// rules may not approve is not a candidate.
func (t *tx) candidate(c *ctwatch.Certificate, leaf leafKey) error {
	k := leaf.leaf()
	if k == nil || !ctwatch.MayBeCandidate(c) {
		return nil
	}
	if may, err := leaf.rulesMayGrant(t, k.State.Trusted()); err != nil || !may {
		return err
	}
	var fresh []string
	for _, d := range c.Domains() {
		n, err := t.exec(sqlInsertKeyDomain, k.seq, d)
		if err != nil {
			return err
		}
		if n == 1 {
			fresh = append(fresh, d)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	key := k.Key
	key.Hosts, key.Certificates = c.MatchedHosts(), []string{c.ID.String()}
	if k.State.Trusted() {
		beforehand, err := leaf.approvedFor(t)
		if err != nil {
			return err
		}
		if ctwatch.ApprovedForAll(beforehand, key.Hosts) {
			return nil // declared before, and certified now
		}
		granted, err := patterns(t.query(sqlSomeGrants, k.seq, maxKeyRows))
		if err != nil {
			return err
		}
		sortPatterns(granted)
		key.ApprovedFor = append(key.ApprovedFor, granted...)
	}
	e := ctwatch.CandidateEvent(key, *c, fresh, t.now)
	if t.db.pinned != nil {
		for _, name := range key.Hosts {
			if app, host, ok := t.db.pinned(name); ok {
				e = ctwatch.ForApp(e, app, host)
				break
			}
		}
	}
	return t.event(e)
}

// reportRetired reports that a key is retired or compromised. That a key ended which was
// not in use is not urgent.
func (t *tx) reportRetired(k keyRow, from pins.State) error {
	key, subject, episode, err := t.keyForEvent(k)
	if err != nil {
		return err
	}
	e := ctwatch.PinRetiredEvent(key, subject, episode, t.now)
	if k.State == pins.StateRetired && from == pins.StateApproved {
		e.Data.Severity = ctwatch.Debug
	}
	return t.event(e)
}

// maxKeyRows bounds how many certificates, and how many of their matches, are read for
// an event about a key: a CA's key has any number of certificates, and any key may have
// certificates with tens of thousands of names, which others requested. An event shows
// fewer of either.
const maxKeyRows = 2000

// keyForEvent returns what an event about a key contains: the key, a subject, and a
// number that no other event about the key's states has.
func (t *tx) keyForEvent(k keyRow) (key pins.Key, subject string, episode int64, err error) {
	keys, err := loadKeys(t, k.Pin)
	if err != nil {
		return key, "", 0, err
	}
	i := slices.IndexFunc(keys, func(other pins.Key) bool { return other.Role == k.Role })
	if i < 0 {
		return key, "", 0, fmt.Errorf("key %v is missing", k.Pin)
	}
	key = keys[i]
	if subject, err = t.subjectOf(k); err != nil {
		return key, "", 0, err
	}
	err = t.queryRow(`SELECT count(*) FROM audit WHERE pin = ? AND role = ?`, k.Pin[:], string(k.Role)).Scan(&episode)
	return key, subject, episode, err
}

// subjectOf returns the subject of events about a key: a watched domain, or else a host
// that a person named.
func (t *tx) subjectOf(k keyRow) (string, error) {
	domains, err := columns[string](t.query(`SELECT domain FROM key_domains WHERE key = ? ORDER BY domain LIMIT 1`, k.seq))
	if err != nil || len(domains) > 0 {
		return append(domains, "")[0], err
	}
	domains, err = columns[string](t.query(`
		SELECT m.domain FROM certificates c JOIN matches m ON m.certificate = c.seq WHERE c.key_pin = ? ORDER BY m.domain LIMIT 1`, k.Pin[:]))
	if err != nil || len(domains) > 0 {
		return append(domains, "")[0], err
	}
	granted, err := patterns(t.query(`SELECT pattern FROM grants WHERE key = ? ORDER BY pattern LIMIT 1`, k.seq))
	if err != nil || len(granted) == 0 {
		return "unknown", err
	}
	return granted[0].Name, nil
}

// keysOf returns the keys of a pin, in each role that it is known in.
func keysOf(q querier, pin pins.Pin) ([]keyRow, error) {
	rows, err := q.query(sqlKeys, pin[:])
	keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
	slices.SortFunc(keys, func(a, b keyRow) int { return cmp.Compare(a.seq, b.seq) })
	return keys, err
}

// List returns keys, oldest first, after the one with a pin and a role, or from the first:
// limit of them, or all if limit is 0. Each has the hosts it may be pinned for, the watched
// names it was certified for and the hosts that serve it (or, if there are none yet, those
// it was declared for), and its certificates: of a key with many, only so many as an event
// can have. Which apps ship it is not filled in. It fails with ctwatch.ErrNotFound if
// there is no such key.
func (db Keys) List(ctx context.Context, after pins.PinRole, limit int) ([]pins.Key, error) {
	var out []pins.Key
	err := db.read(ctx, "reading the keys", func(t readTx) error {
		var from int64
		if after != (pins.PinRole{}) {
			k, err := scanKey(t.queryRow(sqlKey, after.Pin[:], string(after.Role)))
			if errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("%v, to continue after: %w", after.Pin, ctwatch.ErrNotFound)
			} else if err != nil {
				return err
			}
			from = k.seq
		}
		if limit <= 0 {
			limit = math.MaxInt
		}
		rows, err := t.query(sqlKeysFrom, from, limit)
		keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
		if err != nil {
			return err
		}
		out, err = describeKeys(t, keys)
		return err
	})
	return out, err
}

// TrustedLeaves returns the pins of the leaf keys that are trusted.
func (db Keys) TrustedLeaves(ctx context.Context) ([]pins.Pin, error) {
	return readAll(ctx, db.database, "reading the trusted keys", column[pins.Pin], sqlTrustedLeaves)
}

// Of returns the key of a pin, in each role that it is known in, as List does.
func (db Keys) Of(ctx context.Context, pin pins.Pin) (out []pins.Key, err error) {
	if pin.IsZero() {
		return nil, nil
	}
	err = db.read(ctx, fmt.Sprintf("reading key %v", pin), func(t readTx) (err error) {
		out, err = loadKeys(t, pin)
		return err
	})
	return out, err
}

const (
	sqlKeysFrom      = `SELECT ` + keyColumns + ` FROM keys WHERE seq > ? ORDER BY seq LIMIT ?`
	sqlTrustedLeaves = `
		SELECT pin FROM keys WHERE state NOT IN ('seen', 'approved', 'retired') AND state <> 'compromised' AND role = 'leaf'
		UNION ALL SELECT pin FROM keys WHERE state = 'approved' AND role = 'leaf' ORDER BY pin`
	// A row for each match of a certificate: one, with NULL, if it has none.
	sqlLeafUse   = sqlKeyUse + `key_pin = ?1` + sqlKeyUseMost
	sqlIssuerUse = sqlKeyUse + `issuer_pin = ?1` + sqlKeyUseMost

	sqlKeyUse     = `SELECT c.seq, c.id, m.name FROM (SELECT seq, id FROM certificates WHERE `
	sqlKeyUseMost = ` ORDER BY not_after DESC LIMIT ?2) c LEFT JOIN matches m ON m.certificate = c.seq LIMIT ?2`
)

// loadKeys reads the key of a pin, in each role that it is known in.
func loadKeys(q querier, pin pins.Pin) ([]pins.Key, error) {
	keys, err := keysOf(q, pin)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return describeKeys(q, keys)
}

// describeKeys adds to keys their hosts and certificates, at most maxKeyRows of these, and
// of their matches: those that expire last.
func describeKeys(q querier, keys []keyRow) ([]pins.Key, error) {
	byPin := make(map[pins.PinRole]*keyRow, len(keys))
	bySeq := make(map[int64]*pins.Key, len(keys))
	hosts := make(map[int64]map[string]bool, len(keys))
	seqs := make([]int64, len(keys))
	for i := range keys {
		k := &keys[i]
		byPin[pins.PinRole{Pin: k.Pin, Role: k.Role}], bySeq[k.seq], seqs[i] = k, &k.Key, k.seq
		var err error
		if hosts[k.seq], err = useOf(q, k); err != nil {
			return nil, err
		}
	}
	served, err := loadServed(q)
	if err != nil {
		return nil, err
	}
	for _, s := range served {
		for _, k := range []*keyRow{byPin[pins.PinRole{Pin: s.Chain.Leaf(), Role: pins.RoleLeaf}], byPin[pins.PinRole{Pin: s.Chain.Issuer(), Role: pins.RoleIssuer}]} {
			if k != nil {
				hosts[k.seq][s.Host] = true
			}
		}
	}
	if err := loadGrants(q, seqs, bySeq); err != nil {
		return nil, err
	}
	out := make([]pins.Key, 0, len(keys))
	for i := range keys {
		k := &keys[i].Key
		for name := range hosts[keys[i].seq] {
			k.Hosts = append(k.Hosts, name)
		}
		if len(k.Hosts) == 0 {
			for _, p := range k.ApprovedFor {
				k.Hosts = append(k.Hosts, p.String())
			}
		}
		slices.Sort(k.Hosts)
		out = append(out, *k)
	}
	return out, nil
}

// useOf fills in the certificates of a key, in the order of seq, and returns the names by
// which they match.
func useOf(q querier, k *keyRow) (hosts map[string]bool, err error) {
	query := sqlLeafUse
	if k.Role == pins.RoleIssuer {
		query = sqlIssuerUse
	}
	hosts = make(map[string]bool)
	ids := make(map[int64]ctwatch.Hash)
	rows, err := q.query(query, k.Pin[:], maxKeyRows)
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		var seq int64
		var id ctwatch.Hash
		var name sql.NullString
		err = r.Scan(&seq, &id, &name)
		ids[seq] = id
		if name.Valid {
			hosts[name.String] = true
		}
		return struct{}{}, err
	})
	for _, seq := range slices.Sorted(maps.Keys(ids)) {
		k.Certificates = append(k.Certificates, ids[seq].String())
	}
	return hosts, err
}
