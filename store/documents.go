package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ctwatch/pins"
)

// Documents keeps the signed pin documents of apps. It is a publish.Store.
type Documents struct{ *database }

// keptDocuments is how many pin documents are kept of an app: enough to see what a
// device may have.
const keptDocuments = 10

// Issue stores the next pin document of an app, whose payload build makes for a serial
// and a time. The serial is the time in milliseconds since 1970, or the last serial plus
// one if that is greater, or what raise returns for that: raise keeps the highest serial
// outside the database, which may be restored from an old backup. The last ten documents
// are kept. build and raise must not use the store.
func (db Documents) Issue(ctx context.Context, app, plan string, raise func(app string, least int64) (serial int64, err error), build func(serial int64, at time.Time) (payload []byte, err error)) (pins.Document, error) {
	d := pins.Document{App: text(app), Plan: text(plan)}
	err := db.write(ctx, fmt.Sprintf("issuing a pin document for app %q", app), func(t *tx) error {
		var last int64
		if err := t.queryRow(`SELECT coalesce(max(serial), 0) FROM documents WHERE app = ?`, d.App).Scan(&last); err != nil {
			return err
		}
		d.Issued = stored(t.now)
		var err error
		if d.Serial, err = raise(d.App, max(last+1, ms(t.now))); err != nil {
			return err
		}
		if d.Payload, err = build(d.Serial, d.Issued); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO documents (app, serial, digest, issued_at, payload) VALUES (?, ?, ?, ?, ?)`,
			d.App, d.Serial, d.Plan, ms(d.Issued), blob(d.Payload))
		if err != nil {
			return err
		}
		_, err = t.exec(`
			DELETE FROM documents WHERE app = ?1 AND serial NOT IN (
				SELECT serial FROM documents WHERE app = ?1 ORDER BY serial DESC LIMIT ?2)`, d.App, keptDocuments)
		return err
	})
	if err != nil {
		return pins.Document{}, err
	}
	return d, nil
}

// Latest returns the newest pin document of an app, and whether there is one.
func (db Documents) Latest(ctx context.Context, app string) (pins.Document, bool, error) {
	d := pins.Document{App: text(app)}
	var at int64
	found := true
	err := db.read(ctx, fmt.Sprintf("reading the pin document of app %q", app), func(t readTx) error {
		err := t.queryRow(`SELECT serial, digest, issued_at, payload FROM documents WHERE app = ? ORDER BY serial DESC LIMIT 1`, d.App).
			Scan(&d.Serial, &d.Plan, &at, &d.Payload)
		if errors.Is(err, sql.ErrNoRows) {
			found = false
			return nil
		}
		return err
	})
	if err != nil || !found {
		return pins.Document{}, false, err
	}
	d.Issued = fromMS(at)
	return d, true, nil
}
