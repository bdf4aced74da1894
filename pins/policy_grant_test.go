package pins_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
)

// TestCompareGrants: policy approves what is wanted, and takes back the rest.
func TestCompareGrants(t *testing.T) {
	a, b := pins.Pin{1}, pins.Pin{2}
	grant := func(p pins.Pin, role pins.Role, host string) pins.PolicyGrant {
		return pins.PolicyGrant{Pin: p, Role: role, Pattern: pins.Pattern{Name: host}, Reason: "line " + host}
	}
	leaf := func(p pins.Pin, host string) pins.PolicyGrant { return grant(p, pins.RoleLeaf, host) }
	change := func(p pins.Pin, reason string, hosts ...string) pins.GrantChange {
		c := pins.GrantChange{PinRole: pins.PinRole{Pin: p, Role: pins.RoleLeaf}, Reason: reason}
		for _, h := range hosts {
			c.Hosts = append(c.Hosts, pins.Pattern{Name: h})
		}
		return c
	}
	for name, c := range map[string]struct {
		had, want         []pins.PolicyGrant
		state             pins.State // of a, as a leaf
		forbidden         bool
		approve, withdraw []pins.GrantChange
	}{
		"nothing":        {},
		"the same":       {had: []pins.PolicyGrant{leaf(a, "x")}, want: []pins.PolicyGrant{leaf(a, "x")}, state: pins.StateApproved},
		"without a role": {had: []pins.PolicyGrant{leaf(a, "x")}, want: []pins.PolicyGrant{grant(a, "", "x")}, state: pins.StateApproved},
		"two hosts of a new key": {
			want:    []pins.PolicyGrant{leaf(a, "x"), leaf(b, "x"), leaf(a, "y")},
			approve: []pins.GrantChange{change(a, "line x", "x", "y"), change(b, "line x", "x")},
		},
		"another host": {
			had: []pins.PolicyGrant{leaf(a, "x")}, want: []pins.PolicyGrant{leaf(a, "y")}, state: pins.StateApproved,
			approve: []pins.GrantChange{change(a, "line y", "y")}, withdraw: []pins.GrantChange{change(a, "", "x")},
		},
		"nothing any more": {
			had: []pins.PolicyGrant{leaf(a, "x"), leaf(a, "y"), leaf(b, "x")}, state: pins.StateApproved,
			withdraw: []pins.GrantChange{change(a, "", "x", "y"), change(b, "", "x")},
		},
		"of another role": {
			had: []pins.PolicyGrant{grant(a, pins.RoleIssuer, "x")}, want: []pins.PolicyGrant{leaf(a, "x")}, state: pins.StateSeen,
			approve: []pins.GrantChange{change(a, "line x", "x")},
			withdraw: []pins.GrantChange{{
				PinRole: pins.PinRole{Pin: a, Role: pins.RoleIssuer}, Hosts: []pins.Pattern{{Name: "x"}},
			}},
		},
		"retired meanwhile": {
			had: []pins.PolicyGrant{leaf(a, "x")}, want: []pins.PolicyGrant{leaf(a, "x")}, state: pins.StateRetired,
			approve: []pins.GrantChange{change(a, "line x", "x")},
		},
		"forbidden": {
			had: []pins.PolicyGrant{leaf(a, "x")}, want: []pins.PolicyGrant{leaf(a, "x"), leaf(a, "y")}, state: pins.StateRetired, forbidden: true,
		},
	} {
		states := map[pins.PinRole]pins.State{{Pin: a, Role: pins.RoleLeaf}: c.state}
		approve, withdraw, err := pins.CompareGrants(c.had, c.want, states, func(pins.PinRole) (bool, error) { return !c.forbidden, nil })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.approve, approve); diff != "" {
			t.Errorf("%s: approve (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.withdraw, withdraw); diff != "" {
			t.Errorf("%s: withdraw (-want +got):\n%s", name, diff)
		}
	}
	broken := errors.New("broken")
	_, _, err := pins.CompareGrants(nil, []pins.PolicyGrant{leaf(a, "x")}, nil, func(pins.PinRole) (bool, error) { return true, broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}
