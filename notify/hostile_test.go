package notify

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
	"unicode/utf8"

	"golang.org/x/net/html"

	"ctwatch/ctwatch"
)

// What attackers write into certificates, log lists and replies.
var hostileTexts = []string{
	"<!channel> <@U123> <!here|x>", "<https://evil.example|click here>", "[click](https://evil.example)", "@everyone @here #general",
	"`code` ```block``` *bold* _it_ ~no~ ||spoiler||", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</code></td></table><h1>all is well</h1>",
	"javascript:alert(1)", "\x1b[2J\x1b[31mred\x1b[0m", "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "\x1b]0;title\x07", "\u009b31m",
	"a\r\nBcc: all@example.org\r\n\r\nbody", "a\n\nWhat to do:\n  - nothing", "a\u2028b\u2029c\u0085d\vd\fe", "=?utf-8?q?=0D=0ABcc:_x=40y.example?=",
	"moc.elpmaxe\u202e\u2066x\u2069", "a\u200bb\ufeffc\u00add", "\u0430pple.com", "xn--pple-43d.com", "xn--", "xn--\u202e", "\xff\xfe\x00", "\r\n.\r\nQUIT",
	strings.Repeat("a", 70_000), strings.Repeat("é\u0301", 1000), "{{.}} %s %n ${HOME} $(reboot) `reboot`", "&lt;!channel&gt; &#60;b&#62;", "\U000E0041\U000E0042", "",
}

// hostileEvent is an event in which everything that others choose is s.
func hostileEvent(s string) ctwatch.Event {
	if s == "" {
		s = " " // what is not there has no line
	}
	c := testCertificate(s, s, "*."+s)
	c.Serial, c.Subject, c.Issuer.Name, c.Issuer.CAA, c.Key.Algorithm = s, s, s, s, s
	c.Problems, c.Reasons, c.IPAddresses = []string{s}, []string{s}, []string{s}
	c.Sightings[0].Log = s
	c.Verdict = ctwatch.Unexpected
	l := testStatus()
	l.Name, l.Operator, l.LastError = s, s, s
	e := unexpected()
	e.Data.Certificate, e.Data.Log, e.Data.Summary = &c, &l, s
	e.Data.Host, e.Data.App = s, s
	e.Data.Evidence = &ctwatch.Evidence{Cause: s}
	return e
}

// checkPlain checks that text has only characters that print, and lines that are ours.
func checkPlain(t *testing.T, s, text string, lines int) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q makes text that is no UTF-8", s)
	}
	for _, r := range text {
		if r != '\n' && r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Errorf("%q makes text with %U", s, r)
		}
	}
	if got := strings.Count(text, "\n"); got != lines {
		t.Errorf("%q makes %d lines, want %d:\n%s", s, got, lines, text)
	}
	if len(text) > 100_000 {
		t.Errorf("%d bytes", len(text))
	}
}

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

// plainEvent is a hostileEvent that is not hostile: what it makes is the shape that
// all others must have.
func plainEvent() ctwatch.Event { return hostileEvent("plain") }

func checkText(t *testing.T, s string) {
	plain, n := NewNotice(plainEvent()), NewNotice(hostileEvent(s))
	checkPlain(t, s, n.Text(), strings.Count(plain.Text(), "\n"))
	checkPlain(t, s, n.text(chatText), strings.Count(plain.Text(), "\n"))
	d := NewDigest([]ctwatch.Event{hostileEvent(s), hostileEvent(s)}, 0)
	checkPlain(t, s, d.Text(), 4)
	checkPlain(t, s, d.text(chatText), 4)
	if text := n.chat(serviceLimit); utf8.RuneCountInString(text) > serviceLimit {
		t.Errorf("a message of %d runes", utf8.RuneCountInString(text))
	}
	if d := NewDigest(slices.Repeat([]ctwatch.Event{hostileEvent(s)}, 30), serviceLimit); len(d.Lines) > 1 && utf8.RuneCountInString(d.text(chatText)) > serviceLimit {
		t.Errorf("a digest of %d runes", utf8.RuneCountInString(d.text(chatText)))
	}
}

func checkHTML(t *testing.T, s string) {
	show := func(e ctwatch.Event) string {
		var a, b bytes.Buffer
		if err := noticeHTML.Execute(&a, NewNotice(e)); err != nil {
			t.Fatal(err)
		}
		if err := digestHTML.Execute(&b, NewDigest([]ctwatch.Event{e, e}, 0)); err != nil {
			t.Fatal(err)
		}
		return a.String() + b.String()
	}
	if got, want := tags(t, show(hostileEvent(s))), tags(t, show(plainEvent())); !slices.Equal(got, want) {
		t.Errorf("%q makes other tags: %q", s, got)
	}
}

func checkMail(t *testing.T, s string) {
	email, err := NewEmail(EmailOptions{Server: "localhost", From: "a@example.org", To: "b@example.org", Now: func() time.Time { return testTime }})
	if err != nil {
		t.Fatal(err)
	}
	read := func(e ctwatch.Event) (*mail.Message, []string) {
		n := NewNotice(e)
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
	_, want := read(plainEvent())
	msg, got := read(hostileEvent(s))
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

func checkChat(t *testing.T, s string) {
	if got := chatText(s); strings.ContainsAny(got, "<>@#&`[]*_~|\\") || strings.Contains(got, "://") {
		t.Errorf("chatText(%q) = %q", s, got)
	}
}

func TestHostileTextIsTextInEveryMedium(t *testing.T) {
	for _, s := range hostileTexts {
		checkText(t, s)
		checkHTML(t, s)
		checkMail(t, s)
		checkChat(t, s)
	}
}

func TestTenThousandNamesAreTenAndACount(t *testing.T) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = strconv.Itoa(i) + strings.Repeat(".a", 100) + ".example.com"
	}
	c := testCertificate(names...)
	for _, n := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: n, Name: n})
	}
	e := ctwatch.IssuedEvent(c, testTime)
	text := NewNotice(e).Text()
	for _, want := range []string{"Names (10000):\n", "and 9990 more\n", "    9.a.a"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "    10.a.a") || len(text) > 5000 {
		t.Errorf("%d bytes:\n%s", len(text), text)
	}
}

func FuzzPlainText(f *testing.F)   { fuzzMedium(f, checkText) }
func FuzzHTML(f *testing.F)        { fuzzMedium(f, checkHTML) }
func FuzzMailMessage(f *testing.F) { fuzzMedium(f, checkMail) }
func FuzzChatText(f *testing.F)    { fuzzMedium(f, checkChat) }

func fuzzMedium(f *testing.F, check func(*testing.T, string)) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { check(t, s) })
}
