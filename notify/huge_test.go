package notify

import (
	"fmt"
	"strings"

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
