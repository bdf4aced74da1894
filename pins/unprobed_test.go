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
	const notLooked, lastLook = "Code:probing_off", "Code:last_probed"
	plans := view().Plan(app)
	for i, want := range []string{notLooked, lastLook, notLooked, ""} {
		if why := planData(plans[i]); want != "" && !strings.Contains(why, want) || want == "" && strings.Contains(why, "prob") {
			t.Errorf("%s: %s", plans[i].Host, why)
		}
	}
	if plans[0].Status != pins.StatusUnknown || !strings.Contains(planData(plans[0]), "Do:probe") {
		t.Errorf("%s: %s", plans[0].Status, planData(plans[0]))
	}
	set, err := view().Publish(&pins.App{Name: "shop", Hosts: patterns(t, api, www), Role: pins.RoleLeaf, MinPins: 1}, pins.Published{})
	if err != nil || len(set.Withheld) != 1 || set.Withheld[0].Code != pins.NotProbed || !strings.Contains(data(set.Withheld[0]), notLooked) {
		t.Errorf("%v: %+v", err, set.Withheld)
	}

	off = false
	for _, p := range view().Plan(app) {
		if strings.Contains(planData(p), notLooked) || strings.Contains(planData(p), lastLook) {
			t.Errorf("%s: %s", p.Host, planData(p))
		}
	}
	if at := view().LastLook(app, app.Hosts[1]); !at.IsZero() {
		t.Errorf("it is looked at, and its last look is %v", at)
	}
}
