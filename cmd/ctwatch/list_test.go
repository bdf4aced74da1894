package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// A listServer serves a log list that changes.
type listServer struct {
	*httptest.Server
	mu       sync.Mutex
	logs     []ctwatch.Log
	down     bool
	at       time.Time
	requests int // since the last change
}

func newListServer(t *testing.T) *listServer {
	s := &listServer{at: time.Now().Add(-time.Hour)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests++
		list, err := ctlogtest.ListJSON(s.at, s.logs...)
		if s.down || err != nil || r.URL.Path != "/list.json" {
			http.Error(w, "no list", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(list)
	}))
	t.Cleanup(s.Close)
	return s
}

// set publishes another list.
func (s *listServer) set(down bool, logs ...ctwatch.Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.logs, s.at, s.requests = down, logs, s.at.Add(time.Second), 0
}

// served returns the number of requests since the last change.
func (s *listServer) served() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// TestTraps25To30LogsComeAndGo plays what happens to a log list over months.
func TestTraps25To30LogsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	list := newListServer(t)
	a, b := s.static, s.rfc
	s.fill(50)
	s.addPrecert(a, s.watched("before.example.com")) // before the first start, which is "now"
	late := s.watched("late.example.com")
	s.addPrecert(b, late)
	s.publish()

	// 27: a placeholder that leads nowhere. 29: a URL without its slash.
	placeholder, err := ctlogtest.New(ctlogtest.Options{Name: "Bogus", URL: "https://ct.example.com/bogus/"})
	s.check(err)
	bogus := placeholder.Info()
	bogus.State = ctwatch.LogPending
	ia := a.Info()
	ia.URL = strings.TrimSuffix(ia.URL, "/")
	list.set(false, ia, bogus)

	d := s.start(s.config(fmt.Sprintf(`logs: {list: %q, list_key: "", refresh: 100ms, poll: 100ms, max_rate: 10000}
http: {listen: ""}
`, list.URL+"/list.json")))
	events := s.subscribe(d.natsURL)
	s.eventually("the first log is followed", func() bool { return s.status(a).Verified == 51 })
	first := s.watched("first.example.com")
	s.addPrecert(a, first)
	s.publish()
	if e := s.next(events, ctwatch.CertificateIssued); e.Data.Certificate.ID != first.ID {
		t.Errorf("event about %v, which was logged before \"now\"", e.Data.Certificate.Names)
	}

	// 26: a log that appears later is read from its beginning.
	list.set(false, ia, bogus, b.Info())
	if e := s.next(events, ctwatch.CertificateIssued); e.Data.Certificate.ID != late.ID {
		t.Errorf("event about %v, want what was in the new log", e.Data.Certificate.Names)
	}
	s.eventually("the second log is verified", func() bool { return s.status(b).Verified == 51 })

	// 30: an unreachable list stops nothing.
	list.set(true)
	d.says(t, "the log list could not be read")
	second := s.watched("second.example.com")
	s.addPrecert(a, second)
	s.publish()
	if e := s.next(events, ctwatch.CertificateIssued); e.Data.Certificate.ID != second.ID {
		t.Errorf("event about %v", e.Data.Certificate.Names)
	}

	// 28: the log moves. Its ID is what counts: reading goes on where it was.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	s.check(err)
	moved := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	go moved.Serve(ln)
	t.Cleanup(func() { moved.Close() })
	ib := b.Info()
	ib.Name, ib.URL = "Moved", "http://"+ln.Addr().String()+"/"
	list.set(false, ia, bogus, ib)
	s.eventually("the log is followed under its new name", func() bool { return s.status(b).Name == "Moved" })
	third := s.watched("third.example.com")
	s.addPrecert(b, third)
	s.publish()
	if e := s.next(events, ctwatch.CertificateIssued); e.Data.Certificate.ID != third.ID {
		t.Errorf("event about %v", e.Data.Certificate.Names)
	}

	// 25: the log leaves the list while it is behind.
	b.SetFault(ctlogtest.Status(http.StatusServiceUnavailable, 0).On(ctlogtest.Entries))
	s.check(b.Fill(10))
	head, err := b.Publish()
	s.check(err)
	s.eventually("the new tree head is known", func() bool { return s.status(b).TreeSize == head.Size })
	list.set(false, ia, bogus)
	e := s.next(events, ctwatch.WatchGap)
	if *e.Data.Start != head.Size-10 || *e.Data.End != head.Size || e.Data.Log.ID != b.Info().ID {
		t.Errorf("gap [%d, %d), want the 10 entries before %d", *e.Data.Start, *e.Data.End, head.Size)
	}
	if d.log.contains("log=Bogus") {
		t.Error("the placeholder was asked")
	}
	d.stop()
}

// says waits for text in the daemon's log.
func (r *testDaemon) says(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := until(ctx, func() (bool, error) { return r.log.contains(text), nil }); err != nil {
		t.Fatalf("the daemon never says %q:\n%s", text, r.log.tail())
	}
}
