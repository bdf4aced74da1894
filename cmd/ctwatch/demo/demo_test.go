package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ctwatch/configs"
)

// TestDemoNeedsItsDaemon: a daemon that does not start ends the demo, which leaves nothing
// running behind.
func TestDemoNeedsItsDaemon(t *testing.T) {
	defer goleak.VerifyNone(t)
	var out bytes.Buffer
	broken := errors.New("the port is in use")
	var got *configs.Config
	d := New(t.Context(), Options{
		Out: &out, Logger: slog.New(slog.DiscardHandler),
		Daemon: func(_ context.Context, cfg *configs.Config, _ *slog.Logger, _, _ func(string)) error {
			got = cfg
			return broken
		},
	})
	err := d.Play(t.TempDir())
	d.Close()
	if !errors.Is(err, broken) {
		t.Errorf("it ends with %v, want %v", err, broken)
	}
	if got == nil || len(got.Logs.Extra) != 2 || got.Logs.List != "" || got.Slack == nil {
		t.Errorf("the daemon's configuration is not the demo's: %+v", got)
	}
	if !strings.Contains(out.String(), "Demo RFC 6962 2026") {
		t.Errorf("it does not say what runs:\n%s", out.String())
	}
}

// TestCommandMustEndAsExpected: a command with another exit status than expected fails the
// demo, with what the command printed.
func TestCommandMustEndAsExpected(t *testing.T) {
	var out bytes.Buffer
	d := New(t.Context(), Options{
		Out: &out,
		Command: func(_ context.Context, args []string, stdout, stderr io.Writer) int {
			io.WriteString(stdout, "checked "+args[0]+"\n")
			io.WriteString(stderr, "it breaks version 1.0\n")
			return no
		},
	})
	if _, err := d.command(no, "pins", "gate", "/tmp/next.pem"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"$ ctwatch pins gate next.pem", "checked pins", "it breaks version 1.0", "exit status 3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	if _, err := d.command(done, "pins", "gate", "next.pem"); err == nil || !strings.Contains(err.Error(), "exit status 3, not 0") {
		t.Errorf("%v", err)
	}
}

// TestDemoInterruptedAtStart: a daemon that is asked to end before it is ready, and so ends
// without an error, ends the demo with one.
func TestDemoInterruptedAtStart(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	d := New(ctx, Options{
		Out: io.Discard, Logger: slog.New(slog.DiscardHandler),
		Daemon: func(context.Context, *configs.Config, *slog.Logger, func(string), func(string)) error {
			cancel()
			return nil
		},
	})
	err := d.Play(t.TempDir())
	d.Close()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v, want %v", err, context.Canceled)
	}
}
