package words

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// A Digest is one message about many events, which names each of them. Like a Notice's,
// its text is printable, bounded, and not escaped for any medium.
type Digest struct {
	Severity ctwatch.Severity // the greatest
	Title    string           // how many events of which severity; ours
	Lines    []DigestLine     // one for each event, in the order in which they happened
	// ID is a hash of the IDs of the events: the same events have the same.
	ID string
}

// A DigestLine is about one event.
type DigestLine struct {
	Severity ctwatch.Severity
	Head     string // when, how urgent, what; ours
	Text     string // what happened, with text that others chose
	Foot     string // by which IDs to find more; ours
}

// maxLine is how much of an event's summary a digest has, in runes.
const maxLine = 400

// NewDigest returns a digest of the first events: as many as fit into a text of limit
// runes, at least one, or all if limit is 0.
func NewDigest(events []ctwatch.Event, limit int) Digest {
	var d Digest
	const around = 200 // the title, and the line of hidden counts
	size := around
	var ids []string
	count := make(map[ctwatch.Severity]int)
	for _, e := range events {
		l := NewDigestLine(e)
		size += utf8.RuneCountInString(l.text(chatText)) + 1
		if limit > 0 && size > limit && len(d.Lines) > 0 {
			break
		}
		d.Lines = append(d.Lines, l)
		ids = append(ids, e.ID)
		count[l.Severity]++
		if len(d.Lines) == 1 || e.Data.Severity.AtLeast(d.Severity) {
			d.Severity = e.Data.Severity
		}
	}
	d.ID = ctwatch.NewEventID("digest", ids...)
	d.Title = fmt.Sprintf("%d events", len(d.Lines))
	var parts []string
	for _, s := range []ctwatch.Severity{ctwatch.Critical, ctwatch.Warning, ctwatch.Info, ctwatch.Debug} {
		if n := count[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) > 0 {
		d.Title += ": " + strings.Join(parts, ", ")
	}
	return d
}

// NewDigestLine returns the line about an event.
func NewDigestLine(e ctwatch.Event) DigestLine {
	l := DigestLine{
		Severity: e.Data.Severity,
		Head:     fmt.Sprintf("%s %s %s", Stamp(e.Time), strings.ToUpper(OrDash(string(e.Data.Severity), 20)), OrDash(EventTitle(e.Type), 60)),
		Text:     ctwatch.ShownName(noticeSubject(e), 150) + ": " + ctwatch.ShownText(e.Data.Summary, maxLine),
		Foot:     "event " + OrDash(e.ID, 100),
	}
	if c := e.Data.Certificate; c != nil {
		l.Foot = "certificate " + c.ID.String() + ", " + l.Foot
	}
	return l
}

// Text returns the digest as plain text, each event on a line.
func (d Digest) Text() string {
	return d.text(func(s string) string { return s })
}

func (d Digest) text(escape func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, grouped because many events arrived at once.\n\n", strings.ToUpper(OrDash(string(d.Severity), 20)), d.Title)
	for _, l := range d.Lines {
		b.WriteString(l.text(escape) + "\n")
	}
	return b.String()
}

func (l DigestLine) text(escape func(string) string) string {
	return fmt.Sprintf("- %s: %s (%s)", l.Head, escape(l.Text), l.Foot)
}

// Chat returns the digest for services that may find markup in plain text, in at most
// limit runes.
func (d Digest) Chat(limit int) string { return cut(d.text(chatText), limit) }

// Bare returns the digest without any text that others chose.
func (d Digest) Bare() Digest {
	lines := make([]DigestLine, len(d.Lines))
	for i, l := range d.Lines {
		lines[i] = DigestLine{Severity: l.Severity, Head: l.Head, Text: "the service refused this text", Foot: l.Foot}
	}
	d.Lines = lines
	return d
}
