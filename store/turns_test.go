package store

import (
	"context"
	"testing"
	"testing/synctest"
)

// TestUrgentWritesGoFirst: urgent writes go first, and delay others for a bounded time.
func TestUrgentWritesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		if err := turns.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, urgent bool) {
			go func() {
				if turns.take(t.Context(), urgent) == nil {
					order = append(order, name)
					turns.give()
				}
			}()
			synctest.Wait() // so that they come in order
		}
		wait("a", false)
		wait("b", false)
		for range maxUrgent + 2 {
			wait("!", true)
		}
		gone, cancel := context.WithCancel(t.Context())
		go func() {
			if turns.take(gone, true) == nil {
				t.Error("one that gave up had its turn")
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		turns.give()
		synctest.Wait()
		if len(order) != maxUrgent+4 || order[0] != "!" || order[maxUrgent] != "a" || order[len(order)-1] != "b" {
			t.Errorf("the order was %v", order)
		}
		if turns.busy {
			t.Error("no writer is left, and the turn is taken")
		}
	})
}
