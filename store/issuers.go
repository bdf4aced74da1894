package store

import (
	"context"
	"database/sql"

	"ctwatch/pins"
)

// An IssuerKey is an issuing key that was found to belong to a CA, by the signature
// of one that is known.
type IssuerKey struct {
	Pin pins.Pin
	CA  string // its name
}

// Learn keeps issuing keys. What was said before of a key gives way. Where all is
// known nothing is written.
func (db *DB) Learn(ctx context.Context, keys ...IssuerKey) error {
	known, err := db.Learned(ctx)
	if err != nil {
		return err
	}
	of := make(map[pins.Pin]string, len(known))
	for _, k := range known {
		of[k.Pin] = k.CA
	}
	var fresh []IssuerKey
	for _, k := range keys {
		if k.CA = text(k.CA); !k.Pin.IsZero() && k.CA != "" && of[k.Pin] != k.CA {
			of[k.Pin] = k.CA
			fresh = append(fresh, k)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return db.write(ctx, "keeping issuing keys", func(t *tx) error {
		for _, k := range fresh {
			_, err := t.exec(`
				INSERT INTO issuers (pin, ca, at) VALUES (?, ?, ?)
				ON CONFLICT DO UPDATE SET ca = excluded.ca, at = excluded.at`, k.Pin[:], k.CA, ms(t.now))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Learned returns the issuing keys that Learn was given, those learned first first.
func (db *DB) Learned(ctx context.Context) ([]IssuerKey, error) {
	var out []IssuerKey
	err := db.read(ctx, "reading issuing keys", func(t readTx) error {
		rows, err := t.query(`SELECT pin, ca FROM issuers ORDER BY at, pin`)
		out, err = collect(rows, err, func(r *sql.Rows) (k IssuerKey, err error) {
			err = r.Scan(&k.Pin, &k.CA)
			return k, err
		})
		return err
	})
	return out, err
}
