package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func (a *app) runCommand() *cobra.Command {
	var domains []string
	c := &cobra.Command{
		Use:   "run [--watch DOMAIN]...",
		Short: "Follow the logs, record what is found, and tell of it: the daemon",
		Long: `run follows every log of the log list for the watched domains until it is
interrupted. What it finds is recorded in SQLite and published on NATS, on Slack
and on stdout, as the configuration says. Without any configuration it works with
an embedded NATS server, listening on 127.0.0.1:4222, and keeps everything in
./ctwatch-data. Health and metrics are served on http://127.0.0.1:8780.

A domain stands for itself and every name below it. On a terminal events are
printed as lines for people; otherwise, or with --json, as CloudEvents, one JSON
object on a line. SIGHUP has it look at all endpoints at once.`,
		Example: `  ctwatch run --watch example.com
  ctwatch run --watch example.com --watch example.net --data /var/lib/ctwatch
  ctwatch run --config /etc/ctwatch/ctwatch.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), domains) },
	}
	c.Flags().StringArrayVarP(&domains, "watch", "w", nil, "watch a `domain` and every name below it, besides those of the configuration")
	return a.jsonFlag(c, "print events as JSON, also on a terminal")
}

func (a *app) run(ctx context.Context, domains []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	rules, err := watchRules(cfg, domains)
	if err != nil {
		return err
	}
	if len(rules) == 0 {
		return &usageError{errNothingWatched}
	}
	if err := cfg.CheckSecrets(); err != nil {
		return &usageError{err}
	}
	logger := a.logger()
	for _, u := range cfg.Unused() {
		logger.Warn(u)
	}
	terminal, color := a.terminal(a.Stdout)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	d := &daemon{
		cfg: cfg, rules: rules, logger: logger, hangup: hangup,
		out: a.Stdout, json: a.json || !terminal, color: color,
	}
	return d.run(ctx)
}
