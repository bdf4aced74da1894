package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// sqlBump counts a change of what plans depend on, in the transaction that makes it.
const sqlBump = `UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'revision'`

// Revision returns a number that grows with every change of what plans depend on:
// certificates, keys, grants, what apps ship and what servers serve. It does not grow
// with time.
func (db Plans) Revision(ctx context.Context) (int64, error) {
	var n int64
	err := db.read(ctx, "reading the revision", func(t readTx) error {
		return t.queryRow(`SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'revision'`).Scan(&n)
	})
	return n, err
}

// Facts returns what is known of keys, of certificates that have not expired, and of
// what servers serve.
func (db Plans) Facts(ctx context.Context) (pins.Facts, error) {
	f := pins.Facts{Now: db.now()}
	err := db.read(ctx, "reading the facts for plans", func(t readTx) (err error) {
		if f.Keys, err = loadKeys(t, pins.Pin{}, 0); err != nil {
			return err
		}
		if f.Served, err = loadServed(t); err != nil {
			return err
		}
		f.Issued, err = loadIssued(t, f.Now)
		return err
	})
	return f, err
}

func loadServed(q querier) ([]pins.Served, error) {
	rows, err := q.query(`
		SELECT host, address, algorithm, chain, open, certificate, named, not_before, not_after, since, at
		FROM served ORDER BY host, target, address, leaf_hash`)
	return collect(rows, err, func(r *sql.Rows) (s pins.Served, err error) {
		var (
			chain               []byte
			id                  ctwatch.Hash
			notBefore, notAfter sql.NullInt64
			since, at           int64
		)
		err = r.Scan(&s.Host, &s.Address, &s.Algorithm, &chain, &s.Chain.Open, &id, &s.Named, &notBefore, &notAfter, &since, &at)
		s.Chain.Pins, s.ID = splitPins(chain), id.String()
		s.NotBefore, s.NotAfter = fromNullMS(notBefore), fromNullMS(notAfter)
		s.Since, s.At = fromMS(since), fromMS(at)
		return s, err
	})
}

// loadIssued reads the certificates that have not expired. One without a date may be in
// use.
func loadIssued(q querier, now time.Time) ([]pins.Issued, error) {
	rows, err := q.query(`
		SELECT id, names, key_pin, issuer_pin, not_before, not_after, first_seen, verdict FROM certificates
		WHERE not_after > ? OR not_after IS NULL ORDER BY seq`, ms(now))
	return collect(rows, err, func(r *sql.Rows) (i pins.Issued, err error) {
		var (
			id                  ctwatch.Hash
			names               []string
			leaf, issuer        pins.Pin
			notBefore, notAfter sql.NullInt64
			firstSeen           int64
			verdict             ctwatch.Verdict
		)
		if err := r.Scan(&id, listOf{&names}, &leaf, &issuer, &notBefore, &notAfter, &firstSeen, &verdict); err != nil {
			return i, err
		}
		i = pins.Issued{
			ID: id.String(), Names: certifiedNames(names), Chain: pins.Chain{Open: true},
			NotBefore: fromNullMS(notBefore), NotAfter: fromNullMS(notAfter), FirstSeen: fromMS(firstSeen),
			Expected: verdict == ctwatch.Expected, Rejected: verdict == ctwatch.Unexpected,
		}
		switch {
		case !issuer.IsZero():
			i.Chain.Pins = []pins.Pin{leaf, issuer} // the leaf's may be zero: unknown
		case !leaf.IsZero():
			i.Chain.Pins = []pins.Pin{leaf}
		}
		return i, nil
	})
}

// certifiedNames returns the names of a certificate as patterns. A CA can sign any name:
// those that no client can ask for are left out, and so is ".example.com", which means
// a whole domain only in ctwatch.
func certifiedNames(names []string) []pins.Pattern {
	out := make([]pins.Pattern, 0, len(names))
	for _, n := range names {
		if p, err := pins.PatternOf(n); err == nil && p.Reach != pins.AllBelow {
			out = append(out, p)
		}
	}
	return slices.Clip(out)
}

// ServedCertificates returns the certificates that are served now, each once for a
// host, by host.
func (db Documents) ServedCertificates(ctx context.Context) ([]pins.Leaf, error) {
	return readAll(ctx, db.database, "reading what is served", func(r *sql.Rows) (l pins.Leaf, err error) {
		var chain []byte
		var notAfter sql.NullInt64
		var since int64
		var host string
		err = r.Scan(&host, &l.DER, &l.CommonName, &chain, &notAfter, &since)
		l.Names = []pins.Pattern{{Name: host}}
		l.Pin, l.NotAfter = pins.Chain{Pins: splitPins(chain)}.Leaf(), fromNullMS(notAfter)
		return l, err
	}, `
		SELECT host, leaf, common_name, chain, not_after, min(since) FROM served
		GROUP BY host, leaf_hash ORDER BY host, min(since), leaf_hash`)
}

// FinalCertificates returns the whole certificates of leaf keys that have not expired,
// that provably their CA signed, and that are not unexpected, oldest first. Their common
// names are not filled in.
func (db Documents) FinalCertificates(ctx context.Context, leafPins []pins.Pin) ([]pins.Leaf, error) {
	hex := make([]string, len(leafPins))
	for i, p := range leafPins {
		hex[i] = ctwatch.Hash(p).String()
	}
	now := db.now()
	return readAll(ctx, db.database, "reading certificates", func(r *sql.Rows) (l pins.Leaf, err error) {
		var names []string
		var notAfter int64
		var packed DER
		if err := r.Scan(&packed.TBS, &packed.Certificate, &l.Pin, listOf{&names}, &notAfter); err != nil {
			return l, err
		}
		l.Names, l.NotAfter = certifiedNames(names), fromMS(notAfter)
		d, err := unpackDER(packed)
		l.DER = d.Certificate
		return l, err
	}, `
		SELECT d.tbs, d.final, c.key_pin, c.names, c.not_after FROM certificates c JOIN ders d ON d.certificate = c.seq
		WHERE c.key_pin IN (SELECT unhex(value) FROM json_each(?)) AND c.not_after > ? AND c.verdict <> ? AND d.final IS NOT NULL AND d.final_proven = 1
		ORDER BY c.seq`, list(hex), ms(now), string(ctwatch.Unexpected))
}
