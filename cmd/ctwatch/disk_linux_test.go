package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// ownMounts names the environment variable of a test that runs with mounts of its own.
const ownMounts = "CTWATCH_TEST_OWN_MOUNTS"

// withOwnMounts runs the test in a process that has its mounts for itself, and reports
// whether this is that process. Only there may it mount anything: the kernel unmounts it
// with the last process that sees it, however that ends.
func withOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMounts) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$", "-test.timeout="+patience.String())
	cmd.Env = append(os.Environ(), ownMounts+"=1")
	unshareMounts(cmd)
	endWithUs(cmd)
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &ended):
		t.Skipf("a small disk cannot be mounted here: %v", err)
	case err != nil:
		t.Fatalf("%v:\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	}
	return false
}

// unshareMounts gives a command mounts of its own.
func unshareMounts(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
}

// smallDisk mounts a file system of a size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("ctwatch-test", dir, "tmpfs", 0, "mode=700,size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// remount gives a small disk another size.
func remount(dir, size string) error {
	return syscall.Mount("ctwatch-test", dir, "tmpfs", syscall.MS_REMOUNT, "size="+size)
}
