package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch/ctlogtest"
)

// TestStopsInTime: SIGINT and SIGTERM end the daemon, whatever it waits for, with
// status 0 and nothing lost. Each part has a test of how soon: the follower stops at
// once, the senders and the listener after a grace period.
func TestStopsInTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		// trouble makes something hang, and returns a check that it hangs.
		trouble func(*stage, *fakeSlack) func() bool
	}{
		{"idle", syscall.SIGINT, func(s *stage, slack *fakeSlack) func() bool {
			return func() bool { return len(slack.posted()) > 0 }
		}},
		{"Slack hangs", syscall.SIGTERM, func(_ *stage, slack *fakeSlack) func() bool {
			slack.be(slackHangs)
			return func() bool { return slack.requests() > 0 }
		}},
		{"a log hangs at its tree head", syscall.SIGTERM, func(s *stage, slack *fakeSlack) func() bool {
			s.static.SetFault(ctlogtest.Hang(nil))
			return func() bool { return s.static.Requests(ctlogtest.Heads) > 0 && len(slack.posted()) > 0 }
		}},
		{"both logs hang at entries, and Slack", syscall.SIGINT, func(s *stage, slack *fakeSlack) func() bool {
			slack.be(slackHangs)
			for _, l := range s.logs {
				l.SetFault(ctlogtest.Hang(nil).On(ctlogtest.Entries).Every(2))
			}
			return func() bool { return s.static.Requests(ctlogtest.Entries) > 1 && s.rfc.Requests(ctlogtest.Entries) > 1 }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			slack := newFakeSlack(t)
			for n := range 3 {
				i := s.watched(fmt.Sprintf("host%d.example.com", n))
				s.addPrecert(s.static, i)
				s.addPrecert(s.rfc, i)
				s.fill(600)
			}
			s.publish()
			config := s.config(slack.config())
			stuck := tt.trouble(s, slack)

			c := s.run(config)
			s.eventually("the daemon is where it is to be stopped", stuck)
			if c.signal(tt.signal); c.status != 0 {
				t.Fatalf("it ended with status %d", c.status)
			}
			if !c.stderr.contains("ctwatch ends") {
				t.Error("it does not say that it ends")
			}

			// Nothing is lost: all events arrive after the outage.
			slack.be(nil)
			for _, l := range s.logs {
				l.ClearFaults()
			}
			d := s.start(config)
			s.untilVerified()
			s.untilDelivered()
			s.expectTruth()
			all := s.stream(d.natsURL)
			s.expectEvents(all, 3)
			// A message whose reply got lost is posted again.
			if diff := cmp.Diff(forSlack(all), firsts(slack.posted())); diff != "" {
				t.Errorf("Slack did not get the same events in the same order (-NATS +Slack):\n%s", diff)
			}
			slack.expectThreads(t, all)
			d.stop()
		})
	}
}

// firsts drops what was there before.
func firsts(ids []string) (out []string) {
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// TestReadiness: the daemon reports READY to systemd when it has verified a tree
// head, not before, and then keeps its watchdog alive.
func TestReadiness(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(10)
	s.publish()
	for _, l := range s.logs {
		l.SetFault(ctlogtest.BadSignature())
	}
	dir, err := os.MkdirTemp("", "notify") // a socket's path must be short
	s.check(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	s.check(err)
	defer conn.Close()
	next := func() string {
		t.Helper()
		s.check(conn.SetReadDeadline(time.Now().Add(patience)))
		b := make([]byte, 1000)
		n, err := conn.Read(b)
		s.check(err)
		return string(b[:n])
	}

	c := s.run(s.config(""), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=400000")
	c.says("log misbehaved")
	for range 3 { // alive, but not ready
		if got := next(); !strings.Contains(got, "WATCHDOG=1") {
			t.Fatalf("systemd got %q before a tree head was verified", got)
		}
	}
	for _, l := range s.logs {
		l.ClearFaults()
	}
	for got := ""; !strings.Contains(got, "READY=1"); {
		got = next()
	}
	if got := next(); !strings.Contains(got, "WATCHDOG=1") {
		t.Errorf("after it was ready, systemd got %q", got)
	}
	c.signal(syscall.SIGTERM)
	for got := ""; !strings.Contains(got, "STOPPING=1"); {
		got = next()
	}
}
