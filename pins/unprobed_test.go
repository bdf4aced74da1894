package pins_test

import (
	"strings"
	"testing"

	"ctwatch/pins"
)

// Of a host that nobody looks at, since that is turned off, plans and signed documents say
// so; and of when it is what is known of one that was looked at before.
func TestProbingOffIsSaid(t *testing.T) {
	L, B := key(t, "L", pins.StateApproved, api), key(t, "B", pins.StateApproved, api)
	W, V := key(t, "W", pins.StateApproved, www), key(t, "V", pins.StateApproved, www)
	known := served(www, days(60), "W", "I")
	known.At = days(-20)
	off := true
	view := func() *pins.View {
		return pins.NewView(&pins.Facts{
			Now: now, Keys: []pins.Key{L, B, W, V}, Served: []pins.Served{known},
			Unprobed: func(p pins.Pattern) bool { return off && p.Name != "cdn.example.com" },
		})
	}
	app := &pins.App{
		Name: "shop", Hosts: patterns(t, api, www, "*.example.com", "*.cdn.example.com"), Role: pins.RoleLeaf, MinPins: 1,
		Versions: []pins.Version{ships("1.0", api, "L", "B"), ships("0.9", "*.example.com", "W", "V")},
	}
	const notLooked, lastLook = "is not looked at: probing is off", "last looked at on 2026-11-03: probing is off"
	plans := view().Plan(app)
	for i, want := range []string{notLooked, lastLook, notLooked, ""} {
		if why := plans[i].Why; want != "" && !strings.Contains(why, want) || want == "" && strings.Contains(why, "probing") {
			t.Errorf("%s: %s", plans[i].Host, why)
		}
	}
	if plans[0].Status != pins.StatusUnknown || !strings.Contains(plans[0].Why, "probe --record "+api) {
		t.Errorf("%s: %s", plans[0].Status, plans[0].Why)
	}
	set, err := view().Publish(&pins.App{Name: "shop", Hosts: patterns(t, api, www), Role: pins.RoleLeaf, MinPins: 1}, pins.Published{})
	if err != nil || len(set.Withheld) != 1 || set.Withheld[0].Code != pins.NotProbed || !strings.Contains(set.Withheld[0].Why, "probing is off") {
		t.Errorf("%v: %+v", err, set.Withheld)
	}

	off = false
	for _, p := range view().Plan(app) {
		if strings.Contains(p.Why, "probing") {
			t.Errorf("%s: %s", p.Host, p.Why)
		}
	}
	if at := view().LastLook(app, app.Hosts[1]); !at.IsZero() {
		t.Errorf("it is looked at, and its last look is %v", at)
	}
}
