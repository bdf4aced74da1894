package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"ctwatch/ctwatch"
)

// Bounds of what is kept of the certificates of CAs: anyone can have a log show some, and
// there are a few thousand that count.
const (
	maxIssuerCertificates = 10_000
	maxIssuerDER          = 16 << 10 // bytes
	maxIssuersOfOne       = 8        // of one chain
)

// keepIssuers keeps the certificates above a leaf, as they were shown. Whether they are
// what they say is for the reader to verify.
func (t *tx) keepIssuers(chain [][]byte) error {
	fresh := false
	for _, der := range chain[:min(len(chain), maxIssuersOfOne)] {
		if len(der) == 0 || len(der) > maxIssuerDER {
			continue
		}
		sum := sha256.Sum256(der)
		n, err := t.exec(`
			INSERT INTO issuer_certificates (fingerprint, der)
			SELECT ?1, ?2 WHERE (SELECT count(*) FROM issuer_certificates) < ?3
			ON CONFLICT DO NOTHING`, sum[:], blob(der), maxIssuerCertificates)
		if err != nil {
			return err
		}
		if n > 0 {
			t.changed, fresh = true, true
		}
	}
	if !fresh {
		return nil
	}
	// It may be what an entry of any log waits for.
	_, err := t.exec(sqlAskNow)
	return err
}

// Certificate returns a certificate that IssuerCertificates has, by its SHA-256; nil
// where there is none.
func (db Issuers) Certificate(ctx context.Context, fingerprint ctwatch.Hash) (der []byte, err error) {
	err = db.read(ctx, "looking for the certificate of an issuer", func(t readTx) error {
		err := t.queryRow(`SELECT der FROM issuer_certificates WHERE fingerprint = ?`, fingerprint[:]).Scan(&der)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return der, err
}

// Certificates returns the certificates of CAs, in DER, that logs and servers have
// shown above others, after the first so many, in the order in which they were first
// shown. They are as hostile as whoever showed them.
func (db Issuers) Certificates(ctx context.Context, after int) ([][]byte, error) {
	var out [][]byte
	err := db.read(ctx, "reading certificates of CAs", func(t readTx) error {
		rows, err := t.query(`SELECT der FROM issuer_certificates WHERE seq > ? ORDER BY seq`, after)
		out, err = collect(rows, err, func(r *sql.Rows) (der []byte, err error) {
			err = r.Scan(&der)
			return der, err
		})
		return err
	})
	return out, err
}
