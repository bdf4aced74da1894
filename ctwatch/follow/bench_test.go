package follow_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
	"ctwatch/ctwatch/scan"
	"ctwatch/ctwatch/watchlist"
)

// The benchmarks read a whole log over loopback and verify it, and report the CPU
// time of this process per entry. The log is served by another process, since what
// it costs to serve is not ours. The floors are what no reader can do without,
// measured in the same run: HTTP, inflating or base64, and SHA-256. Run them by
// `make bench`.

// benchEntries is the size of the logs: 782 full tiles.
const benchEntries = 782 * 256

// The environment of a process that serves a log: its kind, and how long each
// reply takes.
const (
	benchKind  = "CTWATCH_BENCH_KIND"
	benchDelay = "CTWATCH_BENCH_DELAY"
)

// serveBench serves a log until its stdin ends. It says on stdout what log it is.
func serveBench(kind ctwatch.LogKind) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l, err := ctlogtest.New(ctlogtest.Options{Kind: kind, Gzip: true, URL: "http://" + ln.Addr().String() + "/"})
	if err != nil {
		return err
	}
	if err := l.Fill(benchEntries); err != nil {
		return err
	}
	if _, err := l.Publish(); err != nil {
		return err
	}
	m := &memo{next: l}
	m.delay, _ = time.ParseDuration(os.Getenv(benchDelay))
	for at := 0; at < benchEntries; at += 256 {
		path := fmt.Sprintf("/ct/v1/get-entries?start=%d&end=%d", at, at+255)
		if kind == ctwatch.KindStatic {
			path = fmt.Sprintf("/tile/data/%03d", at/256)
		}
		m.reply(httptest.NewRequest(http.MethodGet, path, nil))
	}
	go func() { _ = http.Serve(ln, m) }()
	if err := json.NewEncoder(os.Stdout).Encode(l.Info()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A memo remembers replies: rendering and compressing them again would make the
// server slower than any reader.
type memo struct {
	next    http.Handler
	delay   time.Duration
	replies sync.Map
}

func (m *memo) reply(r *http.Request) *httptest.ResponseRecorder {
	if w, ok := m.replies.Load(r.URL.String()); ok {
		return w.(*httptest.ResponseRecorder)
	}
	w := httptest.NewRecorder()
	m.next.ServeHTTP(w, r)
	m.replies.Store(r.URL.String(), w)
	return w
}

func (m *memo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(m.delay)
	reply := m.reply(r)
	for k, v := range reply.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(reply.Code)
	_, _ = w.Write(reply.Body.Bytes())
}

// startBench starts another process that serves a log.
func startBench(b *testing.B, kind ctwatch.LogKind, delay time.Duration) ctwatch.Log {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchKind+"="+string(kind), benchDelay+"="+delay.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	var l ctwatch.Log
	if err := json.NewDecoder(out).Decode(&l); err != nil {
		b.Fatal(err)
	}
	return l
}

// cpu is the CPU time of this process so far, on all cores, in user and kernel.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs f, which reads all entries, and reports what an entry took.
func measure(b *testing.B, f func()) {
	b.Helper()
	f() // connections and buffers are there from now on
	b.ReportAllocs()
	begun, wall := cpu(b), time.Now()
	for b.Loop() {
		f()
	}
	n := float64(b.N * benchEntries)
	b.ReportMetric(float64((cpu(b)-begun).Nanoseconds())/1000/n, "cpu-µs/entry")
	b.ReportMetric(n/time.Since(wall).Seconds(), "entries/s")
}

func benchClient(b *testing.B) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, ReadBufferSize: 64 << 10, DisableCompression: true}
	b.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// readAll reads and verifies the whole log.
func readAll(b *testing.B, r *follow.Reader) {
	head, err := r.Log.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	joined := follow.NewJoiner(0)
	for batch, err := range r.Read(b.Context(), 0, head.Size, head.Size) {
		if err == nil {
			err = joined.Add(batch)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if root, err := ctlog.Root(ctwatch.Tree{Size: joined.End(), Range: joined.Range()}); err != nil || root != head.Root {
		b.Fatalf("root %v (%v), signed is %v", root, err, head.Root)
	}
}

func benchRead(b *testing.B, kind ctwatch.LogKind, domains, parallel int, delay time.Duration, pace *ctlog.LogPace) {
	info := startBench(b, kind, delay)
	log, err := ctlog.Open(info, ctlog.Options{Client: benchClient(b), Logger: slog.New(slog.DiscardHandler), Pace: pace})
	if err != nil {
		b.Fatal(err)
	}
	rules := make([]watchlist.Rule, 0, domains)
	for i := range domains {
		r, err := watchlist.NewRule(fmt.Sprintf("watched-%d.example", i), true)
		if err != nil {
			b.Fatal(err)
		}
		rules = append(rules, r)
	}
	r := &follow.Reader{
		Log: log, Logger: slog.New(slog.DiscardHandler), Parallel: parallel, Pace: pace,
		Scanner: &scan.Scanner{Log: info, List: watchlist.New(rules)},
	}
	measure(b, func() { readAll(b, r) })
}

func BenchmarkReadStatic1000Domains(b *testing.B) { benchRead(b, ctwatch.KindStatic, 1000, 4, 0, nil) }

func BenchmarkReadStatic1000000Domains(b *testing.B) {
	benchRead(b, ctwatch.KindStatic, 1000000, 4, 0, nil)
}

func BenchmarkReadRFC6962With1000Domains(b *testing.B) {
	benchRead(b, ctwatch.KindRFC6962, 1000, 4, 0, nil)
}

// The next two read over a link of 50 ms: see their entries/s. The first is `ctwatch scan`,
// within its pace; the second the daemon, at the default of logs.max_rate.
func BenchmarkReadStaticOverALink(b *testing.B) {
	benchRead(b, ctwatch.KindStatic, 1000, 0, 50*time.Millisecond, ctlog.NewPaceFrom(100, 500).Log())
}

func BenchmarkReadStaticAtMaxRate(b *testing.B) {
	benchRead(b, ctwatch.KindStatic, 1000, 0, 50*time.Millisecond, ctlog.NewPace(200).Log())
}

// benchFloor fetches every reply with f, four at a time, into buffers that are
// used again.
func benchFloor(b *testing.B, kind ctwatch.LogKind, path func(at int) string, f func(body io.Reader, buf *floorBuffer) error) {
	info := startBench(b, kind, 0)
	client := benchClient(b)
	bufs := make([]floorBuffer, 4)
	measure(b, func() {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for at := w * 256; at < benchEntries; at += 4 * 256 {
					resp, err := client.Get(info.URL + path(at))
					if err == nil {
						err = f(resp.Body, &bufs[w])
						resp.Body.Close()
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

type floorBuffer struct {
	z    gzip.Reader
	raw  []byte
	leaf []byte
}

func (f *floorBuffer) read(r io.Reader) error {
	f.raw = f.raw[:0]
	for {
		if len(f.raw) == cap(f.raw) {
			f.raw = append(f.raw, make([]byte, 1<<20)...)[:len(f.raw)]
		}
		n, err := r.Read(f.raw[len(f.raw):cap(f.raw)])
		f.raw = f.raw[:len(f.raw)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// merkle hashes as many nodes as the tree of a reply has.
func merkle() {
	var node [65]byte
	for range 255 {
		sum := sha256.Sum256(node[:])
		node[1] = sum[0]
	}
}

func BenchmarkFloorStatic(b *testing.B) {
	benchFloor(b, ctwatch.KindStatic, func(at int) string { return fmt.Sprintf("tile/data/%03d", at/256) },
		func(body io.Reader, buf *floorBuffer) error {
			if err := buf.z.Reset(body); err != nil {
				return err
			}
			err := buf.read(&buf.z)
			// The leaf is hashed, and not the precertificate, which is as long again.
			sha256.Sum256(buf.raw[:len(buf.raw)/2])
			merkle()
			return err
		})
}

func BenchmarkFloorRFC6962(b *testing.B) {
	key, quote := []byte(`"leaf_input"`), []byte(`"`)
	benchFloor(b, ctwatch.KindRFC6962, func(at int) string { return fmt.Sprintf("ct/v1/get-entries?start=%d&end=%d", at, at+255) },
		func(body io.Reader, buf *floorBuffer) error {
			if err := buf.read(body); err != nil {
				return err
			}
			n := 0
			for rest := buf.raw; ; n++ {
				_, after, ok := bytes.Cut(rest, key)
				if !ok {
					break
				}
				_, after, _ = bytes.Cut(after, quote)
				leaf, after, _ := bytes.Cut(after, quote)
				var err error
				if buf.leaf, err = base64.StdEncoding.AppendDecode(buf.leaf[:0], leaf); err != nil {
					return err
				}
				sha256.Sum256(buf.leaf)
				rest = after
			}
			if n != 256 {
				return fmt.Errorf("%d entries", n)
			}
			merkle()
			return nil
		})
}
