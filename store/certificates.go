package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Filter selects certificates. The zero Filter selects all.
type Filter struct {
	// Domain selects certificates that match this watched domain, or have a name
	// that is equal to it or below it. In lower case and punycode, without trailing dot.
	Domain  string
	Verdict ctwatch.Verdict
	Since   time.Time // first seen then or later
	// Open selects those that are unexpected or unreviewed, without a person's verdict.
	Open bool
	// Unproven selects those that were reported as unproven and still are.
	Unproven bool
	Log      ctwatch.LogID // optional: seen in this log

	// After continues after the certificate with this ID, the last of an earlier list.
	// The zero ID starts with the newest.
	After ctwatch.Hash
	Limit int // 0: no limit
}

const sqlAwaitingCAA = `
	SELECT c.seq FROM certificates c
	WHERE instr(c.reasons, '"caa_unknown"') > 0 AND (c.not_after > ?1 OR c.not_after IS NULL)
		AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.certificate = c.id AND a.action = 'judge' AND a.actor = ?2)
	ORDER BY c.seq DESC LIMIT ?3`

// AwaitingCAA returns certificates whose verdict depends on CAA records that could not
// be looked up yet: those that have not expired and have no verdict by a person, the
// last seen first, at most limit.
func (db Certificates) AwaitingCAA(ctx context.Context, limit int) ([]ctwatch.Certificate, error) {
	var out []ctwatch.Certificate
	err := db.read(ctx, "looking for certificates without CAA records", func(t readTx) error {
		seqs, err := columns[int64](t.query(sqlAwaitingCAA, ms(db.now()), string(pins.Person), limit))
		for _, seq := range seqs {
			c, err := loadCertificate(t, seq)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return err
	})
	return out, err
}

// minPrefix is the least number of hex digits of an ID that select a certificate.
const minPrefix = 8

// Get returns the certificate with an ID in hex, or with an ID that starts with eight
// digits or more. It fails with ctwatch.ErrNotFound or ctwatch.ErrAmbiguous.
func (db Certificates) Get(ctx context.Context, id string) (ctwatch.Certificate, error) {
	var c ctwatch.Certificate
	low, high, err := idRange(id)
	if err != nil {
		return c, err
	}
	err = db.read(ctx, "certificate "+id, func(t readTx) error {
		seqs, err := columns[int64](t.query(`SELECT seq FROM certificates WHERE id BETWEEN ? AND ? LIMIT 2`, low, high))
		switch {
		case err != nil:
			return err
		case len(seqs) == 0:
			return ctwatch.ErrNotFound
		case len(seqs) > 1:
			return ctwatch.ErrAmbiguous
		}
		c, err = loadCertificate(t, seqs[0])
		return err
	})
	return c, err
}

// CheckID returns what is wrong with an ID in hex, or the first digits of one, for Get.
func CheckID(id string) error {
	_, _, err := idRange(id)
	return err
}

// idRange returns the lowest and the highest ID that start with hex digits.
func idRange(prefix string) (low, high []byte, err error) {
	const digits = 2 * len(ctwatch.Hash{})
	if len(prefix) < minPrefix || len(prefix) > digits {
		return nil, nil, fmt.Errorf("certificate ID %q: want %d to %d hex digits", prefix, minPrefix, digits)
	}
	rest := digits - len(prefix)
	if low, err = hex.DecodeString(prefix + strings.Repeat("0", rest)); err != nil {
		return nil, nil, fmt.Errorf("certificate ID %q: want hex digits", prefix)
	}
	high, err = hex.DecodeString(prefix + strings.Repeat("f", rest))
	return low, high, err
}

// A DER is the bytes of a certificate, as logs have them. What was not seen is nil.
type DER struct {
	TBS            []byte // the TBSCertificate without poison and SCT list, of which the ID is the hash
	Certificate    []byte
	Precertificate []byte
}

// DER returns the bytes of the certificate with an ID. It fails with ctwatch.ErrNotFound.
func (db Certificates) DER(ctx context.Context, id ctwatch.Hash) (DER, error) {
	var d DER
	err := db.read(ctx, fmt.Sprintf("certificate %v", id), func(t readTx) error {
		var packed DER
		err := t.queryRow(`
			SELECT d.tbs, d.final, d.precertificate FROM certificates c JOIN ders d ON d.certificate = c.seq
			WHERE c.id = ?`, id[:]).Scan(&packed.TBS, &packed.Certificate, &packed.Precertificate)
		if err == sql.ErrNoRows {
			return ctwatch.ErrNotFound
		}
		if err != nil {
			return err
		}
		d, err = unpackDER(packed)
		return err
	})
	return d, err
}

// An OpenVerdict counts certificates that wait for a decision: those that are unexpected or
// unreviewed and have no verdict by a person.
type OpenVerdict struct {
	Domain  string // watched, in its canonical form; "" for all domains
	Verdict ctwatch.Verdict
	Count   int64
}

const sqlOpenVerdicts = `SELECT domain, verdict, count FROM open_verdicts WHERE domain IN (SELECT value FROM json_each(?)) AND count > 0 ORDER BY domain, verdict`

// CountOpen counts the certificates that wait for a decision, of some watched domains and
// of all together. One that matches several domains counts for each.
func (db Certificates) CountOpen(ctx context.Context, domains []string) ([]OpenVerdict, error) {
	return readAll(ctx, db.database, "counting open verdicts", func(r *sql.Rows) (v OpenVerdict, err error) {
		err = r.Scan(&v.Domain, &v.Verdict, &v.Count)
		return v, err
	}, sqlOpenVerdicts, list(append([]string{""}, domains...)))
}
