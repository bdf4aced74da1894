package store

import (
	"context"
	"database/sql"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Issuers are the keys and certificates of CAs that logs and servers have shown.
type Issuers struct{ *database }

// AddKeys keeps issuing keys that chains show to be a CA's. Their certificates are to be
// judged again, by Rejudge: until that has happened RejudgeNew chooses them.
// Where all is known nothing is written.
func (db Issuers) AddKeys(ctx context.Context, keys ...ctwatch.IssuerKey) error {
	if len(keys) == 0 {
		return nil
	}
	return db.write(ctx, "keeping issuing keys", func(t *tx) error {
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
	})
}

// Keys returns the issuing keys that Learn was given, those learned first first.
func (db Issuers) Keys(ctx context.Context) ([]ctwatch.IssuerKey, error) {
	var out []ctwatch.IssuerKey
	err := db.read(ctx, "reading issuing keys", func(t readTx) error {
		rows, err := t.query(`SELECT pin, anchor, not_before, not_after, name_constraints FROM issuers ORDER BY at, pin, anchor, not_before`)
		out, err = collect(rows, err, func(r *sql.Rows) (k ctwatch.IssuerKey, err error) {
			var from, to int64
			err = r.Scan(&k.Pin, &k.Anchor, &from, &to, &k.NameConstraints)
			k.NotBefore, k.NotAfter = fromMS(from), fromMS(to)
			return k, err
		})
		return err
	})
	return out, err
}

// Claims returns the names of the CAs to which an earlier version assigned
// issuing keys. Nothing proves them; a key goes from here when Learn is given it.
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
