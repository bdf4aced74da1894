package pack_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/store/pack"
)

// An issue is one certificate in all its forms.
type issue struct {
	tbs, pre, final []byte
	c               ctwatch.Certificate
}

var begin = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// issued returns certificates of a CA that no dictionary knows, for two names each, in logs
// that none knows either. The test is small without package store and its SQLite, which a
// fuzz target would compile, too.
func issued(tb testing.TB, n int) (out []issue) {
	tb.Helper()
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Store Test CA", Seed: "pack", Now: func() time.Time { return begin }})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		host := fmt.Sprintf("h%d.customer-%d.example", 2*i, 2*i)
		is, err := ca.Issue(ctlogtest.Request{Names: []string{host, "www." + host}, CommonName: host})
		if err != nil {
			tb.Fatal(err)
		}
		final, err := is.Final(sct(2*i), sct(2*i+1))
		if err != nil {
			tb.Fatal(err)
		}
		c := entry.Describe(is.TBS)
		c.Issuer.Pin, c.Issuer.Proven, c.Verdict, c.FirstSeen = is.IssuerPin, true, ctwatch.Unreviewed, begin
		for _, name := range c.Names {
			c.Matches = append(c.Matches, ctwatch.Match{Watch: host[3:], Name: name, Domain: host[3:]})
		}
		sum := ctwatch.Hash(sha256.Sum256(is.Precert))
		c.Fingerprints.Precertificate = &sum
		c.Sightings = []ctwatch.Sighting{{Log: "First", LogID: ctwatch.LogIDOf([]byte("1")), Index: uint64(i), Timestamp: begin, Kind: ctwatch.Precertificate}}
		c.SetPins()
		out = append(out, issue{is.TBS, is.Precert, final, c})
	}
	return out
}

// sct returns what looks like an SCT.
func sct(n int) []byte {
	out := []byte{0} // v1
	for i := 0; len(out) < 119; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "sct %d %d", n, i))
		out = append(out, sum[:min(len(sum), 119-len(out))]...)
	}
	return out
}

// eventsOf returns the events about certificates, as JSON.
func eventsOf(tb testing.TB, all []issue) (out [][]byte) {
	tb.Helper()
	for _, i := range all {
		logged := i.c
		sum := ctwatch.Hash(sha256.Sum256(i.final))
		logged.Fingerprints.Certificate = &sum
		logged.Sightings = append(i.c.Sightings[:1:1], ctwatch.Sighting{
			Log: "Second", LogID: ctwatch.LogIDOf([]byte("2")), Index: i.c.Sightings[0].Index + 5, Timestamp: begin.Add(time.Minute), Kind: ctwatch.FinalCertificate,
		})
		for _, e := range []ctwatch.Event{ctwatch.IssuedEvent(i.c, begin), ctwatch.LoggedEvent(logged, logged.Sightings[1], begin)} {
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
	forms := func(i issue) [3][]byte {
		return [3][]byte{pack.DER(nil, i.tbs), pack.DER(i.tbs, i.pre), pack.DER(i.tbs, i.final)}
	}
	var before, after [3]int
	for _, i := range all {
		for k, n := range [3]int{len(i.tbs), len(i.pre), len(i.final)} {
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
		tbs := all[0].tbs
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
