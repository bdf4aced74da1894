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

// A migration leads from one version of the schema to the next: by statements, in one
// transaction, and then, where rows need more than SQL can do or too many are concerned
// for one transaction, by backfills (backfill.go). A released migration never changes.
type migration struct {
	statements string
	backfills  []backfill
}

// migrations returns the way from each version of the schema to the next; the first
// creates version 1.
func migrations() []migration {
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") // sorted; the pattern is good
	var out []migration
	for i, n := range names {
		b, _ := migrationFiles.ReadFile(n) // it is there: it was just listed
		out = append(out, migration{string(b), backfillsOf(i + 1)})
	}
	return out
}

// migrate brings the database to the newest version of the schema, and rewrites it if most
// of it is free then.
func (db *database) migrate(ctx context.Context, progress func(Progress)) error {
	if err := migrate(ctx, db.w, migrations(), progress); err != nil {
		return err
	}
	return db.compact(ctx, progress)
}

// migrate brings a database to the newest version of the schema. It may be interrupted
// at any time, and then continues where it was.
func migrate(ctx context.Context, w *sql.DB, steps []migration, progress func(Progress)) error {
	v, err := versionOf(ctx, w, len(steps))
	if err != nil {
		return err
	}
	fills, before := 0, 0
	for i, s := range steps {
		if i >= v.schema || v.filling && i == v.schema-1 {
			fills += len(s.backfills)
		}
	}
	for {
		if v.filling {
			all := steps[v.schema-1].backfills
			if err := fill(ctx, w, all, before, fills, progress); err != nil {
				return fmt.Errorf("migrating its rows to version %d: %w", v.schema, err)
			}
			before += len(all)
		}
		if v.schema == len(steps) {
			return nil
		}
		s := steps[v.schema]
		v = version{schema: v.schema + 1, filling: len(s.backfills) > 0}
		if err := step(ctx, w, s, v.schema); err != nil {
			return fmt.Errorf("bringing its schema to version %d: %w", v.schema, err)
		}
	}
}

func step(ctx context.Context, w *sql.DB, s migration, version int) error {
	tx, err := w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, s.statements); err != nil {
		return err
	}
	if len(s.backfills) > 0 {
		if _, err := tx.ExecContext(ctx, sqlBeginBackfill); err != nil {
			return err
		}
	}
	// A PRAGMA takes no parameters.
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// A version is how far the migration of a database has come.
type version struct {
	schema  int  // 0: it is new
	filling bool // the backfills of this version are not done
}

// waitOrMigrate says what to do about a database that has an older schema: who only reads
// cannot know whether another process is migrating it.
const waitOrMigrate = "it may be being migrated right now: wait for the ctwatch that runs, or start `ctwatch run` once, which migrates it"

// checkVersion fails unless a database has the newest version of the schema.
func checkVersion(ctx context.Context, r *sql.DB, steps []migration) error {
	v, err := versionOf(ctx, r, len(steps))
	switch {
	case err != nil:
		return err
	case v.schema < len(steps):
		return fmt.Errorf("%w: its schema has version %d and this ctwatch reads version %d: %s", ErrVersion, v.schema, len(steps), waitOrMigrate)
	case v.filling:
		return fmt.Errorf("%w: its migration to version %d is not done: %s", ErrVersion, v.schema, waitOrMigrate)
	}
	return nil
}

// versionOf reads the version of a database. It fails if the version is newer than
// known, or the file is not ours.
func versionOf(ctx context.Context, db *sql.DB, known int) (v version, err error) {
	var id, tables int
	// One statement, so that no other process makes the schema between two of them.
	err = db.QueryRowContext(ctx, `
		SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema), EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'backfill')
		FROM pragma_user_version, pragma_application_id`).Scan(&v.schema, &id, &tables, &v.filling)
	if err != nil {
		return version{}, err
	}
	switch {
	case id != applicationID && (id != 0 || v.schema != 0 || tables != 0):
		return version{}, fmt.Errorf("%w: it belongs to another program; choose another data directory", ErrVersion)
	case v.schema > known:
		return version{}, fmt.Errorf("%w: its schema has version %d, and this ctwatch supports versions up to %d: run the newer ctwatch that wrote it, or restore a backup made before the upgrade", ErrVersion, v.schema, known)
	}
	return v, nil
}
