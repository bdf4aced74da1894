package words

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Plain text of printable values needs no escapes in a message of type text/plain:
// every value has a line of its own, which it cannot leave. Services that find markup in
// plain text get chatText instead.

// Text returns the notice as plain text of several lines.
func (n Notice) Text() string {
	return n.text(func(s string) string { return s })
}

// text writes the notice with everything that others chose passed through escape.
func (n Notice) text(escape func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", strings.ToUpper(OrDash(string(n.Severity), 20)), escape(n.Title), escape(n.Summary))
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
	fmt.Fprintf(&b, "\n%s, event %s\n", Stamp(n.Time), n.EventID)
	return b.String()
}

// Chat returns the notice for services that may find markup in plain text, in at most
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

// chatText replaces the characters that chat services give a meaning in plain text:
// mentions (@, <!, #), links ([], ://), code (`), emphasis (* _ ~ |),
// entities and tags (& < >). Services differ, and a library hides which of them it
// escapes for, so each is replaced by one that looks alike. An address stays readable,
// and no service takes it for markup.
func chatText(s string) string {
	return chatReplacer.Replace(s)
}

// chatReplacer is safe for use by several goroutines and never changes.
var chatReplacer = strings.NewReplacer(
	"://", ":⁄⁄", "&", "＆", "<", "‹", ">", "›", "@", "＠", "#", "＃", "`", "ˋ",
	"[", "［", "]", "］", "*", "∗", "_", "＿", "~", "～", "|", "｜", `\`, "＼",
)

// cut shortens text to limit runes.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
