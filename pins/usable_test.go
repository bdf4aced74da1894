package pins_test

import (
	"slices"
	"strings"
	"testing"

	"ctwatch/pins"
)

// asking is a version with one requirement for api.
func asking(r pins.Requirement) pins.Version {
	return pins.Version{Name: "1", Rules: testRules{of: map[string][]pins.Requirement{api: {r}}}}
}

func withAlgorithm(k pins.Key, algorithm string) pins.Key { k.Algorithm = algorithm; return k }

// The release gate refuses keys where the client never looks for them, and keys that it
// cannot hash, whatever is served.
func TestCheckPlacesAndAlgorithms(t *testing.T) {
	L, B := key(t, "L", pins.StateDeclared, api), key(t, "B", pins.StateDeclared, api)
	I, J := issuerKey(t, "I", pins.StateDeclared, api), issuerKey(t, "J", pins.StateDeclared, api)
	few := []string{"RSA 2048", "ECDSA P-256"}
	for name, c := range map[string]struct {
		want     pins.Requirement
		keys     []pins.Key
		problems []string
		warnings []string
	}{
		"leaf keys for the leaf":        {pins.Requirement{At: pins.AtLeaf, Pins: pinsOf("L", "B")}, []pins.Key{L, B}, nil, nil},
		"leaf keys anywhere":            {pins.Requirement{Pins: pinsOf("L", "B")}, []pins.Key{L, B}, nil, nil},
		"CA keys among the issuers":     {pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("I", "J")}, []pins.Key{I, J}, nil, nil},
		"CA keys among those sent":      {pins.Requirement{At: pins.AtSent, Pins: pinsOf("I", "J")}, []pins.Key{I, J}, nil, nil},
		"leaf keys among the issuers":   {pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("L", "B")}, []pins.Key{L, B}, []string{"Code:pin_misplaced", "Code:pin_misplaced", "Code:file_no_backup"}, nil},
		"a leaf key among those sent":   {pins.Requirement{At: pins.AtSent, Pins: pinsOf("L", "I", "J")}, []pins.Key{L, I, J}, []string{"Code:pin_misplaced"}, nil},
		"a CA key for the leaf":         {pins.Requirement{At: pins.AtLeaf, Pins: pinsOf("L", "B", "I")}, []pins.Key{L, B, I}, []string{"Code:pin_misplaced"}, nil},
		"each of both kinds":            {pins.Requirement{At: pins.AtSent, Pins: pinsOf("L", "I"), Leaves: 1}, []pins.Key{L, I}, nil, nil},
		"each of both kinds, swapped":   {pins.Requirement{At: pins.AtSent, Pins: pinsOf("I", "L"), Leaves: 1}, []pins.Key{L, I}, []string{"Code:pin_misplaced", "Code:pin_misplaced", "Code:file_no_backup"}, nil},
		"a leaf key that was only seen": {pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("I", "J", "X")}, []pins.Key{I, J, key(t, "X", pins.StateSeen)}, []string{"Code:pin_misplaced"}, nil},
		// Anyone can have a log show our key as that of an issuer.
		"a leaf key seen as an issuer's": {
			pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("I", "J", "L")},
			[]pins.Key{I, J, L, issuerKey(t, "L", pins.StateSeen)},
			[]string{"Code:pin_misplaced"},
			nil,
		},
		"an issuer key of another host": {
			pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("I", "J", "K")},
			[]pins.Key{I, J, issuerKey(t, "K", pins.StateApproved, "www.example.com")},
			[]string{"Code:key_other_hosts"},
			nil,
		},
		"keys that it can hash": {
			pins.Requirement{Pins: pinsOf("L", "B"), Algorithms: few}, []pins.Key{withAlgorithm(L, "RSA 2048"), withAlgorithm(B, "ECDSA P-256")}, nil, nil,
		},
		"a key that it cannot hash": {
			pins.Requirement{Pins: pinsOf("L", "B"), Algorithms: few},
			[]pins.Key{withAlgorithm(L, "RSA 2048"), withAlgorithm(B, "Ed25519")},
			[]string{"Algorithm:Ed25519"},
			nil,
		},
		"a bare pin": {
			pins.Requirement{Pins: pinsOf("L", "B"), Algorithms: few},
			[]pins.Key{withAlgorithm(L, "RSA 2048"), B},
			nil,
			[]string{"Code:algorithm_unknown"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2}
			end := days(60)
			facts := pins.Facts{Now: now, Keys: c.keys}
			ver := asking(c.want)
			v := pins.NewView(&facts)
			a := v.Check(&app, ver.Rules)
			const noBackup = "Code:file_no_backup"
			problems := slices.DeleteFunc(a.Problems, func(f pins.Finding) bool { return f.Code == pins.FileNoBackup })
			expectFindings(t, "problems", problems, slices.DeleteFunc(slices.Clone(c.problems), func(s string) bool { return s == noBackup }))
			expectFindings(t, "warnings", a.Warnings, c.warnings)

			// What is served changes nothing of it.
			facts.Served = []pins.Served{served(api, end, "L", "I", "R")}
			served := data(pins.NewView(&facts).Check(&app, ver.Rules).Problems...)
			for _, f := range problems {
				if !strings.Contains(served, strings.Trim(data(f), "[]")) {
					t.Errorf("once a host is served, it does not say %s", data(f))
				}
			}
		})
	}
}

// A version whose client can use none of its pins refuses every server: the plan is broken
// before anything was probed.
func TestUnusablePinsBreakPlan(t *testing.T) {
	L, B := key(t, "L", pins.StateDeclared, api), key(t, "B", pins.StateDeclared, api)
	app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2}
	app.Versions = []pins.Version{asking(pins.Requirement{At: pins.AtIssuers, Pins: pinsOf("L", "B")})}
	v := pins.NewView(&pins.Facts{Now: now, Keys: []pins.Key{L, B}})
	if p := v.Plan(&app)[0]; p.Status != pins.StatusBroken || !strings.Contains(planData(p), "Code:pin_misplaced") {
		t.Errorf("status %s: %s", p.Status, planData(p))
	}
	if got := v.Unusable(&app, app.Versions[0].Rules); len(got) != 2 {
		t.Errorf("unusable: %v", got)
	}

	// An unusable pin is not a backup.
	app.Versions = []pins.Version{asking(pins.Requirement{Pins: pinsOf("L", "B"), Algorithms: []string{"RSA 2048"}})}
	v = pins.NewView(&pins.Facts{
		Now: now, Keys: []pins.Key{withAlgorithm(L, "RSA 2048"), withAlgorithm(B, "Ed25519")}, Served: []pins.Served{served(api, days(60), "L", "I")},
	})
	if p := v.Plan(&app)[0]; p.Status != pins.StatusNoBackup {
		t.Errorf("status %s: %s", p.Status, planData(p))
	}
}

// Of several chains that clients may build, each has to be accepted; a client that looks from
// the root down crashes at the first key that it cannot hash.
func TestGateChecksEachChain(t *testing.T) {
	chain := func(names ...string) pins.Chain {
		return pins.Chain{Pins: pinsOf(names...), Root: "CN=" + names[len(names)-1]}
	}
	of := func(c pins.Chain, algorithms ...string) pins.Chain { c.Algorithms = algorithms; return c }
	few := []string{"RSA 2048", "ECDSA P-256"}
	for name, c := range map[string]struct {
		want   pins.Requirement
		chains []pins.Chain
		above  map[pins.Pin][]pins.Chain
		why    string // "" for safe
	}{
		"the one root is pinned":             {pins.Requirement{Pins: pinsOf("R")}, []pins.Chain{chain("L", "I", "R")}, nil, ""},
		"both roots are":                     {pins.Requirement{Pins: pinsOf("R", "S")}, []pins.Chain{chain("L", "I", "R"), chain("L", "I", "S")}, nil, ""},
		"the intermediate is":                {pins.Requirement{Pins: pinsOf("I")}, []pins.Chain{chain("L", "I", "R"), chain("L", "I", "S")}, nil, ""},
		"one of the two":                     {pins.Requirement{Pins: pinsOf("R")}, []pins.Chain{chain("L", "I", "R"), chain("L", "I", "S")}, nil, "Root:CN=S"},
		"what is above is known":             {pins.Requirement{Pins: pinsOf("R")}, []pins.Chain{{Pins: pinsOf("L", "I"), Open: true}}, map[pins.Pin][]pins.Chain{pin("I"): {chain("R")}}, ""},
		"what is above is known in two ways": {pins.Requirement{Pins: pinsOf("R")}, []pins.Chain{{Pins: pinsOf("L", "I"), Open: true}}, map[pins.Pin][]pins.Chain{pin("I"): {chain("R"), chain("S")}}, "Root:CN=S"},
		"a root that is not sent":            {pins.Requirement{At: pins.AtSent, Pins: pinsOf("R")}, []pins.Chain{{Pins: pinsOf("L", "I", "R"), Added: 1}}, nil, "Code:issuer_not_sent"},
		"a root that is sent":                {pins.Requirement{At: pins.AtSent, Pins: pinsOf("R")}, []pins.Chain{chain("L", "I", "R")}, nil, ""},
		"a root that the gate adds":          {pins.Requirement{At: pins.AtSent, Pins: pinsOf("R")}, []pins.Chain{{Pins: pinsOf("L", "I"), Open: true}}, map[pins.Pin][]pins.Chain{pin("I"): {chain("R")}}, "Code:issuer_not_sent"},
		"an Ed25519 leaf below a pinned CA":  {pins.Requirement{Pins: pinsOf("I"), Algorithms: few}, []pins.Chain{of(chain("L", "I"), "Ed25519", "RSA 2048")}, nil, ""},
		"a P-521 CA above a pinned leaf":     {pins.Requirement{Pins: pinsOf("L"), Algorithms: few}, []pins.Chain{of(chain("L", "I"), "RSA 2048", "ECDSA P-521")}, nil, "Code:chain_crashes"},
		"a CA whose algorithm is not known":  {pins.Requirement{Pins: pinsOf("L"), Algorithms: few}, []pins.Chain{of(chain("L", "I"), "RSA 2048", "")}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleIssuer, MinPins: 1, Versions: []pins.Version{asking(c.want)}}
			v := pins.NewView(&pins.Facts{Now: now, Above: c.above})
			a := v.Gate([]pins.App{app}, pins.Candidate{Names: patterns(t, api), Chains: c.chains})
			var want []string
			if c.why != "" {
				want = []string{c.why}
			}
			expectFindings(t, "problems", a.Problems, want)
		})
	}
}

// An app may pin a root: then its approval is enough for a pin set, whichever intermediate is
// served. No unapproved key is recommended.
func TestRecommendAcceptsRoot(t *testing.T) {
	R, S := issuerKey(t, "R", pins.StateDeclared, api), issuerKey(t, "S", pins.StateDeclared, api)
	well := []pins.Served{served(api, days(60), "L", "I", "R")}
	for name, c := range map[string]struct {
		keys   []pins.Key
		served []pins.Served
		want   []pins.Pin
		why    string
	}{
		"the root is approved":          {[]pins.Key{R, S}, well, pinsOf("R", "S"), ""},
		"another intermediate is":       {[]pins.Key{issuerKey(t, "J", pins.StateDeclared, api), S}, well, nil, string(pins.NotApproved)},
		"the intermediate and the root": {[]pins.Key{R, S, issuerKey(t, "I", pins.StateDeclared, api)}, well, pinsOf("I", "R", "S"), ""},
		"the root, of another chain":    {[]pins.Key{S}, well, nil, string(pins.NotApproved)},
		"a compromised intermediate":    {[]pins.Key{R, S, issuerKey(t, "I", pins.StateCompromised, api)}, well, nil, string(pins.KeyCompromised)},
		"two intermediates of one root": {[]pins.Key{R, S}, []pins.Served{well[0], served(api, days(60), "M", "J", "R")}, pinsOf("R", "S"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleIssuer, MinPins: 2}
			set, _, err := pins.NewView(&pins.Facts{Now: now, Keys: c.keys, Served: c.served}).Recommend(&app)
			if c.why != "" {
				if err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("got %v, %v, want %q", set.Hosts, err, c.why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range c.want {
				if !slices.Contains(set.Hosts[0].Pins, p) || len(set.Hosts[0].Pins) != len(c.want) {
					t.Errorf("recommends %v, want %v", set.Hosts[0].Pins, c.want)
				}
			}
		})
	}
}
