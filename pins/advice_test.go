package pins_test

import (
	"strings"
	"testing"

	"ctwatch/pins"
)

// TestDoubtAdvisesNoKeyThatWasGivenUp: what to do about a key that is not trusted depends
// on how it is known; one that was retired, compromised or rejected is left out.
func TestDoubtAdvisesNoKeyThatWasGivenUp(t *testing.T) {
	host := patterns(t, api)[0]
	v := pins.NewView(&pins.Facts{
		Now: now,
		Keys: []pins.Key{
			key(t, "trusted", pins.StateApproved, api), key(t, "elsewhere", pins.StateApproved, "other.example.com"),
			key(t, "seen", pins.StateSeen), key(t, "rogue", pins.StateSeen), key(t, "retired", pins.StateRetired),
			key(t, "leaked", pins.StateCompromised), issuerKey(t, "ca", pins.StateSeen),
		},
		Issued: []pins.Issued{rejected(issued(t, "1", api, "rogue", "ca"))},
	})
	for _, c := range []struct {
		key    string
		role   pins.Role
		says   string
		advice string // the command; "" for none
	}{
		{"trusted", pins.RoleLeaf, "", ""},
		{"elsewhere", pins.RoleLeaf, "not for " + api, "ctwatch pins approve PIN --host " + api},
		{"seen", pins.RoleLeaf, "Nobody has approved", "ctwatch pins approve PIN --host " + api},
		{"seen", pins.RoleIssuer, "as the key of a server only", "ctwatch certs authorize PIN --issuer --domain " + api},
		{"ca", pins.RoleIssuer, "Nobody has approved", "ctwatch pins approve PIN --host " + api},
		{"ca", pins.RoleLeaf, "as the key of a CA only", "ctwatch certs authorize PIN --domain " + api},
		{"new", pins.RoleLeaf, "Nobody has declared", "ctwatch certs authorize PIN --domain " + api},
		{"new", pins.RoleIssuer, "Nobody has declared", "ctwatch certs authorize PIN --issuer --domain " + api},
		{"rogue", pins.RoleLeaf, "should not exist: leave it out", ""},
		{"retired", pins.RoleLeaf, "is retired: leave it out", ""},
		{"leaked", pins.RoleLeaf, "is compromised: leave it out", ""},
		{"leaked", pins.RoleIssuer, "is compromised: leave it out", ""},
		{"", pins.RoleLeaf, "SHA-256 of nothing", ""},
	} {
		got := v.Doubt(pin(c.key), c.role, host)
		advice := strings.ReplaceAll(c.advice, "PIN", pin(c.key).String())
		if !strings.Contains(got, c.says) || !strings.Contains(got, advice) || c.advice == "" && strings.Contains(got, "ctwatch ") || c.says == "" && got != "" {
			t.Errorf("%q as %s: %q, want %q and %q", c.key, c.role, got, c.says, advice)
		}
	}
}
