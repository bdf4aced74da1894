package service

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
)

const testSecret = "s3cr3t-t0pic"

// newSender makes a sender to ntfy, which is a POST of plain text, or to the service
// that posts JSON anywhere.
func newSender(t *testing.T, r *notifytest.Receiver) *Sender {
	t.Helper()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(func() { http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	s, err := New(Options{URL: notify.StaticSecret(strings.Replace(r.URL, "http://", "generic://", 1) + "/" + testSecret + "?disabletls=yes\n")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A service gets plain text in which no character is markup.
func TestMessageHasNoMarkup(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	e := notifytest.Unexpected("<!channel>.example.com", "@everyone", "[x](https://evil.example)", "`code`", "*bold*_it_", "<script>")
	notifytest.MustSend(t, newSender(t, r), e)
	if r.Count() != 1 {
		t.Fatal(r.Count())
	}
	text := r.Bodies[0]
	for _, want := range []string{"CRITICAL: Unexpected certificate: example.com", "＠everyone", "‹!channel›.example.com", "［x］(https:⁄⁄evil.example)", "report@ca.example", "https://crt.sh/?q=fe"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	for _, bad := range []string{"<!", "@everyone", "](", "`", "*bold", "<script"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in:\n%s", bad, text)
		}
	}
	if n := utf8.RuneCountInString(text); n > maxText {
		t.Errorf("%d runes", n)
	}
}

func TestErrorsHaveNoSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refused":  {notifytest.Answer(403, "no "+testSecret), "status 403"},
		"down":     {notifytest.Answer(503, ""), "status 503"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "service:generic-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, notifytest.NewReceiver(t, tt.handler))
			for range 10 {
				retry, err := s.Send(t.Context(), notifytest.Issued())
				if err == nil || !retry || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), testSecret) {
					t.Fatalf("retry %v, %v", retry, err)
				}
			}
		})
	}
	r := notifytest.NewReceiver(t, nil)
	s := newSender(t, r)
	r.Close()
	if retry, err := s.Send(t.Context(), notifytest.Issued()); err == nil || !retry || strings.Contains(err.Error(), testSecret) || !strings.Contains(err.Error(), "reached") {
		t.Errorf("retry %v, %v", retry, err)
	}
	for _, bad := range []string{"", "nowhere://" + testSecret, "logger://", "telegram://" + testSecret, "://" + testSecret, testSecret} {
		if _, err := New(Options{URL: notify.StaticSecret(bad)}); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A service that refuses a message gets one without text that others chose.
func TestRefusedTextIsLeftOut(t *testing.T) {
	var r *notifytest.Receiver
	r = notifytest.NewReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if strings.Contains(r.Last(), "pills") {
			w.WriteHeader(400)
		}
	})
	o := notifytest.NewOutbox(notifytest.Unexpected("pills.example.com"), notifytest.Issued())
	s := newSender(t, r)
	_, stop := sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{s}})
	notifytest.Eventually(t, "both are sent", func() bool { return o.Cursor(s.Name()).Seq == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := r.Count(); n > 10 || len(o.Cursor(s.Name()).Dead) > 0 {
		t.Errorf("%d messages, dead: %v", n, o.Cursor(s.Name()).Dead)
	}
}

// A service that hangs is abandoned, and gets nothing more until the send has ended.
func TestHangingServiceIsAbandoned(t *testing.T) {
	release := make(chan struct{})
	r := notifytest.NewReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	s := newSender(t, r)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		retry, err := s.Send(ctx, notifytest.Issued())
		cancel()
		if err == nil || !retry {
			t.Errorf("retry %v, %v", retry, err)
		}
	}
	notifytest.Eventually(t, "the first message arrives", func() bool { return r.Count() > 0 })
	if n := r.Count(); n != 1 {
		t.Errorf("%d messages wait for an answer", n)
	}
	// After a while it is given up, and the next message tried.
	s.flight.began = s.flight.began.Add(-giveUpAfter)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, notifytest.Issued()); err == nil {
		t.Error("it succeeded")
	}
	notifytest.Eventually(t, "the second message arrives", func() bool { return r.Count() == 2 })
	s.flight.began = s.flight.began.Add(-giveUpAfter)
	s.lost.Store(maxLost)
	if _, err := s.Send(t.Context(), notifytest.Issued()); err == nil || r.Count() != 2 {
		t.Errorf("more and more messages are given up: %v", err)
	}
	s.lost.Store(1)
	close(release)
	notifytest.Eventually(t, "it is sent again", func() bool { _, err := s.Send(t.Context(), notifytest.Issued()); return err == nil })
}

func TestDigestsFitAndNameAll(t *testing.T) {
	r := notifytest.NewReceiver(t, nil)
	s := newSender(t, r)
	events, _ := notifytest.Events(100)
	for i := range events {
		events[i].Data.Summary = strings.Repeat("words ", 30) + "<!here>"
	}
	rest := events
	for len(rest) > 0 {
		n, _, err := s.SendBatch(t.Context(), rest)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		rest = rest[n:]
	}
	all := strings.Join(r.Bodies, "\n")
	for _, e := range events {
		if !strings.Contains(all, e.ID) {
			t.Errorf("%s is not named", e.ID)
		}
	}
	for _, body := range r.Bodies {
		if n := utf8.RuneCountInString(body); n > maxText || strings.Contains(body, "…") {
			t.Errorf("%d runes", n)
		}
	}
}

func TestNameHasNoSecret(t *testing.T) {
	for _, given := range []string{"", "phone"} {
		s, err := New(Options{URL: notify.StaticSecret("ntfy://ntfy.sh/" + testSecret), Name: given})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Name(); strings.Contains(n, testSecret) || given != "" && n != "service:phone" || given == "" && !strings.HasPrefix(n, "service:ntfy-") {
			t.Error(n)
		}
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
}

func TestNoRoutineEvents(t *testing.T) {
	s := newSender(t, notifytest.NewReceiver(t, nil))
	notifytest.CheckPeople(t, s, false)
	all, err := notify.Filtered(s, notify.Filter{MinSeverity: ctwatch.Debug})
	if err != nil {
		t.Fatal(err)
	}
	notifytest.CheckPeople(t, all, true)
}

func TestTextIsBounded(t *testing.T) {
	for _, s := range notifytest.HostileTexts {
		n := words.NewNotice(notifytest.HostileEvent(s))
		if text := n.Chat(maxText); utf8.RuneCountInString(text) > maxText {
			t.Errorf("a message of %d runes", utf8.RuneCountInString(text))
		}
		if d := words.NewDigest(slices.Repeat([]ctwatch.Event{notifytest.HostileEvent(s)}, 30), maxText); len(d.Lines) > 1 && utf8.RuneCountInString(d.Chat(2*maxText)) > maxText {
			t.Errorf("a digest of %d runes", utf8.RuneCountInString(d.Chat(2*maxText)))
		}
	}
}

var _ interface {
	notify.Batcher
	notify.Patient
} = (*Sender)(nil)
