package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Facts returns the facts that concern a scope, and what they depend on (pins.Gather).
func (db Plans) Facts(ctx context.Context, scope pins.Scope) (f pins.Facts, in *pins.Interest, err error) {
	err = db.read(ctx, "reading the facts for plans", func(t readTx) error {
		revision, err := loadRevision(t)
		if err != nil {
			return err
		}
		now := db.now()
		if f, in, err = pins.Gather(&facts{querier: t, now: now, settled: db.settledIn}, scope, now); err == nil {
			in.Revision = revision
		}
		return err
	})
	return f, in, err
}

// facts are a pins.Source. Each method reads rows in proportion to what it returns.
type facts struct {
	querier
	now     time.Time
	settled func(*keyRow)
	served  []pins.Served
}

func (f *facts) Served() (_ []pins.Served, err error) {
	f.served, err = loadServed(f)
	return f.served, err
}

const sqlGranted = `
	SELECT DISTINCT k.pin FROM json_each(?1) p CROSS JOIN grants g ON g.pattern = p.value CROSS JOIN keys k ON k.seq = g.key`

func (f *facts) Granted(patterns []pins.Pattern) ([]pins.Pin, error) {
	return columns[pins.Pin](f.query(sqlGranted, patternList(patterns)))
}

const (
	sqlKeysOfPins   = `SELECT ` + keyColumns + ` FROM json_each(?1) p CROSS JOIN keys k ON k.pin = unhex(p.value)`
	sqlCompromised  = `SELECT ` + keyColumns + ` FROM keys k WHERE state NOT IN ('seen', 'approved', 'retired') AND state = 'compromised'`
	sqlKeysForPlans = sqlKeysOfPins + ` UNION ` + sqlCompromised + ` ORDER BY seq`
	sqlCertified    = `SELECT id FROM certificates WHERE key_pin = ? LIMIT 1`
	sqlHostsOfLeaf  = `SELECT m.name FROM certificates c CROSS JOIN matches m ON m.certificate = c.seq WHERE c.key_pin = ?`
	// A CA has any number of certificates, so only those that may be about a host are read.
	sqlHostsOfIssuer = `
		SELECT m.name FROM json_each(?2) n CROSS JOIN lists l ON l.list = n.value
		CROSS JOIN certificates c ON c.seq = l.certificate AND c.issuer_pin = ?1 CROSS JOIN matches m ON m.certificate = c.seq`
)

func (f *facts) Keys(of []pins.Pin, about []pins.Pattern) ([]pins.Key, error) {
	rows, err := f.query(sqlKeysForPlans, pinList(of))
	keys, err := collect(rows, err, func(r *sql.Rows) (keyRow, error) { return scanKey(r) })
	if err != nil {
		return nil, err
	}
	bySeq := make(map[int64]*pins.Key, len(keys))
	seqs := make([]int64, len(keys))
	for i := range keys {
		k := &keys[i]
		bySeq[k.seq], seqs[i] = &k.Key, k.seq
		f.settled(k)
		if k.State == pins.StateCompromised {
			if k.Hosts, err = f.hostsOf(k, about); err != nil {
				return nil, err
			}
		}
		if k.Role == pins.RoleLeaf {
			ids, err := columns[ctwatch.Hash](f.query(sqlCertified, k.Pin[:]))
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				k.Certificates = append(k.Certificates, id.String())
			}
		}
	}
	if err := loadGrants(f, seqs, bySeq); err != nil {
		return nil, err
	}
	out := make([]pins.Key, len(keys))
	for i := range keys {
		out[i] = keys[i].Key
	}
	return out, nil
}

// hostsOf returns the hosts of a key that cover or lie in one of some patterns: the watched
// names that it was certified for, and the hosts that serve it.
func (f *facts) hostsOf(k *keyRow, about []pins.Pattern) ([]string, error) {
	query, args := sqlHostsOfLeaf, []any{k.Pin[:]}
	if k.Role == pins.RoleIssuer {
		query, args = sqlHostsOfIssuer, append(args, listsFor(about))
	}
	hosts := make(map[string]bool)
	add := func(name string) {
		n, err := pins.PatternOf(name)
		if err == nil && slices.ContainsFunc(about, func(p pins.Pattern) bool { return p.Covers(n) || n.Covers(p) }) {
			hosts[name] = true
		}
	}
	for _, s := range f.served {
		if s.Chain.Of(k.Role) == k.Pin {
			add(s.Host)
		}
	}
	rows, err := f.query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		add(name)
	}
	return slices.AppendSeq([]string{}, maps.Keys(hosts)), rows.Err()
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

const sqlIssued = `
	SELECT id, names, key_pin, issuer_pin, not_before, not_after, first_seen, verdict FROM certificates
	WHERE (not_after > ?1 OR not_after IS NULL) AND seq IN (
		SELECT l.certificate FROM json_each(?2) n CROSS JOIN lists l ON l.list = n.value
		UNION ALL SELECT c.seq FROM json_each(?3) p CROSS JOIN certificates c ON c.key_pin = unhex(p.value) AND (c.not_after > ?1 OR c.not_after IS NULL)
		UNION ALL SELECT c.seq FROM json_each(?4) i CROSS JOIN certificates c ON c.id = unhex(i.value))
	ORDER BY seq`

// Issued returns certificates. One without a date may be in use.
func (f *facts) Issued(names []pins.Pattern, leaves []pins.Pin, ids []string) ([]pins.Issued, error) {
	lists := make([]int64, len(names))
	for i, n := range names {
		lists[i] = nameList(n.String())
	}
	rows, err := f.query(sqlIssued, ms(f.now), numberList(lists), pinList(leaves), list(ids))
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
		ORDER BY c.seq`, pinList(leafPins), ms(now), string(ctwatch.Unexpected))
}
