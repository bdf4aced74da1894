package pack_test

import (
	"encoding/json"
	"syscall"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/store/pack"
	"ctwatch/store/storetest"
)

// issued returns certificates as storetest makes them.
func issued(tb testing.TB, n int) (out []storetest.Issue) {
	tb.Helper()
	s, err := storetest.New(storetest.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		one, err := s.Issue(2*i, uint64(i), uint64(i))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// eventsOf returns the events about certificates, as JSON.
func eventsOf(tb testing.TB, all []storetest.Issue) (out [][]byte) {
	tb.Helper()
	for _, i := range all {
		c := i.Precertificate.Certificate
		logged := c
		logged.Sightings = append(c.Sightings[:1:1], i.Final.Certificate.Sightings...)
		logged.Fingerprints.Certificate = i.Final.Certificate.Fingerprints.Certificate
		for _, e := range []ctwatch.Event{
			ctwatch.IssuedEvent(c, storetest.Begin), ctwatch.LoggedEvent(logged, logged.Sightings[1], storetest.Begin),
		} {
			b, err := json.Marshal(e)
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, b)
		}
	}
	return out
}

// measureCPU reports the CPU time of the process for each of b.N since it was called: on a machine with
// other work, the time that passes says little.
func measureCPU(b *testing.B) (done func()) {
	cpu := func() int64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return r.Utime.Nano() + r.Stime.Nano()
	}
	begin := cpu()
	return func() { b.ReportMetric(float64(cpu()-begin)/1e3/float64(b.N), "µs-CPU") }
}

func BenchmarkEvent(b *testing.B) {
	all := eventsOf(b, issued(b, 500))
	var packed [][]byte
	before, after := 0, 0
	for _, json := range all {
		packed = append(packed, pack.Event(json))
		before, after = before+len(json), after+len(packed[len(packed)-1])
	}
	sizes := func(b *testing.B) {
		b.ReportMetric(float64(before)/float64(len(all)), "json-bytes")
		b.ReportMetric(float64(after)/float64(len(all)), "bytes")
	}
	b.Run("encode", func(b *testing.B) {
		defer measureCPU(b)()
		for i := range b.N {
			pack.Event(all[i%len(all)])
		}
		sizes(b)
	})
	b.Run("decode", func(b *testing.B) {
		defer measureCPU(b)()
		for i := range b.N {
			if _, err := pack.EventJSON(packed[i%len(packed)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unmarshal", func(b *testing.B) { // what decoding is beside
		defer measureCPU(b)()
		for i := range b.N {
			var e ctwatch.Event
			if err := json.Unmarshal(all[i%len(all)], &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDER(b *testing.B) {
	all := issued(b, 500)
	forms := func(i storetest.Issue) [3][]byte {
		tbs := i.Precertificate.TBS
		return [3][]byte{pack.DER(nil, tbs), pack.DER(tbs, i.Precertificate.DER), pack.DER(tbs, i.Final.DER)}
	}
	var before, after [3]int
	for _, i := range all {
		for k, n := range [3]int{len(i.Precertificate.TBS), len(i.Precertificate.DER), len(i.Final.DER)} {
			before[k] += n
		}
		for k, p := range forms(i) {
			after[k] += len(p)
		}
	}
	b.Run("encode", func(b *testing.B) { // the three forms of a certificate
		defer measureCPU(b)()
		for i := range b.N {
			forms(all[i%len(all)])
		}
		for k, what := range []string{"tbs", "precertificate", "certificate"} {
			b.ReportMetric(float64(before[k])/float64(len(all)), what+"-bytes")
			b.ReportMetric(float64(after[k])/float64(len(all)), what+"-packed")
		}
	})
	b.Run("decode", func(b *testing.B) {
		tbs := all[0].Precertificate.TBS
		packed := forms(all[0])
		defer measureCPU(b)()
		for range b.N {
			for k, base := range [][]byte{nil, tbs, tbs} {
				if _, err := pack.DecodeDER(base, packed[k]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
