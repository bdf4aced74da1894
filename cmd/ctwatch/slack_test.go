package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// A fakeSlack is a server that speaks chat.postMessage, with the moods of the real
// one.
type fakeSlack struct {
	url string

	mu    sync.Mutex
	mood  func(w http.ResponseWriter, r *http.Request) (done bool) // nil: all is well
	asked int
	posts []string // IDs of the events posted, in order
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

func (s *fakeSlack) posted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.posts...)
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
	var metadata struct {
		EventPayload struct {
			ID string `json:"id"`
		} `json:"event_payload"`
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.Unmarshal([]byte(r.FormValue("metadata")), &metadata); err != nil || r.Header.Get("Authorization") != "Bearer xoxb-test" {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	s.mu.Lock()
	s.posts = append(s.posts, metadata.EventPayload.ID)
	s.mu.Unlock()
	fmt.Fprint(w, `{"ok":true,"channel":"C1","ts":"1.0"}`)
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
