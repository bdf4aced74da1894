package notify

import (
	"fmt"
	"net/http"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"github.com/google/go-cmp/cmp"
)

func TestSlackGetsNoRoutineEvents(t *testing.T) {
	slack := func(threads SlackThreads, least ctwatch.Severity) *Slack {
		return newSlack(t, SlackOptions{Token: StaticSecret(testToken), Channel: "#certs", Threads: threads, MinSeverity: least})
	}
	checkPeople(t, slack(&memoryThreads{}, ""), false)
	checkPeople(t, slack(nil, ctwatch.Info), false)
	checkPeople(t, slack(&memoryThreads{}, ctwatch.Debug), true)
}

// An unexpected certificate is one message, also in a storm.
func TestUnexpectedCertificateIsOneMessage(t *testing.T) {
	for _, storm := range []int{-1, 1, 20} {
		server := newSlackServer(t)
		var events []ctwatch.Event
		var want []string
		for i := range 10 {
			both := newStory(fmt.Sprintf("%d.example.com", i)).alarmed()
			events, want = append(events, both...), append(want, both[1].ID)
		}
		o := newMemoryOutbox(events...)
		_, stop := start(t, Config{Outbox: o, Senders: []Sender{threadSlack(t, server, &memoryThreads{})}, Storm: storm})
		eventually(t, "all is delivered", func() bool { return o.cursor("slack").seq == int64(len(events)) })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, toldIDs(t, server.seen())); diff != "" || len(server.seen()) != len(want) {
			t.Errorf("with a storm of %d: %d messages, told (-want +got):\n%s", storm, len(server.seen()), diff)
		}
	}
}

// Ten thousand renewals, with all that happens to them, are no message; fifty rogue
// certificates among them, each seen in three logs, are one each.
func TestAMonthOfRenewalsIsSilentAndRoguesAreNot(t *testing.T) {
	server := newSlackServer(t)
	var events []ctwatch.Event
	want := make(map[string]bool)
	for i := range 3000 {
		c := newStory(fmt.Sprintf("host-%05d.example.com", i))
		if i%60 != 30 {
			c.c.Verdict = ctwatch.Expected
			events = append(events, c.issued(), ctwatch.CandidateEvent(pins.Key{Pin: c.c.Key.Pin}, c.c, []string{"example.com"}, c.next()), c.logged(), c.logged(), c.deployed())
			continue
		}
		both := c.alarmed()
		want[both[1].ID] = true
		events = append(append(events, both...), c.logged(), c.logged())
	}
	o := newMemoryOutbox(events...)
	_, _ = start(t, Config{Outbox: o, Senders: []Sender{threadSlack(t, server, &memoryThreads{})}})
	eventually(t, "all is delivered", func() bool { return o.cursor("slack").seq == int64(len(events)) })
	got := make(map[string]bool)
	for _, m := range server.seen() {
		if m.thread == "" {
			for _, id := range m.ids(t) {
				got[id] = true
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told in the channel (-want +got):\n%s", diff)
	}
}

func TestTheNewsThatACertificateIsExpectedAfterAllGoesToItsThread(t *testing.T) {
	unreviewed := func(c *story) ctwatch.Event { return c.issued() }
	alarmed := func(c *story) ctwatch.Event { return c.alarmed()[1] }
	for name, tt := range map[string]struct {
		first  func(*story) ctwatch.Event // nil: nobody was told
		then   func(*story) ctwatch.Event
		root   string
		thread int // messages in it
		alone  int // messages in the channel
	}{
		"authorised after an alarm":            {alarmed, func(c *story) ctwatch.Event { return c.authorized("alice") }, "✅", 1, 1},
		"authorised, and nobody was told":      {nil, func(c *story) ctwatch.Event { return c.authorized("alice") }, "", 0, 1},
		"allowed by rules after an alarm":      {alarmed, func(c *story) ctwatch.Event { return c.judged(ctwatch.Expected) }, "✅", 1, 1},
		"allowed by rules, and nobody knew it": {nil, func(c *story) ctwatch.Event { c.alarmed(); return c.judged(ctwatch.Expected) }, "", 0, 0},
		"a rule was written":                   {unreviewed, func(c *story) ctwatch.Event { return c.judged(ctwatch.Expected) }, "✅", 1, 1},
		"a rule was written, and nobody knew":  {nil, func(c *story) ctwatch.Event { return c.judged(ctwatch.Expected) }, "", 0, 0},
		"a rule was taken away":                {alarmed, func(c *story) ctwatch.Event { return c.judged(ctwatch.Unreviewed) }, "🔵", 1, 1},
		"authorised, and then deployed": {alarmed, func(c *story) ctwatch.Event {
			c.authorized("alice")
			return c.deployed()
		}, "✅", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			server, c := newSlackServer(t), newStory("api.example.com")
			s := threadSlack(t, server, &memoryThreads{})
			if tt.first != nil {
				mustSend(t, s, tt.first(c))
			}
			e := tt.then(c)
			if !s.Wants(e) {
				t.Fatal("it is not wanted")
			}
			mustSend(t, s, e)
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
func TestFiftyAlarmsAtOnceAreFiftyMessagesWithoutDelay(t *testing.T) {
	server := newSlackServer(t)
	o := newMemoryOutbox()
	d, _ := start(t, Config{Outbox: o, Senders: []Sender{threadSlack(t, server, &memoryThreads{})}})
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
		storm = append(storm, newStory(fmt.Sprintf("new-%03d.example.com", i)).issued())
	}
	o.add(storm...)
	d.Wake()
	eventually(t, "the storm is told", func() bool { return o.cursor("slack").seq == 60 })

	var burst []ctwatch.Event
	var rogues []*story
	for i := range 50 {
		c := newStory(fmt.Sprintf("rogue-%02d.example.com", i))
		rogues = append(rogues, c)
		burst = append(append(burst, newStory(fmt.Sprintf("more-%02d.example.com", i)).issued()), c.alarmed()...)
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
	o.add(burst...)
	d.Wake()
	eventually(t, "the first alarm is told", func() bool { return count(true) > 0 })
	eventually(t, "all alarms are told", func() bool { return count(true) == 50 })
	if n := last(before); n > 50+maxAhead {
		t.Errorf("50 alarms were among %d messages", n)
	}

	// One more, while what else is known of the others goes into their threads.
	var notes []ctwatch.Event
	for _, c := range rogues {
		notes = append(notes, c.logged(), c.logged())
	}
	eventually(t, "all is passed", func() bool { return o.cursor("slack").seq == int64(len(storm)+len(burst)) })
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server.next(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		w.WriteHeader(http.StatusInternalServerError)
	})
	o.add(notes...)
	d.Wake()
	receive(t, arrived)
	before = len(server.seen())
	o.add(newStory("last.example.com").alarmed()...)
	d.Wake()
	close(goOn)
	eventually(t, "the last alarm is told", func() bool { return count(true) == 51 })
	if n := last(before); n > 1+maxAhead {
		t.Errorf("an alarm among a hundred notes was the %d. message", n)
	}
	eventually(t, "all is told", func() bool { return o.cursor("slack").seq == int64(len(storm)+len(burst)+len(notes)+2) })
	if got, want := len(toldIDs(t, server.seen())), 60+100+100+1; got != want {
		t.Errorf("%d events told, want %d", got, want)
	}
}
