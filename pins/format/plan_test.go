package format_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// now is the moment of all plans.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func days(n int) time.Time { return now.AddDate(0, 0, n) }

func pinNamed(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

// The hosts and keys of these tests. Every host that is served below a pattern is
// among the names of the pattern, so that it is one whether a format spells it out.
var (
	single   = []string{"api.h.test", "www.h.test"}
	wildcard = pins.Pattern{Name: "cdn.h.test", Reach: pins.OneBelow}
	below    = []string{"a.cdn.h.test", "b.cdn.h.test"}
	allHosts = slices.Concat(single, below)
	keys     = []string{"A", "B", "C", "D", "I", "J", "R"}

	drawPins = rapid.Custom(func(t *rapid.T) (out []pins.Pin) {
		for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 4, rapid.ID[string]).Draw(t, "keys") {
			out = append(out, pinNamed(k))
		}
		return out
	})
	drawChain = rapid.Custom(func(t *rapid.T) pins.Chain {
		return pins.Chain{Pins: []pins.Pin{
			pinNamed(rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "leaf")),
			pinNamed(rapid.SampledFrom([]string{"I", "J"}).Draw(t, "issuer")), pinNamed("R"),
		}}
	})
)

// A shipped is a version as it was written, with its set.
type shipped struct {
	format string
	set    pins.Set
	ends   int // days from now on which its pins end; 0 for never
}

// accepts reports by the set, not by any rules, whether a client connects.
func (s shipped) accepts(host string, chain pins.Chain) bool {
	if s.ends < 0 {
		return true // it no longer pins
	}
	var want []pins.Pin
	for _, h := range s.set.Hosts {
		if h.Pattern.Matches(host) || s.format == "curl" { // which is asked of any host
			want = h.Pins
		}
	}
	known := chain.Pins
	switch leaf := s.set.Role == pins.RoleLeaf; {
	case want == nil:
		return true
	case leaf && (s.format == "ios" || s.format == "tlsa" || s.format == "curl"):
		known = known[:1]
	case s.format == "ios" || s.format == "tlsa":
		known = known[1:]
	}
	return slices.ContainsFunc(known, func(p pins.Pin) bool { return slices.Contains(want, p) })
}

// drawVersion writes a random set in a random format, and reads it back.
func drawVersion(t *rapid.T, name string, app *pins.App) (pins.Version, shipped) {
	f := rapid.SampledFrom(format.All()).Draw(t, "format")
	s := shipped{format: f.Name, set: pins.Set{App: app.Name, Role: app.Role, Plan: "plan", AsOf: days(-30)}}
	same := drawPins.Draw(t, "pins")
	for _, p := range app.Hosts {
		h := pins.HostSet{Pattern: p, Pins: same}
		if f.Name != "curl" { // which has one list for all
			if rapid.IntRange(0, 4).Draw(t, "left out") == 0 {
				continue
			}
			h.Pins = drawPins.Draw(t, "pins")
		}
		if p == wildcard {
			h.Names = below
		}
		s.set.Hosts = append(s.set.Hosts, h)
	}
	slices.SortFunc(s.set.Hosts, func(a, b pins.HostSet) int { return strings.Compare(a.Pattern.String(), b.Pattern.String()) })
	data, err := f.Encode(s.set)
	var refused *format.RefusedError
	if errors.As(err, &refused) {
		t.Skip(refused.Error()) // a set that cannot be expressed
	} else if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 3).Draw(t, "dated") == 0 {
		data = s.date(t, data)
	}
	rules, err := f.Decode(data)
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return pins.Version{Name: name, Rules: rules}, s
}

// date adds an expiration to a file, in the formats that have one.
func (s *shipped) date(t *rapid.T, data []byte) []byte {
	ends := rapid.SampledFrom([]int{-30, -3, 3, 30, 300}).Draw(t, "ends")
	day, text := days(ends).Format(time.DateOnly), string(data)
	switch s.format {
	case "android":
		text = strings.ReplaceAll(text, "<pin-set>", `<pin-set expiration="`+day+`">`)
	case "trustkit":
		text = strings.ReplaceAll(text, "<key>TSKIncludeSubdomains</key>", "<key>TSKExpirationDate</key><string>"+day+"</string><key>TSKIncludeSubdomains</key>")
	}
	if text != string(data) {
		s.ends = ends
	}
	return []byte(text)
}

// TestPlansAgreeWithEveryFormat: a host that is called ok connects with every
// version, whichever formats they are in; one that is called broken does not with
// one at least.
func TestPlansAgreeWithEveryFormat(t *testing.T) {
	met := make(map[pins.Status]int)
	written := make(map[string]int)
	rapid.Check(t, func(rt *rapid.T) {
		app := pins.App{
			Name: "shop", Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(rt, "role"),
			MinPins: rapid.IntRange(1, 2).Draw(rt, "least"), LeadTime: 14 * 24 * time.Hour,
		}
		for _, h := range rapid.SliceOfNDistinct(rapid.SampledFrom(single), 1, 2, rapid.ID[string]).Draw(rt, "hosts") {
			app.Hosts = append(app.Hosts, pins.Pattern{Name: h})
		}
		if rapid.Bool().Draw(rt, "wildcard") {
			app.Hosts = append(app.Hosts, wildcard)
		}
		facts := pins.Facts{Now: now}
		for _, name := range keys {
			for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
				facts.Keys = append(facts.Keys, pins.Key{Pin: pinNamed(name), Role: role, State: pins.StateApproved, ApprovedFor: []pins.Pattern{{Name: "h.test", Reach: pins.AllBelow}}})
			}
		}
		for _, h := range allHosts {
			for n := range rapid.IntRange(0, 2).Draw(rt, "addresses") {
				facts.Served = append(facts.Served, pins.Served{
					Host: h, Address: fmt.Sprintf("192.0.2.%d:443", n), Chain: drawChain.Draw(rt, "chain"), ID: fmt.Sprint(h, n), Named: true,
					NotBefore: days(-60), NotAfter: days(rapid.SampledFrom([]int{-1, 10, 90}).Draw(rt, "ends")), Since: days(-60), At: now,
				})
			}
		}
		var ships []shipped
		for n := range rapid.IntRange(1, 4).Draw(rt, "versions") {
			version, s := drawVersion(rt, fmt.Sprint("1.", n), &app)
			app.Versions = append(app.Versions, version)
			ships = append(ships, s)
			written[s.format]++
		}

		for _, p := range pins.NewView(&facts).Plan(&app) {
			met[p.Status]++
			refused := make(map[string]bool) // versions
			served := 0
			for _, s := range facts.Served {
				if !p.Host.Matches(s.Host) {
					continue
				}
				served++
				for n, version := range app.Versions {
					bySet := ships[n].accepts(s.Host, s.Chain)
					if byRules := pins.Accepts(version.Rules.Requirements(s.Host, now), s.Chain); byRules != bySet {
						rt.Fatalf("%s in %s: at %s its rules accept %v: %v, and the set says %v", version.Name, ships[n].format, s.Host, s.Chain, byRules, bySet)
					}
					if !bySet {
						refused[version.Name] = true
					}
				}
			}
			if (len(refused) > 0) != (p.Status == pins.StatusBroken) {
				rt.Fatalf("%s is %s, and refused by %v: %v", p.Host, p.Status, refused, p.Findings)
			}
			if p.Status == pins.StatusOK && served == 0 {
				rt.Fatalf("%s is ok, and nothing is served: %v", p.Host, p.Findings)
			}
			named := make(map[string]bool)
			for _, b := range p.Broken {
				for _, version := range b.Finding.Versions {
					named[version] = true
				}
			}
			if len(named) != len(refused) {
				rt.Fatalf("%s is refused by %v, and the plan names %v", p.Host, refused, named)
			}
		}
	})
	for _, s := range []pins.Status{pins.StatusOK, pins.StatusBroken} {
		if met[s] == 0 {
			t.Errorf("no plan was %s: nothing was tested", s)
		}
	}
	for _, name := range format.Names() {
		if written[name] == 0 {
			t.Errorf("no version was in %s: nothing was tested", name)
		}
	}
}

// BenchmarkPlan500Apps plans for 500 apps with 20 hosts and 5 versions each, which
// ship pins in the formats of real apps, mixed.
func BenchmarkPlan500Apps(b *testing.B) {
	var formats []format.Format
	for _, name := range []string{"android", "ios", "trustkit", "okhttp", "json"} {
		f, err := format.Find(name)
		if err != nil {
			b.Fatal(err)
		}
		formats = append(formats, f)
	}
	facts := pins.Facts{Now: now}
	var apps []pins.App
	for a := range 500 {
		app := pins.App{Name: fmt.Sprint("app", a), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour}
		set := pins.Set{App: app.Name, Role: app.Role, Plan: "plan", AsOf: days(-30)}
		for h := range 20 {
			host := fmt.Sprintf("h%02d.a%d.example.com", h, a)
			pattern := pins.Pattern{Name: host}
			live, next := pinNamed(host), pinNamed("next "+host)
			app.Hosts = append(app.Hosts, pattern)
			set.Hosts = append(set.Hosts, pins.HostSet{Pattern: pattern, Pins: []pins.Pin{live, next}})
			issuer, root := pinNamed("issuer"), pinNamed("root")
			facts.Served = append(facts.Served, pins.Served{
				Host: host, Address: "192.0.2.1:443", Chain: pins.Chain{Pins: []pins.Pin{live, issuer, root}}, ID: host, Named: true,
				NotBefore: days(-30), NotAfter: days(60), Since: days(-30), At: now,
			})
			facts.Issued = append(facts.Issued, pins.Issued{
				ID: "next " + host, Names: []pins.Pattern{pattern}, Chain: pins.Chain{Pins: []pins.Pin{next, issuer}, Open: true},
				NotBefore: days(-1), NotAfter: days(89), FirstSeen: days(-1),
			})
			for pin, state := range map[pins.Pin]pins.State{live: pins.StateDeployed, next: pins.StateShipped} {
				facts.Keys = append(facts.Keys, pins.Key{Pin: pin, Role: pins.RoleLeaf, State: state, ApprovedFor: []pins.Pattern{pattern}})
			}
		}
		for n, f := range formats {
			data, err := f.Encode(set)
			if err != nil {
				b.Fatal(err)
			}
			rules, err := f.Decode(data)
			if err != nil {
				b.Fatal(err)
			}
			app.Versions = append(app.Versions, pins.Version{Name: fmt.Sprint("5.", n), Rules: rules})
		}
		apps = append(apps, app)
	}
	for b.Loop() {
		v := pins.NewView(&facts)
		for i := range apps {
			for _, p := range v.Plan(&apps[i]) {
				if p.Status != pins.StatusOK {
					b.Fatal(p.Findings)
				}
			}
		}
	}
}
