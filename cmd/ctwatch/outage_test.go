package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestNATSDown: while NATS is away and Slack answers 500, and then 429, reading
// goes on; when they are back everything arrives, in order.
func TestNATSDown(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slack := newFakeSlack(t)
	slack.be(slackAnswers(http.StatusInternalServerError))
	port, dir := freePort(t), t.TempDir()
	stop := natsServer(t, port, dir)
	stop() // it was there once, and is not now

	d := s.start(s.config(fmt.Sprintf("nats: {url: %q}\n", natsURL(port)) + "notify: {storm: -1}\n" + slack.config()))
	const rounds = 10
	for n := range rounds {
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		sct := s.addPrecert(s.logs[n%2], i)
		s.addFinal(s.logs[(n+1)%2], i, sct)
		s.fill(200)
		s.publish()
		s.untilVerified() // although no channel works
	}
	s.expectTruth()
	if posts := slack.posted(); len(posts) > 0 {
		t.Fatalf("Slack took %d messages while it was down", len(posts))
	}
	if !d.log.contains("NATS is not reachable") || !d.log.contains("sender=slack") {
		t.Error("the log does not say what is out of reach")
	}
	slack.be(slackAnswers(http.StatusTooManyRequests))
	s.eventually("Slack is asked again", func() bool { return slack.requests() > 1 })

	natsServer(t, port, dir)
	slack.be(nil)
	s.untilDelivered()
	all := s.stream(natsURL(port))
	s.expectEvents(all, rounds)
	if diff := cmp.Diff(forSlack(all), slack.posted()); diff != "" {
		t.Errorf("Slack did not get the same events in the same order (-NATS +Slack):\n%s", diff)
	}
	slack.expectThreads(t, all)
	d.stop()
}

// TestUnreachableAtStart: with nothing there at all, the daemon says what it waits
// for, and goes on by itself with each thing that comes.
func TestUnreachableAtStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slackPort, listPort, logPort, natsPort := freePort(t), freePort(t), freePort(t), freePort(t)
	url := func(port int, path string) string {
		return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path
	}
	l, err := ctlogtest.New(ctlogtest.Options{Name: "Late", Kind: ctwatch.KindStatic, URL: url(logPort, "/"), MaxAge: 10 * time.Second})
	s.check(err)
	s.logs = []*ctlogtest.Log{l}
	s.fill(300)
	i := s.watched("www.example.com")
	s.addPrecert(l, i)
	s.publish()

	c := s.run(s.config(fmt.Sprintf(`logs: {list: %q, list_key: "", refresh: 200ms, poll: 150ms, max_rate: 10000, start: beginning}
nats: {url: %q}
slack: {token: "${TEST_SLACK_TOKEN}", api_url: %q, channel: "#certs"}
`, url(listPort, "/list.json"), natsURL(natsPort), url(slackPort, "/api/"))))

	c.says("no log list could be loaded yet")
	c.says("NATS is not reachable")
	list, err := ctlogtest.ListJSON(time.Now(), l.Info())
	s.check(err)
	listen := func(port int, h http.Handler) {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		s.check(err)
		srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
	}
	listen(listPort, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/list.json" {
			_, _ = w.Write(list)
		} else {
			http.NotFound(w, r)
		}
	}))
	s.eventually("the log cannot be followed", func() bool { return s.status(l).LastError != "" })

	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(logPort)))
	s.check(err)
	t.Cleanup(l.Serve(ln))
	c.says("ready: verified a tree head")
	s.untilVerified()
	c.says("sender=slack")

	natsServer(t, natsPort, t.TempDir())
	slack := &fakeSlack{}
	listen(slackPort, slack)
	s.untilDelivered()
	s.expectTruth()
	s.expectEvents(s.stream(natsURL(natsPort)), 1)
	if posts := slack.posted(); len(posts) != 1 {
		t.Errorf("Slack has %d messages, want 1", len(posts))
	}
}

// TestNetworkDownIsOneLine: where no log can be reached at the start, one line says so.
func TestNetworkDownIsOneLine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = nil
	for n := range 12 {
		l, err := ctlogtest.New(ctlogtest.Options{Name: fmt.Sprintf("Log%d", n), URL: fmt.Sprintf("http://127.0.0.1:%d/", freePort(t))})
		s.check(err)
		s.logs = append(s.logs, l)
	}
	d := s.start(s.config(""))
	d.says(t, `level=WARN msg="12 of 12 logs cannot be followed; retrying"`)
	d.stop()
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "Log1") && !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "12 of 12") {
			t.Errorf("there is another line: %s", line)
		}
	}
}

// TestEventFollowsHead: a certificate is reported soon after the tree head that covers
// it, without a request.
func TestEventFollowsHead(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(1000)
	s.publish()
	d := s.start(s.config(""))
	s.untilVerified()
	events := s.subscribe(d.natsURL)
	for n := range 4 {
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		s.addPrecert(s.logs[n%2], i)
		begun := time.Now()
		s.publish()
		if m := s.next(events, ctwatch.CertificateIssued); m.Data.Certificate.ID != i.ID {
			t.Fatalf("certificate %v was reported, want %v", m.Data.Certificate.ID, i.ID)
		}
		t.Logf("reported after %v", time.Since(begun).Round(time.Millisecond))
	}
	d.stop()
}

// TestDiskFull: a full disk ends the daemon with a clear message and status 1;
// nothing is damaged, and when there is room again the rest is found.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if !withOwnMounts(t) {
		return
	}
	s := newStage(t)
	s.dir = smallDisk(t, "6m")
	for n := range 400 { // some 4 MB in the database and the stream
		i := s.watched(fmt.Sprintf("host%d.example.com", n))
		s.addPrecert(s.static, i)
	}
	s.publish()
	config := s.config("")

	// All but a little of the disk is taken by something else.
	ballast := filepath.Join(s.dir, "ballast")
	s.check(os.WriteFile(ballast, make([]byte, 4<<20), 0o600))
	c := s.run(config)
	c.wait()
	if c.status != 1 {
		t.Fatalf("it ended with status %d, want 1", c.status)
	}
	if !c.stderr.contains("the disk is full; make room on it and start again") {
		t.Errorf("it does not say that the disk is full:\n%s", c.stderr.tail())
	}
	expectSound(t, s.dir)

	s.check(os.Remove(ballast))
	s.check(remount(s.dir, "64m"))
	d := s.start(config)
	s.untilVerified()
	s.untilDelivered()
	s.expectTruth()
	s.expectEvents(s.stream(d.natsURL), 400)
	d.stop()
	expectSound(t, s.dir)
}
