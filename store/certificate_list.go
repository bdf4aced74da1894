package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"ctwatch/ctwatch"
)

const (
	// listStep is how many certificates one transaction reads. A client that reads a list
	// for an hour must not keep the write-ahead log from being truncated.
	listStep = 200
	// walkStep is how many certificates one query takes from a list of which other filters
	// may leave few.
	walkStep = 1000
	// walkMost is how many certificates one transaction takes from a list at most.
	walkMost = 20 * walkStep
)

// List returns certificates, the last seen first. An error comes last.
//
// Every filter is a range of an index, in the order of the list. Of several filters the
// one with the fewest certificates is read, and the others are applied to each of these:
// that takes long only where both have thousands, and few have both.
func (db Certificates) List(ctx context.Context, f Filter) iter.Seq2[ctwatch.Certificate, error] {
	return func(yield func(ctwatch.Certificate, error) bool) {
		l, err := db.startList(ctx, f)
		for left := f.Limit; err == nil && !l.done; {
			step := listStep
			if f.Limit > 0 {
				step = min(step, left)
			}
			var page []ctwatch.Certificate
			if page, err = l.page(ctx, step); err != nil {
				break
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if left -= len(page); f.Limit > 0 && left == 0 {
				return
			}
		}
		if err != nil {
			yield(ctwatch.Certificate{}, err)
		}
	}
}

// A place is where a certificate is in the order of lists.
type place struct{ firstSeen, seq int64 }

// A listing is a list of certificates that is being read.
type listing struct {
	db     *database
	domain string
	since  int64
	after  place // read up to there
	done   bool

	read  source    // what is read
	apply condition // to that: the other filters
}

// A source is a range of an index, in the order of lists. Its query has the parameters
// ?1 and ?2, the place after which to continue, ?3, the least first_seen, ?4, the limit,
// and args.
type source struct {
	query string
	args  []any
}

// A condition selects among certificates c.
type condition struct {
	and  string
	args []any
}

func (c *condition) add(other condition) {
	c.and += " AND " + other.and
	c.args = append(c.args, other.args...)
}

const sqlRange = ` AND (first_seen, seq) < (?1, ?2) AND first_seen >= ?3 `

var (
	onList = strings.ReplaceAll(`SELECT first_seen, certificate AS seq FROM lists WHERE list = ?5`+sqlRange, "(first_seen, seq)", "(first_seen, certificate)")

	sqlListAll      = `SELECT first_seen, seq FROM certificates WHERE true` + sqlRange + newestFirst
	sqlListOpen     = `SELECT first_seen, seq FROM certificates WHERE ` + isOpen + sqlRange + newestFirst
	sqlListOf       = onList + newestFirst
	sqlListDomain   = onList + ` UNION ` + strings.ReplaceAll(onList, "?5", "?6") + newestFirst
	sqlListUnproven = `SELECT first_seen, seq FROM unproven u CROSS JOIN certificates c ON c.seq = u.certificate WHERE true` + sqlRange + newestFirst
)

// newestFirst is the order of lists.
const newestFirst = ` ORDER BY first_seen DESC, seq DESC LIMIT ?4`

// isOpen is the condition of the index certificates_open_by_time.
const isOpen = `verdict <> 'expected' AND decided = 0`

// sqlListVerdict lists the certificates with a verdict. An index of those with one verdict is
// used only for a query that names it.
func sqlListVerdict(v ctwatch.Verdict) string {
	return `SELECT first_seen, seq FROM certificates WHERE ` + isVerdict(v) + sqlRange + newestFirst
}

func isVerdict(v ctwatch.Verdict) string {
	switch v {
	case ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed:
		return `verdict = '` + string(v) + `'`
	}
	return `false`
}

// startList prepares to read a list.
func (db *database) startList(ctx context.Context, f Filter) (*listing, error) {
	l := &listing{db: db, domain: f.Domain, since: math.MinInt64, after: place{math.MaxInt64, math.MaxInt64}}
	if !f.Since.IsZero() {
		l.since = ms(f.Since)
	}
	err := db.read(ctx, "reading certificates", func(t readTx) error {
		if !f.After.IsZero() {
			err := t.queryRow(`SELECT first_seen, seq FROM certificates WHERE id = ?`, f.After[:]).Scan(&l.after.firstSeen, &l.after.seq)
			if err == sql.ErrNoRows {
				return fmt.Errorf("certificate %v, to continue after: %w", f.After, ctwatch.ErrNotFound)
			} else if err != nil {
				return err
			}
		}
		var sources []source
		var conditions []condition
		add := func(query, and string, args ...any) {
			sources = append(sources, source{query, args})
			conditions = append(conditions, condition{and, args})
		}
		if f.Domain != "" {
			name, below := domainLists(f.Domain)
			add(sqlListDomain, `EXISTS (SELECT 1 FROM lists x WHERE x.list IN (?, ?) AND x.first_seen = c.first_seen AND x.certificate = c.seq)`, name, below)
		}
		if f.Log != (ctwatch.LogID{}) {
			var log int64
			if err := t.queryRow(`SELECT seq FROM logs WHERE id = ?`, f.Log[:]).Scan(&log); err == sql.ErrNoRows {
				l.done = true
				return nil
			} else if err != nil {
				return err
			}
			add(sqlListOf, `EXISTS (SELECT 1 FROM lists x WHERE x.list = ? AND x.first_seen = c.first_seen AND x.certificate = c.seq)`, logList(log))
		}
		if f.Verdict != "" {
			add(sqlListVerdict(f.Verdict), isVerdict(f.Verdict))
		}
		if f.Open {
			add(sqlListOpen, isOpen)
		}
		if f.Unproven {
			add(sqlListUnproven, `EXISTS (SELECT 1 FROM unproven u WHERE u.certificate = c.seq)`)
		}
		if len(sources) == 0 {
			l.read = source{query: sqlListAll}
			return nil
		}
		return l.choose(t, sources, conditions)
	})
	return l, err
}

// choose chooses the source with the fewest certificates, as far as one step shows.
func (l *listing) choose(t readTx, sources []source, conditions []condition) error {
	best, fewest := 0, math.MaxInt
	for i := 0; i < len(sources) && len(sources) > 1; i++ {
		l.read = sources[i]
		found, err := l.next(t, walkStep)
		if err != nil {
			return err
		}
		if len(found) < fewest {
			best, fewest = i, len(found)
		}
	}
	l.read = sources[best]
	for i, c := range conditions {
		if i != best {
			l.apply.add(c)
		}
	}
	return nil
}

// next returns where the next certificates of the source are, at most limit.
func (l *listing) next(t readTx, limit int) ([]place, error) {
	rows, err := t.query(l.read.query, append([]any{l.after.firstSeen, l.after.seq, l.since, limit}, l.read.args...)...)
	return collect(rows, err, func(r *sql.Rows) (p place, err error) {
		err = r.Scan(&p.firstSeen, &p.seq)
		return p, err
	})
}

// page reads the next n certificates in a transaction; fewer, if few of those that it
// looks at are to be listed, or at the end.
func (l *listing) page(ctx context.Context, n int) (out []ctwatch.Certificate, err error) {
	err = l.db.read(ctx, "reading certificates", func(t readTx) error {
		for walked := 0; walked < walkMost && len(out) < n && !l.done; walked += walkStep {
			limit := walkStep
			if l.apply.and == "" {
				limit = n - len(out)
			}
			found, err := l.next(t, limit)
			if err != nil {
				return err
			}
			l.done = len(found) < limit
			seqs, err := l.applied(t, found)
			if err != nil {
				return err
			}
			if more := n - len(out); len(seqs) > more {
				seqs, l.done = seqs[:more], false
				found = found[:1+slices.IndexFunc(found, func(p place) bool { return p.seq == seqs[more-1] })]
			}
			if len(found) > 0 {
				l.after = found[len(found)-1]
			}
			page, err := loadCertificates(t, seqs)
			if err != nil {
				return err
			}
			if l.domain != "" {
				page = slices.DeleteFunc(page, func(c ctwatch.Certificate) bool { return !isFor(&c, l.domain) })
			}
			out = append(out, page...)
		}
		return nil
	})
	return out, err
}

// applied returns those places that the other filters select.
func (l *listing) applied(t readTx, found []place) ([]int64, error) {
	seqs := make([]int64, len(found))
	for i, p := range found {
		seqs[i] = p.seq
	}
	if l.apply.and == "" || len(seqs) == 0 {
		return seqs, nil
	}
	kept, err := columns[int64](t.query(`SELECT c.seq FROM certificates c WHERE c.seq IN (SELECT value FROM json_each(?))`+l.apply.and, append([]any{numberList(seqs)}, l.apply.args...)...))
	if err != nil {
		return nil, err
	}
	is := make(map[int64]bool, len(kept))
	for _, seq := range kept {
		is[seq] = true
	}
	return slices.DeleteFunc(seqs, func(seq int64) bool { return !is[seq] }), nil
}

// isFor reports whether a certificate has a name at or below a domain, or matches it.
func isFor(c *ctwatch.Certificate, domain string) bool {
	in := func(name string) bool {
		rest, ok := strings.CutSuffix(name, domain)
		return ok && (rest == "" || strings.HasSuffix(rest, "."))
	}
	return slices.ContainsFunc(c.Names, in) ||
		slices.ContainsFunc(c.Matches, func(m ctwatch.Match) bool { return m.Domain == domain || in(m.Name) })
}

const (
	sqlCertificatesOf = `SELECT ` + certificateColumns + ` FROM certificates c WHERE c.seq IN (SELECT value FROM json_each(?))`
	// CROSS JOIN reads in this order, and the rows of each certificate in that of the primary
	// key; ORDER BY would read and sort all of them first.
	sqlMatchesOf   = `SELECT certificate, watch, name, domain FROM json_each(?) CROSS JOIN matches ON certificate = value`
	sqlSightingsOf = `
		SELECT certificate, log, entry, timestamp, sightings.kind, verified FROM json_each(?) CROSS JOIN sightings ON certificate = value`
)

// loadCertificates reads certificates with their matches and sightings, in order, by one
// query for each kind of row.
func loadCertificates(q querier, seqs []int64) ([]ctwatch.Certificate, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	out := make([]ctwatch.Certificate, len(seqs))
	at := make(map[int64]int, len(seqs))
	for i, seq := range seqs {
		at[seq] = i
	}
	rows, err := q.query(sqlCertificatesOf, numberList(seqs))
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		seq, c, err := scanCertificate(r)
		if err == nil {
			out[at[seq]] = c
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = q.query(sqlMatchesOf, numberList(seqs))
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		var seq int64
		var m ctwatch.Match
		if err = r.Scan(&seq, &m.Watch, &m.Name, &m.Domain); err == nil {
			c := &out[at[seq]]
			c.Matches = append(c.Matches, m)
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	return out, loadSightings(q, seqs, func(seq int64) *ctwatch.Certificate { return &out[at[seq]] })
}

// loadSightings reads the sightings of certificates, the first maxSightings of each.
func loadSightings(q querier, seqs []int64, of func(seq int64) *ctwatch.Certificate) error {
	type log struct {
		id   ctwatch.LogID
		name string
	}
	logs := make(map[int64]log)
	rows, err := q.query(`SELECT seq, id, name FROM logs`)
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		var seq int64
		var l log
		err = r.Scan(&seq, &l.id, &l.name)
		logs[seq] = l
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	const none = int64(math.MaxInt64)
	for left := slices.Sorted(slices.Values(seqs)); len(left) > 0; {
		rows, err := q.query(sqlSightingsOf, numberList(left))
		if err != nil {
			return err
		}
		full := none // has more than maxSightings, perhaps a million
		for full == none && rows.Next() {
			var seq, l, timestamp int64
			var s ctwatch.Sighting
			if err := rows.Scan(&seq, &l, &s.Index, &timestamp, &s.Kind, &s.Verified); err != nil {
				return errors.Join(err, rows.Close())
			}
			c := of(seq)
			if len(c.Sightings) == maxSightings {
				full = seq
				continue
			}
			s.Log, s.LogID, s.Timestamp = logs[l].name, logs[l].id, fromMS(timestamp)
			c.Sightings = append(c.Sightings, s)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(seq int64) bool { return seq <= full })
	}
	for _, seq := range seqs {
		sortSightings(of(seq))
	}
	return nil
}
