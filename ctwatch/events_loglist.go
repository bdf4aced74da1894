package ctwatch

import "time"

// LogListRefusedEvent tells that the published log list was not taken into use, and why.
// The cause tells one time that happened from another.
func LogListRefusedEvent(s Severity, detail, cause string, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogListRefused, cause),
		Type: LogListRefused, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: s, Summary: sentence("The published log list is refused, and the last good one stays in use: " + Printable(detail, 600))},
	}
}

// LogListOutdatedEvent tells that logs are missing from the list in use, as far as can be
// told from the list itself.
func LogListOutdatedEvent(s Severity, detail, cause string, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogListOutdated, cause),
		Type: LogListOutdated, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: s, Summary: sentence("The log list in use is not up to date: " + Printable(detail, 600))},
	}
}
