package ctwatch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ctwatch/pins"
)

// An EventType is what happened. It is the type of the CloudEvent, and part of the NATS
// subject.
type EventType string

// The events that ctwatch publishes.
const (
	CertificateIssued     EventType = "certificate.issued"     // first seen in any log
	CertificateLogged     EventType = "certificate.logged"     // seen again: another log, or the final certificate
	CertificateUnexpected EventType = "certificate.unexpected" // a rule or a person says that it should not exist
	CertificateJudged     EventType = "certificate.judged"     // judged again, without becoming unexpected
	CertificateDeployed   EventType = "certificate.deployed"   // an endpoint now serves it
	CertificateExpiring   EventType = "certificate.expiring"   // served, near its end, and no successor is known

	PinCandidate EventType = "pin.candidate" // a key to add to apps ahead of its deployment
	PinMissing   EventType = "pin.missing"   // an app's pins do not accept what is, or may be, served
	PinDeployed  EventType = "pin.deployed"  // a trusted key is served now
	PinRetired   EventType = "pin.retired"   // a key is no longer of use, or compromised

	LogUnhealthy   EventType = "log.unhealthy"   // unreachable, stale, or read too slowly
	LogRecovered   EventType = "log.recovered"   // healthy again
	LogMisbehaved  EventType = "log.misbehaved"  // a log broke its promises; with the evidence
	EntryMalformed EventType = "entry.malformed" // an entry that cannot be parsed
	EntryUnproven  EventType = "entry.unproven"  // a digest of alarms about entries that nothing proves, for people
	WatchGap       EventType = "watch.gap"       // a range of a log that is not read

	LogListRefused  EventType = "loglist.refused"  // the published log list was not accepted
	LogListOutdated EventType = "loglist.outdated" // logs seem to be missing from the list in use

	WatchHeartbeat EventType = "watch.heartbeat" // the daemon is working
	WatchStalled   EventType = "watch.stalled"   // it is not: no log was read for longer than the merge delay
	WatchResumed   EventType = "watch.resumed"   // it is working again

	NotifyTest EventType = "notify.test" // requested by a person: nothing has happened
)

// A Severity is how urgent an event is.
type Severity string

// The severities, least urgent first.
const (
	Debug    Severity = "debug"
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Severities returns the severities, least urgent first.
func Severities() []Severity { return []Severity{Debug, Info, Warning, Critical} }

// AtLeast reports whether s is as urgent as other, or more.
func (s Severity) AtLeast(other Severity) bool { return s.rank() >= other.rank() }

func (s Severity) rank() int {
	switch s {
	case Debug:
		return 0
	case Info:
		return 1
	case Warning:
		return 2
	}
	return 3 // an unknown severity must not be hidden
}

// An Event is something that happened, which each sender gets once. Its JSON is a
// CloudEvent 1.0 in structured mode.
type Event struct {
	// ID is a hash of what happened, not of when: an event that is written again after a
	// crash has the same ID.
	ID   string
	Type EventType
	Time time.Time
	// Subject is the watched domain, a configured host, the log's ID in hex, or "daemon"
	// for events about ctwatch itself. It never contains text from a certificate.
	Subject string
	Data    EventData
}

// EventData is the content of an event. Fields that do not concern its type are absent.
type EventData struct {
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"` // one sentence for a person, in plain text

	Certificate *Certificate `json:"certificate,omitempty"`
	Key         *pins.Key    `json:"key,omitempty"`
	Log         *LogStatus   `json:"log,omitempty"`
	Evidence    *Evidence    `json:"evidence,omitempty"`

	By       string `json:"by,omitempty"`        // the person who gave the verdict
	ReportTo string `json:"report_to,omitempty"` // certificate.unexpected: where its CA takes reports, an address or a URL

	// InDigest reports that people do not get this event: a later entry.unproven counts it.
	// If the certificate is proven, the alarm is sent again, with AfterDigest.
	InDigest bool `json:"in_digest,omitempty"`
	// AfterDigest reports that the alarm was in a digest, or was to be: it is sent again
	// because the certificate is now proven.
	AfterDigest bool      `json:"after_digest,omitempty"`
	Unproven    *Unproven `json:"unproven,omitempty"` // entry.unproven

	App      string `json:"app,omitempty"`      // as configured
	Host     string `json:"host,omitempty"`     // as configured: a name, or a pattern of an app
	Endpoint string `json:"endpoint,omitempty"` // which serves: "host (address)"

	Index   *uint64  `json:"index,omitempty"`   // entry.malformed: the entry
	Indexes []uint64 `json:"indexes,omitempty"` // entry.malformed: the entries, when several
	// MoreEntries counts entries that entry.malformed does not list; those that were read
	// twice may count twice.
	MoreEntries uint64 `json:"more_entries,omitempty"`

	Start *uint64 `json:"start,omitempty"` // watch.gap: first entry not read
	End   *uint64 `json:"end,omitempty"`   // watch.gap: the entry after the last not read

	// Omitted counts what an event leaves out, by member: entries of a list, bytes of a
	// text. Certificates, keys and evidence in the event have counts of their own.
	Omitted map[string]int `json:"omitted,omitempty"`
}

// NewEventID returns an event ID: a hash of the type and its parts, each with its length,
// so that no two lists of parts collide.
func NewEventID(t EventType, parts ...string) string {
	h := sha256.New()
	for _, p := range append([]string{string(t)}, parts...) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// NATSSubject returns the subject under which an event is published, below a prefix: the
// type, then the labels of Subject in reverse ("com.example" for example.com), so that a
// wildcard subscribes to a whole domain.
func (e Event) NATSSubject(prefix string) string {
	labels := strings.Split(e.Subject, ".")
	for i, j := 0, len(labels)-1; i < j; i, j = i+1, j-1 {
		labels[i], labels[j] = labels[j], labels[i]
	}
	return prefix + "." + string(e.Type) + "." + strings.Join(labels, ".")
}

// cloudEvent is the JSON form of an Event (CloudEvents 1.0, JSON format §3).
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            EventType `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            EventData `json:"data"`
}

const eventSource = "/ctwatch"

// MarshalJSON returns the event as a CloudEvent of less than 256 KiB: long lists and texts
// are cut, and Omitted counts what is missing.
func (e Event) MarshalJSON() ([]byte, error) {
	e.Data = e.Data.bounded()
	return e.appendJSON(make([]byte, 0, 4<<10))
}

// UnmarshalJSON parses what MarshalJSON returns.
func (e *Event) UnmarshalJSON(b []byte) error {
	var ce cloudEvent
	if err := json.Unmarshal(b, &ce); err != nil {
		return err
	}
	if ce.SpecVersion != "1.0" || ce.ID == "" || ce.Type == "" {
		return fmt.Errorf("not a CloudEvent 1.0: specversion %q, id %q, type %q", ce.SpecVersion, ce.ID, ce.Type)
	}
	*e = Event{ID: ce.ID, Type: ce.Type, Time: ce.Time, Subject: ce.Subject, Data: ce.Data}
	return nil
}

// A Queued is an event in the outbox, for one sender.
type Queued struct {
	Seq   int64 // its position in the outbox, the order in which senders get events
	Event Event
	// JSON is the event as it is stored, for senders that would encode it again. Optional.
	JSON []byte
}

// A SenderStatus is the state of delivery to one sender. Its JSON is what "ctwatch notify
// status" prints.
type SenderStatus struct {
	Name          string     `json:"sender"`
	RegisteredAt  time.Time  `json:"-"`
	Configured    bool       `json:"configured"`     // false: it was removed
	Backlog       int64      `json:"backlog"`        // events that wait, including those that are resent
	OldestPending *time.Time `json:"oldest_pending"` // when the first of them was written or resent; nil if none waits
	LastSuccess   *time.Time `json:"last_success"`   // nil before the first
	LastError     string     `json:"last_error"`     // "" when the last try succeeded
	Attempts      int64      `json:"attempts"`       // failures since the last success, each reason once
	DeadLetters   int64      `json:"dead_letters"`   // events that it can never accept

	Warnings []SenderWarning `json:"warnings"` // problems of its service, though it accepts events
}

// A SenderWarning is a problem of a sender's service, though it accepts events.
type SenderWarning struct {
	Code  string    `json:"code"` // the sender's own
	Text  string    `json:"text"` // the newest
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"` // of the newest
	Times int64     `json:"times"`
}
