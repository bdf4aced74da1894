package words

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"ctwatch/ctwatch"
)

// Bare leaves out everything that others chose, for a server that refused the rest.
func (n Notice) Bare(e ctwatch.Event, refusal string) Notice {
	b := Notice{
		Severity: n.Severity, Time: n.Time, EventID: n.EventID, Thread: n.Thread, Actions: n.Actions,
		Title:   Printable(EventTitle(e.Type), 60) + ": " + Printable(e.Subject, 150),
		Summary: "The text of this event was refused, and so is left out: look the event up with ctwatch.",
	}
	if refusal != "" {
		b.add("Refused with", refusal)
	}
	if c := e.Data.Certificate; c != nil {
		b.add("Certificate", c.ID.String())
	}
	return b
}

// Bare leaves out everything that others chose.
func (d Digest) Bare() Digest {
	lines := make([]DigestLine, len(d.Lines))
	for i, l := range d.Lines {
		lines[i] = DigestLine{Severity: l.Severity, Head: l.Head, Text: "the text was refused, and is left out", Foot: l.Foot}
	}
	d.Lines = lines
	return d
}

// Chat writes a notice for services that may find markup in plain text, in at most
// limit runes: with fewer values where there are too many.
func (n Notice) Chat(limit int) string {
	text := n.text(chatText)
	for _, most := range []int{5, 3, 1} {
		if utf8.RuneCountInString(text) <= limit {
			return text
		}
		shorter := n
		shorter.Fields = make([]Field, len(n.Fields))
		for i, f := range n.Fields {
			if extra := len(f.Values) - most; extra > 0 {
				f.Values, f.More = f.Values[:most], f.More+extra
			}
			shorter.Fields[i] = f
		}
		text = shorter.text(chatText)
	}
	return cut(text, limit)
}

// cut shortens text to limit runes.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// First returns a copy of the first names, at most n, and how many are left out.
func First(names []string, n int) (first []string, more int) {
	n = min(n, len(names))
	return append(first, names[:n]...), len(names) - n
}

// Notices as plain text. What is printable needs no further escape in a message of
// type text/plain: every value has a line of its own, which it cannot leave. Services
// that find markup in plain text get chatText instead.

// Text writes the notice as plain text of several lines.
func (n Notice) Text() string {
	return n.text(func(s string) string { return s })
}

// text writes the notice with everything that others chose passed through escape.
func (n Notice) text(escape func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", strings.ToUpper(Printable(string(n.Severity), 20)), escape(n.Title), escape(n.Summary))
	if len(n.Fields) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range n.Fields {
		values := make([]string, 0, len(f.Values)+1)
		for _, v := range f.Values {
			values = append(values, escape(v))
		}
		if f.More > 0 {
			values = append(values, fmt.Sprintf("and %d more", f.More))
		}
		if f.Link != "" {
			values = append(values, f.Link)
		}
		if len(values) == 1 {
			fmt.Fprintf(&b, "%s: %s\n", f.Label, values[0])
			continue
		}
		fmt.Fprintf(&b, "%s:\n", f.Label)
		for _, v := range values {
			fmt.Fprintf(&b, "    %s\n", v)
		}
	}
	if len(n.Actions) > 0 {
		b.WriteString("\nWhat to do:\n")
		for _, a := range n.Actions {
			fmt.Fprintf(&b, "  - %s\n", a)
		}
	}
	fmt.Fprintf(&b, "\n%s, event %s\n", Time(n.Time), n.EventID)
	return b.String()
}

// chatText takes their meaning from the characters that chat services give one in
// plain text: mentions (@, <!, #), links ([], ://), code (`), emphasis (* _ ~ |),
// entities and tags (& < >). Services differ, and a library hides which of them it
// escapes for, so each of these is replaced by another that looks alike. An address
// can still be read, but not be mistaken for markup by anybody.
func chatText(s string) string {
	return chatReplacer.Replace(s)
}

// chatReplacer is safe for use by several goroutines and never changes.
var chatReplacer = strings.NewReplacer(
	"://", ":⁄⁄", "&", "＆", "<", "‹", ">", "›", "@", "＠", "#", "＃", "`", "ˋ",
	"[", "［", "]", "］", "*", "∗", "_", "＿", "~", "～", "|", "｜", `\`, "＼",
)
