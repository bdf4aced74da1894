package watchlist

// Size returns how many nodes and rules the index of a list has, with those that are unused.
func (l *List) Size() (nodes, rules int) { return len(l.nodes), len(l.rules) }
