package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
)

// script writes an executable shell script. $DIR in it is its directory, $TESTS the
// process of the tests, and $SLEEP a command that sleeps.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	text = "#!/bin/sh\n" + strings.NewReplacer("$DIR", dir, "$SLEEP", sleep(), "$TESTS", strconv.Itoa(os.Getpid())).Replace(text) + "\n"
	// Another test that forks while the file is open for writing would make it busy.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// sleep is a command that sleeps as long as the tests run: should they be killed, nothing
// of theirs goes on.
func sleep() string {
	if runtime.GOOS != "linux" {
		return "sleep 1000"
	}
	return fmt.Sprintf("tail -f --pid=%d /dev/null", os.Getpid())
}

func newSender(t *testing.T, path string, timeout time.Duration) *Sender {
	t.Helper()
	h, err := New(Options{Path: path, Timeout: timeout, Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// running reports whether the process whose number a file holds runs.
func running(path string) bool {
	b, err := os.ReadFile(path)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestEventAndCleanEnvironment(t *testing.T) {
	t.Setenv("CTWATCH_TEST_SECRET", "s3cr3t")
	dir := t.TempDir()
	path := script(t, dir, "hook", "cat > $DIR/input; env | sort > $DIR/env; pwd > $DIR/pwd")
	e := notifytest.Unexpected("api.example.com", "$(touch x).example.com")
	e.Subject = "-rf *;$(reboot)\n.example.com"
	notifytest.MustSend(t, newSender(t, path, 0), e)
	var back ctwatch.Event
	if err := json.Unmarshal([]byte(readFile(t, dir+"/input")), &back); err != nil || back.ID != e.ID || back.Data.Certificate.Names[1] != "$(touch x).example.com" {
		t.Errorf("%+v, %v", back, err)
	}
	env := strings.Split(strings.TrimSpace(readFile(t, dir+"/env")), "\n")
	var got []string
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); name != "PWD" && name != "_" && name != "SHLVL" && name != "OLDPWD" { // the shell's own
			got = append(got, v)
		}
	}
	want := []string{
		"CTWATCH_EVENT_ID=" + e.ID, "CTWATCH_EVENT_TYPE=certificate.unexpected", "CTWATCH_SEVERITY=critical",
		"CTWATCH_SUBJECT=_rf_____reboot__.example.com", "HOME=/", "LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := readFile(t, dir+"/pwd"); got != "/\n" {
		t.Error(got)
	}
}

func TestExitCodeDecidesRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text     string
		ok       bool
		retry    bool
		giveUp   bool
		inErrors string
	}{
		{text: "exit 0", ok: true},
		{text: "exit 1", retry: true, giveUp: true, inErrors: "exit status 1"},
		{text: "echo what is wrong >&2; printf '\\033[31m'; exit 2", retry: true, giveUp: true, inErrors: "what is wrong ⏎ \uFFFD[31m"},
		{text: "kill -9 $$", retry: true, giveUp: true, inErrors: "killed"},
		{text: "exit 75", retry: true},
		{text: "exit 65", retry: false, inErrors: "exit status 65"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			h := newSender(t, script(t, t.TempDir(), "hook", tt.text), 0)
			retry, err := h.Send(t.Context(), notifytest.Issued())
			if (err == nil) != tt.ok || retry != tt.retry || err != nil && !strings.Contains(err.Error(), tt.inErrors) {
				t.Fatalf("retry %v, %v", retry, err)
			}
			n := 1
			for ; retry && n < notify.MaxTries+5; n++ {
				retry, _ = h.Send(t.Context(), notifytest.Issued())
			}
			if tt.giveUp && n != notify.MaxTries || tt.retry && !tt.giveUp && n != notify.MaxTries+5 {
				t.Errorf("%d tries", n)
			}
			if tt.giveUp {
				if retry, _ := h.Send(t.Context(), notifytest.Misbehaved()); !retry {
					t.Error("the next event is given up at once")
				}
			}
		})
	}
}

// A hook that runs for too long is ended together with its children.
func TestTimeoutEndsChildren(t *testing.T) {
	for name, text := range map[string]string{
		"sleeps forever, as do its children": "$SLEEP & echo $! > $DIR/child; $SLEEP & echo $$ > $DIR/self; $SLEEP",
		"ignores SIGTERM":                    "trap '' TERM; $SLEEP & echo $! > $DIR/child; echo $$ > $DIR/self; while kill -0 $TESTS; do $SLEEP; done",
		"says things forever":                "echo $$ > $DIR/child; echo $$ > $DIR/self; while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := newSender(t, script(t, dir, "hook", text), 300*time.Millisecond)
			retry, err := h.Send(t.Context(), notifytest.Issued())
			if !retry || !errors.Is(err, errTimeout) {
				t.Errorf("retry %v, %v", retry, err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			for _, pid := range []string{"/self", "/child"} {
				notifytest.Eventually(t, pid+" is ended", func() bool { return !running(dir + pid) })
			}
		})
	}
}

func TestSuccessEndsChildren(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := script(t, dir, "hook", "$SLEEP & echo $! > $DIR/child; exit 0")
	notifytest.MustSend(t, newSender(t, path, 0), notifytest.Issued())
	notifytest.Eventually(t, "the child is ended", func() bool { return !running(dir + "/child") })
}

func TestContextEndsHook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := newSender(t, script(t, dir, "hook", "echo $$ > $DIR/self; $SLEEP"), 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		retry, err := h.Send(ctx, notifytest.Issued())
		if !retry {
			err = errors.New("not to be tried again")
		}
		done <- err
	}()
	notifytest.Eventually(t, "it runs", func() bool { return running(dir + "/self") })
	cancel()
	if err := notifytest.Receive(t, done); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if running(dir + "/self") {
		t.Error("it still runs")
	}
}

// A hook that does not read its input, or writes a lot, succeeds.
func TestUnreadInputAndMuchOutput(t *testing.T) {
	t.Parallel()
	var log notifytest.Buffer
	h, err := New(Options{
		Path:   script(t, t.TempDir(), "hook", "head -c 3000000 /dev/zero | tr '\\0' 'y'"),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 10_000)
	for i := range names {
		names[i] = strconv.Itoa(i) + ".example.com"
	}
	notifytest.MustSend(t, h, notifytest.Issued(names...))
	if n := len(log.String()); n < maxOutput || n > 2*maxOutput {
		t.Errorf("%d bytes are logged", n)
	}
}

func TestMissingHookIsRetried(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := script(t, dir, "hook", "exit 0")
	h := newSender(t, path, 0)
	for name, change := range map[string]func() error{
		"gone":                    func() error { return os.Remove(path) },
		"not executable":          func() error { return os.Chmod(path, 0o644) },
		"writable for others":     func() error { return os.Chmod(path, 0o757) },
		"writable for its group":  func() error { return os.Chmod(path, 0o775) },
		"a link":                  func() error { return errors.Join(os.Remove(path), os.Symlink("/bin/true", path)) },
		"a directory":             func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"without its interpreter": func() error { return os.WriteFile(path, []byte("#!/no/such/shell\n"), 0o755) },
		"no program":              func() error { return os.WriteFile(path, []byte("\x00\x01"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			os.RemoveAll(path)
			script(t, dir, "hook", "exit 0")
			if err := change(); err != nil {
				t.Fatal(err)
			}
			for range notify.MaxTries + 1 {
				if retry, err := h.Send(t.Context(), notifytest.Issued()); err == nil || !retry || !strings.Contains(err.Error(), path) {
					t.Fatalf("retry %v, %v", retry, err)
				}
			}
			os.RemoveAll(path)
			script(t, dir, "hook", "exit 0")
			notifytest.MustSend(t, h, notifytest.Issued())
		})
	}
}

// A hook that hangs, and one that fails, hold up neither the others nor the end; and
// get everything in order once they are repaired.
func TestHangingHookDelaysNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hangs := script(t, dir, "10-hangs", "$SLEEP")
	good := script(t, dir, "20-good", `echo $CTWATCH_EVENT_ID >> $DIR/good`)
	fails := script(t, dir, "30-fails", "exit 1")
	paths, problems := Find(dir, dir)
	if diff := cmp.Diff([]string{hangs, good, fails}, paths); diff != "" || len(problems) > 0 {
		t.Fatal(diff, problems)
	}
	var senders []notify.Sender
	for _, p := range paths {
		limit := notifytest.Patience
		if p == hangs {
			limit = 200 * time.Millisecond
		}
		senders = append(senders, newSender(t, p, limit))
	}
	events, ids := notifytest.Events(5)
	o := notifytest.NewOutbox(events...)
	var hung atomic.Bool
	_, stop := sendertest.Start(t, notify.Config{Outbox: o, Senders: senders, BackoffMin: 100 * time.Millisecond, BackoffMax: 100 * time.Millisecond, OnSend: func(sender string, err error) {
		if err != nil && strings.HasSuffix(sender, "hangs") {
			hung.Store(true)
		}
	}})
	notifytest.Eventually(t, "the good one has all", func() bool { return o.Cursor("hook:"+good).Seq == 5 })
	if diff := cmp.Diff(ids, strings.Fields(readFile(t, dir+"/good"))); diff != "" {
		t.Error(diff)
	}
	notifytest.Eventually(t, "the other hung", hung.Load)
	if o.Cursor("hook:"+hangs).Seq != 0 || o.Cursor("hook:"+fails).Seq != 0 {
		t.Error("a cursor moved past an event that was not delivered")
	}
	// Mended by replacing the file at once, as an installer does.
	for _, path := range []string{hangs, fails} {
		script(t, dir, ".new", "echo $CTWATCH_EVENT_ID >> "+path+".out")
		if err := os.Rename(dir+"/.new", path); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{hangs, fails} {
		notifytest.Eventually(t, path+" has all", func() bool { return o.Cursor("hook:"+path).Seq == 5 })
		// A busy machine may need more than the limit after the line was written; the event
		// comes again then.
		if diff := cmp.Diff(ids, slices.Compact(strings.Fields(readFile(t, path+".out")))); diff != "" {
			t.Error(diff)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Find returns no file that another user could have changed.
func TestFindRefusesFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	b, a := script(t, dir, "b", ""), script(t, dir, "a", "")
	script(t, dir, ".hidden", "")
	script(t, dir, "backup~", "")
	loose := script(t, dir, "loose", "")
	link := filepath.Join(dir, "link")
	for _, err := range []error{
		os.WriteFile(dir+"/README", nil, 0o644), os.Mkdir(dir+"/sub", 0o755), os.Symlink("/bin/true", link),
		os.Symlink("/no/where", dir+"/dangling"), os.Chmod(loose, 0o777), syscall.Mkfifo(dir+"/pipe", 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	open := t.TempDir()
	script(t, open, "x", "")
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	alone := script(t, t.TempDir(), ".alone", "")
	paths, problems := Find(alone, dir, open, open+"/x", "/no/such/dir", "relative", a, dir+"/README")
	if diff := cmp.Diff([]string{alone, a, b}, paths); diff != "" {
		t.Error(diff)
	}
	text := errors.Join(problems...).Error()
	for _, want := range []string{link, loose, "dangling", "pipe", open, "relative", "README: not executable"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is no problem in:\n%s", want, text)
		}
	}
	if !errors.Is(errors.Join(problems...), fs.ErrNotExist) || len(problems) != 9 {
		t.Errorf("%d problems:\n%s", len(problems), text)
	}
	if _, err := New(Options{Path: link, Logger: notifytest.Discard()}); err == nil {
		t.Error("a link was accepted")
	}
}

// TestFindSkipsLeftovers: copies that editors, package managers and people leave beside hooks
// are not run, and one problem lists them. A hook that is named itself runs.
func TestFindSkipsLeftovers(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"10-page", "UPPER_case-9", "page", "page.py", "page.sh"} {
		want = append(want, script(t, dir, name, ""))
	}
	leftovers := []string{
		"page.bak", "page.sh.bak", "page.orig", "page.rej", "page.old", "page.save", "page.swp", "page.tmp", "page.disabled",
		"page.dpkg-old", "page.dpkg-dist", "page.dpkg-new", "page.dpkg-tmp", "page.dpkg-bak", "page.ucf-old", "page.ucf-dist", "page.ucf-new",
		"page.rpmsave", "page.rpmnew", "page.rpmorig", "page.pacnew", "#page#", "page (copy)", "page.sh.1", "page.2026-11-27", "pagé", "page,v",
	}
	for _, name := range leftovers {
		script(t, dir, name, "")
	}
	for _, name := range []string{".page.swp", ".#page", "page~", ".page.sh.un~"} {
		script(t, dir, name, "") // silently, as they come and go while a file is edited
	}
	if err := os.WriteFile(dir+"/page.txt", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	paths, problems := Find(dir)
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 {
		t.Fatalf("%d problems: %v", len(problems), problems)
	}
	for _, text := range []string{`"#page#"`, `"page.bak"`, `"page.dpkg-old"`, "and 7 more", "rename a hook"} {
		if !strings.Contains(problems[0].Error(), text) {
			t.Errorf("%q is not in: %v", text, problems[0])
		}
	}
	if paths, problems := Find(dir + "/page.bak"); len(paths) != 1 || len(problems) != 0 {
		t.Errorf("named itself: %v, %v", paths, problems)
	}
}

func FuzzEnvValue(f *testing.F) {
	f.Add("api.example.com")
	f.Add("-e $(reboot) `x` \x1b]0;\x07 *")
	f.Fuzz(func(t *testing.T, s string) {
		v := envValue(s)
		if len(v) > 300 || strings.HasPrefix(v, "-") || bytes.ContainsFunc([]byte(v), func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_", r)
		}) {
			t.Errorf("%q becomes %q", s, v)
		}
	})
}

func TestHugeAndTestEvents(t *testing.T) {
	dir := t.TempDir()
	h := newSender(t, script(t, dir, "hook", `cat >> $DIR/out; echo $CTWATCH_EVENT_TYPE $CTWATCH_SUBJECT > $DIR/last`), 0)
	for _, e := range append(notifytest.FromOutbox(t, notifytest.HugeEvents()...), ctwatch.TestEvent("alice", notifytest.Time)) {
		notifytest.MustSend(t, h, e)
	}
	notifytest.CheckHuge(t, readFile(t, dir+"/out"))
	if got := readFile(t, dir+"/last"); got != "notify.test daemon\n" {
		t.Errorf("the hook got %q", got)
	}
}

func TestWantsAllEvents(t *testing.T) {
	hook := newSender(t, script(t, t.TempDir(), "hook", ""), 0)
	notifytest.CheckPrograms(t, hook)
	filtered, err := notify.Filtered(hook, notify.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	notifytest.CheckPrograms(t, filtered)
}

var _ interface {
	notify.Sender
	notify.Patient
} = (*Sender)(nil)
