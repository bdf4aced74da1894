package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A listed is a row of the table lists: a certificate on a list. A list is what has one
// property, in the order of all lists of certificates, so that a page of it is a range:
//
//   - the certificates with a name (nameList),
//   - the certificates with a name below a domain (belowList),
//   - the certificates that a log has (logList).
//
// A certificate that has both a domain as a name and names below it is on the first list
// alone: those at or below a domain are on one of two (domainLists). Names are those of the
// certificate and those that match; a watched domain at or below which there are none, such
// as a network's, counts as a name.
//
// Lists of names are hashes of 47 bits, which saves a table of names and takes 6 bytes: what
// is read from a list has to be compared with the name. Rows are in databases, so that what
// is hashed, and listLabels, never change.
type listed struct{ list, firstSeen, certificate int64 }

// listLabels is the most labels of a domain that a belowList is made for: a certificate can
// have 65,536 names, and a name 127 labels.
const listLabels = 6

func nameList(name string) int64 { return hashList("=", name) }

func belowList(domain string) int64 { return hashList(".", domain) }

func logList(seq int64) int64 { return -seq }

func hashList(kind, name string) int64 {
	sum := sha256.Sum256([]byte(kind + name))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 17)
}

// parents returns the domains that a name is below, the shortest first, with at most
// listLabels labels. An address is below none.
func parents(name string) (out []string) {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	for end := len(name); len(out) < listLabels; {
		i := strings.LastIndexByte(name[:end], '.')
		if i < 0 {
			return out
		}
		out = append(out, name[i+1:])
		end = i
	}
	return out
}

// domainLists returns the two lists that together have all certificates with a name at or
// below a domain, and perhaps others.
func domainLists(domain string) (name, below int64) {
	if p := parents(domain); len(p) == listLabels {
		domain = p[listLabels-1]
	}
	return nameList(domain), belowList(domain)
}

// listsOf returns the lists of names that a certificate is on.
func listsOf(names []string, matches []ctwatch.Match) (out []int64) {
	at := make(map[string]bool, len(names))
	below := make(map[string]bool, listLabels)
	add := func(name string) {
		if !at[name] {
			at[name] = true
			for _, p := range parents(name) {
				below[p] = true
			}
		}
	}
	for _, n := range names {
		add(n)
	}
	for i := range matches {
		add(matches[i].Name)
	}
	for i := range matches {
		if d := matches[i].Domain; !below[d] {
			at[d] = true
		}
	}
	for n := range at {
		out = append(out, nameList(n))
	}
	for d := range below {
		if !at[d] {
			out = append(out, belowList(d))
		}
	}
	return out
}

// addTo puts a certificate on lists when the transaction commits: many rows at once, in the
// order of the table, cost half.
func (t *tx) addTo(certificate int64, c *ctwatch.Certificate, lists ...int64) {
	for _, l := range lists {
		t.listed = append(t.listed, listed{l, ms(c.FirstSeen), certificate})
	}
}

// rowsAtOnce is how many rows sqlInsertSomeListed inserts.
const rowsAtOnce = 16

const sqlInsertListed = `INSERT INTO lists (list, first_seen, certificate) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`

var sqlInsertSomeListed = strings.Replace(sqlInsertListed, `(?, ?, ?)`, strings.Repeat(`(?, ?, ?), `, rowsAtOnce-1)+`(?, ?, ?)`, 1)

// insertListed inserts rows, which it sorts.
func insertListed(exec func(query string, args ...any) (int64, error), rows []listed) error {
	slices.SortFunc(rows, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.list, b.list), cmp.Compare(a.firstSeen, b.firstSeen), cmp.Compare(a.certificate, b.certificate))
	})
	args := make([]any, 0, 3*rowsAtOnce)
	for len(rows) > 0 {
		n, query := rowsAtOnce, sqlInsertSomeListed
		if len(rows) < n {
			n, query = 1, sqlInsertListed
		}
		args = args[:0]
		for _, r := range rows[:n] {
			args = append(args, r.list, r.firstSeen, r.certificate)
		}
		if _, err := exec(query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// listsFor returns the lists of the certificates that have a name that covers a host of the
// patterns, or that they cover, as JSON. A few others may be on them: the caller compares
// names.
func listsFor(patterns []pins.Pattern) string {
	var out []int64
	for _, p := range patterns {
		if p.Reach != pins.OneBelow { // a wildcard covers it
			out = append(out, nameList(p.Name))
			if _, parent, ok := strings.Cut(p.Name, "."); ok {
				out = append(out, nameList("*."+parent))
			}
		}
		if p.Reach != pins.Exact {
			name, below := domainLists(p.Name)
			out = append(out, name, below)
		}
	}
	slices.Sort(out)
	return numberList(slices.Compact(out))
}

// An openVerdict is a row of open_verdicts; the domain "" is all.
type openVerdict struct {
	domain  string
	verdict ctwatch.Verdict
}

const sqlCountOpen = `INSERT INTO open_verdicts (domain, verdict, count) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET count = count + excluded.count`

// countOpen counts a certificate without a person's verdict once more, or (-1) once less,
// under its verdict and its domains, when the transaction commits.
func (t *tx) countOpen(verdict ctwatch.Verdict, domains []string, n int64) {
	if verdict == ctwatch.Expected {
		return
	}
	if t.open == nil {
		t.open = make(map[openVerdict]int64)
	}
	for _, d := range domains {
		t.open[openVerdict{d, verdict}] += n
		t.open[openVerdict{"", verdict}] += n
	}
}

// flush writes what addTo and countOpen left.
func (t *tx) flush() error {
	if err := insertListed(t.exec, t.listed); err != nil {
		return err
	}
	for k, n := range t.open {
		if n == 0 {
			continue
		}
		if _, err := t.exec(sqlCountOpen, k.domain, string(k.verdict), n); err != nil {
			return err
		}
	}
	return nil
}
