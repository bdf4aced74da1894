package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch"
)

// A fakeSlack is a server that speaks chat.postMessage and chat.update, with threads and
// with the moods of the real one.
type fakeSlack struct {
	url string

	mu    sync.Mutex
	mood  func(w http.ResponseWriter, r *http.Request) (done bool) // nil: all is well
	asked int
	posts []slackPost // in order
}

// A slackPost is a message that Slack took.
type slackPost struct {
	ids      []string // of the events that it is about, in the order in which they happened
	thread   string   // its head's ts; "" for a message of its own
	ts, text string
	blocks   string // as JSON
	at       time.Time
	updates  int
}

func newFakeSlack(t *testing.T) *fakeSlack {
	t.Helper()
	s := &fakeSlack{}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/api/"
	return s
}

// config is the part of the daemon's configuration that speaks of Slack.
func (s *fakeSlack) config() string {
	return fmt.Sprintf("slack: {token: \"${TEST_SLACK_TOKEN}\", api_url: %q, channel: \"#certs\"}\n", s.url)
}

// be sets the mood.
func (s *fakeSlack) be(mood func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood, s.asked = mood, 0
}

func (s *fakeSlack) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// messages are all that were taken.
func (s *fakeSlack) messages() []slackPost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts)
}

// posted lists the IDs of the events that were posted, in order.
func (s *fakeSlack) posted() (ids []string) {
	for _, p := range s.messages() {
		ids = append(ids, p.ids...)
	}
	return ids
}

func (s *fakeSlack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A server learns that its client is gone only once it has read the request.
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.asked++
	mood := s.mood
	s.mu.Unlock()
	if mood != nil && mood(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer xoxb-test" {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(w, s.call(path.Base(r.URL.Path), r.PostForm))
}

// call does what a method of Slack's API does, and returns its reply.
func (s *fakeSlack) call(method string, form url.Values) string {
	find := func(ts string) int {
		return slices.IndexFunc(s.posts, func(p slackPost) bool { return p.ts == ts })
	}
	switch method {
	case "chat.postMessage":
		var metadata struct {
			Payload struct {
				ID        string   `json:"id"`
				Including []string `json:"including"`
				IDs       []string `json:"ids"`
			} `json:"event_payload"`
		}
		if err := json.Unmarshal([]byte(form.Get("metadata")), &metadata); err != nil {
			return `{"ok":false,"error":"invalid_metadata_format"}`
		}
		p := slackPost{
			ids: metadata.Payload.IDs, thread: form.Get("thread_ts"), text: form.Get("text"), blocks: form.Get("blocks"),
			ts: fmt.Sprintf("1763632800.%06d", len(s.posts)+1), at: time.Now(),
		}
		if m := metadata.Payload; m.ID != "" {
			p.ids = append(m.Including, m.ID)
		}
		if p.thread != "" && find(p.thread) < 0 {
			return `{"ok":false,"error":"thread_not_found"}`
		}
		s.posts = append(s.posts, p)
		return fmt.Sprintf(`{"ok":true,"channel":"C1","ts":%q}`, p.ts)
	case "chat.update":
		i := find(form.Get("ts"))
		if i < 0 || form.Get("channel") != "C1" {
			return `{"ok":false,"error":"message_not_found"}`
		}
		s.posts[i].text, s.posts[i].blocks = form.Get("text"), form.Get("blocks")
		s.posts[i].updates++
		return fmt.Sprintf(`{"ok":true,"channel":"C1","ts":%q,"text":"x"}`, s.posts[i].ts)
	}
	return `{"ok":false,"error":"unknown_method"}`
}

// forSlack lists the events that Slack must receive, without rules about what is
// expected: later facts about a certificate belong into its thread, however small.
func forSlack(all []message) (ids []string) {
	for _, m := range all {
		if m.Type == ctwatch.WatchHeartbeat || m.Type == ctwatch.PinCandidate && m.Data.App == "" || m.Data.Severity == ctwatch.Debug && m.Type != ctwatch.CertificateLogged {
			continue
		}
		ids = append(ids, m.ID)
	}
	return ids
}

// expectThreads checks that later messages about a certificate, and only these, are in the thread
// of its first message.
func (s *fakeSlack) expectThreads(t *testing.T, all []message) {
	t.Helper()
	events := make(map[string]message)
	for _, m := range all {
		events[m.ID] = m
	}
	heads := make(map[ctwatch.Hash]string)
	for _, p := range s.messages() {
		for _, id := range p.ids {
			m := events[id]
			switch {
			case m.Type == ctwatch.CertificateIssued && p.thread == "":
				heads[m.Data.Certificate.ID] = p.ts
			case m.Type == ctwatch.CertificateLogged && p.thread != "" && p.thread == heads[m.Data.Certificate.ID]:
			default:
				t.Errorf("%s (%s) is in the thread %q", m.Type, id, p.thread)
			}
		}
	}
}

// slackAnswers is a mood: a status, and for 429 when to come again.
func slackAnswers(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(code)
		return true
	}
}

// slackHangs is a mood: no answer, until the client has had enough.
func slackHangs(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}
