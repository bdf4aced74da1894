package notify

import (
	"fmt"
	"strings"
)

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
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", strings.ToUpper(printable(string(n.Severity), 20)), escape(n.Title), escape(n.Summary))
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
	fmt.Fprintf(&b, "\n%s, event %s\n", stamp(n.Time), n.EventID)
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
