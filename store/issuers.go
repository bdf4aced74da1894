package store

import (
	"context"
	"crypto/sha256"
	"database/sql"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Issuers keeps the keys and certificates of CAs that logs and servers have shown. It is
// a policy.Store.
type Issuers struct{ *database }

// AddKeys stores issuing keys that chains prove to be a CA's. Until Rejudge has judged
// their certificates again, RejudgeNew selects them. If all are known nothing is
// written.
func (db Issuers) AddKeys(ctx context.Context, keys ...ctwatch.IssuerKey) error {
	if len(keys) == 0 {
		return nil
	}
	return db.write(ctx, "storing issuing keys", func(t *tx) error { return t.addIssuerKeys(keys) })
}

func (t *tx) addIssuerKeys(keys []ctwatch.IssuerKey) error {
	for _, k := range keys {
		if k.Pin.IsZero() || k.Anchor.IsZero() {
			continue
		}
		_, err := t.exec(`
			INSERT INTO issuers (pin, anchor, not_before, not_after, name_constraints, at, judged) VALUES (?, ?, ?, ?, ?, ?, 0)
			ON CONFLICT DO NOTHING`,
			k.Pin[:], k.Anchor[:], ms(k.NotBefore), ms(k.NotAfter), blob(k.NameConstraints), ms(t.now))
		if err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM issuer_claims WHERE pin = ?`, k.Pin[:]); err != nil {
			return err
		}
	}
	return nil
}

// writeFound is write for entries of a log. In the same transaction, before f, it learns
// the issuing keys that their chains prove, and judges the certificates of those keys
// again.
func (db *database) writeFound(ctx context.Context, what string, found []ctwatch.Found, f func(*tx) error) error {
	var shown, added []ctwatch.IssuerKey
	for i := range found { // before the transaction: signatures take their time
		if f := &found[i]; db.learner != nil && f.Certificate.Issuer.Proven && len(f.Chain) > 0 {
			shown = append(shown, db.learner.Shown(&f.Certificate, f.Chain)...)
		}
	}
	var rest []pins.Pin
	err := db.write(ctx, what, func(t *tx) (err error) {
		if len(shown) > 0 {
			added = db.learner.Add(shown...)
			if rest, err = t.learn(added); err != nil {
				return err
			}
		}
		return f(t)
	})
	if err != nil {
		return err
	}
	for _, k := range added {
		db.log.InfoContext(ctx, "an issuing key is now known by the signature of its CA", "key", k.Pin, "signed_by", k.Anchor)
	}
	return Issuers{db}.Rejudge(ctx, rest...)
}

// learn stores issuing keys and judges their certificates again. It returns the keys
// that have too many for one transaction.
func (t *tx) learn(keys []ctwatch.IssuerKey) (rest []pins.Pin, err error) {
	if err := t.addIssuerKeys(keys); err != nil {
		return nil, err
	}
	for _, k := range keys {
		seqs, err := columns[int64](t.query(`SELECT seq FROM certificates WHERE `+rejudged+` AND issuer_pin = ? ORDER BY seq LIMIT ?`, ms(t.now), k.Pin[:], rejudgeStep+1))
		if err != nil {
			return nil, err
		}
		if len(seqs) > rejudgeStep {
			rest = append(rest, k.Pin)
			continue
		}
		if err := t.judgeAll(seqs); err != nil {
			return nil, err
		}
		if _, err := t.exec(sqlJudged, k.Pin[:]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// Keys returns the issuing keys that were stored, oldest first.
func (db Issuers) Keys(ctx context.Context) ([]ctwatch.IssuerKey, error) {
	return readAll(ctx, db.database, "reading issuing keys", func(r *sql.Rows) (k ctwatch.IssuerKey, err error) {
		var from, to int64
		err = r.Scan(&k.Pin, &k.Anchor, &from, &to, &k.NameConstraints)
		k.NotBefore, k.NotAfter = fromMS(from), fromMS(to)
		return k, err
	}, `SELECT pin, anchor, not_before, not_after, name_constraints FROM issuers ORDER BY at, pin, anchor, not_before`)
}

// Claims returns the names of the CAs to which an earlier version assigned issuing keys.
// They are not proven; a key is removed when it is learned.
func (db Issuers) Claims(ctx context.Context) (map[pins.Pin]string, error) {
	out := make(map[pins.Pin]string)
	err := db.read(ctx, "reading unproven issuing keys", func(t readTx) error {
		rows, err := t.query(`SELECT pin, ca FROM issuer_claims`)
		_, err = collect(rows, err, func(r *sql.Rows) (pin pins.Pin, err error) {
			var name string
			err = r.Scan(&pin, &name)
			out[pin] = name
			return pin, err
		})
		return err
	})
	return out, err
}

// Bounds of the certificates of CAs that are kept: anyone can make a log show some, and
// there are a few thousand real ones.
const (
	maxIssuerCertificates = 10_000
	maxIssuerDER          = 16 << 10 // bytes
	maxIssuersOfOne       = 8        // of one chain
)

const sqlKeepIssuer = `
	INSERT INTO issuer_certificates (fingerprint, der)
	SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM issuer_certificates WHERE fingerprint = ?1)
		AND coalesce((SELECT max(seq) FROM issuer_certificates), 0) < ?3` // none is ever deleted

// keepIssuers keeps the certificates above a leaf, as they were shown. They are not
// verified.
func (t *tx) keepIssuers(chain [][]byte) error {
	fresh := false
	for _, der := range chain[:min(len(chain), maxIssuersOfOne)] {
		if len(der) == 0 || len(der) > maxIssuerDER {
			continue
		}
		sum := ctwatch.Hash(sha256.Sum256(der))
		if t.kept[sum] {
			continue
		}
		n, err := t.exec(sqlKeepIssuer, sum[:], blob(der), maxIssuerCertificates)
		if err != nil {
			return err
		}
		t.kept[sum] = true
		if n > 0 {
			t.changed, fresh = true, true
		}
	}
	if !fresh {
		return nil
	}
	// An entry of any log may be waiting for it.
	t.reread = true
	_, err := t.exec(sqlAskNow)
	return err
}

// Certificate returns a certificate of those in Certificates by its SHA-256; nil if
// there is none.
func (db Issuers) Certificate(ctx context.Context, fingerprint ctwatch.Hash) (der []byte, err error) {
	err = db.read(ctx, "looking for the certificate of an issuer", func(t readTx) error {
		err := t.queryRow(`SELECT der FROM issuer_certificates WHERE fingerprint = ?`, fingerprint[:]).Scan(&der)
		return orNone(err)
	})
	return der, err
}

// Certificates returns the certificates of CAs, in DER, that logs and servers have shown
// above others, without the first so many, in the order they were first shown. They are
// untrusted input.
func (db Issuers) Certificates(ctx context.Context, after int) ([][]byte, error) {
	return readAll(ctx, db.database, "reading certificates of CAs", column[[]byte], `SELECT der FROM issuer_certificates WHERE seq > ? ORDER BY seq`, after)
}
