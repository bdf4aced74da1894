package pins_test

import (
	"errors"
	"strings"
	"testing"

	"ctwatch/pins"
)

// An approval needs the pin of a key, a host, and a person or a policy that gives it.
func TestApprovalCheck(t *testing.T) {
	empty := pins.FromSPKI(nil) // no key has it
	for name, tt := range map[string]struct {
		change func(*pins.Approval)
		says   string // "" if it is complete
		state  bool
	}{
		"by a person":          {func(*pins.Approval) {}, "", false},
		"by a policy":          {func(a *pins.Approval) { a.Actor, a.By, a.Reason = pins.Policy, "", "" }, "", false},
		"as a server's":        {func(a *pins.Approval) { a.Role = pins.RoleLeaf }, "", false},
		"as an issuer's":       {func(a *pins.Approval) { a.Role = pins.RoleIssuer }, "", false},
		"no pin":               {func(a *pins.Approval) { a.Pin = pins.Pin{} }, "no pin", false},
		"a pin of no key":      {func(a *pins.Approval) { a.Pin = empty }, empty.Check().Error(), false},
		"no host":              {func(a *pins.Approval) { a.Hosts = nil }, "at least one", false},
		"by a log":             {func(a *pins.Approval) { a.Actor = pins.ByLog }, "only a person or a policy", true},
		"by no one":            {func(a *pins.Approval) { a.Actor = "" }, "only a person or a policy", true},
		"in a role of no kind": {func(a *pins.Approval) { a.Role = "root" }, `role "root"`, false},
	} {
		a := pins.Approval{Pin: pin("A"), Hosts: patterns(t, api), Actor: pins.Person, By: "ada", Reason: "ours"}
		tt.change(&a)
		err := a.Check()
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, pins.ErrState) != tt.state):
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}
