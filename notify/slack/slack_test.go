package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
)

const (
	testToken    = "xoxb-1234-abcdefgh"
	testAppToken = "xapp-1234-abcdefgh"
)

func newSender(t *testing.T, o Options) *Sender {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o.HTTPClient = &http.Client{Transport: transport}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tokenSender(t *testing.T, server *fakeSlack) *Sender {
	return newSender(t, Options{Token: notify.StaticSecret(testToken), APIURL: server.URL + "/api", Channel: "#certs"})
}

func webhookSender(t *testing.T, server *fakeSlack) *Sender {
	return newSender(t, Options{WebhookURL: notify.StaticSecret(server.URL + "/services/T0/B0/secretsecret")})
}

func TestSendPostsBlocksAndID(t *testing.T) {
	for _, slash := range []string{"", "/"} {
		server := newFakeSlack(t)
		s := newSender(t, Options{Token: notify.StaticSecret(testToken + "\n"), APIURL: server.URL + "/api" + slash, Channel: "#certs"})
		event := notifytest.Issued("api.example.com", "www.example.com")
		notifytest.MustSend(t, s, event)

		posts := server.all()
		if len(posts) != 1 {
			t.Fatalf("%d posts, want 1", len(posts))
		}
		p := posts[0]
		if p.path != "/api/chat.postMessage" {
			t.Errorf("path %q", p.path)
		}
		if p.auth != "Bearer "+testToken || p.form.Get("token") != testToken {
			t.Errorf("authorized by %q and %q", p.auth, p.form.Get("token"))
		}
		if got := p.form.Get("channel"); got != "#certs" {
			t.Errorf("channel %q", got)
		}
		if got := p.form.Get("text"); !strings.Contains(got, event.Data.Summary) {
			t.Errorf("text %q does not hold the summary", got)
		}
		var meta struct {
			Type    string         `json:"event_type"`
			Payload map[string]any `json:"event_payload"`
		}
		if err := json.Unmarshal([]byte(p.form.Get("metadata")), &meta); err != nil || meta.Type != "ctwatch_event" || meta.Payload["id"] != event.ID {
			t.Errorf("metadata %s: %v", p.form.Get("metadata"), err)
		}
		c := event.Data.Certificate
		blocks := p.form.Get("blocks")
		checkBlocks(t, []byte(blocks))
		for _, want := range []string{
			"api.example.com", "www.example.com", "CN=E7,O=Let's Encrypt,C=US", "2026-11-20 to 2027-02-20", "ECDSA P-256",
			c.Key.Pin.String(), c.Issuer.Pin.String(), "Lab 2026h2", c.ID.String(), "https://crt.sh/?q=" + c.Fingerprints.Precertificate.String(), event.ID,
		} {
			if !strings.Contains(decodeBlocks(t, blocks), want) {
				t.Errorf("%q is not in the blocks:\n%s", want, blocks)
			}
		}
	}
}

func TestSendPostsEvidence(t *testing.T) {
	server := newFakeSlack(t)
	event := notifytest.Misbehaved()
	notifytest.MustSend(t, tokenSender(t, server), event)
	blocks := server.all()[0].form.Get("blocks")
	checkBlocks(t, []byte(blocks))
	for _, want := range []string{"🔴", "Log misbehaved", "Lab 2026h2", event.Data.Log.ID.String(), "fork", "90 and 80 of 100 entries", ctwatch.Hash{8}.String(), ctwatch.Hash{7}.String()} {
		if !strings.Contains(decodeBlocks(t, blocks), want) {
			t.Errorf("%q is not in the blocks:\n%s", want, blocks)
		}
	}
}

func TestWebhookGetsSameBlocks(t *testing.T) {
	server := newFakeSlack(t)
	event := notifytest.Issued()
	notifytest.MustSend(t, webhookSender(t, server), event)
	notifytest.MustSend(t, tokenSender(t, server), event)
	posts := server.all()
	var hook struct {
		Text   string          `json:"text"`
		Blocks json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal(posts[0].body, &hook); err != nil {
		t.Fatal(err)
	}
	if posts[0].path != "/services/T0/B0/secretsecret" || posts[0].auth != "" {
		t.Errorf("posted to %q with %q", posts[0].path, posts[0].auth)
	}
	if hook.Text != posts[1].form.Get("text") || string(hook.Blocks) != posts[1].form.Get("blocks") {
		t.Errorf("webhook: %s\nAPI: %v", posts[0].body, posts[1].form)
	}
}

func TestReplyDecidesRetry(t *testing.T) {
	page := "<html><body>502 Bad Gateway</body></html>"
	for name, tt := range map[string]struct {
		hook  bool
		reply http.HandlerFunc
		ok    bool
		retry bool
		after time.Duration
		want  string // in the error
	}{
		"ok":                          {reply: notifytest.Answer(200, `{"ok":true}`), ok: true},
		"429 with seconds":            {reply: notifytest.Answer(429, `{"ok":false,"error":"ratelimited"}`, "Retry-After", "30"), retry: true, after: 30 * time.Second, want: "429"},
		"429 with a date":             {reply: notifytest.Answer(429, "", "Date", "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After", "Fri, 20 Nov 2026 10:00:20 GMT"), retry: true, after: 20 * time.Second, want: "429"},
		"429 alone":                   {reply: notifytest.Answer(429, ""), retry: true, want: "429"},
		"429 with a date of Go's":     {reply: notifytest.Answer(429, "", "Date", "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After", "Fri, 20 Nov 2026 10:00:20 UTC"), retry: true, after: 20 * time.Second, want: "429"},
		"429 with nonsense":           {reply: notifytest.Answer(429, "", "Retry-After", "-99999999999999999999"), retry: true, want: "429"},
		"rate limit with 200":         {reply: notifytest.Answer(200, `{"ok":false,"error":"ratelimited"}`), retry: true, want: "ratelimited"},
		"500":                         {reply: notifytest.Answer(500, page), retry: true, want: "500"},
		"503 with Retry-After":        {reply: notifytest.Answer(503, page, "Retry-After", "5"), retry: true, after: 5 * time.Second, want: "503"},
		"a page with 200":             {reply: notifytest.Answer(200, page), retry: true, want: "not Slack's"},
		"another service's JSON":      {reply: notifytest.Answer(200, `{"result":"fine"}`), retry: true, want: "not Slack's"},
		"nothing":                     {reply: notifytest.Answer(200, ""), retry: true, want: "not Slack's"},
		"false without a reason":      {reply: notifytest.Answer(200, `{"ok":false}`), retry: true, want: "without a reason"},
		"an endless reply":            {reply: notifytest.Answer(200, `{"ok":true,"a":"`+strings.Repeat("a", maxReply)+`"}`), retry: true, want: "not Slack's"},
		"a redirect":                  {reply: notifytest.Answer(307, "", "Location", "http://192.0.2.1/"), retry: true, want: "307"},
		"an error with controls":      {reply: notifytest.Answer(200, `{"ok":false,"error":"\u001b[2J`+testToken+`"}`), retry: true, want: "\uFFFD[2J[secret]"},
		"wrong token":                 {reply: notifytest.Answer(200, `{"ok":false,"error":"invalid_auth"}`), retry: true, want: "slack.token_file"},
		"deactivated":                 {reply: notifytest.Answer(200, `{"ok":false,"error":"account_inactive"}`), retry: true, want: "new token"},
		"no such channel":             {reply: notifytest.Answer(200, `{"ok":false,"error":"channel_not_found"}`), retry: true, want: "invite the app"},
		"blocks refused":              {reply: notifytest.Answer(200, `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] must be shorter"]}}`), want: "must be shorter"},
		"too long":                    {reply: notifytest.Answer(200, `{"ok":false,"error":"msg_too_long"}`), want: "msg_too_long"},
		"webhook: ok":                 {hook: true, reply: notifytest.Answer(200, "ok"), ok: true},
		"webhook: imitated":           {hook: true, reply: notifytest.Answer(200, `{"success":true}`), ok: true},
		"webhook: a page":             {hook: true, reply: notifytest.Answer(200, "\n"+page), retry: true, want: "web page"},
		"webhook: 429":                {hook: true, reply: notifytest.Answer(429, "rate_limited", "Retry-After", "3"), retry: true, after: 3 * time.Second, want: "429"},
		"webhook: 500":                {hook: true, reply: notifytest.Answer(500, "rollup_error"), retry: true, want: "500"},
		"webhook: malformed":          {hook: true, reply: notifytest.Answer(400, "invalid_payload"), want: "invalid_payload"},
		"webhook: refused blocks":     {hook: true, reply: notifytest.Answer(400, "invalid_blocks"), want: "invalid_blocks"},
		"webhook: too large":          {hook: true, reply: notifytest.Answer(413, page), want: "413"},
		"webhook: gone":               {hook: true, reply: notifytest.Answer(404, "no_service"), retry: true, want: "make a new one"},
		"webhook: wrong URL":          {hook: true, reply: notifytest.Answer(403, "invalid_token"), retry: true, want: "slack.webhook_url_file"},
		"webhook: archived channel":   {hook: true, reply: notifytest.Answer(410, "channel_is_archived"), retry: true, want: "unarchive"},
		"webhook: repeats its secret": {hook: true, reply: notifytest.Answer(404, "secretsecret"), retry: true, want: "404"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newFakeSlack(t, tt.reply)
			s := tokenSender(t, server)
			if tt.hook {
				s = webhookSender(t, server)
			}
			retry, err := s.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
			if tt.ok {
				if err != nil {
					t.Fatalf("Send: %v", err)
				}
				return
			}
			if err == nil || retry != tt.retry || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Send: retry %v, %v; want retry %v and an error that says %q", retry, err, tt.retry, tt.want)
			}
			var ra *notify.RetryAfterError
			if errors.As(err, &ra); tt.after != 0 && (ra == nil || ra.After != tt.after) || tt.after == 0 && ra != nil {
				t.Errorf("retry after %+v, want %s", ra, tt.after)
			}
			if n := len(server.all()); n != 1 {
				t.Errorf("%d requests, want 1: retries are the dispatcher's", n)
			}
			checkNoSecret(t, err)
		})
	}
}

// A Slack that hangs or is not there is retried, with an error without secrets.
func TestUnreachableSlackIsRetried(t *testing.T) {
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	server := newFakeSlack(t, hang, hang)
	defer close(release)
	for _, s := range []*Sender{tokenSender(t, server), webhookSender(t, server)} {
		retry, err := s.Send(notifytest.Within(t, 50*time.Millisecond), notifytest.Issued())
		if err == nil || !retry || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("Send: retry %v, %v", retry, err)
		}
		checkNoSecret(t, err)
	}

	absent := "http://" + notifytest.FreeAddress(t)
	for _, s := range []*Sender{
		newSender(t, Options{Token: notify.StaticSecret(testToken), APIURL: absent + "/api/", Channel: "#certs"}),
		newSender(t, Options{WebhookURL: notify.StaticSecret(absent + "/services/T0/B0/secretsecret")}),
		newSender(t, Options{WebhookURL: notify.StaticSecret("http://127.0.0.1:bad/services/T0/B0/secretsecret")}),
		newSender(t, Options{WebhookURL: notify.StaticSecret("secretsecret")}),
	} {
		retry, err := s.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
		if err == nil || !retry {
			t.Errorf("Send: retry %v, %v", retry, err)
		}
		checkNoSecret(t, err)
	}
}

func TestRepairedTokenIsUsed(t *testing.T) {
	server := newFakeSlack(t, notifytest.Answer(200, `{"ok":false,"error":"invalid_auth"}`), notifytest.Answer(500, ""), notifytest.Answer(429, "", "Retry-After", "0"))
	var tokens sync.Map
	tokens.Store("token", "xoxb-wrong")
	s := newSender(t, Options{
		APIURL: server.URL, Channel: "#certs",
		Token: func() (string, error) { v, _ := tokens.Load("token"); return v.(string), nil },
	})
	event := notifytest.Issued()
	o := notifytest.NewOutbox(event)
	_, _ = sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{s}})
	notifytest.Eventually(t, "the wrong token is recorded", func() bool { return o.Cursor("slack").Failing != "" || o.Cursor("slack").Seq == 1 })
	tokens.Store("token", testToken)
	notifytest.Eventually(t, "the event is delivered", func() bool { return o.Cursor("slack").Seq == 1 })
	posts := server.all()
	if len(posts) != 4 || posts[3].auth != "Bearer "+testToken {
		t.Errorf("%d posts, the last with %q", len(posts), posts[len(posts)-1].auth)
	}
}

func TestRedirectDoesNotGetToken(t *testing.T) {
	elsewhere := newFakeSlack(t)
	server := newFakeSlack(t, notifytest.Answer(307, "", "Location", elsewhere.URL+"/"), notifytest.Answer(307, "", "Location", elsewhere.URL+"/"))
	for _, s := range []*Sender{tokenSender(t, server), webhookSender(t, server)} {
		if retry, err := s.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued()); err == nil || !retry {
			t.Errorf("Send: retry %v, %v", retry, err)
		}
	}
	if n := len(elsewhere.all()); n != 0 {
		t.Errorf("%d requests followed the redirect", n)
	}
}

func TestNewNamesWrongSetting(t *testing.T) {
	token := notify.StaticSecret(testToken)
	judge := func(context.Context, string, bool, string) error { return nil }
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"nothing":                 {Options{}, "has both or neither of token_file and webhook_url_file"},
		"both":                    {Options{Token: token, WebhookURL: token, Channel: "#c"}, "has both or neither"},
		"no channel":              {Options{Token: token}, "channel: is missing"},
		"routes of a webhook":     {Options{WebhookURL: token, Routes: []Route{{Severity: ctwatch.Info, Channel: "#c"}}}, "routes: is set with a webhook"},
		"unknown severity":        {Options{Token: token, Channel: "#c", Routes: []Route{{Severity: "loud", Channel: "#c"}}}, `routes[0].severity: "loud"`},
		"route to nowhere":        {Options{Token: token, Channel: "#c", Routes: []Route{{Severity: ctwatch.Info}}}, "routes[0].channel: is missing"},
		"route without condition": {Options{Token: token, Channel: "#c", Routes: []Route{{Channel: "#d"}}}, "routes[0]: does not say"},
		"route by no pattern":     {Options{Token: token, Channel: "#c", Routes: []Route{{Types: []string{"["}, Channel: "#d"}}}, `routes[0].types[0]: "[" is not a pattern`},
		"buttons of a webhook":    {Options{WebhookURL: token, Buttons: &Buttons{AppToken: token, Users: []string{"U024BE7LH"}, Judge: judge}}, "app_token: is set with a webhook"},
		"buttons without users":   {Options{Token: token, Channel: "#c", Buttons: &Buttons{AppToken: token, Judge: judge}}, "has one of app_token_file and approvers"},
		"buttons by name":         {Options{Token: token, Channel: "#c", Buttons: &Buttons{AppToken: token, Users: []string{"alice"}, Judge: judge}}, `approvers[0]: "alice" is not`},
		"buttons without a judge": {Options{Token: token, Channel: "#c", Buttons: &Buttons{AppToken: token, Users: []string{"U024BE7LH"}}}, "a function that judges"},
		"buttons without a token": {Options{Token: token, Channel: "#c", Buttons: &Buttons{Users: []string{"U024BE7LH"}, Judge: judge}}, "has one of app_token_file and approvers"},
		"API without scheme":      {Options{Token: token, Channel: "#c", APIURL: "slack.com/api"}, "api_url: "},
		"API with a query":        {Options{Token: token, Channel: "#c", APIURL: "https://slack.com/api?x=1"}, "api_url: "},
	} {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestHugeAndTestEvents(t *testing.T) {
	server, threads := newFakeSlack(t), &memoryThreads{}
	senders := []notify.Sender{threadSender(t, server, threads), webhookSender(t, server)}
	for _, s := range senders {
		notifytest.MustSend(t, s, ctwatch.TestEvent("alice", notifytest.Time))
	}
	if n := len(server.all()); n != 2 || len(threads.at) != 0 {
		t.Errorf("%d posts to Slack, threads %v", n, threads.at)
	}
	events := notifytest.FromOutbox(t, notifytest.HugeEvents()...)
	for _, e := range events {
		for _, s := range senders {
			notifytest.MustSend(t, s, e)
		}
	}
	notifytest.CheckHuge(t, server.all()[2].form.Get("blocks"))
	checkMessages(t, events)
}
