package pins_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// A plan has the status, what to add and remove, the deadline, and why.
func TestPlan(t *testing.T) {
	L := key(t, "L", pins.StateDeployed, api)
	B := key(t, "B", pins.StateApproved, api)
	well := []pins.Served{served(api, days(60), "L", "I", "R")}
	rejected := issued(t, "rogue", api, "X", "I")
	rejected.Rejected = true
	ended := key(t, "O", pins.StateSeen)
	ended.Certificates = []string{"ended"}
	wild := well[0]
	wild.Named = false

	for name, c := range map[string]struct {
		versions []pins.Version
		role     pins.Role // leaf
		min      int       // 2
		served   []pins.Served
		keys     []pins.Key
		issued   []pins.Issued

		status pins.Status
		add    []pins.Pin
		remove []pins.Pin
		due    time.Time
		why    []string // each in the data of its findings
		coming int
	}{
		"served key and a backup are shipped": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{L, B},
			status: pins.StatusOK,
		},
		"renewal with the same key is no action": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: []pins.Served{served(api, days(10), "L", "I", "R")}, keys: []pins.Key{L, B},
			issued: []pins.Issued{issued(t, "renewal", api, "L", "I")},
			status: pins.StatusOK, coming: 1,
		},
		"the host was never probed": {
			versions: []pins.Version{ships("5.2", api, "L", "B")},
			status:   pins.StatusUnknown, why: []string{"Code:not_reached", "Do:probe"},
		},
		"no version is known": {
			served: well, keys: []pins.Key{L, B},
			status: pins.StatusUnknown, add: pinsOf("L", "B"), why: []string{"Code:no_version", "Do:import"},
		},
		"no version pins the host": {
			versions: []pins.Version{ships("5.2", "other.example.com", "L", "B")}, served: well,
			status: pins.StatusUnknown, why: []string{"Code:not_pinned"},
		},
		"a served key outside the shipped set": {
			versions: []pins.Version{ships("5.1", api, "L", "B"), ships("5.10", api, "X", "L"), ships("5.9", api, "L")},
			served:   []pins.Served{served(api, days(60), "X", "I", "R")},
			status:   pins.StatusBroken, due: days(0), why: []string{"Do:act_now", "Versions:[5.9 5.1]", "Code:served_refused", "Code:key_unapproved"},
		},
		"one of two addresses serves another key": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: []pins.Served{well[0], served(api, days(50), "X", "I")},
			status: pins.StatusBroken, due: days(0),
		},
		"every pin is in the current chain": {
			versions: []pins.Version{ships("5.2", api, "L", "I")}, served: well, keys: []pins.Key{L, B},
			status: pins.StatusNoBackup, add: pinsOf("B"), due: days(46), why: []string{"Do:ship", "Pins:[" + pin("B").String() + "]"},
		},
		"one pin is enough for an app that says so": {
			versions: []pins.Version{ships("5.2", api, "L")}, min: 1, served: well, keys: []pins.Key{L},
			status: pins.StatusOK,
		},
		"a CA pin is no backup for a leaf pin": {
			versions: []pins.Version{leafAndIssuer("5.2", pinsOf("L"), pinsOf("I", "J"))}, served: well, keys: []pins.Key{L},
			status: pins.StatusNoBackup, due: days(46), why: []string{"Code:no_backup_pin", fmt.Sprint("At:", pins.AtLeaf)},
		},
		"leaf and CA pins each have a backup": {
			versions: []pins.Version{leafAndIssuer("5.2", pinsOf("L", "B"), pinsOf("I", "J"))}, served: well, keys: []pins.Key{L, B, issuerKey(t, "J", pins.StateApproved, api)},
			status: pins.StatusOK,
		},
		"the CA list refuses an issuer that changed": {
			versions: []pins.Version{leafAndIssuer("5.2", pinsOf("L", "B"), pinsOf("I", "J"))}, keys: []pins.Key{L},
			served: []pins.Served{served(api, days(60), "L", "K", "R")},
			status: pins.StatusBroken, due: days(0),
		},
		"an undeclared key was issued": {
			versions: []pins.Version{ships("5.2", api, "L", "B"), ships("5.1", api, "L", "X")},
			served:   well, keys: []pins.Key{L, key(t, "X", pins.StateSeen)}, issued: []pins.Issued{issued(t, "rogue", api, "X", "I")},
			status: pins.StatusWillBreak, coming: 1, due: days(46), why: []string{"Code:coming_refused", "Versions:[5.2]", "Code:key_unapproved", "Do:reject If:not_ours"},
		},
		"a key that was rotated away from is not going to be deployed again": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{L, B, key(t, "O", pins.StateRetiring, api)},
			issued: []pins.Issued{issued(t, "before", api, "O", "I")},
			status: pins.StatusOK,
		},
		"a renewal of a key that is to be retired and is served still": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{key(t, "L", pins.StateRetiring, api), B},
			issued: []pins.Issued{issued(t, "renewal", api, "L", "I")},
			status: pins.StatusOK, coming: 1,
		},
		"a rejected certificate is not going to be deployed": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{L, B, key(t, "X", pins.StateSeen)},
			issued: []pins.Issued{rejected},
			status: pins.StatusOK,
		},
		"an approved key that an old version lacks": {
			versions: []pins.Version{ships("5.2", api, "L", "B"), ships("5.1", api, "L", "C")}, served: well, keys: []pins.Key{L, B},
			issued: []pins.Issued{issued(t, "next", api, "B", "I")},
			status: pins.StatusWillBreak, coming: 1, due: days(46), why: []string{"Do:do_not_deploy", "Versions:[5.1]"},
		},
		"an issuer change behind an issuer pin": {
			versions: []pins.Version{ships("5.2", api, "I", "J")}, role: pins.RoleIssuer, served: well, keys: []pins.Key{issuerKey(t, "I", pins.StateDeployed, api)},
			issued: []pins.Issued{issued(t, "next", api, "B", "K")},
			status: pins.StatusWillBreak, coming: 1, due: days(46), why: []string{"Role:issuer", "Pin:" + pin("K").String()},
		},
		"a new leaf behind an issuer pin is no action": {
			versions: []pins.Version{ships("5.2", api, "I", "J")}, role: pins.RoleIssuer, served: well,
			keys:   []pins.Key{issuerKey(t, "I", pins.StateDeployed, api), issuerKey(t, "J", pins.StateApproved, api)},
			issued: []pins.Issued{issued(t, "next", api, "B", "I")},
			status: pins.StatusOK, coming: 1,
		},
		"a root that another chain of the issuer shows": {
			versions: []pins.Version{ships("5.2", api, "R", "S")}, served: well, keys: []pins.Key{issuerKey(t, "S", pins.StateApproved, api)}, issued: []pins.Issued{issued(t, "next", api, "B", "I")},
			status: pins.StatusOK, coming: 1,
		},
		"the pins' own end is near": {
			versions: []pins.Version{until(ships("5.2", api, "L", "B"), days(10))}, served: well, keys: []pins.Key{L, B},
			status: pins.StatusExpiring, due: days(-4), why: []string{"Code:pins_end", "Do:release_by", "Past:true"},
		},
		"the certificate ends and nothing follows": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: []pins.Served{served(api, days(10), "L", "I", "R")}, keys: []pins.Key{L, B},
			status: pins.StatusExpiring, why: []string{"Code:certificate_ends", "Do:renew", "Pin:" + pin("L").String()},
		},
		"the backup's last certificate has ended": {
			versions: []pins.Version{ships("5.2", api, "L", "O")}, served: well, keys: []pins.Key{L, ended},
			status: pins.StatusNoBackup, remove: pinsOf("O"), due: days(46),
		},
		"a retired backup does not count, and a compromised key must go": {
			versions: []pins.Version{ships("5.2", api, "L", "O", "C")}, served: well,
			keys:   []pins.Key{L, key(t, "O", pins.StateRetired, api), key(t, "C", pins.StateCompromised, api)},
			status: pins.StatusNoBackup, remove: pinsOf("O", "C"), due: days(46),
		},
		"a wildcard for others does not concern a host with its own certificate": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{L, B},
			issued: []pins.Issued{issued(t, "wild", "*.example.com example.com", "W", "I")},
			status: pins.StatusOK,
		},
		"a wildcard may follow a wildcard": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: []pins.Served{wild},
			issued: []pins.Issued{issued(t, "wild", "*.example.com example.com", "W", "I")},
			status: pins.StatusWillBreak, coming: 1, due: days(46),
		},
		"a key approved for another host, or in use elsewhere, is not added": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well,
			keys:   []pins.Key{L, B, key(t, "W", pins.StateApproved, "www.example.com"), key(t, "T", pins.StateDeployed, ".example.com")},
			status: pins.StatusOK,
		},
		"a declared key is to be added before anything is issued": {
			versions: []pins.Version{ships("5.2", api, "L", "B")}, served: well, keys: []pins.Key{L, B, key(t, "N", pins.StateDeclared, ".example.com")},
			status: pins.StatusOK, add: pinsOf("N"), due: days(46), why: []string{"Do:ship", "Pins:[" + pin("N").String() + "]"},
		},
		"a retiring key may be left out once it is not served": {
			versions: []pins.Version{ships("5.2", api, "L", "B", "O")}, served: well, keys: []pins.Key{L, B, key(t, "O", pins.StateRetiring, api)},
			status: pins.StatusOK, remove: pinsOf("O"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour, Versions: c.versions}
			if c.role != "" {
				app.Role = c.role
			}
			if c.min > 0 {
				app.MinPins = c.min
			}
			v := pins.NewView(&pins.Facts{Now: now, Keys: c.keys, Served: c.served, Issued: c.issued})
			p := v.Plan(&app)[0]
			if p.Status != c.status {
				t.Errorf("status %s, want %s: %s", p.Status, c.status, planData(p))
			}
			slices.SortFunc(c.add, func(a, b pins.Pin) int { return slices.Compare(a[:], b[:]) })
			if !slices.Equal(p.Add, c.add) {
				t.Errorf("add %v, want %v", p.Add, c.add)
			}
			if !slices.Equal(p.Remove, c.remove) {
				t.Errorf("remove %v, want %v", p.Remove, c.remove)
			}
			if len(p.Coming) != c.coming {
				t.Errorf("coming %v, want %d", p.Coming, c.coming)
			}
			if p.Deadline == nil != c.due.IsZero() || p.Deadline != nil && !p.Deadline.Equal(c.due) {
				t.Errorf("deadline %v, want %v", p.Deadline, c.due)
			}
			for _, w := range c.why {
				if !strings.Contains(planData(p), w) {
					t.Errorf("no %q: %s", w, planData(p))
				}
			}
		})
	}
}

// A pattern is judged by the known hosts below it, except those that the app names.
func TestPatternIsJudgedByHostsBelow(t *testing.T) {
	app := pins.App{
		Name: "shop", Hosts: patterns(t, "*.cdn.example.com", "special.cdn.example.com"), Role: pins.RoleLeaf, MinPins: 1, LeadTime: time.Hour,
		Versions: []pins.Version{{Name: "1", Rules: testRules{of: map[string][]pins.Requirement{
			"*.cdn.example.com": {{Pins: pinsOf("A")}}, "special.cdn.example.com": {{Pins: pinsOf("S")}},
		}}}},
	}
	view := func(hosts ...string) *pins.View {
		f := pins.Facts{Now: now}
		for _, h := range hosts {
			name, k, _ := strings.Cut(h, "=")
			f.Served = append(f.Served, served(name+".cdn.example.com", days(60), k, "I"))
		}
		return pins.NewView(&f)
	}
	if got := view().Plan(&app)[0].Status; got != pins.StatusUnknown {
		t.Errorf("with no host known: %s", got)
	}
	if got := view("a=A", "b=A", "special=S").Plan(&app); got[0].Status != pins.StatusOK || got[1].Status != pins.StatusOK {
		t.Errorf("with all as pinned: %s, %s", planData(got[0]), planData(got[1]))
	}
	if got := view("a=A", "b=X", "special=S").Plan(&app); got[0].Status != pins.StatusBroken || got[1].Status != pins.StatusOK {
		t.Errorf("with one host broken: %s, %s", planData(got[0]), planData(got[1]))
	}
}

// BenchmarkPlan plans 500 apps, each with 20 hosts and 5 versions.
func BenchmarkPlan(b *testing.B) {
	f := pins.Facts{Now: now}
	var apps []pins.App
	for a := range 500 {
		app := pins.App{Name: fmt.Sprint("app", a), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour}
		of := make(map[string][]pins.Requirement)
		for h := range 20 {
			host := fmt.Sprintf("h%d.a%d.example.com", h, a)
			app.Hosts = append(app.Hosts, pins.Pattern{Name: host})
			of[host] = []pins.Requirement{{Pins: pinsOf(host, "B"+host)}}
			f.Served = append(f.Served, served(host, days(60), host, "I", "R"))
			f.Keys = append(f.Keys, key(b, host, pins.StateDeployed, host), key(b, "B"+host, pins.StateApproved, host))
			f.Issued = append(f.Issued, issued(b, "next"+host, host, "B"+host, "I"))
		}
		for n := range 5 {
			app.Versions = append(app.Versions, pins.Version{Name: fmt.Sprint("5.", n), Rules: testRules{of: of}})
		}
		apps = append(apps, app)
	}
	for b.Loop() {
		v := pins.NewView(&f)
		for i := range apps {
			for _, p := range v.Plan(&apps[i]) {
				if p.Status != pins.StatusOK {
					b.Fatal(p.Findings)
				}
			}
		}
	}
}
