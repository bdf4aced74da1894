package watchlist

import "sync/atomic"

// A Source says which list is in force. A *List is one that always says itself.
type Source interface {
	// Current returns the list in force now.
	Current() *List
}

// Current returns the list itself.
func (l *List) Current() *List { return l }

// A Live is a Source whose list can be replaced while it is in use.
type Live struct{ list atomic.Pointer[List] }

// NewLive returns a Live with a list.
func NewLive(l *List) *Live {
	v := new(Live)
	v.Replace(l)
	return v
}

// Current returns the list that was put in last.
func (v *Live) Current() *List { return v.list.Load() }

// Replace puts another list in force.
func (v *Live) Replace(l *List) { v.list.Store(l) }
