package email

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/notify/notifytest"
)

// tags lists the tags and links of HTML.
func tags(t *testing.T, text string) (list []string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Error(z.Err())
			}
			return list
		case html.CommentToken:
			list = append(list, "comment")
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			name := tok.Data
			for _, a := range tok.Attr {
				name += " " + a.Key + "=" + a.Val
			}
			list = append(list, name)
		}
	}
}

func checkHTML(t *testing.T, s string) {
	show := func(e ctwatch.Event) string {
		var a, b bytes.Buffer
		if err := noticeHTML.Execute(&a, words.NewNotice(e)); err != nil {
			t.Fatal(err)
		}
		if err := digestHTML.Execute(&b, words.NewDigest([]ctwatch.Event{e, e}, 0)); err != nil {
			t.Fatal(err)
		}
		return a.String() + b.String()
	}
	if got, want := tags(t, show(notifytest.HostileEvent(s))), tags(t, show(notifytest.PlainEvent())); !slices.Equal(got, want) {
		t.Errorf("%q makes other tags: %q", s, got)
	}
}

func checkMail(t *testing.T, s string) {
	email, err := New(Options{Host: "localhost", Port: 25, From: "a@example.org", To: "b@example.org", Now: func() time.Time { return notifytest.Time }})
	if err != nil {
		t.Fatal(err)
	}
	read := func(e ctwatch.Event) (*mail.Message, []string) {
		n := words.NewNotice(e)
		n.Title, n.EventID, n.Thread = e.Data.Summary, e.Data.Summary, e.Data.Summary // even of these nothing is trusted
		m, err := email.noticeMessage(n)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(b.String(), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") { // RFC 5322 §2.1.1
				t.Errorf("%q makes the line %q", s, line)
			}
		}
		msg, err := mail.ReadMessage(&b)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		var names []string
		for name, values := range msg.Header {
			names = append(names, name+strconv.Itoa(len(values)))
		}
		slices.Sort(names)
		return msg, names
	}
	_, want := read(notifytest.PlainEvent())
	msg, got := read(notifytest.HostileEvent(s))
	if !slices.Equal(got, want) {
		t.Errorf("%q makes other headers: %q, want %q", s, got, want)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		t.Errorf("%q makes the subject %q: %v", s, msg.Header.Get("Subject"), err)
	}
	if strings.ContainsFunc(subject, func(r rune) bool { return r != '\u00A0' && r != ' ' && !unicode.IsPrint(r) }) {
		t.Errorf("%q makes the subject %q", s, subject)
	}
	for _, h := range []string{"Message-Id", "References"} {
		if v := msg.Header.Get(h); strings.ContainsAny(v[1:len(v)-1], "<> \t") || strings.Count(v, "@") != 1 {
			t.Errorf("%q makes %s %q", s, h, v)
		}
	}
	bodies(t, msg)
}

func TestHostileTextInMail(t *testing.T) {
	for _, s := range notifytest.HostileTexts {
		checkHTML(t, s)
		checkMail(t, s)
	}
}

func FuzzHTML(f *testing.F)        { notifytest.FuzzText(f, checkHTML) }
func FuzzMailMessage(f *testing.F) { notifytest.FuzzText(f, checkMail) }
