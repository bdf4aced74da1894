package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Filter selects certificates. The zero Filter selects all.
type Filter struct {
	// Domain selects certificates that match this watched domain, or match by a name
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

// listStep is how many certificates one transaction reads. A client that reads a list
// for an hour must not keep the write-ahead log from being truncated.
const listStep = 200

// List returns certificates, the last seen first. An error comes last.
func (db Certificates) List(ctx context.Context, f Filter) iter.Seq2[ctwatch.Certificate, error] {
	return func(yield func(ctwatch.Certificate, error) bool) {
		for left := f.Limit; ; {
			step := listStep
			if f.Limit > 0 {
				step = min(step, left)
			}
			page, err := db.page(ctx, f, step)
			if err != nil {
				yield(ctwatch.Certificate{}, err)
				return
			}
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
			}
			left -= len(page)
			if len(page) < step || f.Limit > 0 && left == 0 {
				return
			}
			f.After = page[len(page)-1].ID
		}
	}
}

// page reads the first n certificates of a list.
func (db *database) page(ctx context.Context, f Filter, n int) ([]ctwatch.Certificate, error) {
	where := []string{"true"}
	var args []any
	and := func(condition string, arg ...any) {
		where = append(where, condition)
		args = append(args, arg...)
	}
	if !f.Since.IsZero() {
		and("c.first_seen >= ?", ms(f.Since))
	}
	if f.Verdict != "" {
		and("c.verdict = ?", string(f.Verdict))
	}
	if f.Open {
		and(`c.verdict <> ? AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.certificate = c.id AND a.action = 'judge' AND a.actor = ?)`,
			string(ctwatch.Expected), string(pins.Person))
	}
	if f.Unproven {
		and(`EXISTS (SELECT 1 FROM unproven u WHERE u.certificate = c.seq)`)
	}
	if f.Log != (ctwatch.LogID{}) {
		and(`EXISTS (SELECT 1 FROM sightings s JOIN logs l ON l.seq = s.log WHERE s.certificate = c.seq AND l.id = ?)`, f.Log[:])
	}
	if f.Domain != "" {
		below := "." + f.Domain
		and(`EXISTS (SELECT 1 FROM matches m WHERE m.certificate = c.seq AND (m.domain = ? OR m.name = ? OR substr(m.name, -length(?)) = ?))`,
			f.Domain, f.Domain, below, below)
	}
	var out []ctwatch.Certificate
	err := db.read(ctx, "reading certificates", func(t readTx) error {
		if !f.After.IsZero() {
			var firstSeen, seq int64
			if err := t.queryRow(`SELECT first_seen, seq FROM certificates WHERE id = ?`, f.After[:]).Scan(&firstSeen, &seq); err == sql.ErrNoRows {
				return fmt.Errorf("certificate %v, to continue after: %w", f.After, ctwatch.ErrNotFound)
			} else if err != nil {
				return err
			}
			and("(c.first_seen, c.seq) < (?, ?)", firstSeen, seq)
		}
		rows, err := t.query(`SELECT `+certificateColumns+` FROM certificates c WHERE `+strings.Join(where, " AND ")+
			` ORDER BY c.first_seen DESC, c.seq DESC LIMIT ?`, append(args, n)...)
		var seqs []int64
		out, err = collect(rows, err, func(r *sql.Rows) (ctwatch.Certificate, error) {
			seq, c, err := scanCertificate(r)
			seqs = append(seqs, seq)
			return c, err
		})
		if err != nil {
			return err
		}
		for i := range out {
			if err := loadRelated(t, seqs[i], &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
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

// An OpenVerdict counts the certificates of a watched domain that wait for a decision.
type OpenVerdict struct {
	Domain  string // in its canonical form
	Verdict ctwatch.Verdict
	Count   int64
}

// CountOpen counts the certificates that are unexpected or unreviewed and have no
// verdict by a person, by watched domain. One that matches several domains counts for
// each.
func (db Certificates) CountOpen(ctx context.Context) ([]OpenVerdict, error) {
	return readAll(ctx, db.database, "counting open verdicts", func(r *sql.Rows) (v OpenVerdict, err error) {
		err = r.Scan(&v.Domain, &v.Verdict, &v.Count)
		return v, err
	}, `
		SELECT m.domain, c.verdict, count(DISTINCT c.seq)
		FROM certificates c JOIN matches m ON m.certificate = c.seq
		WHERE c.verdict <> ? AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.certificate = c.id AND a.action = 'judge' AND a.actor = ?)
		GROUP BY m.domain, c.verdict ORDER BY m.domain, c.verdict`, string(ctwatch.Expected), string(pins.Person))
}
