package ctwatch

import (
	"slices"
	"strings"
)

// Merge adds to a certificate what another sighting of it shows, and reports whether that
// changed anything apart from matches. New matches are returned, and are last in c.Matches.
// The TBSCertificate is the same in both; other facts may have been unavailable before.
// final means that the other's final certificate takes precedence over the one known.
//
// Neither the issuer's key nor the verdict is merged.
func (c *Certificate) Merge(more *Certificate, final bool) (changed bool, matches []Match) {
	changed = fill(&c.Issuer.Name, more.Issuer.Name)
	changed = fill(&c.Issuer.CAA, more.Issuer.CAA) || changed
	if final && more.Fingerprints.Certificate != nil {
		c.Fingerprints.Certificate, changed = more.Fingerprints.Certificate, true
	}
	changed = fill(&c.Fingerprints.Precertificate, more.Fingerprints.Precertificate) || changed
	for _, p := range more.Problems {
		if !slices.Contains(c.Problems, p) {
			c.Problems, changed = append(c.Problems, p), true
		}
	}
	if n := len(c.Problems); c.Issuer.Proven {
		c.Problems = slices.DeleteFunc(c.Problems, aboutIssuer)
		changed = changed || len(c.Problems) < n
	}
	known := make(map[Match]bool, len(c.Matches)) // there may be tens of thousands
	for _, m := range c.Matches {
		known[m] = true
	}
	n := len(c.Matches)
	for _, m := range more.Matches {
		if !known[m] {
			known[m] = true
			c.Matches = append(c.Matches, m)
		}
	}
	return changed, c.Matches[n:]
}

// aboutIssuer reports whether a problem is that the issuer is not proven.
func aboutIssuer(problem string) bool {
	return problem == ProblemNoIssuer || strings.HasPrefix(problem, ProblemUnproven)
}

// fill sets an unknown value, and reports whether it did.
func fill[T comparable](to *T, from T) bool {
	var unknown T
	if *to != unknown || from == unknown {
		return false
	}
	*to = from
	return true
}
