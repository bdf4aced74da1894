package watchlist

// Nodes returns how many nodes the index of a list has.
func (l *List) Nodes() int { return len(l.nodes) }
