package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"ctwatch/ctwatch"
)

// A smtpFake is a mail server on loopback that can refuse.
type smtpFake struct {
	port int

	mu    sync.Mutex
	down  bool
	tries int      // sessions
	mails []string // messages that it took
}

func newSMTP(t *testing.T) *smtpFake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpFake{port: l.Addr().(*net.TCPAddr).Port}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.session(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return s
}

func (s *smtpFake) session(conn net.Conn) {
	defer conn.Close()
	c := textproto.NewConn(conn)
	s.mu.Lock()
	s.tries++
	down := s.down
	s.mu.Unlock()
	if down {
		_ = c.PrintfLine("421 4.3.2 come again later")
		return
	}
	_ = c.PrintfLine("220 test ESMTP")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " ?")[0]); verb {
		case "DATA":
			_ = c.PrintfLine("354 go on")
			b, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.mails = append(s.mails, string(b))
			s.mu.Unlock()
		case "QUIT":
			_ = c.PrintfLine("221 bye")
			return
		}
		if c.PrintfLine("250 ok") != nil {
			return
		}
	}
}

func (s *smtpFake) be(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *smtpFake) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// ids are those of the events in the Message-IDs, in order.
func (s *smtpFake) ids() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.mails {
		if id := messageID.FindStringSubmatch(m); id != nil {
			ids = append(ids, id[1])
		}
	}
	return ids
}

var messageID = regexp.MustCompile(`(?im)^Message-ID: *<([0-9a-f]{32})`)

// A hookServer receives webhooks.
type hookServer struct {
	*httptest.Server

	mu     sync.Mutex
	mood   http.HandlerFunc // nil: all is well
	asked  int
	events []ctwatch.Event // that it took
}

func newHookServer(t *testing.T, mood http.HandlerFunc) *hookServer {
	s := &hookServer{mood: mood}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *hookServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked++
	mood := s.mood
	s.mu.Unlock()
	var e ctwatch.Event
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &e)
	}
	switch {
	case mood != nil:
		mood(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}
}

func (s *hookServer) be(mood http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = mood
}

func (s *hookServer) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *hookServer) ids() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		ids = append(ids, e.ID)
	}
	return ids
}

// hookScript writes an executable that runs a line of shell, and returns its path.
func hookScript(t *testing.T, name, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines are those of a file, none if there is none.
func lines(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// idsOf lists the IDs of the events that fit.
func idsOf(all []message, fits func(message) bool) (ids []string) {
	for _, m := range all {
		if fits(m) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// sorted sorts a copy.
func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}
