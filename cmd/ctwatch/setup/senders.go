package setup

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/policy"
	"ctwatch/notify"
	"ctwatch/notify/email"
	"ctwatch/notify/hook"
	"ctwatch/notify/outward"
	"ctwatch/notify/service"
	"ctwatch/notify/slack"
	"ctwatch/notify/webhook"
	"ctwatch/pins"
	"ctwatch/store"
)

// A senderMaker makes senders from the configuration, and collects mistakes.
type senderMaker struct {
	senders []notify.Sender
	wrong   configs.Mistakes
}

// SenderOptions are what senders use besides the configuration. Where no event is sent,
// the logger is enough.
type SenderOptions struct {
	Logger *slog.Logger
	DB     *store.DB    // has threads, and who judged a certificate
	Policy *policy.Live // has the CAs' addresses for reports
	// Operator records the verdicts that people give by Slack's buttons.
	Operator *operator.Operator
}

// Senders makes the senders that may change while the daemon runs: all but NATS and
// stdout. The error has all mistakes.
func Senders(cfg *configs.Config, o SenderOptions) ([]notify.Sender, error) {
	m := &senderMaker{wrong: configs.Mistakes{Config: cfg}}
	if cfg.Slack != nil {
		s, err := slack.New(slackFor(cfg.Slack, o))
		if err != nil {
			m.wrong.At(err, "slack")
		} else {
			m.senders = append(m.senders, s)
		}
	}
	m.addEmail(cfg)
	for i, w := range cfg.Webhooks {
		s, err := webhook.New(webhookOptions(w))
		m.add(fmt.Sprintf("webhooks[%d]", i), s, err, w.Filter)
	}
	for i, v := range cfg.Services {
		s, err := service.New(serviceOptions(v))
		m.add(fmt.Sprintf("services[%d]", i), s, err, v.Filter)
	}
	m.addHooks(cfg, o.Logger)
	if err := m.wrong.Err(); err != nil {
		notify.Close(m.senders...)
		return nil, err
	}
	return m.senders, nil
}

func (m *senderMaker) addEmail(cfg *configs.Config) {
	e := cfg.Email
	if e == nil {
		return
	}
	o := emailOptions(e)
	if e.CAFile != "" {
		roots, err := certPool(e.CAFile)
		if err != nil {
			m.wrong.At(err, "email.ca_file")
			return
		}
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	for i, to := range e.To {
		o.To = to
		s, err := email.New(o)
		if err != nil {
			m.wrong.At(err, "email")
			return
		}
		m.add(fmt.Sprintf("email.to[%d]", i), s, nil, e.Filter)
	}
}

func (m *senderMaker) addHooks(cfg *configs.Config, logger *slog.Logger) {
	var dirs []string
	for _, d := range cfg.Hooks {
		abs, err := filepath.Abs(d)
		if err != nil {
			m.wrong.At(err, "hooks")
			return
		}
		dirs = append(dirs, abs)
	}
	paths, problems := hook.Find(dirs...)
	for _, p := range problems {
		logger.Warn("a hook is not run", "error", p)
	}
	for _, path := range paths {
		s, err := hook.New(hook.Options{Path: path, Timeout: cfg.HookTimeout, Logger: logger})
		if err != nil {
			logger.Warn("a hook is not run", "error", err)
			continue
		}
		m.add("hooks", s, nil, configs.Filter{Severity: cfg.HookSeverity})
	}
}

// add adds a sender, unless it could not be made, behind its filter.
func (m *senderMaker) add(at string, s notify.Sender, err error, f configs.Filter) {
	if err == nil {
		s, err = notify.Filtered(s, filter(f))
	}
	if err != nil {
		m.wrong.At(err, "%s", at)
		return
	}
	m.senders = append(m.senders, s)
}

// Outward returns how to reach servers that a person named.
func Outward(private bool) outward.Options {
	return outward.Options{AllowPrivate: private, Proxy: http.ProxyFromEnvironment}
}

func filter(f configs.Filter) notify.Filter {
	return notify.Filter{MinSeverity: f.Severity, Types: f.Types, Subjects: f.Watch}
}

// reveal returns how to read a secret; nil if there is none.
func reveal(s configs.Secret) notify.Secret {
	if !s.IsSet() {
		return nil
	}
	return s.Reveal
}

func webhookOptions(w configs.Webhook) webhook.Options {
	return webhook.Options{URL: string(w.URL), Name: w.Name, Key: reveal(w.Secret), Outward: Outward(w.AllowPrivate)}
}

func serviceOptions(s configs.Service) service.Options {
	return service.Options{URL: reveal(s.URL), Name: s.Name}
}

func emailOptions(e *configs.Email) email.Options {
	return email.Options{
		Host: e.Host, Port: e.Port, TLS: email.TLS(e.TLS), Username: e.Username, Password: reveal(e.Password), From: e.From,
	}
}

func slackOptions(s *configs.Slack) slack.Options {
	o := slack.Options{
		Token: reveal(s.Token), WebhookURL: reveal(s.WebhookURL), APIURL: s.APIURL, Channel: s.Channel, MinSeverity: s.Severity,
	}
	for _, r := range s.Routes {
		o.Routes = append(o.Routes, slack.Route{Severity: r.Severity, Watch: r.Watch, Types: r.Types, Channel: r.Channel})
	}
	if s.AppToken.IsSet() || len(s.Approvers) > 0 {
		o.Buttons = &slack.Buttons{AppToken: reveal(s.AppToken), Users: s.Approvers}
	}
	return o
}

// slackFor returns options of a sender that is used.
func slackFor(s *configs.Slack, with SenderOptions) slack.Options {
	o := slackOptions(s)
	o.Logger = with.Logger
	if with.DB == nil {
		o.Buttons = nil
		return o
	}
	o.ReportTo = with.Policy.CAs.ReportTo
	o.JudgedBy = func(ctx context.Context, id ctwatch.Hash) string { return judgedBy(ctx, with.DB, id) }
	if o.Token != nil {
		o.Threads = with.DB.Senders.Threads("slack")
	}
	if o.Buttons != nil {
		o.Buttons.Judge = func(ctx context.Context, id string, authorize bool, by string) error {
			return judgeBySlack(ctx, with.Operator, id, authorize, by)
		}
	}
	return o
}

// judgeBySlack records the verdict that a person gives by a button.
func judgeBySlack(ctx context.Context, op *operator.Operator, id string, authorize bool, by string) error {
	who := operator.By{Name: by, Means: operator.Slack}
	if !authorize {
		_, err := op.Reject(ctx, who, id, "")
		return err
	}
	_, err := op.AuthorizeCertificate(ctx, who, id, nil, "")
	return err
}

// judgedBy returns who judged a certificate last, if a person did. A store that fails ends
// the daemon elsewhere.
func judgedBy(ctx context.Context, db *store.DB, id ctwatch.Hash) (by string) {
	all, _ := db.Certificates.History(ctx, id)
	for _, r := range all {
		if r.Actor == pins.Person {
			by = r.By
		}
	}
	return by
}
