package ctwatch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins"
)

// IssuedEvent reports that a certificate for a watched name was seen for the first time in
// any log: once per certificate, even if it matches several watched domains. Its subject is
// the first of them.
func IssuedEvent(c Certificate, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateIssued, c.ID.String()),
		Type: CertificateIssued, Time: at, Subject: subjectOf(c.Domains()),
		Data: EventData{
			Severity: Info,
			Summary: fmt.Sprintf("A certificate for %s was issued by %s, valid until %s.",
				c.MatchedNames(), Printable(c.Issuer.Name, 100), date(c.NotAfter)),
			Certificate: &c,
		},
	}
}

// LoggedEvent reports that a known certificate was seen again, as s: in another log, or as
// the final certificate.
func LoggedEvent(c Certificate, s Sighting, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateLogged, c.ID.String(), s.LogID.Hex(), strconv.FormatUint(s.Index, 10), string(s.Kind)),
		Type: CertificateLogged, Time: at, Subject: subjectOf(c.Domains()),
		Data: EventData{
			Severity:    Debug,
			Summary:     fmt.Sprintf("The %s for %s is entry %d of %s.", s.Kind, c.MatchedNames(), s.Index, Printable(s.Log, 60)),
			Certificate: &c,
		},
	}
}

// CandidateEvent reports a key that is new for these watched domains, of which there is at
// least one. If an app pins one of its names, see ForApp.
func CandidateEvent(k pins.Key, c Certificate, domains []string, at time.Time) Event {
	return Event{
		ID:   NewEventID(PinCandidate, append([]string{k.Pin.String()}, domains...)...),
		Type: PinCandidate, Time: at, Subject: subjectOf(domains),
		Data: EventData{
			Severity:    Info,
			Summary:     fmt.Sprintf("New key %s in a certificate for %s.", k.Pin, c.MatchedNames()),
			Certificate: &c, Key: &k,
		},
	}
}

// ForApp makes a CandidateEvent more urgent: an app pins a host for which the key was
// certified, and would break if the key were deployed.
func ForApp(e Event, app, host string) Event {
	e.Data.Severity, e.Data.App, e.Data.Host = Warning, app, host
	e.Data.Summary = fmt.Sprintf("%s App %s pins %s: review the key, and add its pin before it is deployed.", e.Data.Summary, Printable(app, 100), Printable(host, 260))
	return e
}

// MisbehavedEvent reports that a log broke its promises, with the evidence.
func MisbehavedEvent(l LogStatus, f Fault, at time.Time) Event {
	parts := []string{l.ID.Hex(), f.Cause}
	for _, h := range f.Evidence.Heads {
		parts = append(parts, string(h.Raw))
	}
	if r := f.Evidence.Reply; r != nil {
		parts = append(parts, r.Path, r.SHA256.String())
	}
	return Event{
		ID:   NewEventID(LogMisbehaved, parts...),
		Type: LogMisbehaved, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Critical,
			Summary:  fmt.Sprintf("Log %s misbehaved: %s.", Printable(l.Name, 60), f.Detail),
			Log:      &l, Evidence: &f.Evidence,
		},
	}
}

// UnhealthyEvent reports that a log cannot be read as it should be, and why. The episode
// counts how often that happened to this log.
func UnhealthyEvent(l LogStatus, reason string, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogUnhealthy, l.ID.Hex(), strconv.FormatInt(episode, 10)),
		Type: LogUnhealthy, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Warning,
			Summary:  fmt.Sprintf("Log %s is unhealthy: %s.", Printable(l.Name, 60), Printable(reason, 300)),
			Log:      &l,
		},
	}
}

// RecoveredEvent reports that a log is healthy again, after the UnhealthyEvent of the same
// episode.
func RecoveredEvent(l LogStatus, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogRecovered, l.ID.Hex(), strconv.FormatInt(episode, 10)),
		Type: LogRecovered, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Warning,
			Summary:  fmt.Sprintf("Log %s is healthy again, read up to entry %d of %d.", Printable(l.Name, 60), l.Position, l.TreeSize),
			Log:      &l,
		},
	}
}

// MalformedEvent reports entries of one log that cannot be parsed, at least one. All have
// the same reason.
func MalformedEvent(l LogStatus, indexes []uint64, reason string, at time.Time) Event {
	parts := []string{l.ID.Hex(), reason}
	for _, i := range indexes {
		parts = append(parts, strconv.FormatUint(i, 10))
	}
	e := Event{
		ID:   NewEventID(EntryMalformed, parts...),
		Type: EntryMalformed, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Warning,
			Summary: fmt.Sprintf("Entry %d of %s cannot be parsed, and may concern a watched name: %s.",
				indexes[0], Printable(l.Name, 60), Printable(reason, 200)),
			Log: &l, Index: &indexes[0],
		},
	}
	if len(indexes) > 1 {
		e.Data.Indexes = indexes
		e.Data.Summary = fmt.Sprintf("%d entries of %s, the first being %d, cannot be parsed, and may concern watched names: %s.",
			len(indexes), Printable(l.Name, 60), indexes[0], Printable(reason, 200))
	}
	return e
}

// WithMoreEntries adds to an event about malformed entries that there are more, which it
// does not list.
func WithMoreEntries(e Event, more uint64) Event {
	e.Data.MoreEntries = more
	e.Data.Summary = fmt.Sprintf("%s %d more are not listed.", e.Data.Summary, more)
	return e
}

// GapEvent reports that entries [start, end) of a log are not read, and why.
func GapEvent(l LogStatus, start, end uint64, why string, at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchGap, l.ID.Hex(), strconv.FormatUint(start, 10), strconv.FormatUint(end, 10)),
		Type: WatchGap, Time: at, Subject: l.ID.Hex(),
		Data: EventData{
			Severity: Warning,
			Summary:  fmt.Sprintf("Entries %d to %d of %s are not read: %s.", start, end-1, Printable(l.Name, 60), why),
			Log:      &l, Start: &start, End: &end,
		},
	}
}

// MatchedNames returns the names that match, for a sentence: at most three, and a count of
// the others.
func (c *Certificate) MatchedNames() string {
	const most = 3
	var first []string
	seen := make(map[string]bool, len(c.Matches))
	for _, m := range c.Matches {
		if !seen[m.Name] && len(first) < most {
			first = append(first, Printable(m.Name, 100))
		}
		seen[m.Name] = true
	}
	list := strings.Join(first, ", ")
	if more := len(seen) - len(first) + c.Omitted["matches"]; more > 0 {
		return fmt.Sprintf("%s and %d more names", list, more)
	}
	return list
}

func subjectOf(domains []string) string {
	if len(domains) == 0 {
		return "unknown"
	}
	return domains[0]
}

func date(t time.Time) string {
	if t.IsZero() {
		return "an unreadable date"
	}
	return t.UTC().Format(time.DateOnly)
}
