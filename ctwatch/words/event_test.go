package words

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
	"ctwatch/pins"
)

// TestAlarmForATrustedKeyProposesNoTrust: the certificate may have been issued for our key
// without us.
func TestAlarmForATrustedKeyProposesNoTrust(t *testing.T) {
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
