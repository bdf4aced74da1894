package words

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// A Digest tells of many events in one message, and names each of them. Its text is
// as a Notice's: printable, bounded, and escaped for no medium.
type Digest struct {
	Severity ctwatch.Severity // the greatest
	Title    string           // how many events of which severity; ours
	Lines    []DigestLine     // one for each event, in the order in which they happened
	// ID is a hash of the IDs of the events: the same digest told again has the same.
	ID string
}

// A DigestLine tells of one event.
type DigestLine struct {
	Severity ctwatch.Severity
	Head     string // when, how urgent, what; ours
	Text     string // what happened, with text that others chose
	Foot     string // by which IDs to find more; ours
}

// maxLine is how much of an event's summary a digest has, in runes.
const maxLine = 400

// NewDigest words the first events, as many as a text of limit runes holds, or all if
// limit is 0. It takes at least one.
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

func NewDigestLine(e ctwatch.Event) DigestLine {
	l := DigestLine{
		Severity: e.Data.Severity,
		Head:     fmt.Sprintf("%s %s %s", Time(e.Time), strings.ToUpper(Printable(string(e.Data.Severity), 20)), Printable(EventTitle(e.Type), 60)),
		Text:     ctwatch.ShownName(noticeSubject(e), 150) + ": " + ctwatch.ShownText(e.Data.Summary, maxLine),
		Foot:     "event " + Printable(e.ID, 100),
	}
	if c := e.Data.Certificate; c != nil {
		l.Foot = "certificate " + c.ID.String() + ", " + l.Foot
	}
	return l
}

// Text writes the digest as plain text, each event on a line.
func (d Digest) Text() string {
	return d.text(func(s string) string { return s })
}

func (d Digest) text(escape func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, told together because there were so many.\n\n", strings.ToUpper(Printable(string(d.Severity), 20)), d.Title)
	for _, l := range d.Lines {
		b.WriteString(l.text(escape) + "\n")
	}
	return b.String()
}

func (l DigestLine) text(escape func(string) string) string {
	return fmt.Sprintf("- %s: %s (%s)", l.Head, escape(l.Text), l.Foot)
}

// Chat writes the digest for services that may find markup in plain text, in at most
// limit runes.
func (d Digest) Chat(limit int) string { return cut(d.text(chatText), limit) }
