package store

import (
	"database/sql"

	"ctwatch/ctwatch"
)

// maxListed bounds the rows that a migration has in memory.
const maxListed = 100_000

// listCertificates fills the tables lists and open_verdicts (migration 13).
func listCertificates(t *fillTx, after, upto int64) error {
	matches, err := t.query(`SELECT certificate, name, domain FROM matches WHERE certificate > ? AND certificate <= ? ORDER BY certificate`, after, upto)
	if err != nil {
		return err
	}
	defer matches.Close()
	var match ctwatch.Match
	var of int64 // the certificate of match, which belongs to a later certificate
	rows, err := t.query(`SELECT seq, first_seen, names FROM certificates WHERE seq > ? AND seq <= ? ORDER BY seq`, after, upto)
	if err != nil {
		return err
	}
	defer rows.Close()
	var out []listed
	for rows.Next() {
		var seq, firstSeen int64
		var names []string
		if err := rows.Scan(&seq, &firstSeen, listOf{&names}); err != nil {
			return err
		}
		var its []ctwatch.Match
		for of <= seq {
			if of == seq {
				its = append(its, match)
			}
			if !matches.Next() {
				break
			}
			if err := matches.Scan(&of, &match.Name, &match.Domain); err != nil {
				return err
			}
		}
		if err := matches.Err(); err != nil {
			return err
		}
		for _, l := range listsOf(names, its) {
			out = append(out, listed{l, firstSeen, seq})
		}
		if len(out) > maxListed {
			if err := insertListed(t.exec, out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	sightings, err := t.query(`
		SELECT DISTINCT s.log, c.first_seen, c.seq FROM sightings s JOIN certificates c ON c.seq = s.certificate
		WHERE s.certificate > ? AND s.certificate <= ?`, after, upto)
	inLogs, err := collect(sightings, err, func(r *sql.Rows) (l listed, err error) {
		var log int64
		err = r.Scan(&log, &l.firstSeen, &l.certificate)
		l.list = logList(log)
		return l, err
	})
	if err != nil {
		return err
	}
	if err := insertListed(t.exec, append(out, inLogs...)); err != nil {
		return err
	}
	_, err = t.exec(`
		INSERT INTO open_verdicts (domain, verdict, count)
		WITH open AS (
			SELECT DISTINCT m.domain, c.verdict, c.seq FROM certificates c JOIN matches m ON m.certificate = c.seq
			WHERE c.seq > ?1 AND c.seq <= ?2 AND c.verdict <> 'expected' AND c.decided = 0)
		SELECT domain, verdict, count(*) FROM open GROUP BY domain, verdict UNION ALL SELECT '', verdict, count(*) FROM open GROUP BY verdict
		ON CONFLICT DO UPDATE SET count = count + excluded.count`, after, upto)
	return err
}
