package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/daemon"
	"ctwatch/cmd/ctwatch/demo"
	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "demo", Short: "See the whole system at work on this machine, without a network", Args: cobra.NoArgs,
		Long: `demo starts two Certificate Transparency logs (one of each kind), a CA, a receiver
of Slack messages and the daemon with its embedded NATS server, all on loopback.
A rule says which CA may issue. The CA issues certificates, and the demo prints what
arrives where, when, and with which pins. An app ships pins for a TLS server, whose key
is rotated to one that was declared. Then another CA of the same name issues: once for an
attacker, whose key is refused as a pin and whose certificate a person rejects, and once
for a partner, whose certificate a person authorizes.
At the end it compares everything that arrived with everything that was issued.

Exit status: 0 only if every step happened, with no event missing or repeated.`,
		Example: `  ctwatch demo
  ctwatch demo --keep    keep everything running, to explore`,
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context(), keep) },
	}
	c.Flags().BoolVar(&keep, "keep", false, "keep everything running at the end, until interrupted")
	return c
}

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	dir, err := a.demoDir(keep)
	if err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	d := demo.New(ctx, a.demoOptions())
	defer d.Close()
	if err := d.Play(dir); err != nil || !keep {
		return err
	}
	return d.Keep()
}

func (a *app) demoOptions() demo.Options {
	_, color := a.terminal(a.Stdout)
	return demo.Options{
		Out: a.Stdout, Color: color, Logger: demoLogger(a),
		Daemon: func(ctx context.Context, cfg *configs.Config, logger *slog.Logger, onHTTP, onNATS func(string)) error {
			inv, err := setup.Read(cfg)
			if err != nil {
				return err
			}
			return daemon.New(daemon.Options{Inventory: inv, Logger: logger, Out: io.Discard, OnHTTP: onHTTP, OnNATS: onNATS}).Run(ctx)
		},
		Command: func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
			return run(ctx, environment{Args: args, Stdout: stdout, Stderr: stderr, LookupEnv: func(string) (string, bool) { return "", false }})
		},
	}
}

// demoDir returns the data directory of the demo: --data, or a temporary one.
func (a *app) demoDir(keep bool) (string, error) {
	if a.dataDir != "" {
		if entries, err := os.ReadDir(a.dataDir); err == nil && len(entries) > 0 {
			return "", usagef("--data %s is not empty: the demo needs a directory of its own", a.dataDir)
		}
		if !keep {
			return "", usagef("--data goes with --keep: otherwise the demo leaves nothing behind")
		}
		return a.dataDir, os.MkdirAll(a.dataDir, 0o700)
	}
	return os.MkdirTemp("", "ctwatch-demo-")
}

// demoLogger returns a logger for the daemon, which discards all lines without --verbose.
func demoLogger(a *app) *slog.Logger {
	if a.verbose {
		return a.logger()
	}
	return slog.New(slog.DiscardHandler)
}
