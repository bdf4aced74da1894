package store

import (
	"cmp"
	"database/sql"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A leafKey is what the store knows of a pin as that of a leaf key. All of it is zero if
// the pin is not known.
type leafKey struct {
	roles      []keyRow // the key in each role that it is known in
	served     bool     // a host of ours served it
	unexpected bool     // a certificate of it is unexpected
	inserted   bool     // it was not known before
}

const sqlLeafKey = `
	SELECT ` + keyColumns + `, EXISTS (SELECT 1 FROM served_keys WHERE pin = ?1),
		EXISTS (SELECT 1 FROM certificates WHERE key_pin = ?1 AND verdict = 'unexpected')
	FROM keys WHERE pin = ?1`

func leafKeyOf(q querier, pin pins.Pin) (l leafKey, err error) {
	if pin.IsZero() {
		return l, nil
	}
	rows, err := q.query(sqlLeafKey, pin[:])
	l.roles, err = collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r, &l.served, &l.unexpected) })
	slices.SortFunc(l.roles, func(a, b keyRow) int { return cmp.Compare(a.seq, b.seq) })
	return l, err
}

// leaf returns the key in the role of a leaf's; nil if it is not known in it.
func (l *leafKey) leaf() *keyRow {
	i := slices.IndexFunc(l.roles, func(k keyRow) bool { return k.Role == pins.RoleLeaf })
	if i < 0 {
		return nil
	}
	return &l.roles[i]
}

// compromised reports whether others have the private key.
func (l *leafKey) compromised() bool {
	return slices.ContainsFunc(l.roles, func(k keyRow) bool { return k.State == pins.StateCompromised })
}

// approvedFor returns the hosts for which a person or the configuration approved it.
func (l *leafKey) approvedFor(q querier) ([]pins.Pattern, error) {
	if k := l.leaf(); k != nil && k.State.Trusted() {
		return patterns(q.query(sqlOtherGrants, k.seq))
	}
	return nil, nil
}

// rulesMayGrant reports whether rules may approve it by the certificates that they expect
// (pins.Evidence). already means that they do.
func (l *leafKey) rulesMayGrant(q querier, already bool) (bool, error) {
	var e pins.Evidence
	if !l.unexpected { // nothing speaks against it
		return e.RulesMayGrant(already), nil
	}
	pin := l.roles[0].Pin
	err := q.queryRow(sqlEvidence, pin[:], `"`+ctwatch.ReasonIssuerConflict+`"`).Scan(&e.Contradicted, &e.UnexpectedFirst)
	return e.RulesMayGrant(already), err
}

// addLeafKey returns what is known of the key of a certificate in a log, and inserts it if
// it is not known.
func (t *tx) addLeafKey(key ctwatch.CertificateKey, reason string) (leafKey, error) {
	l, err := leafKeyOf(t, key.Pin)
	if err != nil || key.Pin.IsZero() {
		return l, err
	}
	if l.leaf() == nil {
		l.inserted = len(l.roles) == 0
		l.roles = append(l.roles, keyRow{Key: pins.Key{Pin: key.Pin, Role: pins.RoleLeaf, Algorithm: key.Algorithm}})
	}
	return l, t.seenKey(l.leaf(), key.Algorithm, pins.ByLog, reason)
}
