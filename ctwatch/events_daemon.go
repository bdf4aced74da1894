package ctwatch

import (
	"fmt"
	"strconv"
	"time"
)

// daemonSubject is the subject of events about ctwatch itself.
const daemonSubject = "daemon"

// HeartbeatEvent tells that the daemon does its work: who hears none for longer than
// the interval between two has nobody who watches.
func HeartbeatEvent(at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchHeartbeat, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchHeartbeat, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: Debug, Summary: "Logs are read."},
	}
}

// StalledEvent tells that the daemon does not do its work, and why, as far as it can
// tell.
func StalledEvent(reason string, at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchStalled, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchStalled, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: Critical, Summary: sentence("Nobody watches: " + Printable(reason, 500))},
	}
}

// ResumedEvent tells that the daemon does its work again, which it had not since a time.
func ResumedEvent(since, at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchResumed, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchResumed, Time: at, Subject: daemonSubject,
		Data: EventData{
			Severity: Warning,
			Summary:  fmt.Sprintf("Logs are read again, after %s. What was issued meanwhile is found late, not lost.", at.Sub(since).Round(time.Second)),
		},
	}
}

// TestEvent tells nothing: it shows a person, who asked for it, whether and how events
// arrive.
func TestEvent(by string, at time.Time) Event {
	return Event{
		ID:   NewEventID(NotifyTest, by, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: NotifyTest, Time: at, Subject: daemonSubject,
		Data: EventData{
			Severity: Info,
			Summary:  fmt.Sprintf("This is a test, which %s asked for: nothing has happened.", Printable(by, 100)),
		},
	}
}

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
