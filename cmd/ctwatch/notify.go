package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/notify"
	"ctwatch/notify/nats"
	"ctwatch/notify/stdout"
	"ctwatch/store"
)

func (a *app) notifyCommand() *cobra.Command {
	return group("notify", "Notification channels: status, replay, test",
		a.notifyStatusCommand(), a.notifyReplayCommand(), a.notifyTestCommand(),
	)
}

func (a *app) notifyStatusCommand() *cobra.Command {
	var dead bool
	c := &cobra.Command{
		Use: "status", Short: "Show the pending events, last success and dead letters of each channel", Args: cobra.NoArgs,
		Long: `status shows for each channel the number of pending events, the time of the last delivery,
the current error, and the number of dead letters: events that the service refused for
good. Below the table are warnings about services that accept events but have another
problem, such as a NATS stream with a shorter retention than ctwatch's, or one that others
publish to. With --dead-letters it lists the dead letters; to resend them, run
"ctwatch notify replay".`,
		Example: `  ctwatch notify status
  ctwatch notify status --dead-letters
  ctwatch notify status --json | jq '.[] | select(.backlog > 0)'`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			names, err := a.senderNames(cfg)
			if err != nil {
				return err
			}
			return a.read(c.Context(), func(db *store.DB) error {
				if dead {
					return a.printDeadLetters(c.Context(), db)
				}
				return a.printSenders(c.Context(), db, names)
			})
		},
	}
	c.Flags().BoolVar(&dead, "dead-letters", false, "list the dead letters instead")
	return a.jsonFlag(c, "print a JSON array")
}

// senderNames lists the configured senders.
func (a *app) senderNames(cfg *configs.Config) ([]string, error) {
	senders, err := setup.Senders(cfg, setup.SenderOptions{Logger: a.logger()})
	if err != nil {
		return nil, err
	}
	defer notify.Close(senders...)
	names := []string{nats.Name}
	if cfg.Stdout {
		names = append(names, stdout.Name)
	}
	for _, s := range senders {
		names = append(names, s.Name())
	}
	return names, nil
}

func (a *app) printSenders(ctx context.Context, db *store.DB, configured []string) error {
	all, err := db.Senders.List(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Configured = slices.Contains(configured, all[i].Name)
	}
	for _, name := range configured {
		if !slices.ContainsFunc(all, func(s ctwatch.SenderStatus) bool { return s.Name == name }) {
			all = append(all, ctwatch.SenderStatus{Name: name, Configured: true, Warnings: []ctwatch.SenderWarning{}})
		}
	}
	if a.json {
		return a.printJSON(all)
	}
	t := a.table("SENDER", "WAITING", "SINCE", "LAST SUCCESS", "DEAD LETTERS", "ERROR")
	for _, s := range all {
		name := s.Name
		if !s.Configured {
			name += " (no longer configured)"
		}
		t.Row(name, fmt.Sprint(s.Backlog), momentOf(s.OldestPending), momentOf(s.LastSuccess), fmt.Sprint(s.DeadLetters), s.LastError)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range all {
		for _, w := range s.Warnings {
			times := ""
			if w.Times > 1 {
				times = fmt.Sprintf(", %d times", w.Times)
			}
			fmt.Fprintf(a.Stdout, "\nWarning about %s (%s, since %s%s): %s\n", s.Name, w.Code, terminal.Moment(w.Since), times, ctwatch.Printable(w.Text, 2000))
		}
	}
	return nil
}

func momentOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return terminal.Moment(*t)
}

// A deadLetterObject is a dead letter, as --json prints it.
type deadLetterObject struct {
	Sender string        `json:"sender"`
	Seq    int64         `json:"seq"`
	Event  ctwatch.Event `json:"event"`
	Reason string        `json:"reason"`
	At     time.Time     `json:"at"`
}

// maxDeadLetters is how many dead letters of each sender are listed.
const maxDeadLetters = 1000

func (a *app) printDeadLetters(ctx context.Context, db *store.DB) error {
	states, err := db.Senders.List(ctx)
	if err != nil {
		return err
	}
	all := []deadLetterObject{}
	for _, s := range states {
		letters, err := db.Outbox.DeadLetters(ctx, s.Name, maxDeadLetters)
		if err != nil {
			return err
		}
		for _, l := range letters {
			all = append(all, deadLetterObject{s.Name, l.Seq, l.Event, l.Reason, l.At.UTC()})
		}
	}
	if a.json {
		return a.printJSON(all)
	}
	t := a.table("SENDER", "NUMBER", "SET ASIDE", "EVENT", "ABOUT", "REASON")
	for _, l := range all {
		t.Row(l.Sender, fmt.Sprint(l.Seq), terminal.Moment(l.At), string(l.Event.Type), l.Event.Subject, l.Reason)
	}
	return t.Flush()
}

func (a *app) notifyReplayCommand() *cobra.Command {
	var since string
	var letter int64
	c := &cobra.Command{
		Use: "replay SENDER", Short: "Resend dead letters to a channel, or all events since a time", Args: cobra.ExactArgs(1),
		Long: `replay resends events to one channel, by the name that "ctwatch notify status"
shows: all its dead letters, one of them, or all events since a time. Events keep their
IDs, by which a receiver recognizes them; NATS drops duplicates only within the stream's
duplicate window. A running daemon sends them at once; otherwise the next daemon does.`,
		Example: `  ctwatch notify replay slack
  ctwatch notify replay webhook:pager --dead-letter 4711
  ctwatch notify replay nats --since 2026-11-20`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			r := store.Replay{Seq: letter}
			if r.Since, err = ago(since, time.Now()); err != nil {
				return err
			}
			if letter < 0 || letter > 0 && since != "" {
				return usagef("want one of --since and --dead-letter, which takes a number that \"ctwatch notify status --dead-letters\" shows")
			}
			return a.write(c.Context(), func(db *store.DB) error { return a.replay(c.Context(), db, args[0], r) })
		},
	}
	c.Flags().StringVar(&since, "since", "", "all events since a `time`: 2026-11-01, an RFC 3339 time, or a duration before now such as 24h or 30d")
	c.Flags().Int64Var(&letter, "dead-letter", 0, "only the dead letter of this `number`")
	return c
}

func (a *app) replay(ctx context.Context, db *store.DB, sender string, r store.Replay) error {
	n, err := db.Outbox.Replay(ctx, sender, r)
	name := ctwatch.Printable(sender, 100)
	switch {
	case errors.Is(err, store.ErrNoSender):
		cfg, err := a.config()
		if err != nil {
			return err
		}
		configured, err := a.senderNames(cfg)
		if err != nil {
			return err
		}
		if slices.Contains(configured, sender) {
			return fmt.Errorf("nothing was sent to %s yet", name)
		}
		return fmt.Errorf("unknown sender %s: see \"ctwatch notify status\"", name)
	case errors.Is(err, ctwatch.ErrNotFound):
		return fmt.Errorf("%s has no dead letter %d", name, r.Seq)
	case err != nil:
		return err
	case n == 0 && r.Since.IsZero():
		fmt.Fprintf(a.Stdout, "%s has no dead letters; with --since it resends all events since then\n", name)
		return nil
	}
	fmt.Fprintf(a.Stdout, "resending %s to %s\n", words.Count(int(n), "event"), name)
	return nil
}

func (a *app) notifyTestCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "test [SENDER]...", Short: "Send a test event to every channel", Args: cobra.ArbitraryArgs,
		Long: `test sends an event of type notify.test to each configured channel, bypassing its filters,
and prints each result. It needs no daemon, except for the embedded NATS server, which runs
only in the daemon. Exit status: 1 if any channel failed.`,
		Example: `  ctwatch notify test
  ctwatch notify test slack email:ops@example.com`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			return a.testSenders(c.Context(), cfg, args)
		},
	}
	return a.jsonFlag(c, "print a JSON array")
}

// testTimeout bounds the test of a sender that has no other limit.
const testTimeout = 15 * time.Second

// A testObject is the result of a test, as --json prints it.
type testObject struct {
	Sender string `json:"sender"`
	OK     bool   `json:"ok"`
	Error  string `json:"error"` // "" if OK
}

func (a *app) testSenders(ctx context.Context, cfg *configs.Config, only []string) error {
	senders, err := setup.Senders(cfg, setup.SenderOptions{Logger: a.logger()})
	if err != nil {
		return err
	}
	defer notify.Close(senders...)
	nats, err := a.natsClient(cfg)
	if err != nil {
		return err
	}
	if nats != nil {
		defer nats.Close()
		senders = append([]notify.Sender{nats}, senders...)
	}
	known := func(name string) bool {
		return slices.ContainsFunc(senders, func(s notify.Sender) bool { return s.Name() == name })
	}
	for _, name := range only {
		if !known(name) {
			return usagef("unknown sender %s: see \"ctwatch notify status\"", ctwatch.Printable(name, 100))
		}
	}
	e := ctwatch.TestEvent(a.person(), time.Now())
	results, failed := []testObject{}, false
	for _, s := range senders {
		if len(only) > 0 && !slices.Contains(only, s.Name()) {
			continue
		}
		r := testObject{Sender: s.Name(), OK: true}
		if err := sendTest(ctx, s, e); err != nil {
			r.OK, r.Error, failed = false, ctwatch.Printable(err.Error(), 500), true
		}
		results = append(results, r)
	}
	if err := a.printTests(results); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}

func sendTest(ctx context.Context, s notify.Sender, e ctwatch.Event) error {
	timeout := testTimeout
	if p, ok := s.(notify.Patient); ok {
		timeout = p.Timeout()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := s.Send(ctx, e)
	return err
}

func (a *app) printTests(results []testObject) error {
	if a.json {
		return a.printJSON(results)
	}
	t := a.table("SENDER", "RESULT")
	for _, r := range results {
		result := "sent"
		if !r.OK {
			result = "FAILED: " + r.Error
		}
		t.Row(r.Sender, result)
	}
	return t.Flush()
}

// natsClient connects to the NATS server that events are published on; nil if only the
// daemon can.
func (a *app) natsClient(cfg *configs.Config) (*nats.Sender, error) {
	o, err := setup.NATSOptions(cfg, a.logger())
	if err != nil {
		return nil, err
	}
	if o.URL == "" {
		if cfg.NATS.Listen == "" {
			return nil, nil
		}
		o.URL = "nats://" + cfg.NATS.Listen
	}
	if strings.HasSuffix(o.URL, ":0") {
		return nil, nil // only the daemon has the port
	}
	s, err := nats.New(o)
	if err != nil {
		return nil, fmt.Errorf("nats.%w", err)
	}
	return s, nil
}
