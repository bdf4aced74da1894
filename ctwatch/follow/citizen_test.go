package follow_test

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
)

// followPaced follows the rig's log as the daemon does, within a pace, until stop.
func (r *rig) followPaced(pace *ctlog.LogPace, poll, tailWait time.Duration) {
	r.t.Helper()
	log, err := ctlog.Open(r.log.Info(), ctlog.Options{
		Client: &http.Client{Transport: r.transport()}, Logger: slog.New(slog.DiscardHandler), Pace: pace,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	reader := r.reader(r.log.Info())
	reader.Log, reader.Pace, reader.Attempts, reader.Pause = log, pace, 0, 0
	f := follow.New(follow.Options{
		Start:  beginning,
		Reader: reader, Recorder: r.db.Logs, Logger: logger(r.t), Now: time.Now, Poll: poll, TailWait: tailWait,
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- f.Run(ctx) }()
}

// polls waits for some more polls.
func (r *rig) polls(n int) {
	r.t.Helper()
	before := r.log.Requests(ctlogtest.Heads)
	r.until("more polls", func() bool { return r.log.Requests(ctlogtest.Heads) >= before+n })
}

// Whatever fault lasts, the log gets few requests on average, with the daemon's settings,
// and is read in full afterwards. The faults last at the same time, each in a log of its
// own.
func TestFewRequestsDuringAnyFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const during = 30 * time.Second // of the bubble's clock
		type trial struct {
			*rig
			fault  ctlogtest.Fault
			remove func()
			before int
			id     ctwatch.Hash
			size   uint64
		}
		var trials []*trial
		for _, f := range []ctlogtest.Fault{
			ctlogtest.Status(429, 0), ctlogtest.Status(429, 0).On(ctlogtest.Entries), ctlogtest.Status(503, 0).On(ctlogtest.Entries),
			ctlogtest.Status(500, 0).On(ctlogtest.Entries), ctlogtest.Status(500, 0).On(ctlogtest.Entries).Every(2),
			ctlogtest.Status(404, 0).On(ctlogtest.Entries), ctlogtest.GarbageBody().On(ctlogtest.Entries), ctlogtest.GarbageBody(),
			ctlogtest.HalfBody().On(ctlogtest.Entries), ctlogtest.TruncatedBody().On(ctlogtest.Entries), ctlogtest.EmptyReplies(),
			ctlogtest.AlterEntry(500, nil), ctlogtest.BadSignature(), ctlogtest.WrongRoot(),
		} {
			x := &trial{rig: newRig(t, ctlogtest.Options{}), fault: f}
			x.fill(300)
			x.publish()
			// A poll that leaves room for other requests: once all is read, polls go on.
			x.followPaced(ctlog.NewPace(20).Log(), 400*time.Millisecond, 0)
			trials = append(trials, x)
		}
		for _, x := range trials {
			x.verified(300)
			x.remove = x.log.SetFault(x.fault)
			x.before = x.log.Requests(ctlogtest.All)
			x.fill(700)
			x.id = x.precert("a." + watched)
			x.size = x.publish().Size
		}
		time.Sleep(during)
		for _, x := range trials {
			n := x.log.Requests(ctlogtest.All) - x.before
			x.remove()
			if rate := float64(n) / during.Seconds(); rate > 5 {
				t.Errorf("%s: %.1f requests a second", x.fault.Name, rate)
			}
		}
		for _, x := range trials {
			x.verified(x.size) // it takes as long as nothing was to be hoped for, and then the pace grows
			if got := x.issued(); len(got) != 1 || got[x.id] != 1 {
				t.Errorf("%s: issued: %v", x.fault.Name, got)
			}
		}
	})
}

// When one log refuses requests, the pace of its operator slows down for the other log
// too, and both are read in full.
func TestTrap09OneOperatorTwoShards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := ctlog.NewPace(50)
		a, b := newRig(t, ctlogtest.Options{Name: "a"}), newRig(t, ctlogtest.Options{Name: "b", Kind: ctwatch.KindStatic})
		for _, r := range []*rig{a, b} {
			r.fill(300)
			r.publish()
			r.followPaced(p.Log(), 50*time.Millisecond, 0)
			r.verified(300)
		}
		was := p.Rate()
		remove := a.log.SetFault(ctlogtest.Status(429, 3*time.Second).Times(1))
		a.until("to be refused", func() bool { return p.Rate() < was })
		before := a.log.Requests(ctlogtest.All) + b.log.Requests(ctlogtest.All)
		time.Sleep(2 * time.Second)
		if n := a.log.Requests(ctlogtest.All) + b.log.Requests(ctlogtest.All) - before; n > 1 {
			t.Errorf("%d requests to an operator that asked to be left alone", n)
		}
		remove()
		for _, r := range []*rig{a, b} {
			r.fill(300)
			r.verified(r.publish().Size)
		}
	})
}

// Slow replies are awaited, several at once, and nothing is requested twice.
func TestTrap10WaitsForSlowReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{})
		const slow = 700 * time.Millisecond
		r.log.SetFault(ctlogtest.SlowBy(slow).On(ctlogtest.Entries))
		r.fill(32 * 256)
		size := r.publish().Size
		begun := time.Now()
		r.followPaced(ctlog.NewPace(100).Log(), 50*time.Millisecond, 0)
		r.verified(size)
		if n := r.log.Requests(ctlogtest.Entries); n > 32 {
			t.Errorf("%d requests for 32 spans", n)
		}
		if took := time.Since(begun); took > 32*slow/2 {
			t.Errorf("took %v, as if replies were waited for individually", took)
		}
	})
}

var partial = regexp.MustCompile(`\.p/\d+$`)

// tiles returns how often each data tile was requested since a number of requests.
func (r *rig) tiles(since int) (all map[string]int, partials int) {
	all = make(map[string]int)
	for _, h := range r.log.Recent(ctlogtest.Entries)[since:] {
		if all[h.Path]++; partial.MatchString(h.Path) {
			partials++
		}
	}
	return all, partials
}

// A partial tile is read once for each new head, not at every poll. A poll without a new
// head requests no entries.
func TestTrap12PartialTilesAreReadOncePerHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.followPaced(nil, 10*time.Millisecond, 0)
		heads := 0
		for _, n := range []int{1, 40, 100, 100, 15 /* fills the tile */, 1, 255 /* fills it */, 300, 2} {
			r.fill(n)
			size := r.publish().Size
			heads++
			r.verified(size)
			r.polls(5)
		}
		all, partials := r.tiles(0)
		for path, n := range all {
			if n > 1 {
				t.Errorf("%s was requested %d times", path, n)
			}
		}
		if partials > heads-2 {
			t.Errorf("%d partial tiles for %d tree heads, of which two fill a tile", partials, heads)
		}
		if n := r.log.Requests(ctlogtest.Proofs); n > 0 {
			t.Errorf("%d hash tiles were requested, though everything was read", n)
		}
	})
}

// With a TailWait, entries that only make the partial tile longer are read when they are
// that old, and at once when the tile is full.
func TestTrap12TailWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.fill(300)
		first := r.publish().Size
		const wait = 1500 * time.Millisecond
		r.followPaced(nil, 10*time.Millisecond, wait)
		r.verified(first)
		before := r.log.Requests(ctlogtest.Entries)

		begun := time.Now()
		id := r.precert("a." + watched)
		for range 9 {
			r.publish()
			r.polls(3)
			r.fill(1)
		}
		size := r.publish().Size
		r.verified(size)
		if took := time.Since(begun); took < wait {
			t.Errorf("the tail was read after %v, and should have been left alone for %v", took, wait)
		}
		if n := r.log.Requests(ctlogtest.Entries) - before; n > 1 {
			t.Errorf("%d requests for the tail that grew ten times", n)
		}
		if r.issued()[id] != 1 {
			t.Errorf("issued: %v", r.issued())
		}

		// A tile that is full is worth reading.
		begun = time.Now()
		r.fill(250)
		r.verified(r.publish().Size)
		if took := time.Since(begun); took >= wait {
			t.Errorf("a full tile was read only after %v", took)
		}
		if n := r.log.Requests(ctlogtest.Proofs); n > 0 {
			t.Errorf("%d hash tiles were requested", n)
		}
	})
}

// A partial tile that the log no longer serves is read from the full tile.
func TestTrap12PartialTileGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.fill(100)
		old := r.publish()
		r.fill(300)
		id := r.precert("a." + watched)
		r.publish()
		r.log.SetFault(ctlogtest.PartialGone())
		remove := r.log.SetFault(ctlogtest.StaleHead(old)) // whose partial tile is no more
		r.followPaced(nil, 10*time.Millisecond, 0)
		r.verified(100)
		if n := r.log.Requests(ctlogtest.Entries); n != 2 {
			t.Errorf("%d requests for one tile, partial and full", n)
		}
		remove()
		r.verified(401)
		if r.issued()[id] != 1 {
			t.Errorf("issued: %v", r.issued())
		}
	})
}
