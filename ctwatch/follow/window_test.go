package follow_test

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// A distant log takes time for replies of four entries each.
type distant struct {
	ctlog.Log
	serve func(ctx context.Context, underWay int) error

	mu       sync.Mutex
	underWay int
	history  []int // requests under way when each began
}

func (d *distant) Span() uint64 { return 4 }

func (d *distant) Fetch(ctx context.Context, start, end, size uint64) (*ctlog.Chunk, error) {
	d.mu.Lock()
	d.underWay++
	n := d.underWay
	d.history = append(d.history, n)
	d.mu.Unlock()
	defer func() { d.mu.Lock(); d.underWay--; d.mu.Unlock() }()
	if err := d.serve(ctx, n); err != nil {
		return nil, err
	}
	return d.Log.Fetch(ctx, start, end, size)
}

// As many requests are under way as reading fast takes, and no more, whatever limits it.
func TestWindow(t *testing.T) {
	t.Parallel()
	const replies = 2500
	latency := func(d time.Duration) func(context.Context, int) error {
		return func(context.Context, int) error { time.Sleep(d); return nil }
	}
	for name, c := range map[string]struct {
		rate     float64 // of the pace; the default is none
		serve    func(ctx context.Context, underWay int) error
		atOnce   int // requests that the log works on; the default is all
		parallel int
		least    int // the bounds of what is under way at last
		most     int
		took     time.Duration // at most
		refused  int           // at most
	}{
		// 2,500 replies by 64 at once are 2 s.
		"far away": {serve: latency(50 * time.Millisecond), least: 60, most: 64, took: 2700 * time.Millisecond},
		// 200 a second: four at once are enough.
		"one at a time": {serve: latency(5 * time.Millisecond), atOnce: 1, least: 3, most: 8, took: 13 * time.Second},
		// Ten at once do for 50 ms and 200 a second.
		"paced": {rate: 200, serve: latency(50 * time.Millisecond), least: 8, most: 28, took: 18 * time.Second},
		"no more than 24": {serve: func(_ context.Context, underWay int) error {
			time.Sleep(50 * time.Millisecond)
			if underWay > 24 {
				return &ctlog.StatusError{Code: http.StatusServiceUnavailable}
			}
			return nil
		}, least: 8, most: 28, took: 12 * time.Second, refused: replies / 50},
		"given": {serve: latency(50 * time.Millisecond), parallel: 100, least: 100, most: 100, took: 1300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindRFC6962})
				r.fill(4 * replies)
				head := r.publish()
				reader := r.reader(r.info())
				var pace *ctlog.LogPace
				if c.rate > 0 {
					pace = ctlog.NewPace(c.rate).Log()
				}
				turns := make(chan struct{}, cmp.Or(c.atOnce, 1000))
				d := &distant{Log: reader.Log, serve: func(ctx context.Context, n int) error {
					if err := pace.Wait(ctx); err != nil {
						return err
					}
					begun := time.Now()
					turns <- struct{}{}
					err := c.serve(ctx, n)
					<-turns
					pace.Done(begun, true, err)
					return err
				}}
				reader.Log, reader.Parallel, reader.Attempts = d, c.parallel, 20
				begun := time.Now()
				var read uint64
				for b, err := range reader.Read(t.Context(), 0, head.Size, head.Size) {
					if err != nil {
						t.Fatal(err)
					}
					read += b.End - b.Start
				}
				took := time.Since(begun)
				last := 0
				for _, n := range d.history[len(d.history)*9/10 : len(d.history)-2*64] {
					last = max(last, n)
				}
				t.Logf("%v, at last %d under way, %d refused", took, last, len(d.history)-replies)
				if read != head.Size || took > c.took || last < c.least || last > c.most || len(d.history)-replies > c.refused {
					t.Errorf("%d entries in %v, at last %d under way, %d refused; want %v, %d to %d, %d",
						read, took, last, len(d.history)-replies, c.took, c.least, c.most, c.refused)
				}
			})
		})
	}
}
