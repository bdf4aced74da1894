package words

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
	"ctwatch/pins"
)

// An alarm about a trusted key does not propose to authorize the certificate: it may have
// been issued for our key without us.
func TestAlarmForTrustedKeyProposesNoTrust(t *testing.T) {
	c := notifytest.Certificate()
	c.Verdict = ctwatch.Unexpected
	k := pins.Key{Pin: c.Key.Pin, Role: pins.RoleLeaf, State: pins.StateDeployed}
	for name, tt := range map[string]struct {
		reason string
		event  func(ctwatch.Event) ctwatch.Event
		has    string
		lacks  string
	}{
		"a key that nobody trusts":      {"issuer_not_allowed", func(e ctwatch.Event) ctwatch.Event { return e }, "ctwatch certs authorize", "pins retire"},
		"a trusted key":                 {"issuer_not_allowed", func(e ctwatch.Event) ctwatch.Event { return ctwatch.WithTrustedKey(e, k) }, "reject the certificate: ctwatch certs reject", "authorize"},
		"a trusted key, and a decision": {"rejected", func(e ctwatch.Event) ctwatch.Event { return ctwatch.WithTrustedKey(e, k) }, "keep the pin", "certs reject"},
	} {
		c.Reasons = []string{tt.reason}
		n := NewNotice(tt.event(ctwatch.UnexpectedEvent(c, "it is so", c.FirstSeen)))
		if text := strings.Join(n.Actions, "\n"); !strings.Contains(text, tt.has) || strings.Contains(text, tt.lacks) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// The commands in notices pass the name of an app as one word, whatever it is.
func TestNoticeQuotesApp(t *testing.T) {
	for _, app := range []string{"shop", "my app", "it's; touch pwned", "$(touch pwned)", "-n"} {
		e := ctwatch.PinMissingEvent(app, "a.example.com", "example.com", nil, pins.Pin{}, "why", 1, notifytest.Time)
		text := strings.Join(NewNotice(e).Actions, "\n")
		if want := "ctwatch pins plan --app " + Quote(app); !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
