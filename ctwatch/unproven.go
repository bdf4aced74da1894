package ctwatch

import (
	"fmt"
	"strconv"
	"time"
)

// An Unproven counts alarms about certificates of one log that nothing proves: neither is
// an entry with one of them proven to be in the log's tree, nor that a CA which is known
// by its keys issued it. Anyone on the way to a log can forge such entries.
type Unproven struct {
	Count int64 `json:"count"`
	// Domains are the watched domains concerned, those with the most alarms first;
	// MoreDomains counts those that are left out.
	Domains     []string `json:"domains"`
	MoreDomains int      `json:"more_domains"`
	// First and Last are when the first and the last of the certificates were seen.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// UnprovenEvent tells of alarms that people did not get one by one. The number counts the
// digests of the log.
func UnprovenEvent(l LogStatus, u Unproven, number int64, at time.Time) Event {
	const shown = 5
	domains, more := u.Domains, u.MoreDomains
	if len(domains) > shown {
		domains, more = domains[:shown], more+len(domains)-shown
	}
	names := ""
	for i, d := range domains {
		if i > 0 {
			names += ", "
		}
		names += Printable(d, 100)
	}
	if more > 0 {
		names += fmt.Sprintf(" and %d more domains", more)
	}
	return Event{
		ID:   NewEventID(EntryUnproven, l.ID.Hex(), strconv.FormatInt(number, 10)),
		Type: EntryUnproven, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Critical,
			Summary: fmt.Sprintf("%d more certificates for %s that should not exist are in entries of %s that nothing proves yet, the first seen at %s, the last at %s. Such entries are easy to forge; each that is proven gets an alarm of its own. `%s` lists them.",
				u.Count, names, Printable(l.Name, 60), clockTime(u.First), clockTime(u.Last), UnprovenCommand(l, u)),
			Log: &l, Unproven: &u,
		},
	}
}

// UnprovenCommand is the command that lists the certificates of a digest.
func UnprovenCommand(l LogStatus, u Unproven) string {
	return "ctwatch certs list --unproven --log " + l.ID.Hex()[:16] + " --since " + u.First.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
