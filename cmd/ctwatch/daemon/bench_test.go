package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// The benchmarks of hundred logs run a whole daemon on logs that another process serves, and
// report the CPU time of this process as a part of one core. They measure by the clock, once
// for 20 seconds, or CTWATCH_BENCH_SECONDS.

const (
	benchLogs = 100
	benchWarm = 15 * time.Second // until all logs are started, and buffers are there
)

// benchTime is how long one benchmark measures.
func benchTime() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("CTWATCH_BENCH_SECONDS")); err == nil {
		return time.Duration(n) * time.Second
	}
	return 20 * time.Second
}

// The environment of a process that serves logs: how many entries each gets in a second.
const benchRate = "CTWATCH_BENCH_RATE"

func TestMain(m *testing.M) {
	if rate := os.Getenv(benchRate); rate != "" { // a process that a benchmark started
		if err := serveLogs(rate); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveLogs serves logs, half of them of each kind, until stdin ends, and says on stdout
// which they are. Each signs a new tree head at least once in half a second, as static logs do.
func serveLogs(rate string) error {
	n, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	logs := make([]*ctlogtest.Log, benchLogs)
	infos := make([]ctwatch.Log, benchLogs)
	for i := range logs {
		o := ctlogtest.Options{Name: fmt.Sprintf("log %d", i), Gzip: true, MaxAge: time.Second / 2}
		if i%2 == 1 {
			o.Kind = ctwatch.KindStatic
		}
		if logs[i], err = ctlogtest.New(o); err != nil {
			return err
		}
		if err := logs[i].Fill(300); err != nil {
			return err
		}
		if _, err := logs[i].Publish(); err != nil {
			return err
		}
		stop, err := logs[i].Start()
		if err != nil {
			return err
		}
		defer stop()
		infos[i] = logs[i].Info()
	}
	if err := json.NewEncoder(os.Stdout).Encode(infos); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		if n == 0 {
			return
		}
		begun, done := time.Now(), 0 // one log after the other, as many as are due
		_ = every(ctx, time.Second/benchLogs, func(now time.Time) error {
			for ; time.Duration(done)*time.Second/benchLogs < now.Sub(begun); done++ {
				if err := logs[done%benchLogs].Fill(n); err != nil {
					return err
				}
				if _, err := logs[done%benchLogs].Publish(); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startLogs starts a process that serves logs that get rate entries a second each.
func startLogs(b testing.TB, rate int) []ctwatch.Log {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchRate+"="+strconv.Itoa(rate))
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
	var logs []ctwatch.Log
	if err := json.NewDecoder(out).Decode(&logs); err != nil {
		b.Fatal(err)
	}
	return logs
}

// A sample is what a process has used so far.
type sample struct {
	cpu time.Duration
	rss int64 // now
}

func used(b *testing.B) (s sample) {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	s.cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return s // not Linux
	}
	if fields := bytes.Fields(raw); len(fields) > 1 {
		pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		s.rss = pages * int64(os.Getpagesize())
	}
	return s
}

// benchDaemon runs a daemon on hundred logs that get rate entries a second each.
func benchDaemon(b *testing.B, rate int) {
	inv := inventoryOf(b, b.TempDir(), "http: {listen: \"127.0.0.1:0\"}\nnats: {listen: \"127.0.0.1:0\"}\n")
	inv.Config.Logs.Poll = time.Second
	for _, l := range startLogs(b, rate) {
		inv.Config.Logs.Extra = append(inv.Config.Logs.Extra, configs.ExtraLog{
			Name: l.Name, Kind: l.Kind, URL: l.URL, SubmissionURL: l.SubmissionURL, Key: l.Key,
		})
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	d := New(Options{Inventory: inv, Logger: slog.New(slog.DiscardHandler), Out: io.Discard})
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	time.Sleep(benchWarm)
	for b.Loop() {
		before, wall := used(b), time.Now()
		entries, commits := positions(b, d), d.db.Commits()
		time.Sleep(benchTime())
		after, took := used(b), time.Since(wall).Seconds()
		b.ReportMetric(100*(after.cpu-before.cpu).Seconds()/took, "cpu-%/core")
		b.ReportMetric(float64(d.db.Commits()-commits)/took, "tx/s")
		b.ReportMetric(float64(positions(b, d)-entries)/took, "entries/s")
		b.ReportMetric(float64(after.rss)/(1<<20), "MiB")
		b.ReportMetric(0, "ns/op")
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// positions is how many entries are verified, of all logs.
func positions(b *testing.B, d *Daemon) (n uint64) {
	b.Helper()
	logs, err := d.db.Logs.List(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if len(logs) != benchLogs {
		b.Fatalf("%d logs are followed", len(logs))
	}
	for _, l := range logs {
		n += l.Verified
		if !l.Healthy {
			b.Fatalf("%+v", l)
		}
	}
	return n
}

// BenchmarkHundredLogsIdle: each log signs new tree heads of the same tree.
func BenchmarkHundredLogsIdle(b *testing.B) { benchDaemon(b, 0) }

// BenchmarkHundredLogsBusy: 3,000 entries a second in all, in a new tree head of each log each
// second.
func BenchmarkHundredLogsBusy(b *testing.B) { benchDaemon(b, 30) }
