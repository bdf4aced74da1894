package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// Buttons lets people judge certificates in Slack, by Socket Mode
// (https://docs.slack.dev/apis/events-api/using-socket-mode): ctwatch connects to
// Slack, and needs no reachable address.
type Buttons struct {
	// AppToken is an app-level token (xapp-…) with the scope connections:write.
	AppToken notify.Secret
	// Users are the IDs of people who may judge, such as "U024BE7LH". People can change
	// every name in Slack, but not the ID.
	Users []string
	// Judge records a person's verdict on a certificate, which it gets by its ID in hex,
	// in the audit trail. by is "slack:" and the ID of the user, and in brackets the
	// user's name in Slack, which is not authenticated. Its error is shown in Slack.
	Judge func(ctx context.Context, certificateID string, authorize bool, by string) error
}

const (
	actionAuthorize = "certificate_authorize"
	actionReject    = "certificate_reject"

	maxSocketMessage = 1 << 20
	// judgeTimeout bounds one click: the verdict and the answer in Slack.
	judgeTimeout = 30 * time.Second
	// maxClicks is how many clicks may wait. Further ones are not acknowledged, which
	// Slack shows to the user.
	maxClicks = 16
)

var userID = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)

// check adds the mistakes in the settings of the buttons.
func (b *Buttons) check(wrong *ctwatch.Settings) {
	if b.AppToken == nil || len(b.Users) == 0 {
		wrong.Wrong("", "", "has one of app_token_file and approvers; want both, or neither")
	}
	for i, u := range b.Users {
		if !userID.MatchString(u) {
			wrong.Wrong(fmt.Sprintf("approvers[%d]", i), u, "is not a user's ID; want such as U024BE7LH (in Slack: profile, ⋮, Copy member ID)")
		}
	}
}

// verdictButtons returns buttons for the verdicts that no person has given yet. There is
// none to authorize an unexpected certificate whose key is trusted already.
func verdictButtons(c *ctwatch.Certificate, trustedKey bool) []slack.Block {
	if c.ID.IsZero() {
		return nil
	}
	id := c.ID.String()
	button := func(action, label string, style slack.Style, question string) *slack.ButtonBlockElement {
		b := slack.NewButtonBlockElement(action, id, plainText(label, 75)).WithStyle(style)
		b.Confirm = slack.NewConfirmationBlockObject(plainText(label+" certificate "+id[:16]+"?", 100), plainText(question, 300), plainText(label, 30), plainText("Cancel", 30))
		return b
	}
	var elements []slack.BlockElement
	if !slices.Contains(c.Reasons, ctwatch.ReasonAuthorized) && !trustedKey {
		elements = append(elements, button(actionAuthorize, "Authorize", slack.StylePrimary,
			"The certificate becomes expected, and its key may be pinned. This is recorded under your name."))
	}
	if !slices.Contains(c.Reasons, ctwatch.ReasonRejected) {
		elements = append(elements, button(actionReject, "Reject", slack.StyleDanger,
			"The certificate becomes unexpected, and everyone gets an alarm. This is recorded under your name."))
	}
	if len(elements) == 0 {
		return nil
	}
	return []slack.Block{slack.NewActionBlock("", elements...)}
}

// Run implements notify.Runner: it answers the buttons until ctx ends, and reconnects
// whenever it needs to. Messages do not depend on it. Without Options.Buttons it only
// waits.
func (s *Sender) Run(ctx context.Context) {
	if s.o.Buttons == nil {
		<-ctx.Done()
		return
	}
	clicks := make(chan slack.InteractionCallback, maxClicks)
	var worker sync.WaitGroup
	worker.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case click := <-clicks:
				s.answer(ctx, click)
			}
		}
	})
	defer worker.Wait()

	pauses := backoff.ExponentialBackOff{InitialInterval: time.Second, MaxInterval: 5 * time.Minute, Multiplier: 2, RandomizationFactor: 0.3}
	for ctx.Err() == nil {
		connected, err := s.connect(ctx, clicks)
		if ctx.Err() != nil {
			return
		}
		if connected {
			pauses.Reset()
		}
		wait := pauses.NextBackOff()
		s.log.WarnContext(ctx, "Slack's buttons do not work now; messages are not affected", "error", err, "again_in", wait.Round(time.Second).String())
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// connect runs a client of slack-go, which reconnects by itself, until it gives up.
func (s *Sender) connect(ctx context.Context, clicks chan<- slack.InteractionCallback) (connected bool, err error) {
	appToken, err := s.o.Buttons.AppToken()
	if err != nil {
		return false, fmt.Errorf("slack: reading the app-level token: %w", err)
	}
	appToken = strings.TrimSpace(appToken)
	api := slack.New("", slack.OptionAPIURL(s.o.APIURL), slack.OptionAppLevelToken(appToken),
		slack.OptionHTTPClient(&httpClient{client: s.http, check: s.checkOpened}))
	client := socketmode.New(api, socketmode.OptionDialer(s.dialer()), socketmode.OptionReadLimit(maxSocketMessage),
		socketmode.OptionLog(slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)))

	ctx, cancel := context.WithCancel(ctx)
	var events sync.WaitGroup
	events.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-client.Events:
				connected = s.socketEvent(ctx, client, e, clicks, appToken) || connected
			}
		}
	})
	err = client.RunContext(ctx)
	cancel()
	events.Wait()
	_, err = explain(err, "opening a socket", appToken)
	return connected, err
}

// socketEvent handles an event of the client, and reports whether it is connected.
func (s *Sender) socketEvent(ctx context.Context, client *socketmode.Client, e socketmode.Event, clicks chan<- slack.InteractionCallback, appToken string) bool {
	switch data := e.Data.(type) {
	case *socketmode.ConnectedEvent:
		s.log.InfoContext(ctx, "Slack's buttons work")
		return true
	case *slack.ConnectionErrorEvent:
		_, err := explain(data.ErrorObj, "opening a socket", appToken)
		s.log.WarnContext(ctx, "Slack's buttons do not work now; messages are not affected", "error", err, "again_in", data.Backoff.Round(time.Second).String())
	case slack.InteractionCallback:
		select {
		case clicks <- data:
			s.acknowledge(ctx, client, e.Request)
		default:
			s.log.WarnContext(ctx, "too many clicks in Slack at once: one is refused")
		}
	default:
		s.acknowledge(ctx, client, e.Request) // subscribed by the app, and not needed here
	}
	return false
}

// acknowledge acknowledges a request, for which Slack waits three seconds.
func (s *Sender) acknowledge(ctx context.Context, client *socketmode.Client, r *socketmode.Request) {
	if r == nil || r.EnvelopeID == "" {
		return
	}
	if err := client.AckCtx(ctx, r.EnvelopeID, nil); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "a click in Slack cannot be acknowledged", "error", err)
	}
}

// answer carries out a click, if the user may, and replies in the thread.
func (s *Sender) answer(ctx context.Context, click slack.InteractionCallback) {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	at := messageRef{click.Container.ChannelID, click.Container.ThreadTs}
	if at.channel == "" {
		at.channel = click.Channel.ID
	}
	for _, ts := range []string{click.Message.ThreadTimestamp, click.Container.MessageTs, click.Message.Timestamp} {
		if at.ts == "" {
			at.ts = ts
		}
	}
	for _, action := range click.ActionCallback.BlockActions {
		if action == nil || action.ActionID != actionAuthorize && action.ActionID != actionReject {
			continue
		}
		id, err := ctwatch.ParseHash(action.Value)
		if err != nil {
			continue
		}
		s.judge(ctx, click, at, id, action.ActionID == actionAuthorize)
	}
}

func (s *Sender) judge(ctx context.Context, click slack.InteractionCallback, at messageRef, id ctwatch.Hash, authorize bool) {
	user := ctwatch.Printable(click.User.ID, 40)
	log := s.log.With("user", user, "certificate", id.String(), "authorize", authorize)
	// In a channel that is shared with another workspace, its users can click as well.
	external := click.User.TeamID != "" && click.Team.ID != "" && click.User.TeamID != click.Team.ID
	if external || !slices.Contains(s.o.Buttons.Users, click.User.ID) {
		log.WarnContext(ctx, "a Slack user who may not judge clicked on a button")
		if user == "" {
			return // without a user, the reply would be visible to all
		}
		s.reply(ctx, at, click.User.ID, "You may not judge certificates. To allow it, add your ID to slack.approvers in the configuration of ctwatch: "+codeSpan(user, 40)+".")
		return
	}
	by := "slack:" + user
	if name := ctwatch.Printable(click.User.Name, 80); name != "" {
		by += " (" + name + ")"
	}
	done, word := "rejected", "reject"
	if authorize {
		done, word = "authorized", "authorize"
	}
	certificate := "certificate " + codeSpan(id.String()[:16], 16)
	if err := s.o.Buttons.Judge(ctx, id.String(), authorize, by); err != nil {
		log.WarnContext(ctx, "a click in Slack could not be carried out", "error", err)
		s.reply(ctx, at, "", "⚠ "+codeSpan(by, 130)+" could not "+word+" "+certificate+": "+codeSpan(err.Error(), 500))
		return
	}
	log.InfoContext(ctx, "a certificate was judged in Slack")
	s.reply(ctx, at, "", codeSpan(by, 130)+" "+done+" "+certificate+".")
}

// reply posts to a thread, visible to all or, if user is not "", only to that user. It
// retries until ctx ends.
func (s *Sender) reply(ctx context.Context, at messageRef, user, text string) {
	options := append(message{text: text, blocks: []slack.Block{sectionBlock(markdown(text))}}.options(), slack.MsgOptionTS(at.ts))
	for wait := time.Second; ; wait *= 2 {
		api, token, err := s.api()
		retry := true
		if err == nil {
			if user != "" {
				_, err = api.PostEphemeralContext(ctx, at.channel, user, options...)
			} else {
				_, _, err = api.PostMessageContext(ctx, at.channel, options...)
			}
			if err == nil {
				return
			}
			retry, err = explain(err, "answering a click", token)
		}
		var after *notify.RetryAfterError
		if errors.As(err, &after) {
			wait = max(wait, min(after.After, notify.MaxRetryAfter))
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			retry = false
		}
		t.Stop()
		if !retry {
			s.log.WarnContext(ctx, "a click in Slack was not answered there", "error", err)
			return
		}
	}
}

// checkOpened checks a reply of apps.connections.open: with https for the API, the socket
// has to be encrypted as well.
func (s *Sender) checkOpened(body []byte) error {
	if err := checkAPIReply(body); err != nil {
		return err
	}
	if strings.HasPrefix(s.o.APIURL, "https:") && !socketURL.Match(body) {
		return errors.New("the socket that Slack opened is not encrypted")
	}
	return nil
}

var socketURL = regexp.MustCompile(`"(url"\s*:\s*"wss:|ok"\s*:\s*false)`)

// dialer returns a dialer of WebSockets with the proxy and TLS of the HTTP client.
func (s *Sender) dialer() *websocket.Dialer {
	d := &websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 30 * time.Second,
		WriteBufferSize: 32 << 10, // Slack does not accept messages in several frames
	}
	if t, ok := s.http.Transport.(*http.Transport); ok && t != nil {
		d.Proxy, d.NetDialContext = t.Proxy, t.DialContext
		if t.TLSClientConfig != nil {
			d.TLSClientConfig = t.TLSClientConfig.Clone()
			d.TLSClientConfig.NextProtos = nil // no HTTP/2
		}
	}
	return d
}
