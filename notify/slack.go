package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
)

// A Secret gives a token or the like when it is needed, so that one that was
// renewed in its file is used from then on.
type Secret func() (string, error)

// StaticSecret is a Secret that never changes.
func StaticSecret(s string) Secret { return func() (string, error) { return s, nil } }

// SlackOptions says how Slack is told of events: with a bot's Token by
// chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage), or
// by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
// Exactly one of Token and WebhookURL is set.
type SlackOptions struct {
	Token      Secret
	WebhookURL Secret // the URL is a secret: who knows it can post

	// APIURL replaces https://slack.com/api/; with or without the last slash.
	APIURL string
	// Channel is where events go that reach no route; required with Token. A
	// webhook posts to the channel that it was made for.
	Channel string
	// Routes choose other channels by severity; only with Token.
	Routes []SlackRoute
	// MinSeverity is the least urgent severity that is posted. Default info.
	MinSeverity ctwatch.Severity

	HTTPClient *http.Client // default: a client without time-outs of its own
}

// A SlackRoute sends events of a severity, and more urgent ones, to a channel. Of
// several routes that an event reaches, the one of the greatest severity counts.
type SlackRoute struct {
	Severity ctwatch.Severity
	Channel  string
}

// Slack posts each event as a message to a Slack channel.
type Slack struct {
	o    SlackOptions
	http *http.Client
}

// NewSlack checks the options.
func NewSlack(o SlackOptions) (*Slack, error) {
	switch {
	case (o.Token == nil) == (o.WebhookURL == nil):
		return nil, errors.New("slack: want either a token or a webhook URL")
	case o.Token != nil && o.Channel == "":
		return nil, errors.New("slack.channel: want the channel that messages go to, such as \"#certs\"")
	case o.WebhookURL != nil && len(o.Routes) > 0:
		return nil, errors.New("slack.routes: a webhook posts to one channel only: use a token, or remove the routes")
	}
	for _, r := range o.Routes {
		switch r.Severity {
		case ctwatch.Debug, ctwatch.Info, ctwatch.Warning, ctwatch.Critical:
		default:
			return nil, fmt.Errorf("slack.routes: severity %q: want debug, info, warning or critical", r.Severity)
		}
		if r.Channel == "" {
			return nil, fmt.Errorf("slack.routes: the route for %s names no channel", r.Severity)
		}
	}
	if o.APIURL == "" {
		o.APIURL = slack.APIURL
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("slack.api_url: want a URL such as https://slack.com/api/")
	}
	o.APIURL = strings.TrimSuffix(o.APIURL, "/") + "/"
	if o.MinSeverity == "" {
		o.MinSeverity = ctwatch.Info
	}

	client := http.Client{}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	// A redirect would carry the token, which is in the body, to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Slack{o: o, http: &client}, nil
}

// Name implements Sender.
func (*Slack) Name() string { return "slack" }

// Wants implements Sender.
func (s *Slack) Wants(e ctwatch.Event) bool { return e.Data.Severity.AtLeast(s.o.MinSeverity) }

// Send implements Sender.
func (s *Slack) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	if s.o.WebhookURL != nil {
		return s.sendWebhook(ctx, e)
	}
	return s.sendAPI(ctx, e)
}

func (s *Slack) sendAPI(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	token, err := s.o.Token()
	if err != nil {
		return true, fmt.Errorf("slack: reading the token: %w", err)
	}
	token = strings.TrimSpace(token)
	channel := s.channel(e.Data.Severity)
	api := slack.New(token, slack.OptionAPIURL(s.o.APIURL),
		slack.OptionHTTPClient(&slackHTTP{client: s.http, token: token, check: checkAPIReply}))
	text, blocks := slackMessage(e)
	_, _, err = api.PostMessageContext(ctx, channel,
		slack.MsgOptionText(text, false), // escaped already
		slack.MsgOptionDisableMarkdown(),
		slack.MsgOptionBlocks(blocks...),
		slack.MsgOptionMetadata(slack.SlackMetadata{
			EventType: "ctwatch_event", EventPayload: map[string]any{"id": e.ID, "type": string(e.Type)},
		}),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	)
	if err == nil {
		return false, nil
	}
	return judgeSlack(err, fmt.Sprintf("posting to channel %s", ctwatch.Printable(channel, 80)), token)
}

func (s *Slack) sendWebhook(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	hook, err := s.o.WebhookURL()
	if err != nil {
		return true, fmt.Errorf("slack: reading the webhook URL: %w", err)
	}
	hook = strings.TrimSpace(hook)
	text, blocks := slackMessage(e)
	no := false
	body, err := json.Marshal(slack.WebhookMessage{
		Text: text, Blocks: &slack.Blocks{BlockSet: blocks}, UnfurlLinks: &no, UnfurlMedia: &no,
	})
	if err != nil {
		return false, fmt.Errorf("slack: encoding event %s: %w", e.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
	if err != nil || req.URL.Host == "" { // err holds the URL
		return true, errors.New("slack: the webhook URL is none: want https://hooks.slack.com/services/…")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&slackHTTP{client: s.http, check: checkWebhookReply}).Do(req)
	if err != nil {
		return judgeSlack(err, "posting to the incoming webhook", hook, req.URL.RequestURI(), lastSegment(req.URL))
	}
	return false, resp.Body.Close()
}

// channel chooses the channel for a severity.
func (s *Slack) channel(severity ctwatch.Severity) string {
	var best *SlackRoute
	for i := range s.o.Routes {
		r := &s.o.Routes[i]
		if severity.AtLeast(r.Severity) && (best == nil || !best.Severity.AtLeast(r.Severity)) {
			best = r
		}
	}
	if best == nil {
		return s.o.Channel
	}
	return best.Channel
}

// lastSegment is the part of a webhook's URL that makes it secret.
func lastSegment(u *url.URL) string {
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}
