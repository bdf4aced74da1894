package scan_test

import (
	"fmt"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/scan"
)

// manyNames logs a certificate with n names below the watched domain, and returns what
// scans the log.
func manyNames(tb testing.TB, n int) (scanLog func() ctwatch.Batch) {
	tb.Helper()
	lab := newLab(tb, ctwatch.KindRFC6962, ctlogtest.CAOptions{})
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("host-%d.shop.example", i)
	}
	lab.add(ctlogtest.Request{Names: names})
	head, err := lab.l.Publish()
	if err != nil {
		tb.Fatal(err)
	}
	s := &scan.Scanner{Log: lab.l.Info(), List: list(tb, "shop.example")}
	return func() ctwatch.Batch {
		c, err := lab.log.Fetch(tb.Context(), 0, head.Size, head.Size)
		if err != nil {
			tb.Fatal(err)
		}
		b, err := s.Scan(c)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
}

var _ ctlog.Log

func BenchmarkManyNames(b *testing.B) {
	for _, n := range []int{6_000, 60_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			scanLog := manyNames(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if found := scanLog().Found; len(found) != 1 || len(found[0].Certificate.Matches) != n {
					b.Fatal("not all names match")
				}
			}
		})
	}
}
