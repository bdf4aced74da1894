package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

const (
	testKey  = "whsec-0123456789"
	testPath = "/hooks/s3cr3t-t0ken?auth=qu3ry-s3cret"
)

// A receiver keeps the requests that it gets, and answers as handler says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	heads  []http.Header
	bodies []string
}

func newReceiver(t *testing.T, handler http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.heads, r.bodies = append(r.heads, req.Header), append(r.bodies, string(body))
		r.mu.Unlock()
		if handler != nil {
			handler(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

func (r *receiver) webhook(t *testing.T, change ...func(*WebhookOptions)) *Webhook {
	t.Helper()
	o := WebhookOptions{
		URL: r.URL + testPath, Key: StaticSecret(testKey + "\n"), Now: func() time.Time { return testTime },
		OutwardOptions: OutwardOptions{AllowPrivate: true},
	}
	for _, c := range change {
		c(&o)
	}
	w, err := NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func checkNoWebhookSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{testKey, "s3cr3t", "qu3ry"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in the error %q", secret, err)
		}
	}
}

func TestWebhookPostsASignedCloudEvent(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	e := unexpected("api.example.com")
	mustSend(t, r.webhook(t), e)
	if r.count() != 1 {
		t.Fatal(r.count())
	}
	head, body := r.heads[0], r.bodies[0]
	if got := head.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Error(got)
	}
	if got := head.Get("Idempotency-Key"); got != e.ID {
		t.Error(got)
	}
	var back ctwatch.Event
	if err := json.Unmarshal([]byte(body), &back); err != nil || back.ID != e.ID {
		t.Errorf("%s: %v", body, err)
	}
	signature := head.Get(WebhookSignature)
	if err := CheckWebhook([]byte(testKey), signature, []byte(body), testTime.Add(time.Minute), 5*time.Minute); err != nil {
		t.Errorf("%s: %v", signature, err)
	}
	for name, err := range map[string]error{
		"another key":  CheckWebhook([]byte("other"), signature, []byte(body), testTime, time.Minute),
		"another body": CheckWebhook([]byte(testKey), signature, []byte(body+" "), testTime, time.Minute),
		"later":        CheckWebhook([]byte(testKey), signature, []byte(body), testTime.Add(time.Hour), time.Minute),
		"earlier":      CheckWebhook([]byte(testKey), signature, []byte(body), testTime.Add(-time.Hour), time.Minute),
		"another time": CheckWebhook([]byte(testKey), strings.Replace(signature, "t=", "t=1", 1), []byte(body), testTime, 1<<62),
		"no header":    CheckWebhook([]byte(testKey), "", []byte(body), testTime, time.Minute),
		"no key":       CheckWebhook(nil, signature, []byte(body), testTime, time.Minute),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := CheckWebhook([]byte(testKey), "v2=x, v1=00, "+signature, []byte(body), testTime, 0); err != nil {
		t.Errorf("with parts unknown: %v", err)
	}
}

func TestWebhookSignatureIsWhatItsDocumentationSays(t *testing.T) {
	// Computed with: printf '1764547200.{}' | openssl dgst -sha256 -hmac secret
	const want = "t=1764547200,v1=200173556ba180b304fa5bb088d6cb43ee582ce824b5c899f62afaa77ed55709"
	if got := signWebhook([]byte("secret"), 1764547200, []byte("{}")); got != want {
		t.Error(got)
	}
}

func TestWebhookRepliesDecideWhetherToTryAgain(t *testing.T) {
	for _, tt := range []struct {
		status  int
		header  []string
		body    string
		retry   bool // for ever
		giveUp  bool // after maxTries
		after   time.Duration
		inError string
	}{
		{status: 200, body: "ok"},
		{status: 201},
		{status: 204},
		{status: 299},
		{status: 301, header: []string{"Location", "/elsewhere"}, retry: true, inError: "not followed"},
		{status: 307, header: []string{"Location", "https://elsewhere.example/"}, retry: true, inError: "not followed"},
		{status: 400, giveUp: true},
		{status: 413, giveUp: true},
		{status: 422, giveUp: true, body: "no\x1b[31m\nthanks", inError: "no\uFFFD[31m\uFFFDthanks"},
		{status: 401, retry: true, body: "you sent " + testPath + " and " + testKey, inError: "401"},
		{status: 403, retry: true},
		{status: 404, retry: true},
		{status: 405, retry: true},
		{status: 408, retry: true},
		{status: 409, retry: true},
		{status: 410, retry: true},
		{status: 429, header: []string{"Retry-After", "17"}, retry: true, after: 17 * time.Second},
		{status: 500, retry: true},
		{status: 502, retry: true},
		{status: 503, header: []string{"Retry-After", "99999999999999999999"}, retry: true},
		{status: 503, header: []string{"Date", "Fri, 20 Nov 2026 10:00:00 GMT", "Retry-After", "Fri, 20 Nov 2026 10:00:20 UTC"}, retry: true, after: 20 * time.Second},
		{status: 503, header: []string{"Retry-After", "3600"}, retry: true, after: time.Hour},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			r := newReceiver(t, answer(tt.status, tt.body, tt.header...))
			w := r.webhook(t)
			retry, err := w.Send(t.Context(), issued())
			checkNoWebhookSecret(t, err)
			if (err == nil) != (tt.status < 300) || retry != (tt.retry || tt.giveUp) {
				t.Fatalf("retry %v, %v", retry, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.inError) {
				t.Errorf("%q is not in %q", tt.inError, err)
			}
			var after *RetryAfterError
			if errors.As(err, &after); (after != nil) != (tt.after > 0) || after != nil && after.After != tt.after {
				t.Errorf("retry after %+v, want %s", after, tt.after)
			}
			n := 1
			for retry && n < 3*maxTries {
				retry, _ = w.Send(t.Context(), issued())
				n++
			}
			if want := map[bool]int{true: maxTries, false: 3 * maxTries}[tt.giveUp]; err != nil && n != want {
				t.Errorf("given up after %d tries, want %d", n, want)
			}
			if r.count() != n {
				t.Errorf("%d requests", r.count())
			}
		})
	}
}

func TestWebhookSurvivesABadReceiver(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"an endless reply": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"a drip": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				fmt.Fprint(w, "x")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		},
		"it hangs up": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"endless headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, handler)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			retry, err := r.webhook(t).Send(ctx, issued())
			checkNoWebhookSecret(t, err)
			if err == nil || !retry {
				t.Errorf("retry %v, %v", retry, err)
			}
		})
	}
}

func TestWebhookReachesPrivateAddressesOnlyIfAllowed(t *testing.T) {
	r := newReceiver(t, nil)
	deny := func(o *WebhookOptions) { o.AllowPrivate = false }
	w := r.webhook(t, deny, func(o *WebhookOptions) { o.URL = "https://hooks.example.com" + testPath })
	w.url, _ = url.Parse(r.URL + testPath) // which is what the name resolves to
	retry, err := w.Send(t.Context(), issued())
	checkNoWebhookSecret(t, err)
	if err == nil || !retry || !strings.Contains(err.Error(), "allow_private") {
		t.Errorf("retry %v, %v", retry, err)
	}
	if r.count() > 0 {
		t.Error("it was reached")
	}
	// Who writes an address into the configuration means it.
	for _, url := range []string{r.URL, strings.Replace(r.URL, "127.0.0.1", "localhost", 1)} {
		if retry, err := r.webhook(t, deny, func(o *WebhookOptions) { o.URL = url + testPath }).Send(t.Context(), issued()); err != nil {
			t.Errorf("%s: retry %v, %v", url, retry, err)
		}
	}
	for address, public := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.31.0.1": false, "192.168.1.1": false, "fd00::1": false, "100.64.0.1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false, "198.18.0.1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != public {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}

func TestWebhooksHaveNamesThatTellNoSecret(t *testing.T) {
	name := func(url, given string) string {
		w, err := NewWebhook(WebhookOptions{URL: url, Name: given})
		if err != nil {
			t.Fatal(err)
		}
		return w.Name()
	}
	a, b := name("https://example.com/hooks/s3cr3t", ""), name("https://example.com/hooks/other", "")
	if a == b || strings.Contains(a, "s3cr3t") || !strings.HasPrefix(a, "webhook:example.com-") || a != name("https://example.com/hooks/s3cr3t", "") {
		t.Errorf("%s, %s", a, b)
	}
	if got := name("https://example.com/hooks/s3cr3t", "pager"); got != "webhook:pager" {
		t.Error(got)
	}
	for _, bad := range []string{"", "example.com/s3cr3t", "ftp://example.com/s3cr3t", "https:///s3cr3t", "https://example.com/s3cr3t#f", "https://exa mple.com/s3cr3t%zz"} {
		if _, err := NewWebhook(WebhookOptions{URL: bad}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWebhookWithoutItsSecretWaits(t *testing.T) {
	r := newReceiver(t, nil)
	for _, key := range []Secret{StaticSecret(" \n"), func() (string, error) { return "", errors.New("no such file") }} {
		if retry, err := r.webhook(t, func(o *WebhookOptions) { o.Key = key }).Send(t.Context(), issued()); err == nil || !retry {
			t.Errorf("retry %v, %v", retry, err)
		}
	}
	mustSend(t, r.webhook(t, func(o *WebhookOptions) { o.Key = nil }), issued())
	if len(r.heads) != 1 || r.heads[0].Get(WebhookSignature) != "" {
		t.Error("signed without a secret")
	}
}

func TestWebhookChecksTheCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	w, err := NewWebhook(WebhookOptions{URL: s.URL, OutwardOptions: OutwardOptions{AllowPrivate: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if retry, err := w.Send(t.Context(), issued()); err == nil || !retry || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("retry %v, %v", retry, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	w, err = NewWebhook(WebhookOptions{URL: s.URL, OutwardOptions: OutwardOptions{AllowPrivate: true, TLSConfig: &tls.Config{RootCAs: roots}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	mustSend(t, w, issued())
}

// Every event arrives once and in order after a receiver was down in many ways.
func TestAllArriveInOrderAfterTrouble(t *testing.T) {
	events, want := sixEvents()
	ids := make(chan string, 100)
	hook := &receiver{Server: httptest.NewServer(troubled(func(body string) {
		var e ctwatch.Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Error(err)
		}
		ids <- e.ID
	}))}
	t.Cleanup(hook.Close)
	s := hook.webhook(t)
	o := newMemoryOutbox(events...)
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}, Timeout: 200 * time.Millisecond})
	eventually(t, "all are delivered", func() bool { return o.cursor(s.Name()).seq == int64(len(events)) })
	if dead := o.cursor(s.Name()).dead; len(dead) > 0 {
		t.Errorf("dead letters %v", dead)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	var got []string
	for len(ids) > 0 {
		got = append(got, <-ids)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWebhookGetsHugeAndTestEvents(t *testing.T) {
	r := newReceiver(t, nil)
	events := append(fromOutbox(t, hugeEvents()...), ctwatch.TestEvent("alice", testTime))
	for _, e := range events {
		mustSend(t, r.webhook(t), e)
	}
	checkHuge(t, r.bodies[0])
	if n := r.count(); n != len(events) {
		t.Errorf("%d requests", n)
	}
	checkPrograms(t, r.webhook(t))
}
