package pins

// A PatternSet is many patterns, where one look-up for each label of a name finds out whether
// any covers it: certificates have tens of thousands of names.
type PatternSet map[Pattern]bool

// NewPatternSet makes a set of patterns.
func NewPatternSet(ps ...Pattern) PatternSet {
	s := make(PatternSet, len(ps))
	for _, p := range ps {
		s[p] = true
	}
	return s
}

// Covers reports whether a pattern of the set stands for every host that q stands for, as
// Pattern.Covers does.
func (s PatternSet) Covers(q Pattern) bool {
	if len(s) == 0 {
		return false
	}
	if s[q] || s[Pattern{Name: q.Name, Reach: AllBelow}] {
		return true
	}
	label := true // the first of the name
	for i := range len(q.Name) {
		if q.Name[i] != '.' {
			continue
		}
		above := q.Name[i+1:]
		if i > 0 && (s[Pattern{Name: above, Reach: AllBelow}] || label && q.Reach == Exact && s[Pattern{Name: above, Reach: OneBelow}]) {
			return true
		}
		label = false
	}
	return false
}
