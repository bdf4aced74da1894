package daemon

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"ctwatch/store"
)

// TestMigrationExtendsStart: a start that migrates the database asks systemd for more time,
// but not at every step.
func TestMigrationExtendsStart(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	steps := 0
	d := &Daemon{
		o:     Options{Migrating: func(store.Progress) { steps++ }},
		ready: &readiness{logger: slog.New(slog.DiscardHandler)},
	}
	for range 3 {
		d.migrating(store.Progress{What: "listing", Done: 1, Total: 2})
	}
	buf := make([]byte, 100)
	n, err := l.Read(buf)
	if err != nil || string(buf[:n]) != "EXTEND_TIMEOUT_USEC=60000000" {
		t.Errorf("systemd got %q, %v", buf[:n], err)
	}
	if err := l.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Read(buf); err == nil {
		t.Errorf("systemd got more: %q", buf[:n])
	}
	if steps != 3 {
		t.Errorf("%d steps were shown, want 3", steps)
	}
}
