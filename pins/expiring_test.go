package pins_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// Over the life of a certificate of any length, nothing is to be done until renewal is
// due: a third of its life or a lead time before its end, whichever is shorter. Then it
// is to be renewed, and no version is to be released, since the same key will do; the
// event comes at the same time. With a successor there is nothing to tell.
func TestExpiringDependsOnLife(t *testing.T) {
	const day, lead = 24 * time.Hour, 14
	for life, from := range map[int]int{6: 5, 45: 32, 47: 34, 64: 51, 90: 77, 200: 187, 398: 385} { // the first day on which it is
		for _, renewed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d days, renewed %v", life, renewed), func(t *testing.T) {
				for age := range life + 3 {
					s := served(api, days(life-age), "L", "I", "R")
					s.NotBefore = s.NotAfter.Add(-time.Duration(life) * day)
					f := &pins.Facts{
						Now: now, Served: []pins.Served{s},
						Keys: []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateShipped, api)},
					}
					if next := s.NotBefore.Add(time.Duration(life) * day * 2 / 3); renewed && !next.After(now) {
						c := issued(t, "renewal", api, "L", "I")
						c.NotBefore, c.NotAfter = next, next.Add(time.Duration(life)*day)
						f.Issued = append(f.Issued, c)
					}
					app := pins.App{
						Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: lead * day,
						Versions: []pins.Version{ships("1", api, "L", "B")},
					}
					v := pins.NewView(f)
					p, want := v.Plan(&app)[0], pins.StatusOK
					if age >= from && !renewed {
						want = pins.StatusExpiring
					}
					if p.Status != want {
						t.Fatalf("day %d: %s, want %s: %s", age, p.Status, want, planData(p))
					}
					if p.Deadline != nil || strings.Contains(planData(p), "Do:release") || (want == pins.StatusExpiring) != strings.Contains(planData(p), "{Do:renew If: App: Version: Host: Pin:"+pin("L").String()) {
						t.Fatalf("day %d: %v: %s", age, p.Deadline, planData(p))
					}
					if got := len(v.Expiring(app)) > 0; got != (want == pins.StatusExpiring) {
						t.Fatalf("day %d: reported: %v; the plan is %s", age, got, p.Status)
					}
				}
			})
		}
	}
}

// A plan has a deadline if a pin has to be shipped, and only then.
func TestDeadlineOnlyForPinsToShip(t *testing.T) {
	const day = 24 * time.Hour
	short, long := served(api, days(5), "L", "I", "R"), served(api, days(60), "L", "I", "R")
	short.NotBefore = days(-1)
	ending, due := served(api, days(10), "L", "I", "R"), short
	due.NotBefore, due.NotAfter = days(-5), days(1)
	L, B := key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateShipped, api)
	N := key(t, "N", pins.StateDeclared, api)
	renewal := issued(t, "renewal", api, "L", "I")
	for name, c := range map[string]struct {
		served pins.Served
		keys   []pins.Key
		issued []pins.Issued
		status pins.Status
		due    time.Time
		add    bool
	}{
		"all is well, six days":           {served: short, keys: []pins.Key{L, B}, status: pins.StatusOK},
		"a key to add, six days":          {served: short, keys: []pins.Key{L, B, N}, status: pins.StatusOK, add: true},
		"a key to add, 90 days":           {served: long, keys: []pins.Key{L, B, N}, status: pins.StatusOK, due: days(46), add: true},
		"a key to add, renewed":           {served: ending, keys: []pins.Key{L, B, N}, issued: []pins.Issued{renewal}, status: pins.StatusOK, due: days(75), add: true},
		"a key to add, expiring":          {served: ending, keys: []pins.Key{L, B, N}, status: pins.StatusExpiring, add: true},
		"a key to add, expiring six days": {served: due, keys: []pins.Key{L, B, N}, status: pins.StatusExpiring, add: true},
		"no backup, six days":             {served: short, keys: []pins.Key{L}, status: pins.StatusNoBackup, due: days(-9)},
		"no backup, expiring":             {served: due, keys: []pins.Key{L}, status: pins.StatusExpiring, due: days(-13)},
		"another key comes, six days":     {served: short, keys: []pins.Key{L, B, N}, issued: []pins.Issued{issued(t, "next", api, "N", "I")}, status: pins.StatusWillBreak, due: days(-9), add: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, &pins.Facts{Keys: c.keys, Served: []pins.Served{c.served}, Issued: c.issued}, ships("1", api, "L", "B"))
			if p.Status != c.status || (len(p.Add) > 0) != c.add {
				t.Errorf("status %s, want %s; add %v", p.Status, c.status, p.Add)
			}
			if p.Deadline == nil != c.due.IsZero() || p.Deadline != nil && !p.Deadline.Equal(c.due) {
				t.Errorf("deadline %v, want %v", p.Deadline, c.due)
			}
			late := slices.ContainsFunc(p.Do, func(a pins.Action) bool { return a.Do == pins.ReleaseBy && a.Past })
			if late != (!c.due.IsZero() && c.due.Before(now)) {
				t.Error("it says to do it now, or does not")
			}
		})
	}
	for name, c := range map[string]struct {
		from time.Time
		lead int
		want time.Time
	}{
		"a long lead time":                {days(-80), 20, days(-10)},
		"a longer one than is left":       {days(-80), 50, days(-20)},
		"a short one":                     {days(-80), 1, days(-4)},
		"the beginning is not known":      {time.Time{}, 14, days(-4)},
		"not known, and a long lead time": {time.Time{}, 50, days(-40)},
	} {
		if got := pins.ExpiringFrom(c.from, days(10), time.Duration(c.lead)*day); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
