package nats

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"ctwatch/notify/notifytest"
)

// sysCachestat is cachestat(2), since Linux 6.5, the same on all architectures.
const sysCachestat = 451

// unsynced returns how many pages of a file are in memory and not on disk.
func unsynced(path string) (pages uint64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var all struct{ off, length uint64 }
	var s struct{ cached, dirty, writeback, evicted, recentlyEvicted uint64 }
	_, _, errno := syscall.Syscall6(sysCachestat, f.Fd(), uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&s)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return s.dirty + s.writeback, nil
}

// The embedded server has synced what it acknowledged, whether it came as one event or as a
// batch: of the files of the stream nothing is left to be written.
func TestAcknowledgedIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "control")
	if err := os.WriteFile(control, []byte("not synced"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := unsynced(control); err != nil || n == 0 {
		t.Skipf("this system does not tell what is not synced: %d pages, %v", n, err)
	}
	store := filepath.Join(dir, "nats")
	n := newSender(t, Options{InProcess: startEmbedded(t, "", store)})
	events, _ := queued(t, 300)
	check := func(what string) {
		t.Helper()
		blocks, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "CTWATCH", "msgs", "*.blk"))
		if err != nil || len(blocks) != 1 {
			t.Fatalf("after %s: blocks %v, %v", what, blocks, err)
		}
		if pages, err := unsynced(blocks[0]); err != nil || pages > 0 {
			t.Errorf("after %s: %d pages of %s are not on disk, %v", what, pages, blocks[0], err)
		}
	}
	notifytest.MustSend(t, n, events[0].Event)
	check("an event")
	sendAll(t, n, events[1:])
	check("a batch")
}
