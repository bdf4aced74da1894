package embedded

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/notify/notifytest"
)

func TestTakenPortNamesSetting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(Options{Listen: l.Addr().String(), StoreDir: t.TempDir(), Logger: notifytest.Discard()})
	if err == nil {
		t.Fatal("started on a taken port")
	}
	for _, want := range []string{l.Addr().String(), "nats.listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %s", err, want)
		}
	}
}

func TestWrongListenNamesSetting(t *testing.T) {
	for _, addr := range []string{"4222", "127.0.0.1", "127.0.0.1:http-nonsense", ":4222", "192.0.2.1:4222", "127.0.0.1:99999"} {
		e, err := Start(Options{Listen: addr, StoreDir: t.TempDir(), Logger: notifytest.Discard()})
		if err == nil {
			e.Shutdown()
			t.Errorf("%q: started", addr)
		} else if !strings.Contains(err.Error(), "nats.listen") {
			t.Errorf("%q: error %q does not name the setting", addr, err)
		}
	}
}

// The server ends its process on such errors; ours must survive and report them.
func TestUnusableDirectoryIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("a file where the directory should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"", "127.0.0.1:0"} {
		_, err := Start(Options{Listen: listen, StoreDir: dir, Logger: notifytest.Discard()})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("listen %q: error %v, want one that names %s", listen, err, dir)
		}
	}
	if _, err := Start(Options{StoreDir: filepath.Join(dir, "jetstream"), Logger: notifytest.Discard()}); err == nil {
		t.Error("started in a directory that is a file")
	}
}

func start(t *testing.T, listen, dir string) *Server {
	t.Helper()
	e, err := Start(Options{Listen: listen, StoreDir: dir, Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	return e
}

func TestInProcessOnlyListensNowhere(t *testing.T) {
	e := start(t, "", t.TempDir())
	if url := e.ClientURL(); url != "" {
		t.Errorf("ClientURL() = %q", url)
	}
	if a := e.s.Addr(); a != nil {
		t.Errorf("it listens on %s", a)
	}
}

func TestServerLogsAtDebug(t *testing.T) {
	var buf notifytest.Buffer
	log := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := Start(Options{StoreDir: t.TempDir(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	e.Shutdown()
	out := buf.String()
	if !strings.Contains(out, "NATS server: ") || strings.Contains(out, "level=INFO") || strings.Contains(out, "level=WARN") {
		t.Errorf("log: %s", out)
	}
}
