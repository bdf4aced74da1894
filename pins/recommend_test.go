package pins_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// A recommended set has the served keys and the next ones, or is refused.
func TestRecommend(t *testing.T) {
	L := key(t, "L", pins.StateDeployed, api)
	B := key(t, "B", pins.StateApproved, api)
	well := []pins.Served{served(api, days(60), "L", "I", "R")}
	for name, c := range map[string]struct {
		hosts  []string // api
		role   pins.Role
		keys   []pins.Key
		served []pins.Served
		issued []pins.Issued

		want    []pins.Pin // of the first host
		refused string
		unseen  bool
	}{
		"served first, then what is to come": {keys: []pins.Key{B, L}, served: well, want: pinsOf("L", "B")},
		"a declared key counts":              {keys: []pins.Key{key(t, "N", pins.StateDeclared, ".example.com"), L}, served: well, want: pinsOf("L", "N")},
		"a key retiring while served stays":  {keys: []pins.Key{key(t, "L", pins.StateRetiring, api), B}, served: well, want: pinsOf("L", "B")},
		"a key retiring and not served goes": {keys: []pins.Key{L, B, key(t, "O", pins.StateRetiring, api)}, served: well, want: pinsOf("L", "B")},
		"a host never probed":                {keys: []pins.Key{key(t, "A", pins.StateApproved, api), B}, want: sorted("A", "B"), unseen: true},
		"the issuer's key for an app that pins issuers": {
			role: pins.RoleIssuer, served: well,
			keys: []pins.Key{L, B, issuerKey(t, "I", pins.StateDeployed, api), issuerKey(t, "J", pins.StateApproved, api)}, want: pinsOf("I", "J"),
		},

		"the served key is not approved":            {keys: []pins.Key{key(t, "L", pins.StateSeen), B}, served: well, refused: "Code:served_key_not_approved"},
		"the served key is unknown":                 {keys: []pins.Key{B}, served: well, refused: "Code:served_key_not_approved"},
		"the served key is approved for other host": {keys: []pins.Key{key(t, "L", pins.StateDeployed, "www.example.com"), B}, served: well, refused: "Code:served_key_not_approved"},
		"the served key is compromised":             {keys: []pins.Key{key(t, "L", pins.StateCompromised, api), B}, served: well, refused: "Code:served_key_compromised"},
		"too few":                                   {keys: []pins.Key{L}, served: well, refused: "Code:below_min_pins"},
		"too few, and one waits for approval": {
			keys: []pins.Key{L, key(t, "X", pins.StateSeen)}, served: well,
			issued: []pins.Issued{issued(t, "new", api, "X", "I")}, refused: pin("X").String(),
		},
		"RSA and ECDSA are served, and no backup": {
			keys: []pins.Key{L, key(t, "E", pins.StateDeployed, api)}, served: []pins.Served{well[0], served(api, days(60), "E", "I")},
			refused: "Code:no_backup",
		},
		"a seen key is no backup":          {keys: []pins.Key{L, key(t, "X", pins.StateSeen, api)}, served: well, refused: "Code:below_min_pins"},
		"a retired key does not count":     {keys: []pins.Key{L, key(t, "X", pins.StateRetired, api)}, served: well, refused: "Code:below_min_pins"},
		"a compromised key does not count": {keys: []pins.Key{L, key(t, "X", pins.StateCompromised, api)}, served: well, refused: "Code:below_min_pins"},
		"nothing is approved":              {refused: "Code:no_approved_key"},
		"hosts of a pattern with different keys": {
			hosts: []string{"*.example.com"}, keys: []pins.Key{key(t, "L", pins.StateDeployed, "*.example.com"), key(t, "E", pins.StateDeployed, "*.example.com")},
			served:  []pins.Served{served("a.example.com", days(60), "L", "I"), served("b.example.com", days(60), "E", "I")},
			refused: "Code:keys_differ",
		},
		"one host of a pattern, which is named by itself, may differ": {
			hosts: []string{"*.example.com", "b.example.com"},
			keys: []pins.Key{
				key(t, "L", pins.StateDeployed, "*.example.com"), key(t, "M", pins.StateApproved, "*.example.com"),
				key(t, "E", pins.StateDeployed, "b.example.com"), key(t, "F", pins.StateApproved, "b.example.com"),
			},
			served: []pins.Served{served("a.example.com", days(60), "L", "I"), served("b.example.com", days(60), "E", "I")},
			want:   pinsOf("L", "M"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: time.Hour}
			if c.hosts != nil {
				app.Hosts = patterns(t, c.hosts...)
			}
			if c.role != "" {
				app.Role = c.role
			}
			set, unseen, err := pins.NewView(&pins.Facts{Now: now, Keys: c.keys, Served: c.served, Issued: c.issued}).Recommend(&app)
			if c.refused != "" {
				var rs pins.Refusals
				if !errors.As(err, &rs) || !strings.Contains(data(rs...), c.refused) || len(set.Hosts) > 0 {
					t.Fatalf("set %v, error %v; want refused: %s", set, err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(set.Hosts[0].Pins, c.want) {
				t.Errorf("pins %v, want %v", set.Hosts[0].Pins, c.want)
			}
			if (len(unseen) > 0) != c.unseen {
				t.Errorf("unseen %v", unseen)
			}
		})
	}
}

func sorted(names ...string) []pins.Pin {
	out := pinsOf(names...)
	slices.SortFunc(out, func(a, b pins.Pin) int { return slices.Compare(a[:], b[:]) })
	return out
}

// A set has the time since when it is right, and the same hash for the same pins.
func TestSetHasDatesAndHash(t *testing.T) {
	app := pins.App{Name: "shop", Hosts: patterns(t, api, "www.example.com"), Role: pins.RoleLeaf, MinPins: 1}
	facts := pins.Facts{
		Now: now, Served: []pins.Served{served(api, days(60), "L", "I"), served("www.example.com", days(30), "W", "I")},
		Keys: []pins.Key{
			key(t, "L", pins.StateDeployed, api), key(t, "W", pins.StateDeployed, "www.example.com"),
			key(t, "C", pins.StateCompromised, api), key(t, "D", pins.StateCompromised, "elsewhere.example.org"),
		},
	}
	make := func() pins.Set {
		set, _, err := pins.NewView(&facts).Recommend(&app)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	first := make()
	if !first.Until.Equal(days(30)) || !first.AsOf.Equal(days(-3)) {
		t.Errorf("as of %v until %v", first.AsOf, first.Until)
	}
	if !slices.Equal(first.Revoked, pinsOf("C")) {
		t.Errorf("revoked %v: want the compromised key of its hosts alone", first.Revoked)
	}
	facts.Now = days(1)
	if again := make(); again.Plan != first.Plan || !again.AsOf.Equal(first.AsOf) {
		t.Errorf("a day later nothing has changed, and it is another plan: %+v", again)
	}
	facts.Keys[0].State = pins.StateRetiring
	if again := make(); again.Plan != first.Plan {
		t.Error("the same pins are another plan")
	}
	facts.Keys = append(facts.Keys, key(t, "N", pins.StateApproved, api))
	if again := make(); again.Plan == first.Plan {
		t.Error("other pins are the same plan")
	}
}

// The names below a pattern come from probes and from certificates of trusted keys.
func TestNamesBelowPattern(t *testing.T) {
	app := pins.App{Name: "shop", Hosts: patterns(t, "*.example.com"), Role: pins.RoleLeaf, MinPins: 1}
	set, _, err := pins.NewView(&pins.Facts{
		Now: now, Served: []pins.Served{served("a.example.com", days(60), "L", "I")},
		Keys: []pins.Key{key(t, "L", pins.StateDeployed, "*.example.com"), key(t, "X", pins.StateSeen)},
		Issued: []pins.Issued{
			issued(t, "ours", "b.example.com c.d.example.com *.example.com", "L", "I"), issued(t, "rogue", "evil.example.com", "X", "I"),
		},
	}).Recommend(&app)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.example.com", "b.example.com"}; !slices.Equal(set.Hosts[0].Names, want) {
		t.Errorf("names %q, want %q", set.Hosts[0].Names, want)
	}
}
