package main

import (
	"fmt"
	"iter"

	"ctwatch/ctwatch/words"
	"ctwatch/store"
)

// listLimit is how much a list prints unless --limit says otherwise.
const listLimit = 1000

// oneMore asks for one certificate more than are printed, to know whether there are more.
func oneMore(f store.Filter) store.Filter {
	if f.Limit > 0 {
		f.Limit++
	}
	return f
}

// limited yields the first n elements, or all if n is 0. It sets last to the last of
// them, and more if others follow.
func limited[T any](all iter.Seq2[T, error], n int, last *T, more *bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		i := 0
		for v, err := range all {
			if err == nil && n > 0 && i == n {
				*more = true
				return
			}
			if err == nil {
				*last = v
			}
			if i++; !yield(v, err) {
				return
			}
		}
	}
}

// sayMore says that a list goes on, and how to read on; not after which element if last is
// empty.
func (a *app) sayMore(n int, what, last string) {
	if last != "" {
		last = "To continue: --after " + last + ". "
	}
	fmt.Fprintf(a.Stderr, "Listed %s; there are more. %sTo list all: --limit 0.\n", words.Count(n, what), last)
}
