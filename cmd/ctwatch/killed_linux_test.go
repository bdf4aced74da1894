package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKilledTestsLeaveNothing: no process, no mount and no file is left of tests when what
// started them is killed while they have all of these.
func TestKilledTestsLeaveNothing(t *testing.T) {
	t.Parallel()
	try := exec.Command("mount", "-t", "tmpfs", "ctwatch-test", t.TempDir())
	unshareMounts(try)
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted here: %v: %s", err, out)
	}
	s := &stage{t: t, ctx: t.Context(), alive: func() error { return nil }}
	tidy, err := filepath.Abs("../../.ci/tidy")
	s.check(err)
	tmp := t.TempDir()
	mark := "CTWATCH_TEST_MARK=" + filepath.Base(filepath.Dir(tmp))

	cmd := exec.Command(tidy, os.Args[0], "-test.run=^(TestDiskFull|TestStopsInTime)$", "-test.count=1000")
	cmd.Env = append(os.Environ(), mark, "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithUs(cmd)
	s.check(cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); <-ended })
	s.alive = func() error {
		select {
		case <-ended:
			return errors.New("the tests ended")
		default:
			return nil
		}
	}
	s.eventually("there are a small disk and a daemon", func() bool {
		disk, daemon := false, false
		for _, p := range marked(t, mark) {
			disk = disk || p.contains("mounts", "ctwatch-test")
			daemon = daemon || p.contains("cmdline", "\x00run\x00--config")
		}
		return disk && daemon
	})
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || bytes.Contains(mounts, []byte("ctwatch-test")) {
		t.Errorf("others see the small disk: %v\n%s", err, mounts)
	}

	s.check(cmd.Process.Kill()) // the others go with it
	<-ended
	s.alive = func() error { return nil }
	s.eventually("no process is left", func() bool { return len(marked(t, mark)) == 0 })
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

// A marked process is named by its directory below /proc.
type markedProcess string

// marked lists the processes that have something in their environment.
func marked(t *testing.T, mark string) (all []markedProcess) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if p := markedProcess(dir); dir != fmt.Sprintf("/proc/%d", os.Getpid()) && p.contains("environ", mark) {
			all = append(all, p)
		}
	}
	return all
}

// contains reports whether a file about the process, which may be gone, has a text.
func (p markedProcess) contains(file, text string) bool {
	b, err := os.ReadFile(filepath.Join(string(p), file))
	return err == nil && strings.Contains(string(b), text)
}
