package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"ctwatch/ctwatch"
)

// A slackReceiver stands in for Slack: it speaks chat.postMessage, with threads, and
// chat.update, and keeps what its channel would show.
type slackReceiver struct {
	patience time.Duration
	url      string
	stop     func()

	mu       sync.Mutex
	messages map[string]*slackMessage // by timestamp, which is a message's name
	posted   map[string][]string      // by the ID of an event, the timestamps
	updates  int
	refuse   string        // a method that is answered with an error; "" but in tests
	more     chan struct{} // closed and replaced when anything has changed
}

// A slackMessage is what Slack shows of a message now.
type slackMessage struct {
	ts, thread string // thread is the ts of the message that it replies to; or ""
	text       string // what a notification says
	blocks     []slackBlock
	updates    int
}

// A slackBlock holds the parts of a block of Block Kit that have text in them.
type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text"`
	Fields   []slackText `json:"fields"`
	Elements []struct {
		Text any `json:"text"` // a button's is an object
	} `json:"elements"`
}

type slackText struct {
	Text string `json:"text"`
}

// The channel of the demo, and its ID, which Slack answers with and wants in
// chat.update.
const (
	slackChannel   = "#certs"
	slackChannelID = "C0CERTS"
)

func startSlackReceiver(patience time.Duration) (*slackReceiver, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &slackReceiver{
		patience: patience, url: "http://" + ln.Addr().String() + "/api/",
		messages: make(map[string]*slackMessage), posted: make(map[string][]string), more: make(chan struct{}),
	}
	mux := http.NewServeMux()
	for method, f := range map[string]func(*http.Request) (ts, problem string){"chat.postMessage": s.post, "chat.update": s.update} {
		mux.HandleFunc("POST /api/"+method, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, method, f) })
	}
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

// answer carries out one call of Slack's API.
func (s *slackReceiver) answer(w http.ResponseWriter, r *http.Request, method string, f func(*http.Request) (ts, problem string)) {
	_ = r.ParseForm() // what cannot be read lacks something
	s.mu.Lock()
	defer s.mu.Unlock()
	ts, problem := "", "cant_update_message"
	if method != s.refuse {
		ts, problem = f(r)
	}
	w.Header().Set("Content-Type", "application/json")
	if problem != "" {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": problem})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": slackChannelID, "ts": ts, "text": r.FormValue("text")})
	close(s.more)
	s.more = make(chan struct{})
}

// post is chat.postMessage.
func (s *slackReceiver) post(r *http.Request) (ts, problem string) {
	var metadata struct {
		EventPayload struct {
			ID        string   `json:"id"`
			Including []string `json:"including"`
			IDs       []string `json:"ids"` // of a digest
		} `json:"event_payload"`
	}
	m := slackMessage{ts: fmt.Sprintf("%d.%06d", time.Now().Unix(), len(s.messages)+1), thread: r.FormValue("thread_ts"), text: r.FormValue("text")}
	switch channel := r.FormValue("channel"); {
	case json.Unmarshal([]byte(r.FormValue("metadata")), &metadata) != nil, json.Unmarshal([]byte(r.FormValue("blocks")), &m.blocks) != nil, m.text == "":
		return "", "invalid_arguments"
	case channel != slackChannel && channel != slackChannelID:
		return "", "channel_not_found"
	case m.thread != "" && s.messages[m.thread] == nil:
		return "", "thread_not_found"
	}
	s.messages[m.ts] = &m
	event := metadata.EventPayload
	for _, id := range slices.Concat([]string{event.ID}, event.Including, event.IDs) {
		if id != "" {
			s.posted[id] = append(s.posted[id], m.ts)
		}
	}
	return m.ts, ""
}

// update is chat.update.
func (s *slackReceiver) update(r *http.Request) (ts, problem string) {
	m := s.messages[r.FormValue("ts")]
	var blocks []slackBlock
	switch {
	case r.FormValue("channel") != slackChannelID:
		return "", "channel_not_found"
	case m == nil:
		return "", "message_not_found"
	case json.Unmarshal([]byte(r.FormValue("blocks")), &blocks) != nil || r.FormValue("text") == "":
		return "", "invalid_arguments"
	}
	m.text, m.blocks = r.FormValue("text"), blocks
	m.updates++
	s.updates++
	return m.ts, ""
}

// waitFor waits until find finds a message, in words what.
func (s *slackReceiver) waitFor(ctx context.Context, what string, find func() *slackMessage) (slackMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for {
		s.mu.Lock()
		m, more := find(), s.more
		if m != nil {
			found := *m
			s.mu.Unlock()
			return found, nil
		}
		s.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return slackMessage{}, fmt.Errorf("no Slack message %s within %v", what, s.patience)
		}
	}
}

// wait waits for the message about an event.
func (s *slackReceiver) wait(ctx context.Context, id string) (slackMessage, error) {
	return s.waitFor(ctx, "about event "+id, func() *slackMessage {
		if posted := s.posted[id]; len(posted) > 0 {
			return s.messages[posted[0]]
		}
		return nil
	})
}

// waitUpdate waits until a message was updated and says something.
func (s *slackReceiver) waitUpdate(ctx context.Context, ts, says string) (slackMessage, error) {
	return s.waitFor(ctx, fmt.Sprintf("was updated to say %q", says), func() *slackMessage {
		m := s.messages[ts]
		if m == nil || m.updates == 0 || !strings.Contains(m.text+"\n"+strings.Join(m.words(), "\n"), says) {
			return nil
		}
		return m
	})
}

// twice returns the ID of an event that was posted more than once, or "".
func (s *slackReceiver) twice() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, posted := range s.posted {
		if len(posted) > 1 {
			return id
		}
	}
	return ""
}

// events lists the IDs of the events that were posted.
func (s *slackReceiver) events() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.posted))
}

// count counts the messages in the channel, the replies in threads, and the updates.
func (s *slackReceiver) count() (messages, replies, updates int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.thread != "" {
			replies++
		} else {
			messages++
		}
	}
	return messages, replies, s.updates
}

// words returns the text of a message, line by line, without its formatting.
func (m slackMessage) words() (lines []string) {
	say := func(s string) {
		for line := range strings.SplitSeq(s, "\n") {
			lines = append(lines, slackWords(line))
		}
	}
	for _, b := range m.blocks {
		if b.Text != nil {
			say(b.Text.Text)
		}
		for _, f := range b.Fields {
			label, values, _ := strings.Cut(f.Text, "\n")
			lines = append(lines, slackWords(label)+": "+slackWords(strings.ReplaceAll(values, "\n", ", ")))
		}
		for _, e := range b.Elements {
			if s, ok := e.Text.(string); ok {
				say(s)
			}
		}
	}
	return lines
}

// slackWords takes Slack's formatting out of a line.
func slackWords(s string) string {
	s = strings.NewReplacer("*", "", "`", "", "<https://", "https://", "|crt.sh>", "").Replace(s)
	return ctwatch.Printable(html.UnescapeString(s), 400)
}
