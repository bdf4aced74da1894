package ctwatch

import (
	"slices"
	"strings"
)

// Merge adds to a certificate what another sighting of it knows besides, and reports
// whether that changed anything apart from matches: those that are new are returned, and
// are last in c.Matches. The facts in the TBSCertificate are the same in both; those
// around it may have been out of reach before. final means that the fingerprint of the
// other's final certificate takes the place of the one that is known.
//
// The issuer's key is not merged, and neither is the verdict.
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

// aboutIssuer reports whether a problem says why the issuer is not proven.
func aboutIssuer(problem string) bool {
	return problem == ProblemNoIssuer || strings.HasPrefix(problem, ProblemUnproven)
}

// fill sets what is unknown, and reports whether it did.
func fill[T comparable](to *T, from T) bool {
	var unknown T
	if *to != unknown || from == unknown {
		return false
	}
	*to = from
	return true
}
