// Package hook runs an executable for each event, which it gets as JSON on its standard
// input.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// Options names an executable to run for each event.
type Options struct {
	Path string // absolute, as Find gives it
	// Timeout is how long it may run for one event. Default 30 s.
	Timeout time.Duration
	Home    string // the variable HOME. Default "/"
	Logger  *slog.Logger
}

// Exit codes of a hook that say more than success and failure (sysexits.h).
const (
	exitRefused = 65 // EX_DATAERR: never send this event again
	exitLater   = 75 // EX_TEMPFAIL: send it again, however often
)

// How a hook is ended, and how much of its output is kept.
const (
	killGrace = 2 * time.Second // between SIGTERM and SIGKILL
	pipeGrace = time.Second     // for its output to end after it has ended
	maxOutput = 4 << 10
)

// A Sender runs an executable for each event, with the event as a line of JSON on its
// standard input, in an environment of nothing but:
//
//	PATH, HOME, LANG         fixed values
//	CTWATCH_EVENT_ID         the same when an event comes again
//	CTWATCH_EVENT_TYPE       such as certificate.unexpected
//	CTWATCH_SEVERITY         debug, info, warning or critical
//	CTWATCH_SUBJECT          the watched domain, the host, or the log's ID
//
// None of these holds text from a certificate, or a character with a meaning in a shell.
// The working directory is "/".
//
// Exit code 0 is success. After 75 the event is retried until it succeeds, after 65
// never. After any other failure, or a time-out, it is tried MaxTries times, and then
// becomes a dead letter, so that one event that breaks a script cannot end all alarms. A
// hook that cannot be started is retried without end.
//
// Each executable is a sender: one that fails or hangs delays no other, and makes no
// other run twice.
type Sender struct {
	o     Options
	tries notify.Tries
}

// New checks the options, and that the executable is safe to run (see Find).
func New(o Options) (*Sender, error) {
	if o.Logger == nil {
		return nil, errors.New("a hook needs a logger")
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Home == "" {
		o.Home = "/"
	}
	if err := checkFile(o.Path); err != nil {
		return nil, err
	}
	o.Logger = o.Logger.With("hook", o.Path)
	return &Sender{o: o}, nil
}

// Name implements Sender: it has the path.
func (h *Sender) Name() string { return "hook:" + h.o.Path }

// Wants implements Sender: all events. Filtered narrows it.
func (h *Sender) Wants(ctwatch.Event) bool { return true }

// Timeout implements Patient: it leaves time to end the hook.
func (h *Sender) Timeout() time.Duration { return h.o.Timeout + killGrace + pipeGrace + 5*time.Second }

// Send implements Sender.
func (h *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	if err := checkFile(h.o.Path); err != nil { // it may have changed
		return true, err
	}
	input, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("encoding event %s: %w", e.ID, err)
	}
	began := time.Now()
	out, err := h.run(ctx, append(input, '\n'), h.environment(e))
	log := h.o.Logger.With("event", e.ID, "took", time.Since(began).Round(time.Millisecond).String(), "output", out)
	if err == nil {
		log.DebugContext(ctx, "hook succeeded")
		return false, nil
	}
	if ctx.Err() != nil {
		return true, fmt.Errorf("hook %s was ended: %w", h.o.Path, ctx.Err())
	}
	log.WarnContext(ctx, "hook failed", "error", err)
	if out != "" {
		err = fmt.Errorf("%w: %s", err, ctwatch.Printable(out, 200))
	}
	err = fmt.Errorf("hook %s: %w", h.o.Path, err)
	var exit *exec.ExitError
	switch {
	case errors.Is(err, errTimeout):
	case !errors.As(err, &exit): // it was not even started
		return true, err
	case exit.ExitCode() == exitRefused:
		return false, err
	case exit.ExitCode() == exitLater:
		return true, err
	}
	return h.tries.Refused(e.ID), err
}

var errTimeout = errors.New("it ran for too long and was ended")

// run runs the executable once, in a process group of its own, and returns the beginning
// of its output, printable. No process of the group is left when run returns.
func (h *Sender) run(ctx context.Context, input []byte, env []string) (output string, err error) {
	tctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	out := &outputBuffer{}
	cmd := exec.CommandContext(tctx, h.o.Path)
	cmd.Dir, cmd.Env = "/", env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var kill *time.Timer
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		kill = time.AfterFunc(killGrace, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		return syscall.Kill(group, syscall.SIGTERM)
	}
	cmd.WaitDelay = killGrace + pipeGrace // a child that left the group may hold the pipes
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("it cannot be started: %w", err)
	}
	err = cmd.Wait()
	if kill != nil {
		kill.Stop()
	}
	// End what it left running. While a group has members no other process gets its
	// number, and one that was just freed is not reused for long.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if ctx.Err() == nil && tctx.Err() != nil && err != nil {
		err = fmt.Errorf("%w after %s", errTimeout, h.o.Timeout)
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it succeeded, and a child kept its pipes open
		err = nil
	}
	return out.String(), err
}

// environment returns all variables of a hook.
func (h *Sender) environment(e ctwatch.Event) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + h.o.Home,
		"LANG=C.UTF-8",
		"CTWATCH_EVENT_ID=" + envValue(e.ID),
		"CTWATCH_EVENT_TYPE=" + envValue(string(e.Type)),
		"CTWATCH_SEVERITY=" + envValue(string(e.Data.Severity)),
		"CTWATCH_SUBJECT=" + envValue(e.Subject),
	}
}

// envValue makes text safe as the value of a variable, even in scripts without quotes:
// all but ASCII letters, digits, '.', ':' and '-' becomes '_', and so does a '-' at the
// beginning, which would be an option.
func envValue(s string) string {
	const most = 300
	b := []byte(s[:min(len(s), most)])
	for i, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == ':' || c == '-' && i > 0) {
			b[i] = '_'
		}
	}
	return string(b)
}

// An outputBuffer keeps the beginning of what is written to it. It accepts everything, so
// that a hook with much output is not stopped in the middle of its work.
type outputBuffer struct {
	mu   sync.Mutex
	kept []byte
	more bool
}

func (o *outputBuffer) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(p), maxOutput-len(o.kept))
	o.kept = append(o.kept, p[:n]...)
	o.more = o.more || n < len(p)
	return len(p), nil
}

// String returns what was kept, on one line.
func (o *outputBuffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := strings.ReplaceAll(strings.TrimSpace(string(o.kept)), "\n", " ⏎ ")
	s = ctwatch.Printable(s, maxOutput)
	if o.more {
		s += "…"
	}
	return s
}

// checkFile returns an error unless a file is a regular, executable file that no other
// user could have changed.
func checkFile(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return fmt.Errorf("hook: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("hook %s: not a regular file: links are not followed: copy it there", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("hook %s: not executable: chmod +x it", path)
	}
	return checkOwner("hook "+path, info)
}

// checkOwner returns an error if a user other than root and ourselves may change a file
// or a directory.
func checkOwner(what string, info os.FileInfo) error {
	if info.Mode()&0o022 != 0 {
		return fmt.Errorf("%s: its group or everybody can write to it: chmod go-w it", what)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: it belongs to user %d: chown it to root", what, st.Uid)
	}
	return nil
}
