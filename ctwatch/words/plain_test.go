package words

import (
	"strconv"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

func checkText(t *testing.T, s string) {
	plain, n := NewNotice(notifytest.PlainEvent()), NewNotice(notifytest.HostileEvent(s))
	notifytest.CheckPlain(t, s, n.Text(), strings.Count(plain.Text(), "\n"))
	notifytest.CheckPlain(t, s, n.text(chatText), strings.Count(plain.Text(), "\n"))
	d := NewDigest([]ctwatch.Event{notifytest.HostileEvent(s), notifytest.HostileEvent(s)}, 0)
	notifytest.CheckPlain(t, s, d.Text(), 4)
	notifytest.CheckPlain(t, s, d.text(chatText), 4)
}

func checkChat(t *testing.T, s string) {
	if got := chatText(s); strings.ContainsAny(got, "<>@#&`[]*_~|\\") || strings.Contains(got, "://") {
		t.Errorf("chatText(%q) = %q", s, got)
	}
}

func TestHostilePlainText(t *testing.T) {
	for _, s := range notifytest.HostileTexts {
		checkText(t, s)
		checkChat(t, s)
	}
}

func TestTenThousandNamesAreTenAndACount(t *testing.T) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = strconv.Itoa(i) + strings.Repeat(".a", 100) + ".example.com"
	}
	c := notifytest.Certificate(names...)
	for _, n := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: n, Name: n})
	}
	e := ctwatch.IssuedEvent(c, notifytest.Time)
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

// Of a certificate with 60,000 names people see the name that matches, and how many
// there are.
func TestHugeEventText(t *testing.T) {
	text := NewNotice(notifytest.FromOutbox(t, notifytest.HugeEvents()...)[0]).Text()
	for _, want := range []string{"Names (60000):\n    api.example.com\n", "and 59990 more"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %.2000s", want, text)
		}
	}
}

func FuzzPlainText(f *testing.F) { notifytest.FuzzText(f, checkText) }
func FuzzChatText(f *testing.F)  { notifytest.FuzzText(f, checkChat) }
