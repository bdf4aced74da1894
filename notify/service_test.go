package notify

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

const serviceSecret = "s3cr3t-t0pic"

// service makes a sender to ntfy, which is a POST of plain text, or to the service
// that posts JSON anywhere.
func service(t *testing.T, r *receiver) *Service {
	t.Helper()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(func() { http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	s, err := NewService(ServiceOptions{URL: StaticSecret(strings.Replace(r.URL, "http://", "generic://", 1) + "/" + serviceSecret + "?disabletls=yes\n")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServiceGetsAPlainTextMessageInWhichNothingIsMarkup(t *testing.T) {
	r := newReceiver(t, nil)
	e := unexpected("<!channel>.example.com", "@everyone", "[x](https://evil.example)", "`code`", "*bold*_it_", "<script>")
	mustSend(t, service(t, r), e)
	if r.count() != 1 {
		t.Fatal(r.count())
	}
	text := r.bodies[0]
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
	if n := utf8.RuneCountInString(text); n > serviceLimit {
		t.Errorf("%d runes", n)
	}
}

func TestServiceErrorsTellNoSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"refused":  {answer(403, "no "+serviceSecret), "status 403"},
		"down":     {answer(503, ""), "status 503"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "service:generic-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := service(t, newReceiver(t, tt.handler))
			for range 10 {
				retry, err := s.Send(t.Context(), issued())
				if err == nil || !retry || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), serviceSecret) {
					t.Fatalf("retry %v, %v", retry, err)
				}
			}
		})
	}
	r := newReceiver(t, nil)
	s := service(t, r)
	r.Close()
	if retry, err := s.Send(t.Context(), issued()); err == nil || !retry || strings.Contains(err.Error(), serviceSecret) || !strings.Contains(err.Error(), "reached") {
		t.Errorf("retry %v, %v", retry, err)
	}
	for _, bad := range []string{"", "nowhere://" + serviceSecret, "logger://", "telegram://" + serviceSecret, "://" + serviceSecret, serviceSecret} {
		if _, err := NewService(ServiceOptions{URL: StaticSecret(bad)}); err == nil || strings.Contains(err.Error(), serviceSecret) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestServiceThatRefusesTheWordsOfOthersIsToldWithoutThem(t *testing.T) {
	var r *receiver
	r = newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if strings.Contains(r.bodies[len(r.bodies)-1], "pills") {
			w.WriteHeader(400)
		}
	})
	o := newMemoryOutbox(unexpected("pills.example.com"), issued())
	s := service(t, r)
	_, stop := start(t, Config{Outbox: o, Senders: []Sender{s}})
	eventually(t, "both are told", func() bool { return o.cursor(s.Name()).seq == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := r.count(); n > 10 || len(o.cursor(s.Name()).dead) > 0 {
		t.Errorf("%d messages, dead: %v", n, o.cursor(s.Name()).dead)
	}
}

func TestServiceThatHangsIsLeftAndNotBesieged(t *testing.T) {
	release := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	s := service(t, r)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		retry, err := s.Send(ctx, issued())
		cancel()
		if err == nil || !retry {
			t.Errorf("retry %v, %v", retry, err)
		}
	}
	eventually(t, "the first message arrives", func() bool { return r.count() > 0 })
	if n := r.count(); n != 1 {
		t.Errorf("%d messages wait for an answer", n)
	}
	// After a while it is given up, and the next message tried.
	s.flight.began = s.flight.began.Add(-serviceGivenUp)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, issued()); err == nil {
		t.Error("it succeeded")
	}
	eventually(t, "the second message arrives", func() bool { return r.count() == 2 })
	s.flight.began = s.flight.began.Add(-serviceGivenUp)
	s.lost.Store(maxServiceLost)
	if _, err := s.Send(t.Context(), issued()); err == nil || r.count() != 2 {
		t.Errorf("more and more messages are given up: %v", err)
	}
	s.lost.Store(1)
	close(release)
	eventually(t, "it is told again", func() bool { _, err := s.Send(t.Context(), issued()); return err == nil })
}

func TestServiceDigestsFitAndNameAll(t *testing.T) {
	r := newReceiver(t, nil)
	s := service(t, r)
	events, _ := someEvents(100)
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
	all := strings.Join(r.bodies, "\n")
	for _, e := range events {
		if !strings.Contains(all, e.ID) {
			t.Errorf("%s is not named", e.ID)
		}
	}
	for _, body := range r.bodies {
		if n := utf8.RuneCountInString(body); n > serviceLimit || strings.Contains(body, "…") {
			t.Errorf("%d runes", n)
		}
	}
}

func TestServicesHaveNamesThatTellNoSecret(t *testing.T) {
	for _, given := range []string{"", "phone"} {
		s, err := NewService(ServiceOptions{URL: StaticSecret("ntfy://ntfy.sh/" + serviceSecret), Name: given})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Name(); strings.Contains(n, serviceSecret) || given != "" && n != "service:phone" || given == "" && !strings.HasPrefix(n, "service:ntfy-") {
			t.Error(n)
		}
	}
}

func TestServiceGetsHugeAndTestEvents(t *testing.T) {
	r := newReceiver(t, nil)
	events := append(fromOutbox(t, hugeEvents()...), ctwatch.TestEvent("alice", testTime))
	for _, e := range events {
		mustSend(t, service(t, r), e)
	}
	checkHuge(t, r.bodies[0])
	if n := r.count(); n != len(events) {
		t.Errorf("%d requests", n)
	}
}

func TestServiceGetsNoRoutineEvents(t *testing.T) {
	s := service(t, newReceiver(t, nil))
	checkPeople(t, s, false)
	all, err := Filtered(s, Filter{MinSeverity: ctwatch.Debug})
	if err != nil {
		t.Fatal(err)
	}
	checkPeople(t, all, true)
}

func TestServiceTextIsBounded(t *testing.T) {
	for _, s := range hostileTexts {
		n := NewNotice(hostileEvent(s))
		if text := n.chat(serviceLimit); utf8.RuneCountInString(text) > serviceLimit {
			t.Errorf("a message of %d runes", utf8.RuneCountInString(text))
		}
		if d := NewDigest(slices.Repeat([]ctwatch.Event{hostileEvent(s)}, 30), serviceLimit); len(d.Lines) > 1 && utf8.RuneCountInString(d.text(chatText)) > serviceLimit {
			t.Errorf("a digest of %d runes", utf8.RuneCountInString(d.text(chatText)))
		}
	}
}

var _ interface {
	Batcher
	Patient
} = (*Service)(nil)
