package slack

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
	"ctwatch/pins"
)

func TestNoRoutineEvents(t *testing.T) {
	slack := func(threads Threads, least ctwatch.Severity) *Sender {
		return newSender(t, Options{Token: notify.StaticSecret(testToken), Channel: "#certs", Threads: threads, MinSeverity: least})
	}
	notifytest.CheckPeople(t, slack(&memoryThreads{}, ""), false)
	notifytest.CheckPeople(t, slack(nil, ctwatch.Info), false)
	notifytest.CheckPeople(t, slack(&memoryThreads{}, ctwatch.Debug), true)
}

// An unexpected certificate is one message, also in a storm.
func TestUnexpectedCertificateIsOneMessage(t *testing.T) {
	for _, storm := range []int{-1, 1, 20} {
		server := newFakeSlack(t)
		var events []ctwatch.Event
		var want []string
		for i := range 10 {
			both := notifytest.NewStory(fmt.Sprintf("%d.example.com", i)).Alarmed()
			events, want = append(events, both...), append(want, both[1].ID)
		}
		o := notifytest.NewOutbox(events...)
		_, stop := sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{threadSender(t, server, &memoryThreads{})}, Storm: storm})
		notifytest.Eventually(t, "all is delivered", func() bool { return o.Cursor("slack").Seq == int64(len(events)) })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, sentIDs(t, server.seen())); diff != "" || len(server.seen()) != len(want) {
			t.Errorf("with a storm of %d: %d messages, sent (-want +got):\n%s", storm, len(server.seen()), diff)
		}
	}
}

// Ten thousand renewals, with all that happens to them, are no message; fifty rogue
// certificates among them, each seen in three logs, are one each.
func TestRenewalsAreSilentRoguesAreNot(t *testing.T) {
	server := newFakeSlack(t)
	var events []ctwatch.Event
	want := make(map[string]bool)
	for i := range 3000 {
		c := notifytest.NewStory(fmt.Sprintf("host-%05d.example.com", i))
		if i%60 != 30 {
			c.Cert.Verdict = ctwatch.Expected
			events = append(events, c.Issued(), ctwatch.CandidateEvent(pins.Key{Pin: c.Cert.Key.Pin}, c.Cert, []string{"example.com"}, c.Next()), c.Logged(), c.Logged(), c.Deployed())
			continue
		}
		both := c.Alarmed()
		want[both[1].ID] = true
		events = append(append(events, both...), c.Logged(), c.Logged())
	}
	o := notifytest.NewOutbox(events...)
	_, _ = sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{threadSender(t, server, &memoryThreads{})}})
	notifytest.Eventually(t, "all is delivered", func() bool { return o.Cursor("slack").Seq == int64(len(events)) })
	got := make(map[string]bool)
	for _, m := range server.seen() {
		if m.thread == "" {
			for _, id := range m.ids(t) {
				got[id] = true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent to the channel (-want +got):\n%s", diff)
	}
}

// That a certificate is expected after all goes to its thread.
func TestLaterExpectedGoesToThread(t *testing.T) {
	unreviewed := func(c *notifytest.Story) ctwatch.Event { return c.Issued() }
	alarmed := func(c *notifytest.Story) ctwatch.Event { return c.Alarmed()[1] }
	for name, tt := range map[string]struct {
		first  func(*notifytest.Story) ctwatch.Event // nil: nothing was sent
		then   func(*notifytest.Story) ctwatch.Event
		root   string
		thread int // messages in it
		alone  int // messages in the channel
	}{
		"authorized after an alarm":            {alarmed, func(c *notifytest.Story) ctwatch.Event { return c.Authorized("alice") }, "✅", 1, 1},
		"authorized, and nothing was sent":     {nil, func(c *notifytest.Story) ctwatch.Event { return c.Authorized("alice") }, "", 0, 1},
		"allowed by rules after an alarm":      {alarmed, func(c *notifytest.Story) ctwatch.Event { return c.Judged(ctwatch.Expected) }, "✅", 1, 1},
		"allowed by rules, nothing was sent":   {nil, func(c *notifytest.Story) ctwatch.Event { c.Alarmed(); return c.Judged(ctwatch.Expected) }, "", 0, 0},
		"a rule was written":                   {unreviewed, func(c *notifytest.Story) ctwatch.Event { return c.Judged(ctwatch.Expected) }, "✅", 1, 1},
		"a rule was written, nothing was sent": {nil, func(c *notifytest.Story) ctwatch.Event { return c.Judged(ctwatch.Expected) }, "", 0, 0},
		"a rule was taken away":                {alarmed, func(c *notifytest.Story) ctwatch.Event { return c.Judged(ctwatch.Unreviewed) }, "🔵", 1, 1},
		"authorized, and then deployed": {alarmed, func(c *notifytest.Story) ctwatch.Event {
			c.Authorized("alice")
			return c.Deployed()
		}, "✅", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server, c := newFakeSlack(t), notifytest.NewStory("api.example.com")
			s := threadSender(t, server, &memoryThreads{})
			if tt.first != nil {
				notifytest.MustSend(t, s, tt.first(c))
			}
			e := tt.then(c)
			if !s.Wants(e) {
				t.Fatal("it is not wanted")
			}
			notifytest.MustSend(t, s, e)
			thread, alone := 0, 0
			for _, m := range server.seen() {
				checkBlocks(t, []byte(m.blocks))
				if m.thread != "" {
					thread++
				} else {
					alone++
				}
			}
			if thread != tt.thread || alone != tt.alone {
				t.Errorf("%d messages in the thread and %d in the channel, want %d and %d", thread, alone, tt.thread, tt.alone)
			}
			if seen := server.seen(); tt.root != "" && (seen[0].updates != 1 || seen[0].text[:len(tt.root)] != tt.root) {
				t.Errorf("after %d updates the first message is %q", seen[0].updates, seen[0].text)
			}
		})
	}
}

// A burst of alarms in the midst of much else is posted ahead of it.
func TestFiftyAlarmsAreFiftyMessages(t *testing.T) {
	server := newFakeSlack(t)
	o := notifytest.NewOutbox()
	d, _ := sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{threadSender(t, server, &memoryThreads{})}})
	count := func(critical bool) (n int) {
		for _, m := range server.seen() {
			if m.thread == "" && (m.text[:len("🔴")] == "🔴") == critical {
				n++
			}
		}
		return n
	}
	var storm []ctwatch.Event // so that it is one already
	for i := range 60 {
		storm = append(storm, notifytest.NewStory(fmt.Sprintf("new-%03d.example.com", i)).Issued())
	}
	o.Add(storm...)
	d.Wake()
	notifytest.Eventually(t, "the storm is sent", func() bool { return o.Cursor("slack").Seq == 60 })

	var burst []ctwatch.Event
	var rogues []*notifytest.Story
	for i := range 50 {
		c := notifytest.NewStory(fmt.Sprintf("rogue-%02d.example.com", i))
		rogues = append(rogues, c)
		burst = append(append(burst, notifytest.NewStory(fmt.Sprintf("more-%02d.example.com", i)).Issued()), c.Alarmed()...)
	}
	// last is where the last alarm stands among the messages after so many.
	last := func(before int) (n int) {
		for i, m := range server.seen()[before:] {
			if m.thread == "" && m.text[:len("🔴")] == "🔴" {
				n = i + 1
			}
		}
		return n
	}
	const maxAhead = 5 // what is under way when alarms come, and a digest
	before := len(server.seen())
	o.Add(burst...)
	d.Wake()
	notifytest.Eventually(t, "the first alarm is sent", func() bool { return count(true) > 0 })
	notifytest.Eventually(t, "all alarms are sent", func() bool { return count(true) == 50 })
	if n := last(before); n > 50+maxAhead {
		t.Errorf("50 alarms were among %d messages", n)
	}

	// One more, while what else is known of the others goes into their threads.
	var notes []ctwatch.Event
	for _, c := range rogues {
		notes = append(notes, c.Logged(), c.Logged())
	}
	notifytest.Eventually(t, "all is passed", func() bool { return o.Cursor("slack").Seq == int64(len(storm)+len(burst)) })
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server.next(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		w.WriteHeader(http.StatusInternalServerError)
	})
	o.Add(notes...)
	d.Wake()
	notifytest.Receive(t, arrived)
	before = len(server.seen())
	o.Add(notifytest.NewStory("last.example.com").Alarmed()...)
	d.Wake()
	close(goOn)
	notifytest.Eventually(t, "the last alarm is sent", func() bool { return count(true) == 51 })
	if n := last(before); n > 1+maxAhead {
		t.Errorf("an alarm among a hundred notes was the %d. message", n)
	}
	notifytest.Eventually(t, "all is sent", func() bool { return o.Cursor("slack").Seq == int64(len(storm)+len(burst)+len(notes)+2) })
	if got, want := len(sentIDs(t, server.seen())), 60+100+100+1; got != want {
		t.Errorf("%d events sent, want %d", got, want)
	}
}
