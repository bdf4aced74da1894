package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Apps keeps what the released versions of apps ship.
type Apps struct{ *database }

// MaxShipped is the longest file, in bytes, that is kept of what an app ships.
const MaxShipped = 4 << 20

// Import records what a supported version of an app ships, in place of what was recorded
// of that version before. Importing the same again changes nothing.
func (db Apps) Import(ctx context.Context, s pins.ShippedFile) error {
	what := fmt.Sprintf("recording what version %q of app %q ships", s.Version, s.App)
	switch {
	case s.App == "" || s.Version == "":
		return fmt.Errorf("%s: both the app and its version must be named", what)
	case len(s.Content) > MaxShipped:
		return fmt.Errorf("%s: %q has %d bytes, and at most %d are kept", what, s.Name, len(s.Content), MaxShipped)
	}
	s.App, s.Version, s.Format, s.Name = text(s.App), text(s.Version), text(s.Format), text(s.Name)
	return db.write(ctx, what, func(t *tx) error {
		var format, name string
		var content []byte
		err := t.queryRow(`SELECT format, name, content FROM shipped WHERE app = ? AND version = ? AND ended_at IS NULL`, s.App, s.Version).
			Scan(&format, &name, &content)
		switch {
		case err == nil && format == s.Format && name == s.Name && bytes.Equal(content, s.Content):
			return nil
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		// A new row, and not an update: the order of rows is that of imports.
		if _, err := t.exec(`DELETE FROM shipped WHERE app = ? AND version = ?`, s.App, s.Version); err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO shipped (app, version, format, name, content, imported_at, by) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			s.App, s.Version, s.Format, s.Name, blob(s.Content), ms(t.now), text(s.By))
		if err != nil {
			return err
		}
		t.changed = true
		return t.record(pins.Record{
			Action: "import", App: s.App, Version: s.Version, Actor: pins.Person, By: s.By, Reason: fmt.Sprintf("%s (%s)", s.Name, s.Format),
		})
	})
}

// DropVersion ends the support of a version of an app: what it ships no longer counts.
// It fails with ctwatch.ErrNotFound if there is no such supported version.
func (db Apps) DropVersion(ctx context.Context, app, version, by, reason string) error {
	app, version = text(app), text(version)
	return db.write(ctx, fmt.Sprintf("ending the support of version %q of app %q", version, app), func(t *tx) error {
		n, err := t.exec(`UPDATE shipped SET ended_at = ? WHERE app = ? AND version = ? AND ended_at IS NULL`, ms(t.now), app, version)
		if err != nil {
			return err
		}
		if n == 0 {
			return ctwatch.ErrNotFound
		}
		t.changed = true
		return t.record(pins.Record{Action: "drop", App: app, Version: version, Actor: pins.Person, By: by, Reason: reason})
	})
}

// Shipped returns what the supported versions of apps ship, in the order of their
// import.
func (db Apps) Shipped(ctx context.Context) ([]pins.ShippedFile, error) {
	return readAll(ctx, db.database, "reading what apps ship", func(r *sql.Rows) (s pins.ShippedFile, err error) {
		var at int64
		err = r.Scan(&s.App, &s.Version, &s.Format, &s.Name, &s.Content, &s.By, &at)
		s.ImportedAt = fromMS(at)
		return s, err
	}, `SELECT app, version, format, name, content, by, imported_at FROM shipped WHERE ended_at IS NULL ORDER BY seq`)
}
