package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
	"ctwatch/pins"
)

const hostileText = "<!channel> <@U1> <https://evil.example|click> & *b* _i_ ~s~ `x` :bomb: \u202e\x00\n```"

// hostileEvents have all that others choose from text that means something to Slack.
func hostileEvents(text string, count int) []ctwatch.Event {
	names := make([]string, count)
	for i := range names {
		names[i] = strings.Repeat("<&>`é𝔘", count/100) + text
	}
	c := notifytest.Certificate(names...)
	c.Issuer.Name, c.Issuer.CAA, c.Key.Algorithm, c.Serial = text, text, text, text
	c.Problems, c.Reasons, c.Verdict = names, names, ctwatch.Verdict(text)
	c.Sightings[0].Log = strings.Repeat("`&", 500)
	Unexpected := ctwatch.UnexpectedEvent(c, text, notifytest.Time)
	Unexpected.Data.By, Unexpected.Data.ReportTo = text, text
	deployed := ctwatch.DeployedEvent(c, text, text, notifytest.Time)
	deployed.Data.Certificate.Deployed = true
	key := pins.Key{Role: pins.Role(text), State: pins.State(text), Hosts: names}
	events := []ctwatch.Event{
		ctwatch.IssuedEvent(c, notifytest.Time), notifytest.Issued(text), Unexpected, deployed,
		ctwatch.CandidateEvent(key, c, []string{text}, notifytest.Time), ctwatch.PinMissingEvent(text, text, text, &c, pins.Pin{}, text, 1, notifytest.Time),
	}
	for _, v := range []ctwatch.Verdict{ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed} {
		c := c
		c.Verdict = v
		events = append(events, ctwatch.LoggedEvent(c, c.Sightings[0], notifytest.Time))
	}

	l := notifytest.LogStatus()
	l.Name, l.Operator, l.LastError = text, strings.Repeat("`", 5000), strings.Repeat("<", 5000)
	many := make([]uint64, 1000)
	for i := range many {
		many[i] = 1<<64 - 1
	}
	events = append(events, ctwatch.MalformedEvent(l, many, text, notifytest.Time), ctwatch.GapEvent(l, 0, 1<<64-1, text, notifytest.Time))
	odd := notifytest.Misbehaved()
	odd.ID, odd.Type, odd.Subject, odd.Data.Summary, odd.Data.Severity = strings.Repeat("<", 1000), ctwatch.EventType(text), text, "", "`"
	return append(events, odd)
}

// Text from certificates has no meaning to Slack.
func TestHostileTextIsEscaped(t *testing.T) {
	checkMessages(t, hostileEvents(hostileText, 10000))
	checkMessages(t, hostileEvents("xn--pple-43d.com", 10000)) // a name that reads as another
}

// checkMessages checks all messages that are made of events.
func checkMessages(t *testing.T, events []ctwatch.Event) {
	t.Helper()
	s := &Sender{o: Options{Buttons: &Buttons{}}}
	check := func(m message) {
		t.Helper()
		checkHarmless(t, m.text, maxSection)
		b, err := json.Marshal(slack.Blocks{BlockSet: m.blocks})
		if err != nil {
			t.Fatal(err)
		}
		checkBlocks(t, b)
	}
	d := &digestMessage{}
	for i := range events {
		e := events[i]
		check(s.eventMessage(e, nil, false))
		check(s.eventMessage(e, nil, true))
		check(s.eventMessage(e, events[:min(3, len(events))], false))
		if e.Data.Certificate != nil {
			check(s.rootMessage(e, e.Data.By))
		}
		if !d.add(e) {
			t.Errorf("event %d does not fit into a digest", i)
		}
	}
	check(d.message())
}

// FuzzSlackMessage tries whole messages, of every kind, with text that others choose.
func FuzzSlackMessage(f *testing.F) {
	for i, s := range []string{hostileText, "xn--pple-43d.com", "аррӏе.com", "\u2066<!here>\u2069|>\r\n*", "'; rm -rf / #`"} {
		f.Add(s, uint8(i))
	}
	f.Fuzz(func(t *testing.T, s string, kind uint8) {
		events := hostileEvents(s, 12)
		checkMessages(t, events[int(kind)%len(events):][:1])
	})
}

// checkBlocks checks blocks against Slack's limits, and that nothing of the text in
// them means anything but what this package put there.
func checkBlocks(t *testing.T, b []byte) {
	t.Helper()
	type text struct {
		Type, Text string
		Emoji      *bool
		Verbatim   bool
	}
	type button struct {
		Type     string
		Text     text
		Value    string
		ActionID string `json:"action_id"`
		Confirm  struct{ Title, Text, Confirm, Deny text }
	}
	var blocks []struct {
		Type     string
		Text     *text
		Fields   []text
		Elements json.RawMessage
		BlockID  string `json:"block_id"`
	}
	if err := json.Unmarshal(b, &blocks); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if len(blocks) == 0 || len(blocks) > 50 {
		t.Errorf("%d blocks", len(blocks))
	}
	total := 0
	check := func(x text, limit int) {
		t.Helper()
		total += utf16Len(x.Text)
		switch x.Type {
		case "plain_text":
			if x.Emoji == nil || *x.Emoji {
				t.Errorf("emoji names are read in %q", x.Text)
			}
			checkHarmless(t, strings.ReplaceAll(x.Text, "\n• ", " "), limit)
		case "mrkdwn":
			if !x.Verbatim {
				t.Errorf("Slack makes links in %q", x.Text)
			}
			checkSpans(t, x.Text, limit)
		default:
			t.Errorf("text of type %q", x.Type)
		}
	}
	for _, block := range blocks {
		limit := map[string]int{"header": 150, "section": 3000}[block.Type]
		if block.Text != nil {
			check(*block.Text, limit)
		}
		var elements []text
		if block.Type == "actions" {
			var buttons []button
			if err := json.Unmarshal(block.Elements, &buttons); err != nil || len(buttons) > 25 {
				t.Errorf("buttons %s: %v", block.Elements, err)
			}
			for _, b := range buttons {
				check(b.Text, 75)
				check(b.Confirm.Title, 100)
				check(b.Confirm.Text, 300)
				check(b.Confirm.Confirm, 30)
				check(b.Confirm.Deny, 30)
				if _, err := ctwatch.ParseHash(b.Value); err != nil {
					t.Errorf("a button with the value %q", b.Value)
				}
			}
		} else if len(block.Elements) > 0 {
			if err := json.Unmarshal(block.Elements, &elements); err != nil {
				t.Errorf("elements %s: %v", block.Elements, err)
			}
		}
		if len(block.BlockID) > 255 || len(block.Fields) > 10 || len(elements) > 10 {
			t.Errorf("block %+v is beyond the limits", block)
		}
		for _, f := range append(block.Fields, elements...) {
			check(f, 2000)
		}
	}
	if total > maxMessage {
		t.Errorf("%d characters in one message", total)
	}
}

// checkSpans checks mrkdwn: outside of code spans there is only what ctwatch itself
// says.
func checkSpans(t *testing.T, s string, limit int) {
	t.Helper()
	if n := len(utf16.Encode([]rune(s))); n > limit {
		t.Errorf("%d characters of %d: %.80q", n, limit, s)
	}
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		t.Errorf("odd backticks in %q", s)
	}
	for i, p := range parts {
		if i%2 == 1 {
			checkHarmless(t, p, limit)
		} else if rest := withoutLink(p); strings.ContainsAny(rest, "<>&~@#_") {
			t.Errorf("outside of a code span: %q", p)
		}
	}
}

var crtsh = regexp.MustCompile(`<https://crt\.sh/\?q=[0-9a-f]{64}\|crt\.sh>`)

func withoutLink(s string) string { return crtsh.ReplaceAllString(s, "") }

// checkHarmless checks text that is shown as it is.
func checkHarmless(t *testing.T, s string, limit int) {
	t.Helper()
	if n := len(utf16.Encode([]rune(s))); n > limit {
		t.Errorf("%d characters of %d: %.80q", n, limit, s)
	}
	if s == "" {
		t.Error("empty text, which Slack refuses")
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(s)
	if strings.ContainsAny(rest, "<>&") {
		t.Errorf("not escaped: %q", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Errorf("%U in %q", r, s)
		}
	}
}

// decodeBlocks undoes the encodings, for looking for text.
func decodeBlocks(t *testing.T, blocks string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(blocks), &v); err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(fmt.Sprint(v))
}

func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, secret := range []string{testToken, "secretsecret", "/services/T0"} {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("the error %q holds the secret %q", e, secret)
			}
		}
	}
}

func FuzzSlackText(f *testing.F) {
	f.Add(hostileText, 10)
	f.Add("&&&&", 7)
	f.Add("𝔘𝔘", 3)
	f.Add("\xff`", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + max(limit, -limit, 0)%300
		text := escape(s, limit)
		if s != "" {
			checkHarmless(t, text, limit)
		}
		code := codeSpan(s, limit)
		checkSpans(t, code, limit+2)
		if strings.Count(code, "`") != 2 && code != "–" {
			t.Errorf("%q is not one code span", code)
		}
		// What fits is all there.
		whole := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(ctwatch.Printable(s, len(s)))
		if len(utf16.Encode([]rune(whole))) <= limit && text != whole {
			t.Errorf("%q became %q, want %q", s, text, whole)
		}
	})
}
