package follow_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// If a log has signed a tree that never verifies, a restart reads nothing again that was
// read. New matches are reported, and the rest is read again when that is due.
func TestRestartReadsNothingTwice(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		o.MaxAge = 10 * time.Second
		r := newRig(t, o)
		r.fill(300)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.AlterEntry(310, nil)) // as if one bit had flipped before it was signed
		r.fill(5 * 256)
		first := r.precert("a." + watched)
		size := r.publish().Size
		r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		r.until("all to be read", func() bool { return r.status().Position == size })
		time.Sleep(time.Minute) // until it is tried again rarely
		for tried := r.log.Requests(ctlogtest.Entries); r.log.Requests(ctlogtest.Entries) == tried; {
			time.Sleep(time.Second) // then it was tried just now
		}
		time.Sleep(time.Second)
		for n := range 3 {
			r.stop()
			before := r.log.Requests(ctlogtest.Entries)
			r.follow(beginning)
			time.Sleep(2 * time.Second)
			if asked := r.log.Requests(ctlogtest.Entries) - before; asked > 0 {
				t.Fatalf("restart %d: requested entries %d times, of which none is new", n, asked)
			}
			if s := r.status(); s.Position != size || s.Verified != 300 || s.Healthy {
				t.Errorf("restart %d: %+v", n, s)
			}
		}
		before := r.log.Requests(ctlogtest.Entries)
		second := r.precert("b." + watched)
		size = r.publish().Size
		r.until("what is new to be reported", func() bool { return r.issued()[second] == 1 })
		r.until("it to be read again", func() bool {
			all := r.log.Recent(ctlogtest.Entries)
			asked := r.log.Requests(ctlogtest.Entries) - before
			for _, h := range all[max(0, len(all)-asked):] {
				if strings.Contains(h.Path, "start=300") || strings.Contains(h.Path, "data/001") {
					return true
				}
			}
			return false
		})
		if n := len(r.of(ctwatch.LogMisbehaved)); n != 1 {
			t.Errorf("reported %d times", n)
		}
		r.log.ClearFaults()
		r.verified(size)
		r.until("the log to behave", func() bool { return r.status().Healthy })
		if got := r.issued(); got[first] != 1 || got[second] != 1 {
			t.Errorf("reported: %v", got)
		}
		for c, err := range r.all() {
			if err != nil || len(c.Sightings) != 1 || !c.Sightings[0].Verified {
				t.Errorf("%v: %+v, %v", c.Names, c.Sightings, err)
			}
		}
	})
}

// Wherever the process ends while what did not verify is read again, nothing altered
// becomes verified, and all else does.
func TestRestartDuringRepair(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		o.MaxAge = 10 * time.Second
		r := newRig(t, o)
		r.fill(100)
		altered := r.precert("a." + watched)
		r.log.SetFault(ctlogtest.AlterEntry(100, nil))
		r.fill(1000)
		after := r.precert("b." + watched)
		r.follow(beginning)
		size := r.publish().Size
		r.until("the log to be reported", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		for pause := time.Millisecond; pause < time.Second; pause *= 2 {
			r.stop()
			r.follow(beginning)
			time.Sleep(pause)
		}
		r.log.ClearFaults()
		for pause := time.Millisecond; pause < 100*time.Millisecond; pause *= 2 {
			r.stop()
			r.follow(beginning)
			time.Sleep(pause)
		}
		r.verified(size)
		for id, want := range map[ctwatch.Hash]int{altered: 2, after: 1} {
			c, err := r.db.Certificates.Get(t.Context(), id.String())
			if err != nil {
				t.Fatal(err)
			}
			verified := 0
			for _, s := range c.Sightings {
				if s.Verified {
					verified++
				}
			}
			if len(c.Sightings) != want || verified != 1 || r.issued()[id] != 1 {
				t.Errorf("%v: sightings %+v, reported %d times", c.Names, c.Sightings, r.issued()[id])
			}
		}
	})
}

// What was read while the log had no proof is not read again after a restart.
func TestRestartKeepsUnprovenTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, MaxAge: 10 * time.Second})
		first := r.precert("a." + watched)
		r.fill(70_000)
		last := r.precert("b." + watched)
		r.log.SetFault(ctlogtest.Status(http.StatusServiceUnavailable, 0).On(ctlogtest.Proofs))
		remove := r.log.SetFault(ctlogtest.EntriesNotYet(65_536))
		size := r.publish().Size
		r.follow(beginning)
		r.until("the first stride to be read", func() bool { return r.status().Position == 65_536 })
		r.stop()
		before := r.log.Requests(ctlogtest.Entries)
		remove()
		r.follow(beginning)
		r.verified(size) // the tree head itself needs no proof
		if asked := r.log.Requests(ctlogtest.Entries) - before; asked > 60 {
			t.Errorf("requested entries %d times, of which 4,465 are new", asked)
		}
		for _, id := range []ctwatch.Hash{first, last} {
			c, err := r.db.Certificates.Get(t.Context(), id.String())
			if err != nil || len(c.Sightings) != 1 || !c.Sightings[0].Verified || r.issued()[id] != 1 {
				t.Errorf("%+v, %v", c.Sightings, err)
			}
		}
	})
}
