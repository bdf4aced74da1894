package ctwatch

import (
	"fmt"
	"strconv"
	"time"
)

// daemonSubject is the subject of events about ctwatch itself.
const daemonSubject = "daemon"

// HeartbeatEvent reports that the daemon is working: a subscriber that misses it for longer
// than the interval knows that the daemon is not.
func HeartbeatEvent(at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchHeartbeat, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchHeartbeat, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: Debug, Summary: "ctwatch is reading logs."},
	}
}

// StalledEvent reports that the daemon is not working, and why, as far as it knows.
func StalledEvent(reason string, at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchStalled, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchStalled, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: Critical, Summary: sentence("No log is being watched: " + Printable(reason, 500))},
	}
}

// ResumedEvent reports that the daemon is working again, after it was not since a time.
func ResumedEvent(since, at time.Time) Event {
	return Event{
		ID:   NewEventID(WatchResumed, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: WatchResumed, Time: at, Subject: daemonSubject,
		Data: EventData{
			Severity: Warning,
			Summary:  fmt.Sprintf("Logs are being read again after %s. Certificates issued in between are found late, not lost.", at.Sub(since).Round(time.Second)),
		},
	}
}

// TestEvent reports nothing: it shows the person who requested it whether and how events
// arrive.
func TestEvent(by string, at time.Time) Event {
	return Event{
		ID:   NewEventID(NotifyTest, by, strconv.FormatInt(at.UnixMilli(), 10)),
		Type: NotifyTest, Time: at, Subject: daemonSubject,
		Data: EventData{
			Severity: Info,
			Summary:  fmt.Sprintf("This is a test requested by %s: nothing has happened.", Printable(by, 100)),
		},
	}
}

// LogListRefusedEvent reports that the published log list was not accepted, and why. The
// cause distinguishes one occurrence from another.
func LogListRefusedEvent(s Severity, detail, cause string, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogListRefused, cause),
		Type: LogListRefused, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: s, Summary: sentence("The published log list is refused; the last good one stays in use: " + Printable(detail, 600))},
	}
}

// LogListOutdatedEvent reports that logs seem to be missing from the list in use.
func LogListOutdatedEvent(s Severity, detail, cause string, at time.Time) Event {
	return Event{
		ID:   NewEventID(LogListOutdated, cause),
		Type: LogListOutdated, Time: at, Subject: daemonSubject,
		Data: EventData{Severity: s, Summary: sentence("The log list in use is outdated: " + Printable(detail, 600))},
	}
}
