package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// fakeSlack speaks as much of Slack's API as is used here, and keeps what it was
// sent. Each reply comes from the queue, and is what Slack would say once that is
// empty.
type fakeSlack struct {
	*httptest.Server
	t        *testing.T
	channels map[string]string // names, and the IDs that they go by in replies

	mu       sync.Mutex
	replies  []http.HandlerFunc
	requests []post // all of them, refused or not
	messages []*seenMessage
	sockets  chan *fakeSocket
}

type post struct {
	path, auth string
	form       url.Values      // of the API
	body       json.RawMessage // of a webhook
}

// A seenMessage is a message that is in Slack now.
type seenMessage struct {
	channel, ts, thread string
	broadcast           bool
	user                string // who alone sees it
	text, blocks, meta  string
	updates             int
}

func newFakeSlack(t *testing.T, replies ...http.HandlerFunc) *fakeSlack {
	s := &fakeSlack{
		t: t, replies: replies, sockets: make(chan *fakeSocket, 8),
		channels: map[string]string{"#certs": "C1", "#incident": "C2", "#apps": "C3"},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/socket" {
		s.serveSocket(w, r)
		return
	}
	p := post{path: r.URL.Path, auth: r.Header.Get("Authorization")}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		p.body, _ = io.ReadAll(r.Body)
	} else if err := r.ParseForm(); err == nil {
		p.form = r.PostForm
	}
	s.mu.Lock()
	s.requests = append(s.requests, p)
	var reply http.HandlerFunc
	if len(s.replies) > 0 {
		reply, s.replies = s.replies[0], s.replies[1:]
	}
	s.mu.Unlock()
	if reply != nil {
		reply(w, r)
		return
	}
	method := path.Base(r.URL.Path)
	if strings.HasPrefix(r.URL.Path, "/services/") {
		io.WriteString(w, "ok")
		return
	}
	token := testToken
	if method == "apps.connections.open" {
		token = testAppToken
	}
	if p.auth != "Bearer "+token {
		io.WriteString(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	io.WriteString(w, s.call(method, p.form))
}

// call does what a method of Slack's API does, and returns its reply.
func (s *fakeSlack) call(method string, form url.Values) string {
	refuse := func(code string) string { return fmt.Sprintf(`{"ok":false,"error":%q}`, code) }
	switch method {
	case "chat.postMessage", "chat.postEphemeral":
		channel := form.Get("channel")
		if id := s.channels[channel]; id != "" {
			channel = id
		} else if !strings.HasPrefix(channel, "C") {
			return refuse("channel_not_found")
		}
		thread := form.Get("thread_ts")
		if thread != "" && s.find(channel, thread) == nil {
			return refuse("thread_not_found")
		}
		m := &seenMessage{
			channel: channel, ts: fmt.Sprintf("1763632800.%06d", len(s.messages)+1), thread: thread, user: form.Get("user"),
			broadcast: form.Get("reply_broadcast") == "true", text: form.Get("text"), blocks: form.Get("blocks"), meta: form.Get("metadata"),
		}
		s.messages = append(s.messages, m)
		return fmt.Sprintf(`{"ok":true,"channel":%q,"ts":%q,"message":{"text":"x"}}`, m.channel, m.ts)
	case "chat.update":
		m := s.find(form.Get("channel"), form.Get("ts"))
		if m == nil {
			return refuse("message_not_found")
		}
		m.text, m.blocks = form.Get("text"), form.Get("blocks")
		m.updates++
		return fmt.Sprintf(`{"ok":true,"channel":%q,"ts":%q,"text":"x"}`, m.channel, m.ts)
	case "apps.connections.open":
		return fmt.Sprintf(`{"ok":true,"url":%q}`, "ws"+strings.TrimPrefix(s.URL, "http")+"/socket")
	}
	return refuse("unknown_method")
}

// find returns the message at a place; the server is locked.
func (s *fakeSlack) find(channel, ts string) *seenMessage {
	for _, m := range s.messages {
		if m.channel == channel && m.ts == ts {
			return m
		}
	}
	return nil
}

// remove deletes a message, as a person may.
func (s *fakeSlack) remove(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.messages {
		if m.ts == ts {
			s.messages = append(s.messages[:i:i], s.messages[i+1:]...)
			return
		}
	}
	s.t.Errorf("there is no message %s", ts)
}

// all returns every request.
func (s *fakeSlack) all() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]post(nil), s.requests...)
}

// seen returns copies of the messages that are there now.
func (s *fakeSlack) seen() (messages []seenMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		messages = append(messages, *m)
	}
	return messages
}

// next queues replies; nil is what Slack would say.
func (s *fakeSlack) next(replies ...http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = append(s.replies, replies...)
}

// ids returns the events that a message is about, by its metadata.
func (m seenMessage) ids(t *testing.T) []string {
	t.Helper()
	var meta struct {
		Type    string `json:"event_type"`
		Payload struct {
			ID        string   `json:"id"`
			Including []string `json:"including"`
			IDs       []string `json:"ids"`
		} `json:"event_payload"`
	}
	if err := json.Unmarshal([]byte(m.meta), &meta); err != nil {
		t.Fatalf("metadata %q: %v", m.meta, err)
	}
	if meta.Payload.ID != "" {
		return append(meta.Payload.Including, meta.Payload.ID) // in the order in which they happened
	}
	return meta.Payload.IDs
}

// A fakeSocket is one connection of Socket Mode, as the server sees it.
type fakeSocket struct {
	*websocket.Conn
	acks chan string // envelope IDs
	gone chan struct{}
}

func (s *fakeSlack) serveSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		s.t.Errorf("upgrade: %v", err)
		return
	}
	socket := &fakeSocket{conn, make(chan string, 64), make(chan struct{})}
	if err := conn.WriteJSON(map[string]any{"type": "hello", "num_connections": 1}); err != nil {
		s.t.Errorf("hello: %v", err)
	}
	s.sockets <- socket
	defer conn.Close()
	defer close(socket.gone)
	for {
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if err := conn.ReadJSON(&ack); err != nil {
			return
		}
		socket.acks <- ack.EnvelopeID
	}
}

// memoryThreads is a Threads as the store's is.
type memoryThreads struct {
	mu     sync.Mutex
	at     map[string]messageRef
	broken error
}

func (m *memoryThreads) Thread(_ context.Context, key string) (channel, ts string, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.at[key]
	return p.channel, p.ts, ok, m.broken
}

func (m *memoryThreads) SetThread(_ context.Context, key, channel, ts string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if m.at == nil {
		m.at = make(map[string]messageRef)
	}
	m.at[key] = messageRef{channel, ts}
	return nil
}

func (m *memoryThreads) setBroken(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}
