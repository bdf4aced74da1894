package pins_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ctwatch/pins"
)

// The gate names each version that refuses a certificate, and the host.
func TestGate(t *testing.T) {
	L := key(t, "L", pins.StateDeployed, api)
	chain := func(open bool, names ...string) pins.Chain { return pins.Chain{Pins: pinsOf(names...), Open: open} }
	for name, c := range map[string]struct {
		versions  []pins.Version
		hosts     []string // api
		keys      []pins.Key
		names     string
		chain     pins.Chain
		concerned int
		refused   []string // "version host"
		why       string
	}{
		"the next key is shipped": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, names: api, chain: chain(true, "B", "I"), concerned: 1,
		},
		"a version lacks the next key": {
			versions: []pins.Version{ships("5.2", api, "L", "B"), ships("5.1", api, "L", "C")}, names: api, chain: chain(true, "B", "I"),
			concerned: 1, refused: []string{"5.1 " + api}, why: pin("B").String(),
		},
		"no version has an undeclared key": {
			versions: []pins.Version{ships("5.2", api, "L", "B"), ships("5.1", api, "L", "B")}, names: api + " www.example.com", chain: chain(false, "X", "I"),
			concerned: 1, refused: []string{"5.2 " + api, "5.1 " + api},
		},
		"the issuer's pin is enough for a client that looks anywhere": {
			versions: []pins.Version{ships("5.2", api, "L", "I")}, names: api, chain: chain(true, "X", "I"), concerned: 1,
		},
		"a root that is known from what is served": {
			versions: []pins.Version{ships("5.2", api, "R", "S")}, names: api, chain: chain(true, "X", "I"), concerned: 1,
		},
		"a leaf alone, where an issuer is pinned": {
			versions: []pins.Version{ships("5.2", api, "I", "J")}, names: api, chain: chain(true, "X"),
			concerned: 1, refused: []string{"5.2 " + api}, why: "Open:true",
		},
		"a certificate for others": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, names: "www.example.com", chain: chain(true, "X", "I"),
		},
		"a wildcard covers the host": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, names: "*.example.com", chain: chain(true, "X", "I"),
			concerned: 1, refused: []string{"5.2 " + api},
		},
		"an unknown name below a pattern": {
			versions: []pins.Version{ships("5.2", "*.cdn.example.com", "L", "B")}, hosts: []string{"*.cdn.example.com"},
			names: "new.cdn.example.com", chain: chain(true, "X", "I"), concerned: 1, refused: []string{"5.2 *.cdn.example.com"},
		},
		"a version that does not pin the host": {
			versions: []pins.Version{ships("5.2", "www.example.com", "L", "B")}, names: api, chain: chain(true, "X", "I"), concerned: 1,
		},
		"a compromised key": {
			versions: []pins.Version{ships("5.2", api, "C", "L")}, keys: []pins.Key{key(t, "C", pins.StateCompromised, api)},
			names: api, chain: chain(true, "C", "I"), concerned: 1, refused: []string{" " + api}, why: "State:compromised",
		},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := []string{api}
			if c.hosts != nil {
				hosts = c.hosts
			}
			app := pins.App{Name: "shop", Hosts: patterns(t, hosts...), Role: pins.RoleLeaf, MinPins: 2, Versions: c.versions}
			v := pins.NewView(&pins.Facts{Now: now, Keys: append(c.keys, L), Served: []pins.Served{served(api, days(60), "L", "I", "R")}})
			a := v.Gate([]pins.App{app}, pins.Candidate{Names: patterns(t, strings.Fields(c.names)...), Chains: []pins.Chain{c.chain}})
			var got []string
			for _, f := range a.Problems {
				got = append(got, strings.Join(f.Versions, "")+" "+f.Host.String())
				if !strings.Contains(data(f), c.why) {
					t.Errorf("no %q: %s", c.why, data(f))
				}
			}
			if strings.Join(got, ",") != strings.Join(c.refused, ",") || a.Hosts != c.concerned {
				t.Errorf("refused %q, %d hosts concerned; want %q, %d", got, a.Hosts, c.refused, c.concerned)
			}
			var unknown []string
			if c.concerned == 0 {
				unknown = []string{string(pins.NoHostConcerned)}
			}
			if !slices.Equal(codes(a.Unknown), unknown) {
				t.Errorf("unknown: %s", data(a.Unknown...))
			}
		})
	}
}

// The release gate finds what is wrong with a file, and warns of the rest.
func TestCheck(t *testing.T) {
	L := key(t, "L", pins.StateDeployed, api)
	B := key(t, "B", pins.StateApproved, api)
	N := key(t, "N", pins.StateApproved, api)
	well := []pins.Served{served(api, days(60), "L", "I", "R")}
	for name, c := range map[string]struct {
		file     pins.Version
		keys     []pins.Key
		served   []pins.Served
		issued   []pins.Issued
		problems []string // one contains each
		warnings []string
	}{
		"safe":                       {file: ships("", api, "L", "B"), keys: []pins.Key{L, B}, served: well},
		"it lacks the served key":    {file: ships("", api, "N", "B"), keys: []pins.Key{L, B, N}, served: well, problems: []string{"Code:file_refuses_served"}},
		"it pins an undeclared key":  {file: ships("", api, "L", "X"), keys: []pins.Key{L}, served: well, problems: []string{"Code:key_undeclared"}},
		"it pins a rejected key":     {file: ships("", api, "L", "X"), keys: []pins.Key{L, key(t, "X", pins.StateSeen)}, served: well, issued: []pins.Issued{rejected(issued(t, "9", api, "X", "I"))}, problems: []string{"Code:key_rejected"}},
		"it pins a seen key":         {file: ships("", api, "L", "X"), keys: []pins.Key{L, key(t, "X", pins.StateSeen)}, served: well, problems: []string{"Code:key_unapproved"}},
		"it pins another host's key": {file: ships("", api, "L", "W"), keys: []pins.Key{L, key(t, "W", pins.StateApproved, "www.example.com")}, served: well, problems: []string{"Code:key_other_hosts"}},
		"it pins a retired key":      {file: ships("", api, "L", "O"), keys: []pins.Key{L, key(t, "O", pins.StateRetired, api)}, served: well, problems: []string{"State:retired"}},
		"it does not pin the host":   {file: ships("", "www.example.com", "L", "B"), keys: []pins.Key{L, B}, served: well, problems: []string{"Code:file_not_pinning"}},
		"it has too few pins":        {file: ships("", api, "L"), keys: []pins.Key{L}, served: well, problems: []string{"Code:file_few_pins", "Code:file_no_backup"}},
		"it has no backup": {
			file: ships("", api, "L", "E"), keys: []pins.Key{L, key(t, "E", pins.StateDeployed, api)},
			served: []pins.Served{well[0], served(api, days(60), "E", "I")}, problems: []string{"Code:file_no_backup"},
		},
		"its pins end too soon": {file: until(ships("", api, "L", "B"), days(10)), keys: []pins.Key{L, B}, served: well, problems: []string{"Code:file_pins_end"}},
		"it lacks an approved key that is coming": {
			file: ships("", api, "L", "B"), keys: []pins.Key{L, B, N}, served: well,
			issued: []pins.Issued{issued(t, "next", api, "N", "I")}, problems: []string{"State:approved"},
		},
		"it lacks an unapproved key": {
			file: ships("", api, "L", "B"), keys: []pins.Key{L, B}, served: well,
			issued: []pins.Issued{issued(t, "rogue", api, "X", "I")}, warnings: []string{"Code:file_refuses_coming"},
		},
		"it lacks a served key that leaked": {
			file: ships("", api, "B", "N"), keys: []pins.Key{key(t, "L", pins.StateCompromised, api), B, N}, served: well,
			warnings: []string{"Code:file_refuses_compromised"},
		},
		"never probed": {file: ships("", api, "L", "B"), keys: []pins.Key{L, B}},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour}
			v := pins.NewView(&pins.Facts{Now: now, Keys: c.keys, Served: c.served, Issued: c.issued})
			a := v.Check(&app, c.file.Rules)
			expectFindings(t, "problems", a.Problems, c.problems)
			expectFindings(t, "warnings", a.Warnings, c.warnings)
			if (len(a.Unknown) > 0) != (len(c.served) == 0) {
				t.Errorf("unknown: %s", data(a.Unknown...))
			}
		})
	}
}

// expectFindings fails unless there is one finding for each text, whose data holds it.
func expectFindings(t *testing.T, what string, got []pins.Finding, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s %s, want %q", what, data(got...), want)
	}
	for i, w := range want {
		if !strings.Contains(data(got[i]), w) {
			t.Errorf("%s: no %q: %s", what, w, data(got[i]))
		}
	}
}

// A scenario has random hosts, keys, chains and versions.
type scenario struct {
	facts pins.Facts
	app   pins.App
}

func drawScenario(t *rapid.T, tt *testing.T) scenario {
	names := []string{"A", "B", "C", "D", "E"}
	issuers := []string{"I", "J"}
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(append(names, "I", "J", "R")), 1, 4, rapid.ID[string])
	var w scenario
	w.facts.Now = now
	for _, n := range names {
		state := rapid.SampledFrom(everyState[1:]).Draw(t, "state")
		scope := rapid.SampledFrom([]string{api, ".example.com", "www.example.com", "*.example.com"}).Draw(t, "scope")
		w.facts.Keys = append(w.facts.Keys, key(tt, n, state, scope))
	}
	for range rapid.IntRange(0, 2).Draw(t, "addresses") {
		w.facts.Served = append(w.facts.Served, served(api, days(rapid.IntRange(-1, 90).Draw(t, "ends")),
			rapid.SampledFrom(names).Draw(t, "leaf"), rapid.SampledFrom(issuers).Draw(t, "issuer"), "R"))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "issued") {
		c := issued(tt, string(rune('a'+i)), api, rapid.SampledFrom(names).Draw(t, "leaf"), rapid.SampledFrom(issuers).Draw(t, "issuer"))
		c.NotBefore = days(rapid.IntRange(-90, 0).Draw(t, "from"))
		c.Rejected = rapid.Bool().Draw(t, "rejected")
		w.facts.Issued = append(w.facts.Issued, c)
	}
	w.app = pins.App{Name: "shop", Hosts: patterns(tt, api), Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(t, "role"), MinPins: rapid.IntRange(1, 3).Draw(t, "min"), LeadTime: 24 * time.Hour}
	for i := range rapid.IntRange(0, 3).Draw(t, "versions") {
		ver := ships(string(rune('1'+i)), rapid.SampledFrom([]string{api, "*.example.com"}).Draw(t, "pinned"), some.Draw(t, "pins")...)
		if rapid.Bool().Draw(t, "both lists") {
			ver = leafAndIssuer(ver.Name, pinsOf(some.Draw(t, "leaf pins")...), pinsOf(some.Draw(t, "issuer pins")...))
		}
		w.app.Versions = append(w.app.Versions, ver)
	}
	return w
}

// Every version connects if the plan is ok, and one does not if it is broken.
func TestStatusAgreesWithClients(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawScenario(rt, t)
		v := pins.NewView(&w.facts)
		p := v.Plan(&w.app)[0]
		refused := false
		for _, ver := range w.app.Versions {
			for _, s := range w.facts.Served {
				refused = refused || !pins.Accepts(ver.Rules.Requirements(api, now), s.Chain)
			}
		}
		never := false // pins where their keys can never stand
		for _, ver := range w.app.Versions {
			never = never || len(w.facts.Served) == 0 && len(v.Unusable(&w.app, ver.Rules)) > 0
		}
		if refused != (p.Status == pins.StatusBroken) && !(never && p.Status == pins.StatusBroken) {
			rt.Fatalf("refused: %v, status %s: %s", refused, p.Status, planData(p))
		}
		if p.Status == pins.StatusOK && (len(w.app.Versions) == 0 || len(w.facts.Served) == 0) {
			rt.Fatalf("ok, and too little is known: %+v", p)
		}
		if p.Findings[0].Code == "" {
			rt.Fatal("no reason")
		}
	})
}

// No untrusted key is added to a plan, is recommended, or passes a gate.
func TestUntrustedKeysGoNowhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawScenario(rt, t)
		v := pins.NewView(&w.facts)
		trusted := func(p pins.Pin) bool { return v.Trusted(p, w.app.Role, w.app.Hosts[0]) != nil }
		for _, p := range v.Plan(&w.app)[0].Add {
			if !trusted(p) {
				rt.Fatalf("the plan adds %s", p)
			}
		}
		set, _, err := v.Recommend(&w.app)
		if err != nil {
			return
		}
		of := []pins.Requirement{{Pins: set.Hosts[0].Pins}}
		for _, p := range set.Hosts[0].Pins {
			if !trusted(p) {
				rt.Fatalf("%s is recommended", p)
			}
		}
		for _, s := range w.facts.Served {
			if !pins.Accepts(of, s.Chain) {
				rt.Fatalf("the set recommended refuses what is served: %v", set)
			}
		}
		// The release gate lets the set pass that the plan recommends.
		file := testRules{of: map[string][]pins.Requirement{api: of}}
		if a := v.Check(&w.app, file); len(a.Problems) > 0 {
			rt.Fatalf("the set recommended is not safe to ship: %s", data(a.Problems...))
		}
		// A version that ships it makes the deployment of its keys pass the other.
		w.app.Versions = []pins.Version{{Name: "next", Rules: file}}
		for _, p := range set.Hosts[0].Pins {
			chain := pins.Chain{Pins: []pins.Pin{p, p}}
			a := v.Gate([]pins.App{w.app}, pins.Candidate{Names: w.app.Hosts, Chains: []pins.Chain{chain}})
			if len(a.Problems) > 0 {
				rt.Fatalf("the deployment of a recommended key is stopped: %s", data(a.Problems...))
			}
		}
	})
}
