package pins_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ctwatch/pins"
)

// A memorySource has all facts, and returns no more of them than it is asked for.
type memorySource struct {
	pins.Facts
	asked int // certificates that were returned
}

func (m *memorySource) Served() ([]pins.Served, error) { return m.Facts.Served, nil }

func (m *memorySource) Granted(patterns []pins.Pattern) (out []pins.Pin, err error) {
	for _, k := range m.Facts.Keys {
		if slices.ContainsFunc(k.ApprovedFor, func(p pins.Pattern) bool { return slices.Contains(patterns, p) }) {
			out = append(out, k.Pin)
		}
	}
	return out, nil
}

func (m *memorySource) Keys(of []pins.Pin, about []pins.Pattern) (out []pins.Key, err error) {
	for _, k := range m.Facts.Keys {
		compromised := k.State == pins.StateCompromised
		if !compromised && !slices.Contains(of, k.Pin) {
			continue
		}
		var hosts []string
		for _, h := range k.Hosts {
			n, _ := pins.PatternOf(h)
			if compromised && slices.ContainsFunc(about, func(p pins.Pattern) bool { return p.Covers(n) || n.Covers(p) }) {
				hosts = append(hosts, h)
			}
		}
		k.Hosts = hosts
		if k.Role == pins.RoleIssuer {
			k.Certificates = nil
		}
		k.Certificates = k.Certificates[:min(1, len(k.Certificates))]
		out = append(out, k)
	}
	return out, nil
}

func (m *memorySource) Issued(names []pins.Pattern, leaves []pins.Pin, ids []string) (out []pins.Issued, err error) {
	for _, c := range m.Facts.Issued {
		if slices.Contains(leaves, c.Chain.Leaf()) || slices.Contains(ids, c.ID) ||
			slices.ContainsFunc(c.Names, func(n pins.Pattern) bool { return slices.Contains(names, n) }) {
			out = append(out, c)
		}
	}
	m.asked += len(out)
	return out, nil
}

// The world of the property test is small, so that much of it is related.
var (
	someHosts    = []string{"a.example.com", "b.example.com", "c.b.example.com", "example.com", "a.example.net", "d.a.example.net"}
	somePatterns = append(slices.Clone(someHosts), "*.example.com", "*.example.net", "*.b.example.com", ".example.com", ".net")
	someNames    = slices.Clip(somePatterns[:len(somePatterns)-2]) // those of certificates and apps
	somePins     = []string{"L1", "L2", "L3", "L4", "L5", "L6", "I1", "I2", "I3", "R1", "R2"}
	drawPinName  = rapid.SampledFrom(somePins)
	drawDay      = rapid.IntRange(-40, 100)
)

func drawPins(rt *rapid.T, what string, least, most int) []pins.Pin {
	return pinsOf(rapid.SliceOfNDistinct(drawPinName, least, most, rapid.ID[string]).Draw(rt, what)...)
}

func drawPatterns(rt *rapid.T, what string, from []string, least, most int) (out []pins.Pattern) {
	for _, s := range rapid.SliceOfNDistinct(rapid.SampledFrom(from), least, most, rapid.ID[string]).Draw(rt, what) {
		p, err := pins.PatternOf(s)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

func drawFacts(rt *rapid.T) (f pins.Facts) {
	f.Now = now
	for _, name := range somePins {
		for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
			if rapid.IntRange(0, 2).Draw(rt, "known") == 0 {
				continue
			}
			k := pins.Key{
				Pin: pin(name), Role: role, ChangedAt: days(drawDay.Draw(rt, "changed")),
				State: rapid.SampledFrom([]pins.State{
					pins.StateSeen, pins.StateApproved, pins.StateApproved, pins.StateShipped, pins.StateDeployed, pins.StateRetiring, pins.StateRetired, pins.StateCompromised,
				}).Draw(rt, "state"),
				By:        rapid.SampledFrom([]string{"probe", "ada"}).Draw(rt, "by"),
				Algorithm: rapid.SampledFrom([]string{"", "ECDSA P-256", "RSA 2048"}).Draw(rt, "algorithm"),
			}
			if k.State.Trusted() {
				k.ApprovedFor = drawPatterns(rt, "approved for", somePatterns, 0, 3)
			}
			k.Hosts = rapid.SliceOfNDistinct(rapid.SampledFrom(somePatterns), 0, 2, rapid.ID[string]).Draw(rt, "hosts")
			k.Certificates = rapid.SliceOfN(rapid.Just("00"), 0, 3).Draw(rt, "certificates")
			f.Keys = append(f.Keys, k)
		}
	}
	for i := range rapid.IntRange(0, 8).Draw(rt, "certificates") {
		f.Issued = append(f.Issued, pins.Issued{
			ID: fmt.Sprint("c", i), Names: drawPatterns(rt, "names", someNames, 1, 3),
			Chain:     pins.Chain{Pins: drawPins(rt, "chain", 0, 2), Open: true},
			NotBefore: days(rapid.IntRange(-40, 1).Draw(rt, "from")), NotAfter: days(rapid.IntRange(1, 100).Draw(rt, "to")),
			Rejected: rapid.IntRange(0, 3).Draw(rt, "rejected") == 0,
		})
	}
	for i := range rapid.IntRange(0, 6).Draw(rt, "served") {
		s := pins.Served{
			Host: rapid.SampledFrom(someHosts).Draw(rt, "host"), Address: fmt.Sprintf("192.0.2.%d:443", i), ID: fmt.Sprint("c", rapid.IntRange(0, 9).Draw(rt, "id")),
			Chain: pins.Chain{Pins: drawPins(rt, "chain", 1, 3), Open: rapid.Bool().Draw(rt, "open")}, Named: rapid.Bool().Draw(rt, "named"),
			NotBefore: days(-40), NotAfter: days(drawDay.Draw(rt, "end")), Since: days(-3), At: now,
		}
		f.Served = append(f.Served, s)
	}
	f.Above = make(map[pins.Pin][]pins.Chain)
	for range rapid.IntRange(0, 2).Draw(rt, "above") {
		p := pin(drawPinName.Draw(rt, "issuer"))
		f.Above[p] = append(f.Above[p], pins.Chain{Pins: drawPins(rt, "above", 1, 2)})
	}
	return f
}

func drawRules(rt *rapid.T) pins.Rules {
	r := testRules{of: make(map[string][]pins.Requirement)}
	for _, p := range drawPatterns(rt, "pinned", someNames, 1, 3) {
		q := pins.Requirement{Pins: drawPins(rt, "pins", 1, 3), At: rapid.SampledFrom([]pins.Position{pins.Anywhere, pins.AtLeaf, pins.AtIssuers}).Draw(rt, "at")}
		if rapid.Bool().Draw(rt, "algorithms") {
			q.Algorithms = []string{"RSA 2048"}
		}
		r.of[p.String()] = append(r.of[p.String()], q)
	}
	if rapid.Bool().Draw(rt, "ends") {
		r.ends = days(drawDay.Draw(rt, "end"))
	}
	return r
}

func drawApps(rt *rapid.T) (apps []pins.App) {
	for i := range rapid.IntRange(0, 2).Draw(rt, "apps") {
		app := pins.App{
			Name: fmt.Sprint("app", i), Hosts: drawPatterns(rt, "hosts", someNames, 1, 2), Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(rt, "role"),
			MinPins: rapid.IntRange(1, 2).Draw(rt, "min"), LeadTime: time.Duration(rapid.IntRange(1, 60).Draw(rt, "lead")) * 24 * time.Hour,
		}
		for v := range rapid.IntRange(0, 2).Draw(rt, "versions") {
			app.Versions = append(app.Versions, pins.Version{Name: fmt.Sprint(v), Rules: drawRules(rt)})
		}
		apps = append(apps, app)
	}
	return apps
}

// TestScopeAnswersAsAllFacts: a view of the facts within a scope answers as one of all
// facts, whatever is asked about the scope.
func TestScopeAnswersAsAllFacts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := &memorySource{Facts: drawFacts(rt)}
		s := pins.Scope{Apps: drawApps(rt), Rules: []pins.Rules{drawRules(rt)}, Pins: drawPins(rt, "asked for", 0, 2)}
		sent := pins.Candidate{Names: drawPatterns(rt, "names", someNames, 1, 2), NotAfter: days(drawDay.Draw(rt, "end"))}
		sent.Chains = []pins.Chain{{Pins: drawPins(rt, "chain", 1, 2), Open: rapid.Bool().Draw(rt, "open")}}
		s.Chains = sent.Chains
		s.Above = func(issuer pins.Pin) []pins.Chain { return src.Above[issuer] }
		before := pins.Published{Revoked: drawPins(rt, "revoked", 0, 2), Hosts: make(map[pins.Pattern][]pins.Pin)}
		for _, app := range s.Apps {
			for _, p := range app.Hosts {
				before.Hosts[p] = drawPins(rt, "published", 0, 2)
			}
		}
		some, _, err := pins.Gather(src, s, now)
		if err != nil {
			rt.Fatal(err)
		}
		answers := func(f *pins.Facts) map[string]any {
			v := pins.NewView(f)
			out := map[string]any{"gate": v.Gate(s.Apps, sent), "expiring": v.Expiring(s.Apps...)}
			for i := range s.Apps {
				app := &s.Apps[i]
				out["plan "+app.Name] = v.Plan(app)
				out["check "+app.Name] = v.Check(app, s.Rules[0])
				out["unusable "+app.Name] = v.Unusable(app, s.Rules[0])
				set, unseen, err := v.Recommend(app)
				out["set "+app.Name] = []any{set, unseen, err}
				set, err = v.Publish(app, before)
				out["document "+app.Name] = []any{set, err}
				for _, p := range app.Hosts {
					for _, plan := range v.Plan(app) {
						for _, list := range plan.Shipped {
							for _, pin := range list {
								out[fmt.Sprint("doubt ", pin, p)] = []any{v.Doubt(pin, pins.RoleLeaf, p), v.Doubt(pin, pins.RoleIssuer, p)}
							}
						}
					}
				}
			}
			for _, p := range s.Pins {
				out["unexpected "+p.String()] = v.OnlyUnexpected(p)
			}
			return out
		}
		all := src.Facts
		opts := []cmp.Option{
			cmpopts.EquateEmpty(), cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }),
			cmp.Comparer(func(a, b pins.Rules) bool { return true }),
		}
		if diff := cmp.Diff(answers(&all), answers(&some), opts...); diff != "" {
			rt.Fatalf("answers by all facts, and by those within the scope (-want +got):\n%s", diff)
		}
	})
}

// TestScopeLeavesOutTheRest: what concerns no host and no pin of the scope is not read.
func TestScopeLeavesOutTheRest(t *testing.T) {
	app := pins.App{Name: "shop", Hosts: patterns(t, api, "*.cdn.example.com"), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour, Versions: []pins.Version{ships("1.0", api, "L", "B")}}
	var want pins.Facts
	for _, others := range []int{0, 1000} {
		src := &memorySource{Facts: pins.Facts{
			Keys:   []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateApproved, ".example.com"), issuerKey(t, "CA", pins.StateSeen)},
			Served: []pins.Served{served(api, days(60), "L", "CA"), served("x.cdn.example.com", days(60), "X", "CA"), served("other.test", days(1), "O", "CA")},
			Issued: []pins.Issued{
				issued(t, "1", api, "N", "CA"), issued(t, "2", "*.example.com", "W", "CA"), issued(t, "3", "elsewhere.test", "B", "CA"),
				issued(t, "4", "x.cdn.example.com", "X2", "CA"), issued(t, "5", "other.test", "O2", "CA"),
			},
		}}
		for i := range others {
			name := fmt.Sprint("other", i)
			src.Facts.Keys = append(src.Facts.Keys, key(t, name, pins.StateApproved, name+".test"))
			src.Facts.Issued = append(src.Facts.Issued, issued(t, name, name+".test", name, "CA"))
		}
		got, in, err := pins.Gather(src, pins.Scope{Apps: []pins.App{app}}, now)
		if err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			want = got
			var ids []string
			for _, c := range got.Issued {
				ids = append(ids, c.ID)
			}
			if s := strings.Join(ids, " "); s != "1 2 3 4 5" {
				t.Errorf("certificates %s", s)
			}
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with others (-want +got):\n%s", diff)
		}
		for name, tt := range map[string]struct{ got, want bool }{
			"a name":                  {in.Certificate("9", patterns(t, "elsewhere.test", "*.example.com"), pin("?")), true},
			"a host below":            {in.Certificate("9", patterns(t, "x.cdn.example.com"), pin("?")), true},
			"a key":                   {in.Certificate("9", patterns(t, "elsewhere.test"), pin("B")), true},
			"what is served":          {in.Certificate("served-L", nil, pin("?")), true},
			"what expires":            {in.Certificate("9", patterns(t, "other.test"), pin("?")), true},
			"elsewhere":               {in.Certificate("9", patterns(t, "other7.test"), pin("other7")), false},
			"the issuer's":            {in.Key(pin("CA")), true},
			"served elsewhere":        {in.Key(pin("O")), true},
			"another key":             {in.Key(pin("other7")), false},
			"granted the host":        {in.Grant(patterns(t, api)[0]), true},
			"granted the domain":      {in.Grant(patterns(t, ".com")[0]), true},
			"granted another host":    {in.Grant(patterns(t, "other7.test")[0]), false},
			"granted a host below it": {in.Grant(patterns(t, "x."+api)[0]), false},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
			}
		}
	}
}
