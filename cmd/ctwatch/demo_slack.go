package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// A slackReceiver stands in for Slack: it speaks chat.postMessage, and remembers
// what was posted.
type slackReceiver struct {
	patience time.Duration
	url      string
	stop     func()

	mu    sync.Mutex
	posts map[string][]string // by event ID, the texts
	more  chan struct{}
}

func startSlackReceiver(patience time.Duration) (*slackReceiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &slackReceiver{patience: patience, url: "http://" + ln.Addr().String() + "/api/", posts: make(map[string][]string), more: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/chat.postMessage", s.post)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	s.stop = func() {
		_ = server.Close()
		<-done
	}
	return s, nil
}

func (s *slackReceiver) post(w http.ResponseWriter, r *http.Request) {
	var metadata struct {
		EventPayload struct {
			ID string `json:"id"`
		} `json:"event_payload"`
	}
	err := json.Unmarshal([]byte(r.FormValue("metadata")), &metadata)
	w.Header().Set("Content-Type", "application/json")
	if err != nil || r.FormValue("channel") == "" || r.FormValue("blocks") == "" {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_arguments"}`)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := metadata.EventPayload.ID
	s.posts[id] = append(s.posts[id], r.FormValue("text"))
	close(s.more)
	s.more = make(chan struct{})
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": r.FormValue("channel"), "ts": fmt.Sprintf("%d.000100", time.Now().Unix())})
}

// wait returns the text of the message about an event.
func (s *slackReceiver) wait(ctx context.Context, id string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for {
		s.mu.Lock()
		texts, more := s.posts[id], s.more
		s.mu.Unlock()
		if len(texts) > 0 {
			return texts[0], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return "", fmt.Errorf("no Slack message about event %s within %v", id, s.patience)
		}
	}
}

// twice returns the ID of an event that was posted more than once, or "".
func (s *slackReceiver) twice() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, texts := range s.posts {
		if len(texts) > 1 {
			return id
		}
	}
	return ""
}

func (s *slackReceiver) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.posts)
}
