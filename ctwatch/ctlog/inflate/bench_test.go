package inflate_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog/inflate"
	"ctwatch/ctwatch/ctlogtest"
)

// tiles returns the first data tiles of a log, as it serves them.
func tiles(t testing.TB, n int) [][]byte {
	t.Helper()
	l, err := ctlogtest.New(ctlogtest.Options{Kind: ctwatch.KindStatic, Gzip: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Fill(n * 256); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Publish(); err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for i := range n {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/tile/data/%03d", i), nil))
		all = append(all, w.Body.Bytes())
	}
	return all
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTiles decompresses data tiles in three ways, which take turns, and reports the CPU
// time of each for an entry, in its fastest round.
func BenchmarkTiles(b *testing.B) {
	all := tiles(b, 64)
	dst := make([]byte, 0, 1<<20)
	var d inflate.Decoder
	var z gzip.Reader
	memory, stream := bytes.NewReader(nil), bufio.NewReaderSize(nil, 32<<10)
	read := func(r io.Reader) {
		if err := z.Reset(r); err != nil {
			b.Fatal(err)
		}
		n, err := 0, error(nil)
		for m := 0; err == nil; n += m {
			m, err = z.Read(dst[n:cap(dst)])
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
	ways := []struct {
		name string
		do   func(tile []byte)
		best time.Duration
	}{
		{name: "klauspost by bufio", do: func(tile []byte) {
			memory.Reset(tile)
			stream.Reset(io.MultiReader(memory))
			read(stream)
		}},
		{name: "klauspost by bytes", do: func(tile []byte) {
			memory.Reset(tile)
			read(memory)
		}},
		{name: "inflate", do: func(tile []byte) {
			if _, ok := d.Gzip(dst, tile, int64(cap(dst))); !ok {
				b.Fatal("not accepted")
			}
		}},
	}
	for b.Loop() {
		for i := range ways {
			w := &ways[i]
			begun := cpu(b)
			for _, tile := range all {
				w.do(tile)
			}
			if took := cpu(b) - begun; w.best == 0 || took < w.best {
				w.best = took
			}
		}
	}
	for _, w := range ways {
		b.Logf("%-20s %.2f µs for an entry", w.name, float64(w.best.Nanoseconds())/1000/float64(len(all)*256))
	}
	b.ReportMetric(float64(ways[1].best)/float64(ways[2].best), "times-klauspost")
	b.ReportMetric(float64(ways[2].best.Nanoseconds())/1000/float64(len(all)*256), "cpu-µs/entry")
}
