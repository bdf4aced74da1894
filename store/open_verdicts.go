package store

import (
	"context"
	"database/sql"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// An OpenVerdict counts the certificates of a watched domain that wait for a person.
type OpenVerdict struct {
	Domain  string // in its canonical form
	Verdict ctwatch.Verdict
	Count   int64
}

// CountOpen counts the certificates that are unexpected or unreviewed and that no
// person judged, by watched domain. One that matches several domains counts for each.
func (db Certificates) CountOpen(ctx context.Context) ([]OpenVerdict, error) {
	var out []OpenVerdict
	err := db.read(ctx, "counting open verdicts", func(t readTx) error {
		rows, err := t.query(`
			SELECT m.domain, c.verdict, count(DISTINCT c.seq)
			FROM certificates c JOIN matches m ON m.certificate = c.seq
			WHERE c.verdict <> ? AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.certificate = c.id AND a.action = 'judge' AND a.actor = ?)
			GROUP BY m.domain, c.verdict ORDER BY m.domain, c.verdict`, string(ctwatch.Expected), string(pins.Person))
		out, err = collect(rows, err, func(r *sql.Rows) (v OpenVerdict, err error) {
			err = r.Scan(&v.Domain, &v.Verdict, &v.Count)
			return v, err
		})
		return err
	})
	return out, err
}
