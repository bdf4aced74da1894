package slack

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

// metadata returns the IDs of the events, for programs that read the channel
// (https://docs.slack.dev/messaging/message-metadata).
func (m message) metadata() slack.SlackMetadata {
	switch {
	case m.digest:
		return slack.SlackMetadata{EventType: "ctwatch_digest", EventPayload: map[string]any{"ids": m.ids}}
	case len(m.ids) > 1:
		return slack.SlackMetadata{EventType: "ctwatch_event", EventPayload: map[string]any{"id": m.ids[0], "including": m.ids[1:]}}
	}
	return slack.SlackMetadata{EventType: "ctwatch_event", EventPayload: map[string]any{"id": m.ids[0]}}
}

func (m message) options() []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(m.text, false), // escaped already
		slack.MsgOptionDisableMarkdown(),
		slack.MsgOptionBlocks(m.blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// post posts a message, and returns where it is; zero if Slack does not say.
func (s *Sender) post(ctx context.Context, to placement, m message) (at messageRef, retry bool, err error) {
	if s.o.WebhookURL != nil {
		retry, err = s.postWebhook(ctx, m)
		return messageRef{}, retry, err
	}
	api, token, err := s.api()
	if err != nil {
		return messageRef{}, true, err
	}
	options := append(m.options(), slack.MsgOptionMetadata(m.metadata()))
	if to.ts != "" {
		options = append(options, slack.MsgOptionTS(to.ts))
	}
	if to.broadcast {
		options = append(options, slack.MsgOptionBroadcast())
	}
	at.channel, at.ts, err = api.PostMessageContext(ctx, to.channel, options...)
	if err != nil {
		retry, err = explain(err, "posting to channel "+ctwatch.Printable(to.channel, 80), token)
		return messageRef{}, retry, err
	}
	return at.checked(), false, nil
}

// update replaces a message, but not its metadata, which names the event. It reports
// whether the message is there. That a message cannot be changed is not an error.
func (s *Sender) update(ctx context.Context, at messageRef, m message) (there, retry bool, err error) {
	api, token, err := s.api()
	if err != nil {
		return true, true, err
	}
	_, _, _, err = api.UpdateMessageContext(ctx, at.channel, at.ts, m.options()...)
	if err == nil {
		return true, false, nil
	}
	wait, judged := explain(err, "updating a message in channel "+ctwatch.Printable(at.channel, 80), token)
	if wait && !unchangeable(judged) {
		return true, true, judged
	}
	s.log.InfoContext(ctx, "a message in Slack cannot be updated", "error", judged)
	return !threadIsGone(judged), false, nil
}

func (s *Sender) postWebhook(ctx context.Context, m message) (retry bool, err error) {
	hook, err := s.o.WebhookURL()
	if err != nil {
		return true, fmt.Errorf("slack: reading the webhook URL: %w", err)
	}
	hook = strings.TrimSpace(hook)
	no := false
	body, err := json.Marshal(slack.WebhookMessage{
		Text: m.text, Blocks: &slack.Blocks{BlockSet: m.blocks}, UnfurlLinks: &no, UnfurlMedia: &no,
	})
	if err != nil {
		return false, fmt.Errorf("slack: encoding a message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
	if err != nil || req.URL.Host == "" { // err holds the URL
		return true, errors.New("slack: the webhook URL is not a URL: want https://hooks.slack.com/services/…")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&httpClient{client: s.http, check: checkWebhookReply}).Do(req)
	if err != nil {
		return explain(err, "posting to the incoming webhook", hook, req.URL.RequestURI(), lastSegment(req.URL))
	}
	return false, resp.Body.Close()
}

// api returns a client with the current token.
func (s *Sender) api() (api *slack.Client, token string, err error) {
	token, err = s.o.Token()
	if err != nil {
		return nil, "", fmt.Errorf("slack: reading the token: %w", err)
	}
	token = strings.TrimSpace(token)
	return slack.New(token, slack.OptionAPIURL(s.o.APIURL),
		slack.OptionHTTPClient(&httpClient{client: s.http, token: token, check: checkAPIReply})), token, nil
}

// lastSegment returns the part of a webhook's URL that makes it secret.
func lastSegment(u *url.URL) string {
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}
