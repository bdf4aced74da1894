package ctwatch

import (
	"fmt"
	"strconv"
	"time"
)

// An alarm about a certificate is cheap to cause while nothing that is hard to forge
// supports it: no entry with the certificate is proven to be in its log's tree, and no CA
// that is known by its keys is proven to have issued it. Anyone who can change what a log
// serves can cause any number of such alarms, and hide a real one among them. So people
// get a few individually, and the others in a digest.
const (
	// MaxAlone is how many cheap alarms of one log are sent individually within
	// AloneEvery. Those that were proven since do not count.
	MaxAlone   = 5
	AloneEvery = time.Hour
	// The others wait for DigestAfter, in which most real ones are proven, and are sent
	// together, at most once in DigestEvery.
	DigestAfter = time.Minute
	DigestEvery = 10 * time.Minute
)

// An AlarmState says how an alarm about an unproven certificate is sent.
type AlarmState string

// The states. The zero AlarmState is that of a certificate that is proven, or has no
// alarm.
const (
	AlarmNone   AlarmState = ""
	AlarmAlone  AlarmState = "alone"  // it was sent by itself
	AlarmHeld   AlarmState = "held"   // it waits for a digest
	AlarmDigest AlarmState = "digest" // it was sent in a digest
)

// InDigest reports whether events about the certificate are sent in a digest only.
func (s AlarmState) InDigest() bool { return s == AlarmHeld || s == AlarmDigest }

// NextAlarm returns how an alarm is sent, after so many cheap alarms of the log were
// sent individually within AloneEvery.
func NextAlarm(cheap bool, alone int) AlarmState {
	switch {
	case !cheap:
		return AlarmNone
	case alone < MaxAlone:
		return AlarmAlone
	}
	return AlarmHeld
}

// RaiseProven reports whether a certificate that is proven now gets an alarm of its own: it
// was only in a digest so far, and no person has decided about it.
func RaiseProven(s AlarmState, v Verdict, past Past) bool {
	return s.InDigest() && v == Unexpected && !past.ByPerson
}

// OnlyConflict reports whether a certificate is unexpected for the sole reason that
// entries name different issuers for it. That is cheap to claim of any certificate.
func OnlyConflict(c *Certificate, k Standing, judge Judge) bool {
	if len(k.OtherIssuers) == 0 || c.Verdict != Unexpected {
		return false
	}
	k.OtherIssuers = nil
	return judge(c, k).Verdict != Unexpected
}

// An Unproven counts alarms about certificates of one log that nothing proves: no entry
// with one of them is proven to be in the log's tree, and no CA that is known by its keys
// is proven to have issued it. Anyone between ctwatch and a log can forge such entries.
type Unproven struct {
	Count int64 `json:"count"`
	// Domains are the watched domains concerned, those with most alarms first; MoreDomains
	// counts the others.
	Domains     []string `json:"domains"`
	MoreDomains int      `json:"more_domains"`
	// First and Last are when the first and the last of the certificates were seen.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// UnprovenEvent reports alarms that people did not get individually. The number counts the
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

// UnprovenCommand returns the command that lists the certificates of a digest.
func UnprovenCommand(l LogStatus, u Unproven) string {
	return "ctwatch certs list --unproven --log " + l.ID.Hex()[:16] + " --since " + u.First.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
