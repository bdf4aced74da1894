package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ctwatch/cmd/ctwatch/setup"
)

// TestReloadUpdatesWatchList: a reload puts the changed lines of a watch file in force,
// keeps the list if no line has changed, and changes nothing if a line has a mistake, which
// it logs with its place.
func TestReloadUpdatesWatchList(t *testing.T) {
	defer noLeak(t)
	dir := t.TempDir()
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf(".host-%d.example", i)
	}
	var file sync.Mutex // so that none is read while it is written
	write := func() {
		file.Lock()
		defer file.Unlock()
		if err := os.WriteFile(filepath.Join(dir, "domains.txt"), []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	first := inventoryOf(t, dir, "http: {listen: \"\"}\nnats: {listen: \"127.0.0.1:0\"}\nwatch_files: [domains.txt]\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hangup, started, log := make(chan os.Signal), make(chan string, 1), &lines{}
	d := New(Options{
		Inventory: first, Logger: slog.New(slog.NewTextHandler(log, nil)), Out: io.Discard, Hangup: hangup,
		Reread: func(before *setup.Inventory) (*setup.Inventory, error) {
			file.Lock()
			defer file.Unlock()
			return before.Reread(first.Config)
		},
		OnNATS: func(u string) { started <- u },
	})
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	<-started
	reload := func() {
		hangup <- os.Interrupt
		hangup <- os.Interrupt // taken once the reload before has ended
	}
	matches := func(name string) bool { return d.watched.Current().MatchName([]byte(name)) }

	reload()
	if d.watched.Current() != first.List {
		t.Error("a reload of an unchanged file replaced the list")
	}
	names[500] = ".new.example"
	write()
	reload()
	if n := d.watched.Current().Len(); n != 1001 || !matches("www.new.example") || matches("host-500.example") || !matches("host-501.example") || !matches("example.com") {
		t.Errorf("a changed line is not in force among %d", n)
	}
	if !first.List.MatchName([]byte("host-500.example")) {
		t.Error("the list before changed")
	}
	second := d.watched.Current()
	names[600] = "  bad..example"
	write()
	reload()
	if d.watched.Current() != second || !log.has("domains.txt:601:3: ") {
		t.Error("a file with a mistake is in force, or its place is not in the log")
	}
	names[600] = ".newer.example"
	write()
	reload()
	if !matches("newer.example") || matches("host-600.example") {
		t.Error("a corrected file is not in force")
	}
	if !log.has("watched=1001 file=") || log.has("before=") {
		t.Error("the log does not have how many names are watched")
	}
	names = names[:400]
	write()
	reload()
	if !log.has(`level=WARN msg="configuration reloaded" watched=401 before=1001 `) {
		t.Error("a watch list of less than half of the names is no warning")
	}
	names = names[:300]
	write()
	reload()
	if !log.has(`level=INFO msg="configuration reloaded" watched=301 before=401 `) {
		t.Error("a shorter watch list is not in the log")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if d.o.Inventory != nil {
		t.Error("the daemon keeps the inventory that it started with, and so its watch list")
	}
}
