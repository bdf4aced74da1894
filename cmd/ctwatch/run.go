package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/daemon"
	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/watchlist"
)

func (a *app) runCommand() *cobra.Command {
	var domains []string
	c := &cobra.Command{
		Use:   "run [--watch DOMAIN]...",
		Short: "Follow the logs, record what is found, and send events: the daemon",
		Long: `run follows every log of the log list for the watched domains until it is
interrupted. What it finds is recorded in SQLite and published on NATS, on Slack
and on stdout, as the configuration says. Without any configuration it works with
an embedded NATS server, listening on 127.0.0.1:4222, and keeps everything in
./ctwatch-data. Health and metrics are served on http://127.0.0.1:8780.

Domains of the configuration are also probed, on port 443, for the keys that they serve:
the first lines say which endpoints, and why. "endpoints: []" turns that off for a domain,
"probe: {interval: 0}" for all. Names of --watch and of watch_files are not probed.

A domain includes every name below it. On a terminal events are
printed as lines for people; otherwise, or with --json, as CloudEvents, one JSON
object on a line.

On SIGHUP, and when the configuration or a file that it names changes, the watch list,
its rules, the apps and the notifications are read again. A configuration with a mistake
is refused, with the place of the mistake, and the one before stays in force. On SIGHUP
all endpoints are probed, too.`,
		Example: `  ctwatch run --watch example.com
  ctwatch run --watch example.com --watch example.net --data /var/lib/ctwatch
  ctwatch run --config /etc/ctwatch/ctwatch.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), domains) },
	}
	c.Flags().StringArrayVarP(&domains, "watch", "w", nil, "watch a `domain` and every name below it, in addition to those of the configuration")
	return a.jsonFlag(c, "print events as JSON, also on a terminal")
}

func (a *app) run(ctx context.Context, domains []string) error {
	inv, err := a.inventory(domains)
	if err != nil {
		return err
	}
	logger := a.logger()
	for _, u := range slices.Concat(inv.Config.Unused(), inv.Config.Anonymous()) {
		logger.Warn(u.Error())
	}
	terminal, color := a.terminal(a.Stdout)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	return daemon.New(daemon.Options{
		Inventory: inv, Logger: logger,
		Reread: func() (*setup.Inventory, error) { return a.inventory(domains) }, Hangup: hangup,
		Out: a.Stdout, JSON: a.json || !terminal, Color: color,
	}).Run(ctx)
}

// errNothingWatched is the error of a daemon without a watch list.
var errNothingWatched = errors.New(`nothing to watch: call 'ctwatch run --watch example.com', or start a configuration with 'ctwatch config init > ctwatch.yaml' and name domains under "watch"`)

// inventory reads the configuration for the daemon, with its secrets, and domains of the
// command line.
func (a *app) inventory(domains []string) (*setup.Inventory, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	listed, err := watchFlag(domains)
	if err != nil {
		return nil, err
	}
	wrong := configs.Mistakes{Config: cfg}
	inv, err := setup.Read(cfg, listed...)
	wrong.Add(err)
	wrong.Add(cfg.CheckSecrets())
	switch err := wrong.Err(); {
	case err != nil:
		return nil, err
	case inv.Len() == 0:
		return nil, &usageError{errNothingWatched}
	}
	return inv, nil
}

// watchFlag reads the domains of --watch, each with all names below it.
func watchFlag(domains []string) ([]watchlist.Rule, error) {
	var out []watchlist.Rule
	for _, d := range domains {
		r, err := watchlist.NewRule(d, true)
		if err != nil {
			return nil, usagef("--watch: %.100q %w", d, err)
		}
		out = append(out, r)
	}
	return out, nil
}
