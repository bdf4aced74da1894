package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks the file as ours (https://www.sqlite.org/pragma.html,
// application_id): "ctw1".
const applicationID = 0x63747731

// migrations returns the statements that lead from each version of the schema to the
// next; the first creates version 1. A released migration never changes.
func migrations() []string {
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") // sorted; the pattern is good
	var out []string
	for _, n := range names {
		b, _ := migrationFiles.ReadFile(n) // it is there: it was just listed
		out = append(out, string(b))
	}
	return out
}

// migrate brings a database to the newest version of the schema, each step in a
// transaction of its own.
func migrate(ctx context.Context, w *sql.DB, steps []string) error {
	version, err := versionOf(ctx, w, len(steps))
	if err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		if err := step(ctx, w, steps[version], version+1); err != nil {
			return fmt.Errorf("bringing its schema to version %d: %w", version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, w *sql.DB, statements string, version int) error {
	tx, err := w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, statements); err != nil {
		return err
	}
	// A PRAGMA takes no parameters.
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// checkVersion fails unless a database has the newest version of the schema.
func checkVersion(ctx context.Context, r *sql.DB, steps []string) error {
	version, err := versionOf(ctx, r, len(steps))
	if err == nil && version < len(steps) {
		err = fmt.Errorf("%w: its schema has version %d and this ctwatch reads version %d: start `ctwatch run` once to bring it up to date", ErrVersion, version, len(steps))
	}
	return err
}

// versionOf reads the version of a database's schema, 0 if it is new. It fails if the
// version is newer than known, or the file is not ours.
func versionOf(ctx context.Context, db *sql.DB, known int) (version int, err error) {
	var id, tables int
	// One statement, so that no other process makes the schema between two of them.
	err = db.QueryRowContext(ctx, `
		SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_user_version, pragma_application_id`).Scan(&version, &id, &tables)
	if err != nil {
		return 0, err
	}
	switch {
	case id != applicationID && (id != 0 || version != 0 || tables != 0):
		return 0, fmt.Errorf("%w: it belongs to another program; choose another data directory", ErrVersion)
	case version > known:
		return 0, fmt.Errorf("%w: its schema has version %d, and this ctwatch supports versions up to %d: run the newer ctwatch that wrote it, or restore a backup made before the upgrade", ErrVersion, version, known)
	}
	return version, nil
}
