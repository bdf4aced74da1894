package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

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
		Short: "Run the daemon: follow the logs, record findings and send events",
		Long: `run follows every log of the log list for the watched domains until it is interrupted. It
records its findings in SQLite and sends events to the configured channels, such as NATS,
Slack and stdout. Without a configuration it starts an embedded NATS server on
127.0.0.1:4222 and stores everything in ./ctwatch-data. It serves health and metrics on
http://127.0.0.1:8780.

It also probes the domains of the configuration on port 443, to record the keys that they
serve; its first lines list the endpoints. To turn probing off, set "endpoints: []" for a
domain or "probe: {interval: 0}" for all. Names of --watch and watch_files are not probed.

A domain includes every name below it. On a terminal, run prints events as lines for
people; otherwise, or with --json, as CloudEvents, one JSON object on a line.

On SIGHUP, and when the configuration or a file that it names changes, run reloads the
watch list, its rules, the apps and the notification channels. If the new configuration
has a mistake, run reports its place and keeps the previous one. SIGHUP also probes all
endpoints at once.`,
		Example: `  ctwatch run --watch example.com
  ctwatch run --watch example.com --watch example.net --data /var/lib/ctwatch
  ctwatch run --config /etc/ctwatch/ctwatch.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), domains) },
	}
	c.Flags().StringArrayVarP(&domains, "watch", "w", nil, "`domain` to watch with every name below it, in addition to the configuration")
	return a.jsonFlag(c, "print events as JSON, also on a terminal")
}

func (a *app) run(ctx context.Context, domains []string) error {
	inv, err := a.inventory(new(setup.Inventory), domains)
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
		Reread: func(before *setup.Inventory) (*setup.Inventory, error) { return a.inventory(before, domains) }, Hangup: hangup,
		Starting: working(a.Stderr, logger, time.Now), Reloading: working(io.Discard, logger, time.Now),
		Out: a.Stdout, JSON: a.json || !terminal, Color: color,
	}).Run(ctx)
}

// errNothingWatched is the error of a daemon without a watch list.
var errNothingWatched = errors.New(`nothing to watch: run 'ctwatch run --watch example.com', or start a configuration with 'ctwatch config init > ctwatch.yaml' and name domains under "watch"`)

// nothingWatched says that nothing is watched, and which watch files list nothing.
func nothingWatched(cfg *configs.Config) error {
	switch names := cfg.WatchFiles; len(names) {
	case 0:
		return errNothingWatched
	case 1:
		return fmt.Errorf("%s lists no domain: %w", names[0], errNothingWatched)
	default:
		return fmt.Errorf("%s and %d more watch files list no domain: %w", names[0], len(names)-1, errNothingWatched)
	}
}

// inventory reads the configuration for the daemon, with its secrets, and domains of the
// command line, given the inventory before.
func (a *app) inventory(before *setup.Inventory, domains []string) (*setup.Inventory, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	listed, err := watchFlag(domains)
	if err != nil {
		return nil, err
	}
	wrong := configs.Mistakes{Config: cfg}
	inv, err := before.Reread(cfg, listed...)
	wrong.Add(err)
	wrong.Add(cfg.CheckSecrets())
	switch err := wrong.Err(); {
	case err != nil:
		return nil, err
	case inv.List.Len() == 0:
		return nil, &usageError{nothingWatched(cfg)}
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
