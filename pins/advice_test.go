package pins_test

import (
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
		code   pins.Code // "" if it is trusted
		advice pins.Verb // by which it is trusted; "" for none
	}{
		{"trusted", pins.RoleLeaf, "", ""},
		{"elsewhere", pins.RoleLeaf, pins.KeyOtherHosts, pins.Approve},
		{"seen", pins.RoleLeaf, pins.KeyUnapproved, pins.Approve},
		{"seen", pins.RoleIssuer, pins.KeyOtherRole, pins.Declare},
		{"ca", pins.RoleIssuer, pins.KeyUnapproved, pins.Approve},
		{"ca", pins.RoleLeaf, pins.KeyOtherRole, pins.Declare},
		{"new", pins.RoleLeaf, pins.KeyUndeclared, pins.Declare},
		{"new", pins.RoleIssuer, pins.KeyUndeclared, pins.Declare},
		{"rogue", pins.RoleLeaf, pins.KeyRejected, ""},
		{"retired", pins.RoleLeaf, pins.KeyGivenUp, ""},
		{"leaked", pins.RoleLeaf, pins.KeyGivenUp, ""},
		{"leaked", pins.RoleIssuer, pins.KeyGivenUp, ""},
		{"", pins.RoleLeaf, pins.KeyImpossible, ""},
	} {
		var code pins.Code
		var advice pins.Verb
		if f := v.Doubt(pin(c.key), c.role, host); f != nil {
			code = f.Code
			for _, a := range f.Do {
				if a.Do != pins.LeaveOut {
					advice = a.Do
				}
				if a.Do == pins.LeaveOut && a.Pin != pin(c.key) || a.Do != pins.LeaveOut && (a.If != pins.Ours || a.Pin != pin(c.key) || a.Role != c.role || a.Host != host) {
					t.Errorf("%q as %s: %+v", c.key, c.role, a)
				}
			}
		}
		if code != c.code || advice != c.advice {
			t.Errorf("%q as %s: %q and %q, want %q and %q", c.key, c.role, code, advice, c.code, c.advice)
		}
	}
}
