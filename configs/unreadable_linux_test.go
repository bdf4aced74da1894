package configs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"ctwatch/configs"
)

func TestUnreadableFileIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ctwatch.yaml")
	if err := os.WriteFile(file, nil, 0); err != nil {
		t.Fatal(err)
	}
	err := heedingPermissions(func() error {
		_, err := configs.Load(file, env("", nil))
		return err
	})
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, new(configs.Errors)) {
		t.Errorf("Load() = %v", err)
	}
}

// heedingPermissions calls f where a file's permissions count even for root.
func heedingPermissions(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Capabilities are a thread's own. As it is never unlocked, this one ends with
		// the goroutine, and nothing else runs on it.
		runtime.LockOSThread()
		if err := dropOverrides(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// dropOverrides gives up the capabilities by which permissions do not count
// (capabilities(7)). Nobody is refused that.
func dropOverrides() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	return unix.Capset(&header, &data[0])
}
