package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

// hugeEvents are about a certificate with 60,000 names and whatever else may be large, and
// about evidence of a log with huge chains.
func hugeEvents() []ctwatch.Event {
	names := make([]string, 0, 60_000)
	for i := range cap(names) {
		names = append(names, fmt.Sprintf("n%d.%s.other.test", i, strings.Repeat("a", i%60)))
	}
	names[30_000] = "api.example.com"
	c := testCertificate(names...)
	c.Matches[0].Name = "api.example.com"
	c.Subject, c.Issuer.Name, c.Serial = strings.Repeat("<", 1<<16), strings.Repeat("\x00", 1<<16), strings.Repeat("ff", 1<<16)
	c.Problems, c.Reasons = names, []string{strings.Repeat("&", 1<<16)}
	f := ctwatch.Fault{Cause: ctwatch.CauseRootMismatch, Detail: "the root differs", Evidence: ctwatch.Evidence{
		Cause: ctwatch.CauseRootMismatch, Heads: []ctwatch.EvidenceHead{{Raw: make([]byte, 1<<20)}}, Entry: &ctwatch.EvidenceEntry{Leaf: make([]byte, 16<<20)},
	}}
	return []ctwatch.Event{
		ctwatch.IssuedEvent(c, testTime),
		ctwatch.UnexpectedEvent(c, strings.Repeat("no ", 1<<16), testTime),
		ctwatch.MisbehavedEvent(testStatus(), f, testTime),
	}
}

// fromOutbox is an event as senders get it.
func fromOutbox(t *testing.T, e ctwatch.Event) (out ctwatch.Event) {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every sender takes events about a certificate with 60,000 names, and people see the name that
// matches, and how many there are.
func TestHugeEventsReachEverySender(t *testing.T) {
	dir := t.TempDir()
	server, smtp, r := newSlackServer(t), startSMTP(t, &smtpServer{}), newReceiver(t, nil)
	var out lockedBuffer
	senders := []Sender{
		threadSlack(t, server, &memoryThreads{}), hookSlack(t, server), smtp.email(t), service(t, r), r.webhook(t),
		newHook(t, script(t, dir, "hook", `cat >> $DIR/out`), 0), NewStdout(StdoutOptions{W: &out}),
	}
	events := hugeEvents()
	for i, e := range events {
		events[i] = fromOutbox(t, e)
		for _, s := range senders {
			mustSend(t, s, events[i])
		}
	}
	checkMessages(t, events)

	text := NewNotice(events[0]).Text()
	for _, want := range []string{"Names (60000):\n    api.example.com\n", "and 59990 more"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %.2000s", want, text)
		}
	}
	for name, told := range map[string]string{
		"slack": server.all()[0].form.Get("blocks"), "email": smtp.taken()[0].data, "service": r.bodies[0], "webhook": r.bodies[1],
		"hook": readFile(t, dir+"/out"), "stdout": out.String(),
	} {
		if !strings.Contains(told, "api.example.com") {
			t.Errorf("%s does not have the name that matches: %.1000s", name, told)
		}
		if len(told) > 3*256<<10 {
			t.Errorf("%s has %d bytes", name, len(told))
		}
	}
	if n := len(smtp.taken()); n != len(events) {
		t.Errorf("%d mails", n)
	}
}

// Where an event has no room for all the watched domains that a certificate concerns, those who
// watch only some of them get it, whichever these are.
func TestFilterPassesWhatMayConcernIt(t *testing.T) {
	filter := Filter{Subjects: []string{"d150.test"}}
	for name, tt := range map[string]struct {
		domains, matches int
		want             bool
	}{
		"few, and not this one":          {10, 10, false},
		"few that match many times":      {10, 5000, false},
		"so many that some are left out": {200, 200, true},
	} {
		c := testCertificate("www.test")
		c.Names, c.Matches = nil, nil
		for i := range tt.matches {
			d := fmt.Sprintf("d%d.test", i%tt.domains)
			n := fmt.Sprintf("n%d.%s", i, d)
			c.Names, c.Matches = append(c.Names, n), append(c.Matches, ctwatch.Match{Watch: d, Name: n, Domain: d})
		}
		if got := filter.Match(fromOutbox(t, ctwatch.UnexpectedEvent(c, "no", testTime))); got != tt.want {
			t.Errorf("%s: passes: %v", name, got)
		}
	}
}
