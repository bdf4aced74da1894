package scan_test

import (
	"fmt"
	"runtime"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/scan"
)

// A readied log has one entry, which is fetched and then scanned.
type readied struct {
	*lab
	size uint64
}

// manyNames logs a certificate with n names below the watched domain, and then others.
func manyNames(tb testing.TB, n int, then ...string) readied {
	tb.Helper()
	lab := newLab(tb, ctwatch.KindRFC6962, ctlogtest.CAOptions{})
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("host-%d.shop.example", i)
	}
	lab.add(ctlogtest.Request{Names: append(names, then...)})
	head, err := lab.l.Publish()
	if err != nil {
		tb.Fatal(err)
	}
	return readied{lab, head.Size}
}

func (r readied) fetch() *ctlog.Chunk {
	r.Helper()
	c, err := r.log.Fetch(r.Context(), 0, r.size, r.size)
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// scan scans what was fetched, and returns the one certificate.
func (r readied) scan(c *ctlog.Chunk, watch ...string) ctwatch.Certificate {
	r.Helper()
	b, err := (&scan.Scanner{Log: r.l.Info(), List: list(r, watch...)}).Scan(c)
	if err != nil || len(b.Found) != 1 {
		r.Fatal(err, len(b.Found))
	}
	return b.Found[0].Certificate
}

// From the reply to the match, each name costs a bounded amount of work, however many
// there are. Allocations measure it.
func TestCostOfManyNames(t *testing.T) {
	const n = 60_000
	r := manyNames(t, n)
	chunk := r.fetch()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := r.scan(chunk, "shop.example")
	runtime.ReadMemStats(&after)
	if len(c.Names) != n || len(c.Matches) != n || c.Problems != nil {
		t.Errorf("%d names, of which %d match: %q", len(c.Names), len(c.Matches), c.Problems)
	}
	if all := (after.Mallocs - before.Mallocs) / n; all > 2 {
		t.Errorf("%d allocations a name", all)
	}
	if all := (after.TotalAlloc - before.TotalAlloc) / n; all > 1_500 {
		t.Errorf("%d octets are allocated a name", all)
	}
}

// Names beyond those that are listed do not hide a name that another line of the watch
// list matches.
func TestManyNamesHideNoOther(t *testing.T) {
	r := manyNames(t, entry.MaxNames+2_000, "www.bank.test")
	c := r.scan(r.fetch(), "shop.example", "bank.test")
	last := c.Matches[len(c.Matches)-1]
	if want := (ctwatch.Match{Watch: "bank.test", Name: "www.bank.test", Domain: "bank.test"}); last != want {
		t.Errorf("the last of %d matches is %+v, want %+v", len(c.Matches), last, want)
	}
}

func BenchmarkManyNames(b *testing.B) {
	for _, n := range []int{6_000, 60_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := manyNames(b, n)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				c := r.fetch()
				b.StartTimer()
				r.scan(c, "shop.example")
			}
		})
	}
}
