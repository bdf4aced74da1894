package store

import (
	"context"
	"fmt"
	"time"
)

// Pages of the file that are free are used for what comes, or given back to the file
// system: by SQLite's incremental vacuum (https://www.sqlite.org/pragma.html,
// auto_vacuum). A database has to be made, or rewritten, for that.
const (
	shrinkStep = 256     // pages of 4 KiB that one transaction moves at most
	minReserve = 4 << 10 // free pages that stay: what is pruned in an hour is written in the next
)

// shrink makes the file smaller by its free pages, all but a reserve, in steps.
func (db *database) shrink(ctx context.Context) error {
	for {
		more := false
		err := db.write(ctx, "making the file smaller", func(t *tx) error {
			var pages, free int64
			if err := t.queryRow(sqlPages).Scan(&pages, &free); err != nil {
				return err
			}
			excess := free - max(minReserve, pages/8)
			if excess <= 0 {
				return nil
			}
			more = excess > shrinkStep
			// It returns a row for each page, and stops when none is asked for.
			rows, err := t.query(fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, min(excess, shrinkStep)))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		})
		if err != nil || !more {
			return err
		}
	}
}

// sqlPages counts the pages of the file, and the free ones among them if they can be given
// back.
const sqlPages = `
	SELECT page_count, CASE WHEN auto_vacuum = 2 THEN freelist_count ELSE 0 END
	FROM pragma_page_count, pragma_freelist_count, pragma_auto_vacuum`

// compact rewrites a database that cannot shrink, since an older version made it, if it is
// worth it: a quarter of the pages are free, as after a migration that moves most rows. It
// takes the size of the result twice, for that time. If there is no room for it, the
// database is used as it is, and the next start tries again. It calls progress, if that is
// not nil, when it starts and every compacting.
func (db *database) compact(ctx context.Context, progress func(Progress)) error {
	var mode, pages, free int64
	err := db.w.QueryRowContext(ctx, `SELECT auto_vacuum, page_count, freelist_count FROM pragma_auto_vacuum, pragma_page_count, pragma_freelist_count`).Scan(&mode, &pages, &free)
	if err != nil || mode != 0 || free < pages/4 {
		return err
	}
	db.log.InfoContext(ctx, "making the file of the database smaller: this takes a minute or less for each GB that remains, and the next start repeats it if it is interrupted", "path", db.path)
	start := time.Now()
	err = saying(progress, Progress{What: "making the file smaller"}, func() error {
		_, err := db.w.ExecContext(ctx, `VACUUM`) // _auto_vacuum of the connection applies
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := err
	if failed != nil {
		db.log.WarnContext(ctx, "the file of the database stays as large as it is: what is free in it is used for what comes", "error", failed)
	}
	// What VACUUM wrote is in the write-ahead log.
	if _, err := db.w.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return err
	}
	if failed == nil {
		db.log.InfoContext(ctx, "the file of the database is smaller", "took", time.Since(start).Round(time.Millisecond).String())
	}
	return nil
}

// compacting is how often the database says that it is still being rewritten.
const compacting = 10 * time.Second

// saying reports progress when f starts, and every compacting until it ends.
func saying(progress func(Progress), p Progress, f func() error) error {
	if progress == nil {
		return f()
	}
	progress(p)
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	tick := time.NewTicker(compacting)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			progress(p)
		}
	}
}
