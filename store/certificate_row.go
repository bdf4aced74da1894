package store

import (
	"database/sql"
	"errors"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A certificateRow is a certificate as it is stored, with what rules and alarms depend on
// besides.
type certificateRow struct {
	seq int64
	ctwatch.Certificate
	believed bool         // its issuer is believed, and not proven: see mergeIssuer
	caa      string       // the CAA records that were found, in JSON; "" if there are none
	grants   string       // the names that rules grant by it, as list writes them
	past     ctwatch.Past // before this transaction
	alarm    ctwatch.AlarmState
	issuers  []pins.Pin // that its first maxSightings entries name, each once
}

const (
	sqlRow = `
		SELECT ` + certificateColumns + `, c.issuer_proven = 2, coalesce(c.caa, ''), c.vouched,
			coalesce((SELECT state FROM unproven WHERE certificate = c.seq), ''),
			EXISTS (SELECT 1 FROM audit WHERE certificate = c.id AND action = 'judge' AND actor = '` + string(pins.Person) + `'),
			(SELECT count(*) FROM audit WHERE certificate = c.id AND action = 'judge' AND verdict = '` + string(ctwatch.Unexpected) + `'),
			(SELECT count(*) FROM audit WHERE certificate = c.id AND action = 'judge')
		FROM certificates c WHERE `
	sqlRowOfID  = sqlRow + `c.id = ?`
	sqlRowOfSeq = sqlRow + `c.seq = ?`
)

// findRow reads a certificate without its matches and sightings.
func findRow(q querier, id ctwatch.Hash) (r *certificateRow, known bool, err error) {
	r, err = scanRow(q.queryRow(sqlRowOfID, id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return r, err == nil, err
}

// loadRow reads a certificate with its matches and sightings.
func loadRow(q querier, seq int64) (*certificateRow, error) {
	r, err := scanRow(q.queryRow(sqlRowOfSeq, seq))
	if err != nil {
		return nil, err
	}
	return r, r.load(q)
}

func scanRow(row *sql.Row) (r *certificateRow, err error) {
	r = new(certificateRow)
	r.seq, r.Certificate, err = scanCertificate(row, &r.believed, &r.caa, &r.grants, &r.alarm, &r.past.ByPerson, &r.past.Unexpected, &r.past.Times)
	return r, err
}

// load reads the certificate's matches and sightings.
func (r *certificateRow) load(q querier) (err error) {
	r.issuers, err = loadRelated(q, r.seq, &r.Certificate)
	return err
}

// otherIssuers returns the keys that log entries name as the certificate's issuer's, and
// that are not.
func (r *certificateRow) otherIssuers(q querier) (out []pins.Pin, err error) {
	all := r.issuers
	if len(r.Sightings) >= maxSightings {
		if all, err = columns[pins.Pin](q.query(sqlOtherIssuers, r.seq, r.Issuer.Pin[:])); err != nil {
			return nil, err
		}
	}
	for _, p := range all {
		if p != r.Issuer.Pin {
			out = append(out, p)
		}
	}
	return out, nil
}

// inTree reports whether an entry with the certificate is proven to be in its log's tree.
func (r *certificateRow) inTree(q querier) (proven bool, err error) {
	err = q.queryRow(sqlInTree, r.seq).Scan(&proven)
	return proven, err
}
