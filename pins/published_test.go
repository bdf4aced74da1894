package pins_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
)

const www = "www.example.com"

// A document has the right pins for each host, revokes compromised keys at once, and has the
// reason for each withheld host, whose earlier pins stay while they are trusted.
func TestPublish(t *testing.T) {
	L, B := key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateApproved, api)
	W, V := key(t, "W", pins.StateDeployed, www), key(t, "V", pins.StateApproved, www)
	leakedL, leakedB := key(t, "L", pins.StateCompromised), key(t, "B", pins.StateCompromised)
	leakedL.Hosts, leakedB.Hosts = []string{api}, []string{api} // as the store has them
	apiL, wwwW := served(api, days(60), "L", "I"), served(www, days(60), "W", "I")
	before := pins.Published{Hosts: map[pins.Pattern][]pins.Pin{{Name: api}: pinsOf("L", "B", "A")}}
	for name, c := range map[string]struct {
		hosts    string // api
		min      int    // 2
		keys     []pins.Key
		served   []pins.Served
		issued   []pins.Issued
		versions []pins.Version
		before   pins.Published

		want     map[string][]pins.Pin
		withheld string // HOST=CODE, by host
		warnings string
		revoked  []pins.Pin
		refused  bool
	}{
		"all is well": {hosts: api + " " + www, keys: []pins.Key{L, B, W, V}, served: []pins.Served{apiL, wwwW}, want: map[string][]pins.Pin{api: pinsOf("L", "B"), www: pinsOf("W", "V")}},
		"one host without a key": {
			hosts: api + " " + www, keys: []pins.Key{L, B}, served: []pins.Served{apiL, wwwW},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, withheld: www + "=" + string(pins.NotApproved),
		},
		"one host that was never probed": {
			hosts: api + " " + www, keys: []pins.Key{L, B, W, V}, served: []pins.Served{apiL},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, withheld: www + "=" + string(pins.NotProbed),
		},
		"one host with too few": {
			hosts: api + " " + www, keys: []pins.Key{L, B, W}, served: []pins.Served{apiL, wwwW},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, withheld: www + "=" + string(pins.BelowMinPins),
		},
		"all withheld, nothing revoked": {keys: []pins.Key{L}, served: []pins.Served{apiL}, before: before, refused: true},
		"the backup leaks": {
			keys: []pins.Key{L, leakedB}, served: []pins.Served{apiL}, before: before,
			want: map[string][]pins.Pin{api: pinsOf("L")}, warnings: api + "=" + string(pins.BelowMinPins), revoked: pinsOf("B"),
		},
		"one of three leaks": {
			keys: []pins.Key{L, leakedB, key(t, "C", pins.StateApproved, api)}, served: []pins.Served{apiL},
			want: map[string][]pins.Pin{api: pinsOf("L", "C")}, revoked: pinsOf("B"),
		},
		"the served key leaks": {
			keys: []pins.Key{leakedL, B}, served: []pins.Served{apiL}, before: before,
			want: map[string][]pins.Pin{api: pinsOf("B")}, warnings: api + "=" + string(pins.KeyCompromised), revoked: pinsOf("L"),
		},
		"one of two served keys leaks": {
			keys: []pins.Key{leakedL, key(t, "E", pins.StateDeployed, api)}, served: []pins.Served{apiL, served(api, days(60), "E", "I")},
			want: map[string][]pins.Pin{api: pinsOf("E")}, warnings: api + "=" + string(pins.KeyCompromised), revoked: pinsOf("L"),
		},
		"the only key leaks": {
			min: 1, keys: []pins.Key{leakedL}, served: []pins.Served{apiL}, before: before,
			withheld: api + "=" + string(pins.KeyCompromised), revoked: pinsOf("L"),
		},
		"a leak, and another host goes on": {
			hosts: api + " " + www, min: 1, keys: []pins.Key{leakedL, W}, served: []pins.Served{apiL, wwwW}, before: before,
			want: map[string][]pins.Pin{www: pinsOf("W")}, withheld: api + "=" + string(pins.KeyCompromised), revoked: pinsOf("L"),
		},
		"a foreign key: the pins before stay": {
			hosts: api + " " + www, keys: []pins.Key{L, B, W, V, key(t, "N", pins.StateApproved, api)},
			served: []pins.Served{served(api, days(60), "X", "I"), wwwW}, before: before,
			want: map[string][]pins.Pin{api: pinsOf("L", "B"), www: pinsOf("W", "V")}, withheld: api + "=" + string(pins.NotApproved),
		},
		"a foreign key beside ours": {
			hosts: api + " " + www, keys: []pins.Key{L, B, W, V}, served: []pins.Served{apiL, served(api, days(60), "X", "I"), wwwW},
			want: map[string][]pins.Pin{www: pinsOf("W", "V")}, withheld: api + "=" + string(pins.NotApproved),
		},
		"a foreign key, and a leak": {
			keys: []pins.Key{L, leakedB}, served: []pins.Served{served(api, days(60), "X", "I")}, before: before,
			want: map[string][]pins.Pin{api: pinsOf("L")}, withheld: api + "=" + string(pins.NotApproved), revoked: pinsOf("B"),
		},
		"a leak before, of which only the document tells": {
			keys: []pins.Key{L, B, key(t, "A", pins.StateCompromised)}, served: []pins.Served{apiL}, before: before,
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, revoked: pinsOf("A"),
		},
		"it was revoked before": {
			keys: []pins.Key{L, B, key(t, "A", pins.StateCompromised)}, served: []pins.Served{apiL}, before: pins.Published{Revoked: pinsOf("A", "gone")},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, revoked: pinsOf("A"),
		},
		"a leak that a version ships": {
			keys: []pins.Key{L, B, key(t, "A", pins.StateCompromised)}, served: []pins.Served{apiL}, versions: []pins.Version{ships("1", api, "A", "L")},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")}, revoked: pinsOf("A"),
		},
		"a leak elsewhere": {
			keys: []pins.Key{L, B, key(t, "A", pins.StateCompromised, www)}, served: []pins.Served{apiL},
			want: map[string][]pins.Pin{api: pinsOf("L", "B")},
		},
		"hosts of a pattern differ": {
			hosts: "*.example.com", keys: []pins.Key{key(t, "L", pins.StateDeployed, "*.example.com"), key(t, "W", pins.StateDeployed, "*.example.com"), leakedB},
			served: []pins.Served{apiL, wwwW}, before: pins.Published{Hosts: map[pins.Pattern][]pins.Pin{{Name: "example.com", Reach: pins.OneBelow}: pinsOf("L", "B")}},
			want: map[string][]pins.Pin{"*.example.com": pinsOf("L")}, withheld: "*.example.com=" + string(pins.KeysDiffer), revoked: pinsOf("B"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := []string{api}
			if c.hosts != "" {
				hosts = strings.Fields(c.hosts)
			}
			app := pins.App{Name: "shop", Hosts: patterns(t, hosts...), Role: pins.RoleLeaf, MinPins: 2, LeadTime: time.Hour, Versions: c.versions}
			if c.min > 0 {
				app.MinPins = c.min
			}
			v := pins.NewView(&pins.Facts{Now: now, Keys: c.keys, Served: c.served, Issued: c.issued})
			set, err := v.Publish(&app, c.before)
			var refusals pins.Refusals
			if errors.As(err, &refusals) != c.refused || (err != nil) != c.refused {
				t.Fatalf("%+v, %v", set, err)
			} else if c.refused {
				return
			}
			got, want := map[string][]pins.Pin{}, c.want
			if want == nil {
				want = map[string][]pins.Pin{}
			}
			for _, h := range set.Hosts {
				got[h.Pattern.String()] = h.Pins
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if hostCodes(set.Withheld) != c.withheld || hostCodes(set.Warnings) != c.warnings || !slices.Equal(set.Revoked, c.revoked) {
				t.Errorf("withheld %s, warnings %s, revoked %v", hostCodes(set.Withheld), hostCodes(set.Warnings), set.Revoked)
			}
			// What was said goes on being said, and the plan says the same of each host.
			again := pins.Published{Hosts: make(map[pins.Pattern][]pins.Pin), Revoked: set.Revoked}
			for _, h := range set.Hosts {
				again.Hosts[h.Pattern] = h.Pins
			}
			if next, err := v.Publish(&app, again); err != nil || next.Plan != set.Plan {
				t.Errorf("after itself: %+v, %v", next, err)
			}
			var inPlan []pins.Finding
			for _, p := range v.Plan(&app) {
				if code := p.Withheld + p.Warning; code != "" {
					inPlan = append(inPlan, pins.Finding{Host: p.Host, Code: code})
					if !strings.Contains(planData(p), "Detail:"+string(code)) {
						t.Errorf("no %q: %s", code, planData(p))
					}
				}
			}
			if hostCodes(inPlan) != hostCodes(append(set.Withheld, set.Warnings...)) {
				t.Errorf("the plan says %s", hostCodes(inPlan))
			}
			// A file is made only if nothing is withheld, and then it has the same pins.
			file, unseen, err := v.Recommend(&app)
			if bad := len(set.Withheld)+len(set.Warnings) > 0; (err != nil || len(unseen) > 0) != bad {
				t.Errorf("for a file: %v, %v, %v", file, unseen, err)
			} else if !bad && cmp.Diff(set.Hosts, file.Hosts) != "" {
				t.Error(cmp.Diff(set.Hosts, file.Hosts))
			}
		})
	}
}

func hostCodes(list []pins.Finding) string {
	var out []string
	for _, r := range list {
		out = append(out, fmt.Sprintf("%s=%s", r.Host, r.Code))
	}
	return strings.Join(out, " ")
}
