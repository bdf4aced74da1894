package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/pins"
	"ctwatch/store"
)

// A tellers is who is told of events, as one reading of the configuration has it.
type tellers struct {
	senders []notify.Sender
	runs    []func(context.Context) // what senders do besides, until the context ends
}

func (t *tellers) close() {
	for _, s := range t.senders {
		notify.Close(s)
	}
}

// newTellers makes the senders that may change while the daemon runs: all but NATS
// and stdout. They are not used before the dispatcher is given them. db is where
// threads are remembered and verdicts go, and v knows CAs: nil, both, where no event
// is sent. An error has all mistakes.
func newTellers(cfg *configs.Config, db *store.DB, v *verdicts, logger *slog.Logger) (*tellers, error) {
	t := &tellers{}
	wrong := mistakes{cfg: cfg}
	if cfg.Slack != nil {
		slack, err := notify.NewSlack(slackOptions(cfg.Slack, db, v, logger))
		if err != nil {
			wrong.sender("slack", err)
		} else {
			t.senders = append(t.senders, slack)
			t.runs = append(t.runs, slack.RunSocket)
		}
	}
	t.addEmail(cfg, &wrong)
	for i, w := range cfg.Webhooks {
		o := notify.WebhookOptions{URL: string(w.URL), Name: w.Name, OutwardOptions: outward(w.AllowPrivate)}
		if w.Secret.IsSet() {
			o.Key = w.Secret.Reveal
		}
		s, err := notify.NewWebhook(o)
		t.add(&wrong, fmt.Sprintf("webhooks[%d]", i), s, err, w.Filter)
	}
	for i, v := range cfg.Services {
		s, err := notify.NewService(notify.ServiceOptions{URL: v.URL.Reveal, Name: v.Name})
		t.add(&wrong, fmt.Sprintf("services[%d]", i), s, err, v.Filter)
	}
	t.addHooks(cfg, logger, &wrong)
	if err := wrong.err(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tellers) addEmail(cfg *configs.Config, wrong *mistakes) {
	m := cfg.Email
	if m == nil {
		return
	}
	o := notify.EmailOptions{
		Server: fmt.Sprintf("%s:%d", m.Host, m.Port), TLS: notify.EmailTLS(m.TLS), Username: m.Username, From: m.From,
	}
	if m.Password.IsSet() {
		o.Password = m.Password.Reveal
	}
	if m.CAFile != "" {
		roots, err := certPool(m.CAFile)
		if err != nil {
			wrong.sender("email.ca_file", err)
			return
		}
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	for i, to := range m.To {
		o.To = to
		s, err := notify.NewEmail(o)
		if err != nil {
			wrong.sender("email", err)
			return
		}
		t.add(wrong, fmt.Sprintf("email.to[%d]", i), s, nil, m.Filter)
	}
}

func (t *tellers) addHooks(cfg *configs.Config, logger *slog.Logger, wrong *mistakes) {
	var dirs []string
	for _, d := range cfg.Hooks {
		abs, err := filepath.Abs(d)
		if err != nil {
			wrong.sender("hooks", err)
			return
		}
		dirs = append(dirs, abs)
	}
	paths, problems := notify.FindHooks(dirs...)
	for _, p := range problems {
		logger.Warn("a hook is not run", "error", p)
	}
	for _, path := range paths {
		s, err := notify.NewHook(notify.HookOptions{Path: path, Timeout: cfg.HookTimeout, Logger: logger})
		if err != nil {
			logger.Warn("a hook is not run", "error", err)
			continue
		}
		t.add(wrong, "hooks", s, nil, configs.Filter{Severity: cfg.HookSeverity})
	}
}

// add adds a sender, unless it could not be made, behind its filter.
func (t *tellers) add(wrong *mistakes, at string, s notify.Sender, err error, f configs.Filter) {
	if err == nil {
		s, err = notify.Filtered(s, notify.Filter{MinSeverity: ctwatch.Severity(f.Severity), Types: f.Types, Subjects: f.Watch})
	}
	if err != nil {
		wrong.sender(at, err)
		return
	}
	t.senders = append(t.senders, s)
}

// settingError says where a setting that a sender refuses stands.
func settingError(cfg *configs.Config, path string, err error) error {
	wrong := mistakes{cfg: cfg}
	wrong.sender(path, err)
	return wrong.err()
}

// sender adds what a sender says of its settings, which may name a place itself.
func (m *mistakes) sender(path string, err error) {
	var placed *configs.Error
	if errors.As(err, &placed) {
		m.add(placed)
		return
	}
	m.at(err, "%s", path)
}

func outward(private bool) notify.OutwardOptions {
	return notify.OutwardOptions{AllowPrivate: private, Proxy: http.ProxyFromEnvironment}
}

func slackOptions(s *configs.Slack, db *store.DB, v *verdicts, logger *slog.Logger) notify.SlackOptions {
	o := notify.SlackOptions{APIURL: s.APIURL, Channel: s.Channel, MinSeverity: ctwatch.Severity(s.Severity), Logger: logger}
	if s.Token.IsSet() {
		o.Token = s.Token.Reveal
	}
	if s.WebhookURL.IsSet() {
		o.WebhookURL = s.WebhookURL.Reveal
	}
	for _, r := range s.Routes {
		o.Routes = append(o.Routes, notify.SlackRoute{Severity: ctwatch.Severity(r.Severity), Watch: r.Watch, Types: r.Types, Channel: r.Channel})
	}
	if db == nil {
		return o
	}
	o.ReportTo = v.reportTo
	o.JudgedBy = func(ctx context.Context, id ctwatch.Hash) string { return judgedBy(ctx, db, id) }
	if o.Token != nil {
		o.Threads = db.Threads("slack")
	}
	if s.AppToken.IsSet() {
		o.Buttons = &notify.SlackButtons{AppToken: s.AppToken.Reveal, Users: s.Approvers, Judge: slackJudge(db)}
	}
	return o
}

// judgedBy returns who judged a certificate last, if a person did. A store that fails ends
// the daemon elsewhere.
func judgedBy(ctx context.Context, db *store.DB, id ctwatch.Hash) (by string) {
	all, _ := db.Judgements(ctx, id)
	for _, r := range all {
		if r.Actor == pins.Person {
			by = r.By
		}
	}
	return by
}

// slackJudge records the verdicts that people give by Slack's buttons.
func slackJudge(db *store.DB) func(ctx context.Context, id string, authorize bool, by string) error {
	return func(ctx context.Context, id string, authorize bool, by string) error {
		c, err := db.Certificate(ctx, id)
		if err != nil {
			return err
		}
		if !authorize {
			return rejectCertificate(ctx, db, &c, by, "rejected in Slack")
		}
		return authorizeCertificate(ctx, db, &c, nil, by, "authorised in Slack")
	}
}

// A messenger carries events to senders, most of which a reload can replace.
type messenger struct {
	*notify.Dispatcher
	lasting []notify.Sender // NATS and stdout
	now     *tellers
	gone    func(name string) // called for each sender that is not replaced by one of its name

	end     context.CancelFunc // ends what now does besides; nil when that has ended
	running sync.WaitGroup
}

// newMessenger has not begun: what is told to the senders, replace begins.
func newMessenger(cfg notify.Config, lasting []notify.Sender, gone func(name string)) (*messenger, error) {
	cfg.Senders = nil
	d, err := notify.NewDispatcher(cfg)
	return &messenger{Dispatcher: d, lasting: lasting, gone: gone}, err
}

// replace puts other senders in the place of those there are, but for the lasting
// ones. What they do besides goes on until ctx ends, and stop is called.
func (m *messenger) replace(ctx context.Context, next *tellers) error {
	if err := m.Replace(slices.Concat(m.lasting, next.senders)); err != nil {
		return err
	}
	m.stop()
	if m.now != nil {
		m.now.close()
		for _, s := range m.now.senders {
			if !slices.ContainsFunc(next.senders, func(n notify.Sender) bool { return n.Name() == s.Name() }) {
				m.gone(s.Name())
			}
		}
	}
	m.now = next
	ctx, m.end = context.WithCancel(ctx)
	for _, run := range next.runs {
		m.running.Go(func() { run(ctx) })
	}
	return nil
}

func (m *messenger) stop() {
	if m.end != nil {
		m.end()
		m.running.Wait()
		m.end = nil
	}
}

// close ends what is left, once the dispatcher has ended.
func (m *messenger) close() {
	m.stop()
	if m.now != nil {
		m.now.close()
		m.now = nil
	}
}
