// Package slack posts events to Slack, by the Web API (chat.postMessage and chat.update)
// or by an incoming webhook, and takes verdicts by buttons over Socket Mode
// (https://docs.slack.dev).
package slack

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// Options configures a Sender: with a bot's Token it posts by chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage), or
// by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// Exactly one of Token and WebhookURL is set. Threads, Routes and Buttons need a Token.
type Options struct {
	Token      notify.Secret
	WebhookURL notify.Secret // a secret: with the URL, anyone can post

	// APIURL replaces https://slack.com/api/; with or without the last slash.
	APIURL string
	// Channel is where events go that match no route; required with Token. A webhook
	// posts to its own channel.
	Channel string
	// Routes choose other channels. The first that an event matches counts.
	Routes []Route
	// MinSeverity is the lowest severity that is posted. Default info. Routine events
	// (notify.IsRoutine) are posted only with debug. Later facts about a certificate
	// with a thread go there whatever their severity, unless the certificate was
	// expected from the start; so does the event that it is expected after all.
	MinSeverity ctwatch.Severity

	// Threads keeps the message about each certificate. Without it every event is a
	// message of its own, and none is updated. Optional.
	Threads Threads
	// ReportTo returns where a certificate's CA takes reports, "" when unknown: for a
	// message that is updated by an event without it. Optional.
	ReportTo func(*ctwatch.Certificate) string
	// JudgedBy returns the person who judged a certificate last, or "": for a message
	// that is updated by an event without it. Optional.
	JudgedBy func(ctx context.Context, certificate ctwatch.Hash) string
	// Buttons adds buttons to messages, which Run answers. Optional.
	Buttons *Buttons

	HTTPClient *http.Client // default: a client without time-outs of its own
	Logger     *slog.Logger // default: none
}

// Sender posts events as messages to Slack channels. It implements Batcher.
//
// In each channel, a certificate has one thread. Delivery is at least once: Slack has no
// idempotency key, so a message whose reply got lost, or that was posted just before a
// crash, is posted again. Each message has the IDs of its events in its metadata
// (event_type ctwatch_event or ctwatch_digest), so that a program that reads the channel
// recognizes it.
type Sender struct {
	o        Options
	http     *http.Client
	log      *slog.Logger
	channels []string // of routes, then the default

	// What was posted, and not yet reported to the Dispatcher or to Threads: a send
	// that fails halfway continues from there when it is retried.
	sent    map[string]bool // by the event's ID
	unsaved []savedThread
	updates notify.Tries // of the messages at the heads of threads
}

// Check returns the mistakes in the options, as ctwatch.SettingErrors.
func (o Options) Check() error {
	var wrong ctwatch.Settings
	switch {
	case (o.Token == nil) == (o.WebhookURL == nil):
		wrong.Wrong("", "", "has both or neither of token_file and webhook_url_file; want one")
	case o.Token != nil:
		if o.Channel == "" {
			wrong.Wrong("channel", "", "is missing or empty; want the channel that the token posts to, such as \"#certs\"")
		}
	default:
		const useless = "is set with a webhook, which has one channel and takes no clicks; want a token_file instead of the webhook"
		if len(o.Routes) > 0 {
			wrong.Wrong("routes", "", useless)
		}
		if o.Buttons != nil {
			wrong.Wrong("app_token", "", useless)
		}
	}
	if o.APIURL != "" {
		if u, err := ctwatch.ParseURL(o.APIURL, "http", "https"); err != nil {
			wrong.Wrong("api_url", "", err.Error())
		} else if u.User != nil || u.RawQuery != "" {
			wrong.Wrong("api_url", "", "has a user name, password or query; want a URL such as "+slack.APIURL)
		}
	}
	wrong.Add("", notify.CheckSeverity(o.MinSeverity))
	checkRoutes(o.Routes, &wrong)
	if o.Buttons != nil {
		o.Buttons.check(&wrong)
	}
	return wrong.Err()
}

// New checks the options.
func New(o Options) (*Sender, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Buttons != nil && o.Buttons.Judge == nil {
		return nil, errors.New("slack: buttons need a function that judges")
	}
	o.Routes = inOrder(o.Routes)
	if o.APIURL == "" {
		o.APIURL = slack.APIURL
	}
	o.APIURL = strings.TrimSuffix(o.APIURL, "/") + "/"
	if o.MinSeverity == "" {
		o.MinSeverity = ctwatch.Info
	}
	if o.WebhookURL != nil {
		o.Threads = nil // a webhook does not say where its message is
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}

	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	// A redirect would carry the token, which is in the body, to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sender{
		o: o, http: &client, log: o.Logger, channels: channelsOf(o.Routes, o.Channel), sent: make(map[string]bool),
	}, nil
}

// Name implements Sender.
func (*Sender) Name() string { return "slack" }

// Wants implements Sender.
func (s *Sender) Wants(e ctwatch.Event) bool {
	if notify.AlarmFollows(e) || e.Data.InDigest {
		return false
	}
	return s.isNote(e) || e.Data.Severity.AtLeast(s.o.MinSeverity) && (s.wantsRoutine() || !notify.IsRoutine(e))
}

func (s *Sender) wantsRoutine() bool { return s.o.MinSeverity == ctwatch.Debug }

// Send implements Sender.
func (s *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	if err := s.save(ctx); err != nil {
		return true, err
	}
	if !s.sent[e.ID] {
		if retry, err := s.sendEvent(ctx, e, nil); err != nil {
			return retry, err
		}
	}
	delete(s.sent, e.ID)
	return false, nil
}

// sendEvent posts the message about an event, which may include other events, and marks
// all of them as sent.
func (s *Sender) sendEvent(ctx context.Context, e ctwatch.Event, including []ctwatch.Event) (retry bool, err error) {
	threads, err := s.threadsOf(ctx, e)
	if err != nil {
		return true, err
	}
	if threads, retry, err = s.updateAll(ctx, threads, e); err != nil {
		return retry, err
	}
	to := s.place(e, threads)
	m := s.eventMessage(e, including, to.ts != "" && !to.broadcast)
	for !to.nowhere {
		at, retry, err := s.post(ctx, to, m)
		if err == nil {
			if to.ts == "" {
				s.remember(e, to.configured, at)
			}
			break
		}
		if to.ts == "" || !threadIsGone(err) {
			return retry, err
		}
		s.log.InfoContext(ctx, "the thread of a certificate was deleted in Slack", "event", e.ID, "error", err)
		// An alarm is posted to the channel instead; a note without its thread is not.
		to = placement{configured: to.configured, channel: to.configured, nowhere: !to.broadcast}
		m = s.eventMessage(e, including, false)
	}
	s.sent[e.ID] = true
	for _, i := range including {
		s.sent[i.ID] = true
	}
	if err := s.save(ctx); err != nil {
		return true, err
	}
	return false, nil
}
