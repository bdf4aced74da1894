package main

import (
	"syscall"
	"testing"
)

// smallDisk mounts a file system of a size, which only root can.
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
