package daemon

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"ctwatch/store"
)

// TestMigrationExtendsStart: a start that works long on the database asks systemd for more
// time, but not at every step, and a reload does not.
func TestMigrationExtendsStart(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	starting, reloading := 0, 0
	d := &Daemon{
		o:     Options{Starting: func(store.Progress) { starting++ }, Reloading: func(store.Progress) { reloading++ }},
		ready: &readiness{logger: slog.New(slog.DiscardHandler)},
	}
	for range 3 {
		d.working(store.Progress{What: "listing", Done: 1, Total: 2})
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
	d.ready.extended = time.Time{}
	d.reloading.Store(true)
	d.working(store.Progress{What: "judging", Done: 1, Total: 2})
	if n, err := l.Read(buf); err == nil {
		t.Errorf("systemd got at a reload: %q", buf[:n])
	}
	if starting != 3 || reloading != 1 {
		t.Errorf("%d steps of the start and %d of a reload were shown, want 3 and 1", starting, reloading)
	}
}
