package watchlist

import "sync/atomic"

// A Source provides the list in use. A *List provides itself.
type Source interface {
	// Current returns the list in use now.
	Current() *List
}

// Current returns the list itself.
func (l *List) Current() *List { return l }

// A Live is a Source whose list can be replaced at any time.
type Live struct{ list atomic.Pointer[List] }

// NewLive returns a Live with a list.
func NewLive(l *List) *Live {
	v := new(Live)
	v.Replace(l)
	return v
}

// Current returns the current list.
func (v *Live) Current() *List { return v.list.Load() }

// Replace replaces the list.
func (v *Live) Replace(l *List) { v.list.Store(l) }
