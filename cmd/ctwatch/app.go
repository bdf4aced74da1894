package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/store"
)

// The exit statuses of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or a bad configuration
	exitNo     = 3 // done, with the answer "no"
)

// An environment has the arguments, streams and variables of the process.
type environment struct {
	Args           []string
	Stdin          io.Reader // may be nil
	Stdout, Stderr io.Writer
	LookupEnv      func(string) (string, bool)
}

// terminal reports whether a stream is a terminal, and whether it may be colored.
func (e environment) terminal(stream io.Writer) (is, color bool) {
	is = terminal.Is(stream)
	return is, is && terminal.MayColor(e.LookupEnv)
}

// table returns a table on stdout that fits the terminal.
func (e environment) table(header ...string) *terminal.Table {
	return terminal.NewTable(e.Stdout, terminal.Columns(e.Stdout), header...)
}

// list returns a table on stdout that is never truncated.
func (e environment) list(header ...string) *terminal.Table {
	return terminal.NewTable(e.Stdout, 0, header...)
}

func (e environment) printJSON(v any) error { return terminal.PrintJSON(e.Stdout, v) }

// A usageError is wrong usage of a command: exit status 2, as for a configs.Error.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errNo is the error of a command that has printed the answer "no".
var errNo = errors.New("the answer is no")

// errReported is the error of a command that has printed its failure.
var errReported = errors.New("failed; see above")

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// An app is one run of the program: its flags and what commands share.
type app struct {
	environment
	configFile string
	dataDir    string
	json       bool
	verbose    bool
	ended      <-chan struct{} // closed when the process must end; nil for never
}

// run executes the command line and returns the exit status.
func run(ctx context.Context, e environment) int {
	a := &app{environment: e, ended: ctx.Done()}
	root := a.root()
	root.SetArgs(e.Args)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)

	// A failure before a command starts is wrong usage.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	err := root.ExecuteContext(ctx)

	var usage *usageError
	var bad configs.Errors
	var misconfigured *configs.Error
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errBad):
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errNo):
		return exitNo
	case !started && !errors.As(err, &usage):
		fmt.Fprintf(e.Stderr, "ctwatch: %v\nRun 'ctwatch --help' for the commands and their flags.\n", err)
		return exitUsage
	case errors.As(err, &bad):
		for _, mistake := range bad {
			fmt.Fprintln(e.Stderr, mistake)
		}
		return exitUsage
	case errors.As(err, &usage), errors.As(err, &misconfigured):
		fmt.Fprintf(e.Stderr, "ctwatch: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(e.Stderr, "ctwatch: %v\n", err)
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ctwatch",
		Short: "Watch Certificate Transparency for domains whose apps pin certificates",
		Long: `ctwatch tails Certificate Transparency logs for watched domains, reports each
certificate as soon as it is logged, before it is deployed, and extracts the pins
(SHA-256 of the SubjectPublicKeyInfo) of its key and of its issuer.

Exit status: 0 done, 1 failed, 2 wrong usage or bad configuration, 3 done and
the answer is "no".`,
		Example: `  ctwatch demo                          see everything at work, without a network
  ctwatch run --watch example.com       watch a domain, without a configuration
  ctwatch certs list --since 24h        list new certificates
  ctwatch config init > ctwatch.yaml    start a configuration`,
		SilenceUsage: true, SilenceErrors: true,
	}
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "configuration `file` (default ./ctwatch.yaml, $CONFIGURATION_DIRECTORY/ctwatch.yaml, /etc/ctwatch/ctwatch.yaml)")
	f.StringVar(&a.dataDir, "data", "", "data `directory` (default: data_dir of the configuration)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log more")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	_ = root.MarkPersistentFlagDirname("data")
	root.AddCommand(
		a.runCommand(), a.demoCommand(), a.scanCommand(), a.certsCommand(), a.pinsCommand(), a.probeCommand(), a.signingCommand(), a.notifyCommand(),
		a.logsCommand(), a.casCommand(), a.configCommand(), a.versionCommand(),
	)
	wordArguments(root)
	return root
}

// wordArguments makes a command, and those below it, say which arguments they take when they
// are given others.
func wordArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		wordArguments(sub)
	}
	check := c.Args
	if check == nil {
		return
	}
	use := strings.Fields(c.Use)
	want := use[len(use)-1]
	c.Args = func(c *cobra.Command, args []string) error {
		if check(c, args) == nil {
			return nil
		}
		path := c.CommandPath()
		switch {
		case check(c, []string{""}) != nil:
			return usagef("%s takes no arguments; see %[1]s --help", path)
		case len(args) > 0:
			return usagef("%s takes one argument, %s; see %[1]s --help", path, strings.Trim(want, "[]"))
		case strings.ContainsRune("AEIO", rune(want[0])):
			return usagef("%s needs an %s; see %[1]s --help", path, want)
		}
		return usagef("%s needs a %s; see %[1]s --help", path, want)
	}
}

// group is a command that only has subcommands; calling it by itself, or with an unknown
// one, is wrong usage.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q for %q: run '%s --help'", args[0], c.CommandPath(), c.CommandPath())
			}
			return usagef("%q needs a command: run '%s --help'", c.CommandPath(), c.CommandPath())
		},
	}
	c.AddCommand(commands...)
	return c
}

// jsonFlag gives a command the flag --json.
func (a *app) jsonFlag(c *cobra.Command, what string) *cobra.Command {
	c.Flags().BoolVar(&a.json, "json", false, what)
	return c
}

// config returns the configuration, or the defaults if there is no file.
func (a *app) config() (*configs.Config, error) {
	env := configs.ProcessEnv()
	env.LookupEnv = a.LookupEnv
	path, err := configs.Find(a.configFile, env)
	if err != nil {
		return nil, &usageError{err}
	}
	cfg, err := configs.Load(path, env, setup.Check)
	if err != nil {
		return nil, &usageError{err}
	}
	if a.dataDir != "" {
		cfg.DataDir = a.dataDir
	}
	return cfg, nil
}

// read opens the store for a command that only reads, and calls f.
func (a *app) read(ctx context.Context, f func(*store.DB) error) error {
	return a.with(func(path string) (*store.DB, error) { return store.OpenReadOnly(ctx, path) }, f)
}

// write opens the store, which must exist, and calls f. A daemon may run at the same time.
// Changes of trust need a session instead.
func (a *app) write(ctx context.Context, f func(*store.DB) error) error {
	o := a.writing()
	o.MustExist = true
	return a.with(func(path string) (*store.DB, error) { return store.OpenShared(ctx, path, o) }, f)
}

func (a *app) with(open func(path string) (*store.DB, error), f func(*store.DB) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	db, err := open(setup.Database(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return f(db)
}

// logger returns a logger that writes text to stderr, without timestamps in systemd's
// journal, which adds its own.
func (a *app) logger() *slog.Logger {
	level := slog.LevelInfo
	if a.verbose {
		level = slog.LevelDebug
	}
	o := &slog.HandlerOptions{Level: level}
	if _, journal := a.LookupEnv("JOURNAL_STREAM"); journal {
		o.ReplaceAttr = func(groups []string, attr slog.Attr) slog.Attr {
			if len(groups) == 0 && attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		}
	}
	return slog.New(slog.NewTextHandler(a.Stderr, o))
}

// ago parses a point in time: a date, an RFC 3339 time, or how long ago it was.
func ago(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if d, err := ctwatch.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("time %q: want a date such as 2026-11-01, an RFC 3339 time, or how long ago, such as 24h or 30d", s)
}
