package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"ctwatch/store/storetest"
)

// manyConfig returns a configuration for a store with storetest.Many certificates, without
// logs and senders. It has more lines.
func manyConfig(b *testing.B, more string) string {
	b.Helper()
	filled := storetest.Filled(b, storetest.Many(b))
	dir := filepath.Dir(filled) + ".daemon" // beside it, for a link
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Link(filled, filepath.Join(dir, "ctwatch.db")); err != nil && !errors.Is(err, fs.ErrExist) {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "ctwatch.yaml")
	text := fmt.Sprintf(`data_dir: %q
watch: [{domain: customer-1.example, endpoints: []}]
nats: {url: "nats://127.0.0.1:1"}
http: {listen: "127.0.0.1:0"}
logs: {list: "http://127.0.0.1:1/none.json"}
%s`, dir, more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// manyApp is an app with five hosts that have certificates in the store.
const manyApp = `apps:
  - name: shop
    hosts: [h1.customer-1.example, h1001.customer-1.example, "*.h2001.customer-1.example", h3001.customer-1.example, h4001.customer-1.example]
`

// used returns the processor time that a process that has ended used, and its most
// memory, in bytes.
func used(c *exec.Cmd) (cpu time.Duration, peak int64) {
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss << 10
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime(), peak
}

var listenerReady = regexp.MustCompile(`HTTP listener is ready.* url=(\S+)`)

// startToHealthy starts the daemon, and ends it once /healthz answers. It returns how long
// that took.
func startToHealthy(b *testing.B, program, config string) (*exec.Cmd, time.Duration) {
	b.Helper()
	c := exec.Command(program, "run", "--config", config)
	c.Env = append(os.Environ(), "GOGC=", "GOMEMLIMIT=")
	stderr, err := c.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Signal(syscall.SIGTERM)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		m := listenerReady.FindSubmatch(lines.Bytes())
		if m == nil {
			continue
		}
		go io.Copy(io.Discard, stderr)
		r, err := http.Get(string(m[1]) + "healthz")
		if err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			b.Fatalf("/healthz: %s", r.Status)
		}
		return c, took
	}
	b.Fatalf("the daemon ended: %v", lines.Err())
	return nil, 0
}

// BenchmarkStart starts and ends the daemon on a store with storetest.Many certificates.
// The start before judges them by its rules.
func BenchmarkStart(b *testing.B) {
	program, err := built()
	if err != nil {
		b.Fatal(err)
	}
	for name, more := range map[string]string{"no app": "", "an app with 5 hosts": manyApp} {
		b.Run(name, func(b *testing.B) {
			config := manyConfig(b, more)
			startToHealthy(b, program, config)
			var wait, cpu time.Duration
			var most int64
			n := 0
			for b.Loop() {
				c, took := startToHealthy(b, program, config)
				spent, peak := used(c)
				wait, cpu, most, n = wait+took, cpu+spent, max(most, peak), n+1
			}
			b.ReportMetric(wait.Seconds()/float64(n), "s-to-healthz")
			b.ReportMetric(cpu.Seconds()/float64(n), "cpu-s/start")
			b.ReportMetric(float64(most)/(1<<20), "MiB-peak")
		})
	}
}

// BenchmarkPinsPlan runs "ctwatch pins plan" on a store with storetest.Many certificates,
// for an app with 5 hosts.
func BenchmarkPinsPlan(b *testing.B) {
	program, err := built()
	if err != nil {
		b.Fatal(err)
	}
	config := manyConfig(b, manyApp)
	startToHealthy(b, program, config)
	var cpu time.Duration
	var most int64
	n := 0
	for b.Loop() {
		c := exec.Command(program, "pins", "plan", "--config", config)
		c.Env = append(os.Environ(), "GOGC=", "GOMEMLIMIT=")
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		spent, peak := used(c)
		cpu, most, n = cpu+spent, max(most, peak), n+1
	}
	b.ReportMetric(cpu.Seconds()/float64(n), "cpu-s/plan")
	b.ReportMetric(float64(most)/(1<<20), "MiB-peak")
}
