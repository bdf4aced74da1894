package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

const (
	keyColumns   = `seq, pin, role, algorithm, state, first_seen, changed_at, changed_by, reason`
	sqlKey       = `SELECT ` + keyColumns + ` FROM keys WHERE pin = ? AND role = ?`
	sqlInsertKey = `
		INSERT INTO keys (pin, role, algorithm, state, first_seen, changed_at, changed_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
		RETURNING ` + keyColumns

	sqlInsertKeyDomain = `INSERT INTO key_domains (key, domain) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// byLog is who found a key that a log has.
const byLog = "log"

// A keyRow is a key as its table has it: without hosts and certificates.
type keyRow struct {
	seq int64
	pins.Key
}

func scanKey(row interface{ Scan(...any) error }) (k keyRow, err error) {
	var firstSeen, changedAt int64
	err = row.Scan(&k.seq, &k.Pin, &k.Role, &k.Algorithm, &k.State, &firstSeen, &changedAt, &k.By, &k.Reason)
	k.FirstSeen, k.ChangedAt = fromMS(firstSeen), fromMS(changedAt)
	k.Hosts, k.Certificates, k.Apps = []string{}, []string{}, []pins.AppVersion{}
	return k, err
}

// meetKey returns the key of a pin and a role, and writes it down as seen if it is
// not known. Of the zero pin it returns the zero key.
func (t *tx) meetKey(pin pins.Pin, role pins.Role, algorithm, reason string) (keyRow, error) {
	if pin.IsZero() {
		return keyRow{}, nil
	}
	k, err := scanKey(t.queryRow(sqlKey, pin[:], string(role)))
	if errors.Is(err, sql.ErrNoRows) {
		return scanKey(t.queryRow(sqlInsertKey, pin[:], string(role), algorithm, string(pins.StateSeen), ms(t.now), byLog, reason))
	}
	return k, err
}

// candidate tells of a certificate's key if it was never before seen on one of
// the watched domains that the certificate matches. The key in the event has the
// hosts and the ID of this certificate only.
func (t *tx) candidate(k keyRow, c *ctwatch.Certificate) error {
	if k.Pin.IsZero() {
		return nil
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
	for _, m := range c.Matches {
		k.Hosts = append(k.Hosts, m.Name)
	}
	slices.Sort(k.Hosts)
	k.Hosts = slices.Compact(k.Hosts)
	k.Certificates = append(k.Certificates, c.ID.String())
	return t.event(ctwatch.CandidateEvent(k.Key, *c, fresh, t.now))
}

// Keys returns every key, in the order in which they were first seen, each with
// the watched names it was certified for and its certificates.
func (db *DB) Keys(ctx context.Context) ([]pins.Key, error) {
	var out []pins.Key
	err := db.read(ctx, "reading the keys", func(t readTx) error {
		rows, err := t.query(`SELECT ` + keyColumns + ` FROM keys ORDER BY seq`)
		keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
		if err != nil {
			return err
		}
		type pinRole struct {
			pin  pins.Pin
			role pins.Role
		}
		byPin := make(map[pinRole]*pins.Key, len(keys))
		for i := range keys {
			byPin[pinRole{keys[i].Pin, keys[i].Role}] = &keys[i].Key
		}
		// each calls f for the keys of a row of a certificate.
		each := func(query string, f func(k *pins.Key, id ctwatch.Hash, name string)) error {
			rows, err := t.query(query)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var leaf, issuer pins.Pin
				var id ctwatch.Hash
				var name string
				if err := rows.Scan(&leaf, &issuer, &id, &name); err != nil {
					return err
				}
				if k := byPin[pinRole{leaf, pins.RoleLeaf}]; k != nil {
					f(k, id, name)
				}
				if k := byPin[pinRole{issuer, pins.RoleIssuer}]; k != nil {
					f(k, id, name)
				}
			}
			return rows.Err()
		}
		err = each(`SELECT key_pin, issuer_pin, id, '' FROM certificates ORDER BY seq`,
			func(k *pins.Key, id ctwatch.Hash, _ string) { k.Certificates = append(k.Certificates, id.String()) })
		if err != nil {
			return err
		}
		hosts := make(map[*pins.Key]map[string]bool, len(keys))
		err = each(`SELECT c.key_pin, c.issuer_pin, c.id, m.name FROM certificates c JOIN matches m ON m.certificate = c.seq`,
			func(k *pins.Key, _ ctwatch.Hash, name string) {
				if hosts[k] == nil {
					hosts[k] = make(map[string]bool)
				}
				hosts[k][name] = true
			})
		if err != nil {
			return err
		}
		for i := range keys {
			k := &keys[i].Key
			for name := range hosts[k] {
				k.Hosts = append(k.Hosts, name)
			}
			slices.Sort(k.Hosts)
			out = append(out, *k)
		}
		return nil
	})
	return out, err
}
