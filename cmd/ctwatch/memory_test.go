package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// TestMemory: the daemon stays below 64 MiB while it reads tens of thousands of entries
// from a log of each kind.
func TestMemory(t *testing.T) {
	rounds := 16
	switch {
	case thorough():
		rounds = 50
	case testing.Short():
		t.Skip("reads tens of thousands of entries")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the peak of memory is read from /proc")
	}
	t.Parallel()
	const limit = 64 << 20
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	for n := range rounds {
		s.fill(1000)
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		s.addFinal(s.rfc, i, s.addPrecert(s.static, i))
	}
	s.publish()

	c := spawn(t, program, nil, "run", "--config", s.config(""))
	s.untilVerified()
	peak := peakMemory(t, c.cmd.Process.Pid)
	t.Logf("%d entries of each kind: %d MiB at the most", s.rfc.Size(), peak>>20)
	if peak > limit {
		t.Errorf("the daemon had %d MiB resident, more than %d", peak>>20, limit>>20)
	}
	s.untilDelivered()
	s.expectTruth()
	if c.signal(syscall.SIGTERM); c.status != 0 {
		t.Errorf("it ended with status %d", c.status)
	}
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory returns the most memory that a process ever had resident, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := vmHWM.FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in:\n%s", b)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
