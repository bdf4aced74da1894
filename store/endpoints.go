package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Endpoints keeps what servers serve.
type Endpoints struct{ *database }

// Observe records a probe of an endpoint. Addresses that were not reached keep what they
// served before. The first time that a host serves a certificate is an event; its key and
// that of its issuer become known, but not trusted.
//
// describe returns what a leaf certificate says, given its DER: its ID, names, key,
// matches and dates.
func (db Endpoints) Observe(ctx context.Context, l pins.Look, describe func(der []byte) ctwatch.Certificate) error {
	e := endpointOf(l.Endpoint)
	return db.write(ctx, fmt.Sprintf("recording what %v serves", e), func(t *tx) error {
		o := observation{tx: t, endpoint: e, at: l.At, describe: describe}
		if err := o.load(); err != nil {
			return err
		}
		var now []pins.LeafAt
		for _, a := range l.Addresses {
			served, err := o.address(a)
			if err != nil {
				return fmt.Errorf("address %s: %w", a.Addr, err)
			}
			now = append(now, served...)
		}
		if err := o.drop(l.Gone(o.before, now)); err != nil {
			return err
		}
		if err := o.endFirstLook(len(now) > 0); err != nil {
			return err
		}
		return t.updateDeployed(o.touched, l.At)
	})
}

// An endpoint identifies an endpoint in the database.
type endpoint struct{ host, target string }

func endpointOf(e pins.Endpoint) endpoint { return endpoint{text(e.Host), text(e.HostPort())} }

func (e endpoint) String() string { return e.host + " at " + e.target }

// KeepOnly deletes what was seen at endpoints other than these. If there is nothing to
// delete it writes nothing.
func (db Endpoints) KeepOnly(ctx context.Context, keep []pins.Endpoint) error {
	const what = "deleting endpoints"
	var gone []endpoint
	err := db.read(ctx, what, func(t readTx) error {
		rows, err := t.query(`SELECT DISTINCT host, target FROM served ORDER BY host, target`)
		all, err := collect(rows, err, func(r *sql.Rows) (e endpoint, err error) {
			err = r.Scan(&e.host, &e.target)
			return e, err
		})
		kept := make(map[endpoint]bool, len(keep))
		for _, e := range keep {
			kept[endpointOf(e)] = true
		}
		for _, e := range all {
			if !kept[e] {
				gone = append(gone, e)
			}
		}
		return err
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return db.write(ctx, what, func(t *tx) error {
		for _, e := range gone {
			o := observation{tx: t, endpoint: e, at: t.now}
			if err := o.load(); err != nil {
				return err
			}
			if err := o.drop(o.before); err != nil {
				return err
			}
			if err := t.updateDeployed(o.touched, t.now); err != nil {
				return err
			}
		}
		return nil
	})
}

// A servedRow is a row of the table served, without its times.
type servedRow struct {
	pins.LeafAt
	chain               string // joined
	open, named         bool
	certificate         ctwatch.Hash
	commonName          string
	notBefore, notAfter sql.NullInt64
}

// An observation is a transaction that records a probe.
type observation struct {
	*tx
	endpoint
	at       time.Time
	describe func(der []byte) ctwatch.Certificate

	first   bool // no probe of the host, at any target, succeeded before
	before  []pins.LeafAt
	rows    map[pins.LeafAt]servedRow // of before
	onHost  map[ctwatch.Hash]bool     // certificates that the host served before, at any target, or that were reported
	touched []ctwatch.Hash            // certificates of rows that came or went
}

func (o *observation) load() error {
	if err := o.queryRow(`SELECT NOT EXISTS (SELECT 1 FROM first_looks WHERE host = ?)`, o.host).Scan(&o.first); err != nil {
		return err
	}
	rows, err := o.query(`
		SELECT address, leaf_hash, chain, open, named, certificate, algorithm, common_name, not_before, not_after
		FROM served WHERE host = ? AND target = ? ORDER BY address, leaf_hash`, o.host, o.target)
	o.rows = make(map[pins.LeafAt]servedRow)
	o.before, err = collect(rows, err, func(r *sql.Rows) (pins.LeafAt, error) {
		var s servedRow
		var chain []byte
		err := r.Scan(&s.Address, (*ctwatch.Hash)(&s.Leaf), &chain, &s.open, &s.named, &s.certificate, &s.Algorithm, &s.commonName, &s.notBefore, &s.notAfter)
		s.chain = string(chain)
		o.rows[s.LeafAt] = s
		return s.LeafAt, err
	})
	if err != nil {
		return err
	}
	rows, err = o.query(`SELECT DISTINCT certificate FROM served WHERE host = ?`, o.host)
	ids, err := columns[ctwatch.Hash](rows, err)
	o.onHost = make(map[ctwatch.Hash]bool, len(ids))
	for _, id := range ids {
		o.onHost[id] = true
	}
	return err
}

// address records what one address serves, and returns it.
func (o *observation) address(a pins.Address) (now []pins.LeafAt, err error) {
	address := text(a.Addr)
	if a.Err == nil && len(a.Served) == 0 {
		a.Err = errors.New("it served no certificate")
	}
	if a.Err != nil {
		_, err := o.exec(`UPDATE served SET last_error = ?4 WHERE host = ?1 AND target = ?2 AND address = ?3`,
			o.host, o.target, address, ctwatch.Printable(a.Err.Error(), 1000))
		return nil, err
	}
	for i := range a.Served {
		c := o.chain(&a.Served[i])
		row := c.row(o.host, address)
		if slices.Contains(now, row.LeafAt) {
			continue
		}
		now = append(now, row.LeafAt)
		if err := o.recordServedKey(c); err != nil {
			return nil, err
		}
		if err := o.serve(row, c); err != nil {
			return nil, err
		}
	}
	return now, nil
}

// A servedChain is a chain that is served, with the description of its leaf.
type servedChain struct {
	*pins.Served
	leaf ctwatch.Certificate
}

func (o *observation) chain(s *pins.Served) servedChain {
	c := o.describe(s.Certificates[0])
	c.Issuer.Pin = s.Chain.Issuer()
	c.Verdict, c.FirstSeen = ctwatch.Unreviewed, o.at
	c.SetPins()
	return servedChain{s, c}
}

func (s servedChain) row(host, address string) servedRow {
	row := servedRow{
		LeafAt: pins.LeafAt{Address: address, Leaf: sha256.Sum256(s.Certificates[0]), Algorithm: text(s.leaf.Key.Algorithm)},
		chain:  string(joinPins(s.Chain.Pins)), open: s.Chain.Open,
		named: slices.Contains(s.leaf.Names, host), certificate: s.leaf.ID, commonName: text(s.CommonName),
	}
	if t := s.leaf.NotBefore; !t.IsZero() {
		row.notBefore = sql.NullInt64{Int64: ms(t), Valid: true}
	}
	if t := s.leaf.NotAfter; !t.IsZero() {
		row.notAfter = sql.NullInt64{Int64: ms(t), Valid: true}
	}
	return row
}

const (
	sqlServedAgain = `
		UPDATE served SET at = max(at, ?5), last_error = '' WHERE host = ?1 AND target = ?2 AND address = ?3 AND leaf_hash = ?4`
	sqlServe = `
		INSERT INTO served (host, target, address, leaf_hash, leaf, chain, open, certificate, algorithm, common_name, named,
			not_before, not_after, since, at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)
		ON CONFLICT DO UPDATE SET chain = excluded.chain, open = excluded.open, certificate = excluded.certificate,
			algorithm = excluded.algorithm, common_name = excluded.common_name, named = excluded.named,
			not_before = excluded.not_before, not_after = excluded.not_after, at = max(at, excluded.at), last_error = ''`
)

// serve records that an address serves a certificate.
func (o *observation) serve(row servedRow, s servedChain) error {
	old, known := o.rows[row.LeafAt]
	if known && old == row {
		_, err := o.exec(sqlServedAgain, o.host, o.target, row.Address, row.Leaf[:], ms(o.at))
		return err
	}
	_, err := o.exec(sqlServe, o.host, o.target, row.Address, row.Leaf[:], blob(s.Certificates[0]), []byte(row.chain), row.open, row.certificate[:],
		row.Algorithm, row.commonName, row.named, row.notBefore, row.notAfter, ms(o.at))
	if err != nil {
		return err
	}
	o.changed = true
	o.touched = append(o.touched, row.certificate)
	if err := o.keepIssuers(s.Certificates[1:]); err != nil {
		return err
	}

	place := servedAt{o.host, row.Address}
	reason := "first seen at " + ctwatch.Printable(place.String(), 300)
	if _, err := o.addSeenKey(s.Chain.Leaf(), pins.RoleLeaf, row.Algorithm, pins.ByProbe, reason); err != nil {
		return err
	}
	if _, err := o.addSeenKey(s.Chain.Issuer(), pins.RoleIssuer, s.Chain.AlgorithmOf(pins.RoleIssuer), pins.ByProbe, reason); err != nil {
		return err
	}
	if known || o.onHost[row.certificate] {
		return nil
	}
	o.onHost[row.certificate] = true
	return o.reportDeployed(s, place)
}

const (
	sqlServedFirst = `
		INSERT INTO served_keys (pin, host, since, names) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET names = (SELECT json_group_array(value) FROM
			(SELECT value FROM json_each(served_keys.names) UNION SELECT value FROM json_each(excluded.names)))`
	sqlServedLater = `
		INSERT INTO served_keys (pin, host, since)
		SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM certificates WHERE id = ?4 AND key_pin = ?1 AND verdict = ?5 AND instr(reasons, ?6) = 0)
		ON CONFLICT DO NOTHING`
)

// keyServed is the reason of certificates that are expected because a host served their
// key before.
const keyServed = "key_served"

// recordServedKey records that the host serves a key, if that counts in favor of
// certificates of the key: at the first look, with the names of the certificate if a CA
// checked them; and later, if its certificate is expected for another reason. Anyone who
// takes over a host can serve a key and obtain certificates for it.
func (o *observation) recordServedKey(s servedChain) error {
	pin := s.Chain.Leaf()
	switch {
	case pin.IsZero():
		return nil
	case !o.first:
		_, err := o.exec(sqlServedLater, pin[:], o.host, ms(o.at), s.leaf.ID[:], string(ctwatch.Expected), `"`+keyServed+`"`)
		return err
	}
	var names []string
	if s.Problem == "" {
		for _, p := range certifiedNames(s.leaf.Names) {
			names = append(names, p.String())
		}
	}
	_, err := o.exec(sqlServedFirst, pin[:], o.host, ms(o.at), list(names))
	return err
}

// endFirstLook records that the host was probed. What other addresses and later probes
// show is not from a first look, even if the endpoint is deleted meanwhile.
func (o *observation) endFirstLook(served bool) error {
	if !o.first || !served {
		return nil
	}
	_, err := o.exec(`INSERT INTO first_looks (host, at) VALUES (?, ?)`, o.host, ms(o.at))
	return err
}

// reportDeployed reports that a certificate is served for a host.
func (o *observation) reportDeployed(s servedChain, place servedAt) error {
	if err := o.updateDeployed([]ctwatch.Hash{s.leaf.ID}, o.at); err != nil {
		return err
	}
	seq, known, err := certificateSeq(o, s.leaf.ID)
	if err != nil {
		return err
	}
	c := storableCertificate(s.leaf, o.now)
	at := stored(o.at)
	c.Deployed, c.DeployedAt = true, &at
	if known {
		if c, err = loadCertificate(o, seq); err != nil {
			return err
		}
	}
	e, err := addTrustedKey(o, ctwatch.DeployedEvent(c, place.host, place.String(), o.now))
	if err != nil {
		return err
	}
	return o.event(e)
}

// drop deletes certificates that addresses no longer serve.
func (o *observation) drop(gone []pins.LeafAt) error {
	for _, s := range gone {
		_, err := o.exec(`DELETE FROM served WHERE host = ? AND target = ? AND address = ? AND leaf_hash = ?`, o.host, o.target, s.Address, s.Leaf[:])
		if err != nil {
			return err
		}
		o.changed = true
		o.touched = append(o.touched, o.rows[s].certificate)
	}
	return nil
}

// updateDeployed updates whether certificates are served anywhere, and when they first
// were.
func (t *tx) updateDeployed(ids []ctwatch.Hash, at time.Time) error {
	for _, id := range ids {
		_, err := t.exec(`
			UPDATE certificates SET deployed = s.now, deployed_at = CASE WHEN s.now THEN coalesce(deployed_at, ?2) ELSE deployed_at END
			FROM (SELECT EXISTS (SELECT 1 FROM served WHERE certificate = ?1) AS now) s
			WHERE id = ?1 AND deployed <> s.now`, id[:], ms(at))
		if err != nil {
			return err
		}
	}
	return nil
}
