package webhook

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
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/outward"
	"ctwatch/notify/sendertest"
)

const (
	testKey  = "whsec-0123456789"
	testPath = "/hooks/s3cr3t-t0ken?auth=qu3ry-s3cret"
)

func newSender(t *testing.T, r *notifytest.Receiver, change ...func(*Options)) *Sender {
	t.Helper()
	o := Options{
		URL: r.URL + testPath, Key: notify.StaticSecret(testKey + "\n"), Now: func() time.Time { return notifytest.Time },
		Outward: outward.Options{AllowPrivate: true},
	}
	for _, c := range change {
		c(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{testKey, "s3cr3t", "qu3ry"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in the error %q", secret, err)
		}
	}
}

func TestSendPostsSignedCloudEvent(t *testing.T) {
	r := notifytest.NewReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	e := notifytest.Unexpected("api.example.com")
	notifytest.MustSend(t, newSender(t, r), e)
	if r.Count() != 1 {
		t.Fatal(r.Count())
	}
	head, body := r.Heads[0], r.Bodies[0]
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
	signature := head.Get(SignatureHeader)
	if err := CheckSignature([]byte(testKey), signature, []byte(body), notifytest.Time.Add(time.Minute), 5*time.Minute); err != nil {
		t.Errorf("%s: %v", signature, err)
	}
	for name, err := range map[string]error{
		"another key":  CheckSignature([]byte("other"), signature, []byte(body), notifytest.Time, time.Minute),
		"another body": CheckSignature([]byte(testKey), signature, []byte(body+" "), notifytest.Time, time.Minute),
		"later":        CheckSignature([]byte(testKey), signature, []byte(body), notifytest.Time.Add(time.Hour), time.Minute),
		"earlier":      CheckSignature([]byte(testKey), signature, []byte(body), notifytest.Time.Add(-time.Hour), time.Minute),
		"another time": CheckSignature([]byte(testKey), strings.Replace(signature, "t=", "t=1", 1), []byte(body), notifytest.Time, 1<<62),
		"no header":    CheckSignature([]byte(testKey), "", []byte(body), notifytest.Time, time.Minute),
		"no key":       CheckSignature(nil, signature, []byte(body), notifytest.Time, time.Minute),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := CheckSignature([]byte(testKey), "v2=x, v1=00, "+signature, []byte(body), notifytest.Time, 0); err != nil {
		t.Errorf("with parts unknown: %v", err)
	}
}

func TestSignatureAsDocumented(t *testing.T) {
	// Computed with: printf '1764547200.{}' | openssl dgst -sha256 -hmac secret
	const want = "t=1764547200,v1=200173556ba180b304fa5bb088d6cb43ee582ce824b5c899f62afaa77ed55709"
	if got := sign([]byte("secret"), 1764547200, []byte("{}")); got != want {
		t.Error(got)
	}
}

func TestReplyDecidesRetry(t *testing.T) {
	for _, tt := range []struct {
		status  int
		header  []string
		body    string
		retry   bool // forever
		giveUp  bool // after notify.MaxTries
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
			r := notifytest.NewReceiver(t, notifytest.Answer(tt.status, tt.body, tt.header...))
			w := newSender(t, r)
			retry, err := w.Send(t.Context(), notifytest.Issued())
			checkNoSecret(t, err)
			if (err == nil) != (tt.status < 300) || retry != (tt.retry || tt.giveUp) {
				t.Fatalf("retry %v, %v", retry, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.inError) {
				t.Errorf("%q is not in %q", tt.inError, err)
			}
			var after *notify.RetryAfterError
			if errors.As(err, &after); (after != nil) != (tt.after > 0) || after != nil && after.After != tt.after {
				t.Errorf("retry after %+v, want %s", after, tt.after)
			}
			n := 1
			for retry && n < 3*notify.MaxTries {
				retry, _ = w.Send(t.Context(), notifytest.Issued())
				n++
			}
			if want := map[bool]int{true: notify.MaxTries, false: 3 * notify.MaxTries}[tt.giveUp]; err != nil && n != want {
				t.Errorf("given up after %d tries, want %d", n, want)
			}
			if r.Count() != n {
				t.Errorf("%d requests", r.Count())
			}
		})
	}
}

// A receiver that misbehaves causes an error without secrets, and a retry.
func TestBadReceiver(t *testing.T) {
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
			r := notifytest.NewReceiver(t, handler)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			retry, err := newSender(t, r).Send(ctx, notifytest.Issued())
			checkNoSecret(t, err)
			if err == nil || !retry {
				t.Errorf("retry %v, %v", retry, err)
			}
		})
	}
}

func TestPrivateAddressesNeedPermission(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	deny := func(o *Options) { o.Outward.AllowPrivate = false }
	w := newSender(t, r, deny, func(o *Options) { o.URL = "https://hooks.example.com" + testPath })
	w.url, _ = url.Parse(r.URL + testPath) // which is what the name resolves to
	retry, err := w.Send(t.Context(), notifytest.Issued())
	checkNoSecret(t, err)
	if err == nil || !retry || !strings.Contains(err.Error(), "allow_private") {
		t.Errorf("retry %v, %v", retry, err)
	}
	if r.Count() > 0 {
		t.Error("it was reached")
	}
	// Who writes an address into the configuration means it.
	for _, url := range []string{r.URL, strings.Replace(r.URL, "127.0.0.1", "localhost", 1)} {
		if retry, err := newSender(t, r, deny, func(o *Options) { o.URL = url + testPath }).Send(t.Context(), notifytest.Issued()); err != nil {
			t.Errorf("%s: retry %v, %v", url, retry, err)
		}
	}
}

func TestNameHasNoSecret(t *testing.T) {
	name := func(url, given string) string {
		w, err := New(Options{URL: url, Name: given})
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
		if _, err := New(Options{URL: bad}); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Without its secret a webhook sends nothing, and retries.
func TestMissingSecretIsRetried(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	for _, key := range []notify.Secret{notify.StaticSecret(" \n"), func() (string, error) { return "", errors.New("no such file") }} {
		if retry, err := newSender(t, r, func(o *Options) { o.Key = key }).Send(t.Context(), notifytest.Issued()); err == nil || !retry {
			t.Errorf("retry %v, %v", retry, err)
		}
	}
	notifytest.MustSend(t, newSender(t, r, func(o *Options) { o.Key = nil }), notifytest.Issued())
	if len(r.Heads) != 1 || r.Heads[0].Get(SignatureHeader) != "" {
		t.Error("signed without a secret")
	}
}

func TestCertificateIsChecked(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	w, err := New(Options{URL: s.URL, Outward: outward.Options{AllowPrivate: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if retry, err := w.Send(t.Context(), notifytest.Issued()); err == nil || !retry || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("retry %v, %v", retry, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	w, err = New(Options{URL: s.URL, Outward: outward.Options{AllowPrivate: true, TLSConfig: &tls.Config{RootCAs: roots}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	notifytest.MustSend(t, w, notifytest.Issued())
}

// Every event arrives once and in order after a receiver was down in many ways.
func TestAllArriveInOrderAfterTrouble(t *testing.T) {
	events, want := notifytest.SixEvents()
	ids := make(chan string, 100)
	hook := &notifytest.Receiver{Server: httptest.NewServer(notifytest.Troubled(func(body string) {
		var e ctwatch.Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Error(err)
		}
		ids <- e.ID
	}))}
	t.Cleanup(hook.Close)
	s := newSender(t, hook)
	o := notifytest.NewOutbox(events...)
	_, stop := sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{s}, Timeout: 200 * time.Millisecond})
	notifytest.Eventually(t, "all are delivered", func() bool { return o.Cursor(s.Name()).Seq == int64(len(events)) })
	if dead := o.Cursor(s.Name()).Dead; len(dead) > 0 {
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

func TestHugeAndTestEvents(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	events := append(notifytest.FromOutbox(t, notifytest.HugeEvents()...), ctwatch.TestEvent("alice", notifytest.Time))
	for _, e := range events {
		notifytest.MustSend(t, newSender(t, r), e)
	}
	notifytest.CheckHuge(t, r.Bodies[0])
	if n := r.Count(); n != len(events) {
		t.Errorf("%d requests", n)
	}
	notifytest.CheckPrograms(t, newSender(t, r))
}
