package words

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// A Notice is an event in English, made once and shown by every medium in its own way.
// All text in it is printable, without newlines, control or bidirectional characters,
// and bounded. It is not escaped: each medium does that itself, in one place.
//
// Title, Summary and the values of fields hold text that others chose. Labels, links
// and actions are ours.
type Notice struct {
	Severity ctwatch.Severity
	Title    string // what happened, and to which watched name
	Summary  string // one sentence, or a few
	Fields   []Field
	Actions  []string // what to do next, one sentence each

	Time    time.Time
	EventID string
	// Thread is the same for all events that belong together, such as those about
	// one certificate: 1 to 80 of a-z, 0-9 and '-'.
	Thread string
}

// A Field is one line of a Notice, or several.
type Field struct {
	Label  string
	Values []string // one a line
	More   int      // how many values are left out
	Link   string   // what the field links to: an https URL, or ""
}

// Bounds of a Notice: MaxNames values in a field; the others in runes.
const (
	MaxNames   = 10
	maxName    = 100
	maxText    = 300
	MaxSummary = 1500
)

// NewNotice returns the notice of an event.
func NewNotice(e ctwatch.Event) Notice {
	n := Notice{
		Severity: e.Data.Severity,
		Title:    OrDash(EventTitle(e.Type), 60) + ": " + ctwatch.ShownName(noticeSubject(e), 150),
		Summary:  ctwatch.ShownText(e.Data.Summary, MaxSummary),
		Time:     e.Time.UTC(), EventID: OrDash(e.ID, 100), Thread: threadOf(e),
	}
	if d := e.Data; d.App != "" {
		n.add("App", ctwatch.ShownText(d.App, maxText))
	}
	if d := e.Data; d.Endpoint != "" {
		n.add("Endpoint", ctwatch.ShownText(d.Endpoint, maxText))
	} else if d.Host != "" {
		n.add("Host", ctwatch.ShownName(d.Host, maxName))
	}
	if d := e.Data; d.By != "" {
		n.add("Decided by", ctwatch.ShownText(d.By, maxText))
	}
	if c := e.Data.Certificate; c != nil {
		n.certificate(c)
	}
	if k := e.Data.Key; k != nil {
		n.add("Key", string(k.Role)+" "+k.Pin.String(), OrDash(string(k.State), 40))
		n.list("Certified for", k.Hosts, k.Omitted["hosts"], ctwatch.ShownName)
	}
	if l := e.Data.Log; l != nil {
		n.log(l)
	}
	n.position(e.Data)
	n.unproven(e.Data.Unproven)
	n.Actions = actions(e)
	return n
}

// Bare returns the notice without any text that others chose, for a service that refused
// the notice. refusal is what the service answered, if anything.
func (n Notice) Bare(e ctwatch.Event, refusal string) Notice {
	b := Notice{
		Severity: n.Severity, Time: n.Time, EventID: n.EventID, Thread: n.Thread, Actions: n.Actions,
		Title:   OrDash(EventTitle(e.Type), 60) + ": " + OrDash(e.Subject, 150),
		Summary: "The service refused the text of this event: look the event up with ctwatch.",
	}
	if refusal != "" {
		b.add("Refused with", refusal)
	}
	if c := e.Data.Certificate; c != nil {
		b.add("Certificate", c.ID.String())
	}
	return b
}

// add adds a field of values that are printable already; empty ones are left out.
func (n *Notice) add(label string, values ...string) {
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	if len(values) > 0 {
		n.Fields = append(n.Fields, Field{Label: label, Values: values})
	}
}

// list adds a field of the first values, and how many more there are, including those
// that the event had no room for.
func (n *Notice) list(label string, all []string, omitted int, show func(string, int) string) {
	first, more := First(all, MaxNames)
	if len(first) == 0 {
		return
	}
	for i := range first {
		first[i] = show(first[i], maxName)
	}
	n.Fields = append(n.Fields, Field{Label: label, Values: first, More: more + omitted})
}

func (n *Notice) certificate(c *ctwatch.Certificate) {
	if c.Verdict != "" {
		n.add("Verdict", strings.Join(append([]string{OrDash(string(c.Verdict), 40)}, reasonsText(c.Reasons)...), ": "))
	}
	n.list("Watched", watchLines(c), 0, ctwatch.ShownName)
	omitted := c.Omitted["names"] + c.Omitted["ip_addresses"]
	n.list(fmt.Sprintf("Names (%d)", len(c.Names)+len(c.IPAddresses)+omitted), slices.Concat(c.Names, c.IPAddresses), omitted, ctwatch.ShownName)
	pin := ""
	if !c.Issuer.Pin.IsZero() {
		pin = c.Issuer.Pin.String()
	}
	caa := ""
	if c.Issuer.CAA != "" {
		caa = "CAA identity " + ctwatch.ShownText(c.Issuer.CAA, maxName)
	}
	n.add("Issuer", ctwatch.ShownText(c.Issuer.Name, maxText), caa, pin)
	n.add("Valid", Date(c.NotBefore)+" to "+Date(c.NotAfter))
	pin = ""
	if !c.Key.Pin.IsZero() {
		pin = c.Key.Pin.String()
	}
	n.add("Key", OrDash(c.Key.Algorithm, maxName), pin)
	if len(c.Sightings) > 0 {
		s := c.Sightings[len(c.Sightings)-1]
		n.add("Log", fmt.Sprintf("%s, %s %d, %s", ctwatch.ShownText(s.Log, maxName), kindText(s.Kind), s.Index, Stamp(s.Timestamp)))
	}
	n.add("Serial", OrDash(c.Serial, maxName))
	f := Field{Label: "Certificate", Values: []string{c.ID.String()}}
	if fp := c.Fingerprints.Certificate; fp != nil {
		f.Link = "https://crt.sh/?q=" + fp.String()
	} else if fp := c.Fingerprints.Precertificate; fp != nil {
		f.Link = "https://crt.sh/?q=" + fp.String()
	}
	n.Fields = append(n.Fields, f)
	n.list("Could not be read", c.Problems, c.Omitted["problems"], ctwatch.ShownText)
}

func (n *Notice) log(l *ctwatch.LogStatus) {
	operator := ""
	if l.Operator != "" {
		operator = "of " + ctwatch.ShownText(l.Operator, maxName)
	}
	n.add("Log", ctwatch.ShownText(l.Name, maxName), operator, l.ID.String())
	n.add("Read and verified", fmt.Sprintf("%d and %d of %d entries", l.Position, l.Verified, l.TreeSize))
	if l.LastError != "" {
		n.add("Last error", ctwatch.ShownText(l.LastError, maxText))
	}
}

// position adds where in a log something happened.
func (n *Notice) position(d ctwatch.EventData) {
	if len(d.Indexes) > 0 {
		all := make([]string, 0, len(d.Indexes))
		for _, i := range d.Indexes {
			all = append(all, strconv.FormatUint(i, 10))
		}
		n.list("Entries", all, d.Omitted["indexes"], OrDash)
	} else if d.Index != nil {
		n.add("Entry", strconv.FormatUint(*d.Index, 10))
	}
	if d.Start != nil && d.End != nil && *d.End > *d.Start {
		n.add("Entries", fmt.Sprintf("%d to %d", *d.Start, *d.End-1))
	}
	if ev := d.Evidence; ev != nil {
		n.add("Cause", OrDash(ev.Cause, 60))
		if r := ev.Computed; r != nil {
			n.add("Computed root", fmt.Sprintf("%s at size %d", r.Root, r.Size))
		}
		if k := len(ev.Heads); k > 0 && ev.Heads[k-1].Root != nil {
			n.add("Signed root", fmt.Sprintf("%s at size %d", ev.Heads[k-1].Root, ev.Heads[k-1].Size))
		}
	}
}

// unproven adds what a digest of alarms is about.
func (n *Notice) unproven(u *ctwatch.Unproven) {
	if u == nil {
		return
	}
	n.add("Certificates", strconv.FormatInt(u.Count, 10))
	n.list("Domains", u.Domains, u.MoreDomains, ctwatch.ShownName)
	n.add("Seen", Stamp(u.First)+" to "+Stamp(u.Last))
}

// noticeSubject returns what an event is about, for a title.
func noticeSubject(e ctwatch.Event) string {
	if l := e.Data.Log; l != nil && e.Subject == l.ID.Hex() {
		return l.Name
	}
	return e.Subject
}

// threadOf returns a name of what an event belongs to: the certificate, key or log.
func threadOf(e ctwatch.Event) string {
	switch d := e.Data; {
	case d.Certificate != nil:
		return "certificate-" + d.Certificate.ID.String()
	case d.Key != nil:
		return "key-" + ctwatch.NewEventID("", d.Key.Pin.String())
	case d.Log != nil:
		return "log-" + d.Log.ID.Hex()
	}
	return "event-" + ctwatch.NewEventID("", e.ID)
}

// OrDash returns text as printable, in at most limit runes, or a dash if nothing of it
// is visible.
func OrDash(s string, limit int) string {
	if s = strings.TrimSpace(ctwatch.Printable(s, limit)); s == "" {
		return "–"
	}
	return s
}

// watchLines returns the lines of the watch list that match, each once.
func watchLines(c *ctwatch.Certificate) (lines []string) {
	seen := make(map[string]bool)
	for _, m := range c.Matches {
		if !seen[m.Watch] {
			seen[m.Watch] = true
			lines = append(lines, m.Watch)
		}
	}
	return lines
}

func kindText(k ctwatch.SightingKind) string {
	if k == ctwatch.Precertificate {
		return "precertificate, entry"
	}
	return "certificate, entry"
}

// Date returns a date of a certificate, which may be missing.
func Date(t time.Time) string {
	if t.IsZero() {
		return "an unreadable date"
	}
	return Day(t)
}

// Stamp returns a time, in UTC.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
