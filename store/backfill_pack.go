package store

import (
	"database/sql"

	"ctwatch/store/pack"
)

// packingVersion is the version of the schema that packs events and certificates.
const packingVersion = 12

// packing moves events and certificates to the tables in which they are packed.
var packing = []backfill{
	{what: "compressing events", table: "outbox_plain", rows: 500, step: packEvents, end: `DROP TABLE outbox_plain`},
	{what: "compressing certificates", table: "ders_plain", rows: 500, step: packDERs, end: `DROP TABLE ders_plain`},
}

func packEvents(t *fillTx, after, upto int64) error {
	type row struct {
		seq, at   int64
		id, event string
	}
	rows, err := t.query(`SELECT seq, id, created_at, event FROM outbox_plain WHERE seq > ? AND seq <= ? ORDER BY seq`, after, upto)
	all, err := collect(rows, err, func(r *sql.Rows) (v row, err error) {
		err = r.Scan(&v.seq, &v.id, &v.at, &v.event)
		return v, err
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		_, err := t.exec(`INSERT INTO outbox (seq, id, created_at, event) VALUES (?, ?, ?, ?)`, r.seq, eventKey(r.id), r.at, pack.Event([]byte(r.event)))
		if err != nil {
			return err
		}
	}
	_, err = t.exec(`DELETE FROM outbox_plain WHERE seq > ? AND seq <= ?`, after, upto)
	return err
}

func packDERs(t *fillTx, after, upto int64) error {
	type row struct {
		certificate, proven int64
		tbs, final, pre     []byte
	}
	rows, err := t.query(`
		SELECT certificate, final_proven, tbs, final, precertificate FROM ders_plain
		WHERE certificate > ? AND certificate <= ? ORDER BY certificate`, after, upto)
	all, err := collect(rows, err, func(r *sql.Rows) (v row, err error) {
		err = r.Scan(&v.certificate, &v.proven, &v.tbs, &v.final, &v.pre)
		return v, err
	})
	if err != nil {
		return err
	}
	for _, r := range all {
		other := func(der []byte) any {
			if der == nil {
				return nil
			}
			return pack.DER(r.tbs, der)
		}
		_, err := t.exec(`INSERT INTO ders (certificate, tbs, final, precertificate, final_proven) VALUES (?, ?, ?, ?, ?)`,
			r.certificate, pack.DER(nil, r.tbs), other(r.final), other(r.pre), r.proven)
		if err != nil {
			return err
		}
	}
	_, err = t.exec(`DELETE FROM ders_plain WHERE certificate > ? AND certificate <= ?`, after, upto)
	return err
}
