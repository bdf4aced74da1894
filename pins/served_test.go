package pins_test

import (
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// A served certificate is expiring unless a successor is known.
func TestExpiring(t *testing.T) {
	at := func(life, left time.Duration) pins.Served {
		s := served(api, now.Add(left), "L", "I")
		s.NotBefore = s.NotAfter.Add(-life)
		return s
	}
	const day = 24 * time.Hour
	renewal := issued(t, "renewal", api, "L", "I")
	rejected := renewal
	rejected.Rejected = true
	elsewhere := issued(t, "other", "www.example.com", "L", "I")
	for name, c := range map[string]struct {
		served pins.Served
		issued []pins.Issued
		want   bool
	}{
		"90 days, 20 left":                        {served: at(90*day, 20*day)},
		"90 days, 13 left":                        {served: at(90*day, 13*day), want: true},
		"a year, 20 left":                         {served: at(365*day, 20*day)},
		"six days, two left":                      {served: at(6*day, 2*day)},
		"six days, 20 hours left":                 {served: at(6*day, 20*time.Hour), want: true},
		"ended":                                   {served: at(90*day, -day), want: true},
		"with a successor":                        {served: at(90*day, 3*day), issued: []pins.Issued{renewal}},
		"with one that should not exist":          {served: at(90*day, 3*day), issued: []pins.Issued{rejected}, want: true},
		"with one for another host":               {served: at(90*day, 3*day), issued: []pins.Issued{elsewhere}, want: true},
		"a certificate that does not say its end": {served: pins.Served{Host: api}},
	} {
		got := pins.NewView(&pins.Facts{Now: now, Served: []pins.Served{c.served}, Issued: c.issued}).Expiring()
		if (len(got) > 0) != c.want {
			t.Errorf("%s: ending %v, want %v", name, got, c.want)
		}
	}
}

// For a host that is not probed, plans and signed documents have that as a finding, with the
// date of the last probe if there was one.
func TestProbingOff(t *testing.T) {
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
	if at := view().LastProbe(app, app.Hosts[1]); !at.IsZero() {
		t.Errorf("it is looked at, and its last look is %v", at)
	}
}
