package main

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkLists runs commands that list certificates and keys, on a store with
// storetest.Many certificates.
func BenchmarkLists(b *testing.B) {
	program, err := built()
	if err != nil {
		b.Fatal(err)
	}
	config := manyConfig(b, "")
	for _, bench := range []struct {
		name string
		args []string
	}{
		{"certs of no domain", []string{"certs", "list", "--domain", "none.example"}},
		{"certs", []string{"certs", "list"}},
		{"certs of a domain", []string{"certs", "list", "--domain", "customer-1.example"}},
		{"100000 certs as JSON", []string{"certs", "list", "--json", "--limit", "100000"}},
		{"keys", []string{"pins", "list"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var cpu, wait time.Duration
			var most, size int64
			n := 0
			for b.Loop() {
				c := exec.Command(program, append(bench.args, "--config", config)...)
				c.Env = append(os.Environ(), "GOGC=", "GOMEMLIMIT=")
				out, err := c.StdoutPipe()
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := c.Start(); err != nil {
					b.Fatal(err)
				}
				if size, err = io.Copy(io.Discard, out); err != nil {
					b.Fatal(err)
				}
				if err := c.Wait(); err != nil {
					b.Fatal(err)
				}
				wait += time.Since(start)
				spent, peak := used(c)
				cpu, most, n = cpu+spent, max(most, peak), n+1
			}
			b.ReportMetric(wait.Seconds()/float64(n), "s/list")
			b.ReportMetric(cpu.Seconds()/float64(n), "cpu-s/list")
			b.ReportMetric(float64(most)/(1<<20), "MiB-peak")
			b.ReportMetric(float64(size), "B/list")
		})
	}
}
