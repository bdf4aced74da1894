package notifytest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

// HugeEvents are about a certificate with 60,000 names and whatever else may be large, and
// about evidence of a log with huge chains.
func HugeEvents() []ctwatch.Event {
	names := make([]string, 0, 60_000)
	for i := range cap(names) {
		names = append(names, fmt.Sprintf("n%d.%s.other.test", i, strings.Repeat("a", i%60)))
	}
	names[30_000] = "api.example.com"
	c := Certificate(names...)
	c.Matches[0].Name = "api.example.com"
	c.Subject, c.Issuer.Name, c.Serial = strings.Repeat("<", 1<<16), strings.Repeat("\x00", 1<<16), strings.Repeat("ff", 1<<16)
	c.Problems, c.Reasons = names, []string{strings.Repeat("&", 1<<16)}
	f := ctwatch.Fault{Cause: ctwatch.CauseRootMismatch, Detail: "the root differs", Evidence: ctwatch.Evidence{
		Cause: ctwatch.CauseRootMismatch, Heads: []ctwatch.EvidenceHead{{Raw: make([]byte, 1<<20)}}, Entry: &ctwatch.EvidenceEntry{Leaf: make([]byte, 16<<20)},
	}}
	return []ctwatch.Event{
		ctwatch.IssuedEvent(c, Time),
		ctwatch.UnexpectedEvent(c, strings.Repeat("no ", 1<<16), Time),
		ctwatch.MisbehavedEvent(LogStatus(), f, Time),
	}
}

// FromOutbox returns events as senders get them: written as JSON and read again.
func FromOutbox(t *testing.T, events ...ctwatch.Event) []ctwatch.Event {
	t.Helper()
	out := make([]ctwatch.Event, len(events))
	for i, e := range events {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// CheckHuge checks what a sender made of the first of HugeEvents: the name that
// matches is there, and the size is bounded.
func CheckHuge(t *testing.T, sent string) {
	t.Helper()
	if !strings.Contains(sent, "api.example.com") {
		t.Errorf("the name that matches is not in %.1000s", sent)
	}
	if len(sent) > 3*256<<10 {
		t.Errorf("%d bytes", len(sent))
	}
}
