package email

import (
	"fmt"
	"html/template"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
)

// noticeMessage returns a notice as a message. Messages about one certificate are one
// thread, even if its first message never arrived.
func (s *Sender) noticeMessage(n words.Notice) (*gomail.Msg, error) {
	var html strings.Builder
	if err := noticeHTML.Execute(&html, n); err != nil {
		return nil, fmt.Errorf("writing the mail of event %s: %w", n.EventID, err)
	}
	return s.message(n.Severity, n.Title, n.EventID, n.Thread, n.Text(), html.String())
}

// digestMessage returns a digest as a message.
func (s *Sender) digestMessage(d words.Digest) (*gomail.Msg, error) {
	var html strings.Builder
	if err := digestHTML.Execute(&html, d); err != nil {
		return nil, fmt.Errorf("writing the mail of a digest: %w", err)
	}
	return s.message(d.Severity, d.Title, d.ID, "", d.Text(), html.String())
}

// message returns a message. One that is sent again has the same id.
func (s *Sender) message(severity ctwatch.Severity, title, id, thread, text, html string) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(s.from)
	m.ToMailAddress(s.to)
	domain := s.from.Address[strings.LastIndexByte(s.from.Address, '@')+1:]
	m.Subject(headerText(fmt.Sprintf("[ctwatch %s] %s", severity, title)))
	m.SetDateWithValue(s.o.Now())
	m.SetMessageIDWithValue(headerID(id) + "@" + domain)
	if thread != "" {
		root := "<" + headerID(thread) + "@" + domain + ">"
		m.SetGenHeader(gomail.HeaderInReplyTo, root)
		m.SetGenHeader(gomail.HeaderReferences, root)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no automatic replies
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	if severity.AtLeast(ctwatch.Critical) {
		m.SetImportance(gomail.ImportanceHigh)
	}
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	return m, nil
}

// headerText makes text safe for a header: one line, bounded, and without encoded words
// (RFC 2047). go-mail encodes what is not ASCII.
func headerText(s string) string {
	return strings.ReplaceAll(words.OrDash(s, 200), "=?", "=\u00A0?")
}

// headerID makes the left side of a Message-ID (RFC 5322 §3.6.4).
func headerID(id string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, ctwatch.Printable(id, 100))
}

// The HTML of mail. html/template escapes every value for its place; there are no images,
// scripts or styles from elsewhere.
var (
	noticeHTML = template.Must(template.New("notice").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body style="font-family:sans-serif">
<h2 style="margin:0 0 .5em">{{.Severity}}: {{.Title}}</h2>
<p>{{.Summary}}</p>
<table cellpadding="4" style="border-collapse:collapse">
{{range .Fields}}<tr><th align="left" valign="top">{{.Label}}</th><td>{{range $i, $v := .Values}}{{if $i}}<br>{{end}}<code>{{$v}}</code>{{end}}{{if .More}}<br>and {{.More}} more{{end}}{{if .Link}}<br><a href="{{.Link}}">{{.Link}}</a>{{end}}</td></tr>
{{end}}</table>
{{if .Actions}}<h3>What to do</h3>
<ul>
{{range .Actions}}<li>{{.}}</li>
{{end}}</ul>
{{end}}<p style="color:#666">{{.Time.UTC.Format "2006-01-02 15:04:05 UTC"}}, event {{.EventID}}</p>
</body></html>
`))
	digestHTML = template.Must(template.New("digest").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body style="font-family:sans-serif">
<h2 style="margin:0 0 .5em">{{.Severity}}: {{.Title}}</h2>
<p>Grouped because many events arrived at once.</p>
<ul>
{{range .Lines}}<li><strong>{{.Head}}</strong>: <code>{{.Text}}</code> <small>({{.Foot}})</small></li>
{{end}}</ul>
</body></html>
`))
)
