package pins_test

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// What to do about an untrusted key depends on how it is known; a retired, compromised or
// rejected key is left out.
func TestDoubtApprovesNoRetiredKey(t *testing.T) {
	host := patterns(t, api)[0]
	v := pins.NewView(&pins.Facts{
		Now: now,
		Keys: []pins.Key{
			key(t, "trusted", pins.StateApproved, api), key(t, "elsewhere", pins.StateApproved, "other.example.com"),
			key(t, "seen", pins.StateSeen), key(t, "rogue", pins.StateSeen), key(t, "retired", pins.StateRetired),
			key(t, "leaked", pins.StateCompromised), issuerKey(t, "ca", pins.StateSeen),
		},
		Issued: []pins.Issued{rejected(issued(t, "1", api, "rogue", "ca"))},
	})
	for _, c := range []struct {
		key    string
		role   pins.Role
		code   pins.Code // "" if it is trusted
		advice pins.Verb // by which it is trusted; "" for none
	}{
		{"trusted", pins.RoleLeaf, "", ""},
		{"elsewhere", pins.RoleLeaf, pins.KeyOtherHosts, pins.Approve},
		{"seen", pins.RoleLeaf, pins.KeyUnapproved, pins.Approve},
		{"seen", pins.RoleIssuer, pins.KeyOtherRole, pins.Declare},
		{"ca", pins.RoleIssuer, pins.KeyUnapproved, pins.Approve},
		{"ca", pins.RoleLeaf, pins.KeyOtherRole, pins.Declare},
		{"new", pins.RoleLeaf, pins.KeyUndeclared, pins.Declare},
		{"new", pins.RoleIssuer, pins.KeyUndeclared, pins.Declare},
		{"rogue", pins.RoleLeaf, pins.KeyRejected, ""},
		{"retired", pins.RoleLeaf, pins.KeyOutOfUse, ""},
		{"leaked", pins.RoleLeaf, pins.KeyOutOfUse, ""},
		{"leaked", pins.RoleIssuer, pins.KeyOutOfUse, ""},
		{"", pins.RoleLeaf, pins.KeyImpossible, ""},
	} {
		var code pins.Code
		var advice pins.Verb
		if f := v.Doubt(pin(c.key), c.role, host); f != nil {
			code = f.Code
			for _, a := range f.Do {
				if a.Do != pins.LeaveOut {
					advice = a.Do
				}
				if a.Do == pins.LeaveOut && a.Pin != pin(c.key) || a.Do != pins.LeaveOut && (a.If != pins.Ours || a.Pin != pin(c.key) || a.Role != c.role || a.Host != host) {
					t.Errorf("%q as %s: %+v", c.key, c.role, a)
				}
			}
		}
		if code != c.code || advice != c.advice {
			t.Errorf("%q as %s: %q and %q, want %q and %q", c.key, c.role, code, advice, c.code, c.advice)
		}
	}
}

// planOf plans for an app that pins api, with a lead time of two weeks.
func planOf(t *testing.T, f *pins.Facts, versions ...pins.Version) pins.HostPlan {
	t.Helper()
	app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour, Versions: versions}
	f.Now = now
	p := pins.NewView(f).Plan(&app)[0]
	return p
}

// Only a key that is trusted for the host, at the place where its pin stands, counts as a
// backup; the plan has the reason why another does not.
func TestBackupKeyIsTrusted(t *testing.T) {
	L := key(t, "L", pins.StateDeployed, api)
	well := []pins.Served{served(api, days(60), "L", "I", "R")}
	rogue := rejected(issued(t, "rogue", api, "X", "I"))
	for name, c := range map[string]struct {
		version pins.Version
		keys    []pins.Key
		issued  []pins.Issued
		ok      bool
		why     string
	}{
		"32 random bytes":           {why: "Code:key_undeclared"},
		"the pin of nothing":        {version: pins.Version{Name: "1", Rules: testRules{of: map[string][]pins.Requirement{api: {{Pins: []pins.Pin{pin("L"), pins.FromSPKI(nil)}}}}}}, why: "Code:key_impossible"},
		"a key that was only seen":  {keys: []pins.Key{key(t, "X", pins.StateSeen)}, why: "Code:key_unapproved"},
		"of a rejected certificate": {keys: []pins.Key{key(t, "X", pins.StateSeen)}, issued: []pins.Issued{rogue}, why: "Code:key_rejected"},
		"approved for another host": {keys: []pins.Key{key(t, "X", pins.StateApproved, "www.example.com")}, why: "Code:key_other_hosts"},
		"retired":                   {keys: []pins.Key{key(t, "X", pins.StateRetired, api)}, why: "State:retired"},
		"retiring":                  {keys: []pins.Key{key(t, "X", pins.StateRetiring, api)}, why: "State:retiring"},
		"compromised":               {keys: []pins.Key{key(t, "X", pins.StateCompromised, api)}, why: "State:compromised"},
		"a CA's among leaf pins": {
			version: leafAndIssuer("1", pinsOf("L", "X"), pinsOf("I")), keys: []pins.Key{issuerKey(t, "X", pins.StateApproved, api)},
			why: "Code:key_unusable",
		},
		"declared":                    {keys: []pins.Key{key(t, "X", pins.StateDeclared, ".example.com")}, ok: true},
		"approved":                    {keys: []pins.Key{key(t, "X", pins.StateApproved, api)}, ok: true},
		"shipped and trusted":         {keys: []pins.Key{key(t, "X", pins.StateShipped, api)}, ok: true},
		"ours, in a rogue":            {keys: []pins.Key{key(t, "X", pins.StateApproved, api)}, issued: []pins.Issued{rogue}, ok: true},
		"a CA's, in a list of either": {keys: []pins.Key{issuerKey(t, "X", pins.StateApproved, api)}, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.version.Rules == nil {
				c.version = ships("1", api, "L", "X")
			}
			p := planOf(t, &pins.Facts{Keys: append(c.keys, L), Served: well, Issued: c.issued}, c.version)
			if c.ok {
				if p.Status != pins.StatusOK {
					t.Errorf("status %s", p.Status)
				}
				return
			}
			if name == "the pin of nothing" && !slices.Equal(p.Remove, []pins.Pin{pins.FromSPKI(nil)}) {
				t.Errorf("remove %v", p.Remove)
			}
			if p.Status != pins.StatusNoBackup || !strings.Contains(planData(p), c.why) {
				t.Errorf("status %s, want %s and %q", p.Status, pins.StatusNoBackup, c.why)
			}
		})
	}
}

// A plan is not ok while a compromised key or a rejected certificate is served, even if
// every version accepts it and has a backup.
func TestServedDangerIsNeverOK(t *testing.T) {
	B := key(t, "B", pins.StateApproved, api)
	ours := served(api, days(60), "L", "I", "R")
	served := []pins.Served{ours}
	ofServed := rejected(issued(t, ours.ID, api, "L", "I"))
	for name, c := range map[string]struct {
		keys   []pins.Key
		issued []pins.Issued
		why    string
		pin    string // L
	}{
		"compromised":              {keys: []pins.Key{key(t, "L", pins.StateCompromised, api)}, why: "Code:served_compromised"},
		"its issuer's compromised": {keys: []pins.Key{key(t, "L", pins.StateDeployed, api), issuerKey(t, "I", pins.StateCompromised, api)}, why: "Code:served_compromised", pin: "I"},
		"compromised in any role":  {keys: []pins.Key{key(t, "L", pins.StateSeen), issuerKey(t, "L", pins.StateCompromised)}, why: "Code:served_compromised"},
		"the certificate rejected": {keys: []pins.Key{key(t, "L", pins.StateDeployed, api)}, issued: []pins.Issued{ofServed}, why: "Code:served_rejected"},
		"the key rejected":         {keys: []pins.Key{key(t, "L", pins.StateSeen)}, issued: []pins.Issued{rejected(issued(t, "9", api, "L", "I"))}, why: "Code:served_rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, &pins.Facts{Keys: append(c.keys, B), Served: served, Issued: c.issued}, ships("1", api, "L", "B"))
			if p.Status != pins.StatusWillBreak || !strings.Contains(planData(p), c.why) || !strings.Contains(planData(p), "Pin:"+pin(cmp.Or(c.pin, "L")).String()) || !serves(p, "B") {
				t.Errorf("status %s", p.Status)
			}
			if slices.Contains(p.Remove, pin("B")) {
				t.Error("the key to change to is to be left out")
			}
		})
	}
	t.Run("refused, too", func(t *testing.T) {
		p := planOf(t, &pins.Facts{Keys: []pins.Key{key(t, "L", pins.StateCompromised, api), B}, Served: served}, ships("1", api, "B", "C"))
		if p.Status != pins.StatusBroken || strings.Contains(planData(p), "Do:approve") {
			t.Errorf("status %s", p.Status)
		}
	})
}

// Where no version pins the host, a server can change to any key that is approved; what is to
// be done at once follows the finding that needs it.
func TestServedCompromisedWithoutVersions(t *testing.T) {
	f := &pins.Facts{
		Keys:   []pins.Key{key(t, "L", pins.StateCompromised, api), key(t, "B", pins.StateApproved, api)},
		Served: []pins.Served{served(api, days(60), "L", "I", "R")},
	}
	for name, c := range map[string]struct {
		versions []pins.Version
		unpinned bool
	}{
		"no version":    {nil, true},
		"another host":  {[]pins.Version{ships("1", "www.example.com", "L")}, true},
		"it is shipped": {[]pins.Version{ships("1", api, "L", "B")}, false},
	} {
		p := planOf(t, f, c.versions...)
		do := p.Findings[0].Do
		if !serves(p, "B") || do[0].Unpinned != c.unpinned || do[len(do)-1].Do != pins.ActNow || strings.Contains(data(pins.Finding{Do: p.Do}), "act_now") {
			t.Errorf("%s: %+v, then %+v", name, do, p.Do)
		}
	}
}

// An approval despite an alarm is advised only where nothing but unexpected certificates is
// known of the key.
func TestApproveDespiteAlarm(t *testing.T) {
	rogue := rejected(issued(t, "rogue", api, "X", "I"))
	for name, c := range map[string]struct {
		facts pins.Facts
		want  bool
	}{
		"only unexpected": {pins.Facts{Issued: []pins.Issued{rogue}}, true},
		"another, too":    {pins.Facts{Issued: []pins.Issued{rogue, issued(t, "2", api, "X", "I")}}, false},
		"served":          {pins.Facts{Issued: []pins.Issued{rogue}, Served: []pins.Served{served(api, days(60), "X", "I")}}, false},
		"not unexpected":  {pins.Facts{Issued: []pins.Issued{issued(t, "2", api, "X", "I")}}, false},
	} {
		c.facts.Now, c.facts.Keys = now, []pins.Key{key(t, "X", pins.StateSeen)}
		app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * 24 * time.Hour}
		a := pins.NewView(&c.facts).Check(&app, ships("", api, "X", "Y").Rules)
		if got := data(a.Problems...); strings.Contains(got, "Despite:true") != c.want || !strings.Contains(got, "Do:approve") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// serves reports whether a plan says to serve a key.
func serves(p pins.HostPlan, key string) bool {
	return slices.ContainsFunc(p.Findings[0].Do, func(a pins.Action) bool {
		return a.Do == pins.ServeKey && slices.Contains(a.Pins, pin(key))
	})
}

// While an unapproved key is served, no pin is dropped but those of compromised keys: the
// served key may be an attacker's.
func TestUnapprovedServedKeyRemovesNothing(t *testing.T) {
	old := key(t, "L", pins.StateRetiring, api)
	old.By, old.ChangedAt = string(pins.ByProbe), days(-100)
	gone := key(t, "O", pins.StateSeen)
	gone.Certificates = []string{"ended"}
	keys := []pins.Key{old, gone, key(t, "B", pins.StateApproved, api), key(t, "C", pins.StateCompromised, api), key(t, "X", pins.StateSeen)}
	version := ships("1", api, "L", "B", "C", "O", "X")
	p := planOf(t, &pins.Facts{Keys: keys, Served: []pins.Served{served(api, days(60), "X", "I")}}, version)
	if want := pinsOf("C"); !slices.Equal(p.Remove, want) {
		t.Errorf("remove %v, want %v", p.Remove, want)
	}
	if strings.Contains(planData(p), "Code:keep_while_unapproved") && strings.Contains(planData(p), "State:compromised") {
		t.Error("the served key is not compromised")
	}
	if want := pinsOf("L", "O"); !slices.Equal(p.Keep, want) || !strings.Contains(planData(p), "Code:keep_while_unapproved") {
		t.Errorf("keep %v, want %v", p.Keep, want)
	}
	p = planOf(t, &pins.Facts{Keys: keys, Served: []pins.Served{served(api, days(60), "C", "I")}}, version)
	if i := slices.Index(codes(p.Findings), "keep_while_unapproved"); i < 0 || p.Findings[i].State != pins.StateCompromised {
		t.Errorf("while a compromised key is served: %s", planData(p))
	}
	p = planOf(t, &pins.Facts{Keys: keys, Served: []pins.Served{served(api, days(60), "B", "I")}}, version)
	if want := pinsOf("L", "C", "O"); !slices.Equal(p.Remove, want) || len(p.Keep) > 0 {
		t.Errorf("with a key that is approved: remove %v, want %v; keep %v", p.Remove, want, p.Keep)
	}
}

// After a rotation the old key stays for the lead time, and while a certificate for it may be
// deployed, in the plan and in exports; a person can end that.
func TestRotationLeavesTimeToRollBack(t *testing.T) {
	const lead = 14
	certificate := func(names string, end time.Time) pins.Issued {
		c := issued(t, "old", names, "O", "I")
		c.NotBefore, c.NotAfter = days(-60), end
		return c
	}
	for name, c := range map[string]struct {
		state   pins.State
		by      string // the probe
		out     int    // days ago
		scope   string // api
		issued  []pins.Issued
		keep    bool
		export  bool
		because time.Time // until then
	}{
		"out since today":                    {out: 0, keep: true, export: true, because: days(14)},
		"out for almost the lead time":       {out: lead - 1, keep: true, export: true, because: days(1)},
		"out for the lead time":              {out: lead},
		"out for long":                       {out: 200},
		"a certificate is good still":        {out: 200, issued: []pins.Issued{certificate(api, days(30))}, keep: true, export: true, because: days(30)},
		"it is rejected":                     {out: 200, issued: []pins.Issued{rejected(certificate(api, days(30)))}},
		"it is for another host":             {out: 200, issued: []pins.Issued{certificate("www.example.com", days(30))}},
		"a person retired it":                {by: "alice", out: 0, issued: []pins.Issued{certificate(api, days(30))}},
		"retired by itself":                  {state: pins.StateRetired, by: string(pins.ByPlan), out: 1, keep: true},
		"retired by itself long ago":         {state: pins.StateRetired, by: string(pins.ByPlan), out: lead},
		"compromised":                        {state: pins.StateCompromised, by: "alice", out: 0},
		"of a domain, and served elsewhere":  {out: 1, scope: ".example.com", keep: true},
		"of a domain, and certified for api": {out: 1, scope: ".example.com", issued: []pins.Issued{certificate(api, days(3))}, keep: true, export: true},
	} {
		t.Run(name, func(t *testing.T) {
			O := key(t, "O", pins.StateRetiring, api)
			if c.scope != "" {
				O = key(t, "O", pins.StateRetiring, c.scope)
			}
			if c.state != "" {
				O.State = c.state
			}
			if O.By = c.by; c.by == "" {
				O.By = string(pins.ByProbe)
			}
			O.ChangedAt = days(-c.out)
			f := &pins.Facts{
				Keys:   []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateApproved, api), O},
				Served: []pins.Served{served(api, days(60), "L", "I")}, Issued: c.issued,
			}
			p := planOf(t, f, ships("2", api, "L", "B", "O"), ships("1", api, "O", "L", "B"))
			want := pins.StatusOK
			if c.state == pins.StateCompromised {
				want = pins.StatusWillBreak // versions accept it
			}
			if p.Status != want || slices.Contains(p.Keep, pin("O")) != c.keep || slices.Contains(p.Remove, pin("O")) == c.keep {
				t.Errorf("status %s, keep %v, remove %v", p.Status, p.Keep, p.Remove)
			}
			if !c.because.IsZero() && !slices.ContainsFunc(p.Findings, func(f pins.Finding) bool { return f.Code == pins.KeepForRollback && f.Until.Equal(c.because) }) {
				t.Errorf("it is not kept until %v: %s", c.because, planData(p))
			}
			if slices.Contains(p.Add, pin("O")) {
				t.Error("it is to be added")
			}
			app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: lead * 24 * time.Hour}
			set, _, err := pins.NewView(f).Recommend(&app)
			if err != nil || slices.Contains(set.Hosts[0].Pins, pin("O")) != c.export {
				t.Errorf("exported %v, %v", set.Hosts, err)
			}
			// What stays for a rollback is no backup, and does not make up the number.
			f.Keys = slices.Delete(slices.Clone(f.Keys), 1, 2)
			if set, _, err := pins.NewView(f).Recommend(&app); err == nil {
				t.Errorf("without a backup: exported %v", set.Hosts)
			}
		})
	}
}

// A key in the served chains is not a backup in an export either.
func TestExportCountsNoServedKeyAsBackup(t *testing.T) {
	app := pins.App{Name: "shop", Hosts: patterns(t, api), Role: pins.RoleIssuer, MinPins: 2}
	f := &pins.Facts{
		Now: now, Served: []pins.Served{served(api, days(60), "L", "I", "R")},
		Keys: []pins.Key{issuerKey(t, "I", pins.StateDeployed, api), issuerKey(t, "R", pins.StateDeployed, api)},
	}
	if set, _, err := pins.NewView(f).Recommend(&app); err == nil || !strings.Contains(err.Error(), string(pins.NoBackupKey)) {
		t.Errorf("%v, %v", set.Hosts, err)
	}
}

// A version that accepts a compromised key is in danger, whatever is served.
func TestShippedCompromisedKeyIsNeverOK(t *testing.T) {
	f := &pins.Facts{
		Keys:   []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateApproved, api), key(t, "X", pins.StateCompromised, api)},
		Served: []pins.Served{served(api, days(60), "L", "I")},
	}
	p := planOf(t, f, ships("2", api, "L", "B"), ships("1", api, "L", "B", "X"))
	if p.Status != pins.StatusWillBreak || p.Deadline == nil || !p.Deadline.Equal(days(0)) {
		t.Errorf("status %s, deadline %v", p.Status, p.Deadline)
	}
	if f := p.Findings[0]; f.Code != pins.ShippedCompromised || !slices.Equal(f.Versions, []string{"1"}) || !strings.Contains(planData(p), "Do:act_now") {
		t.Errorf("found %s", planData(p))
	}
}

// If a newer version has a backup, another key does not help the old one: it is dropped.
func TestOldVersionWithoutBackupIsDropped(t *testing.T) {
	f := &pins.Facts{
		Keys:   []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "B", pins.StateApproved, api)},
		Served: []pins.Served{served(api, days(60), "L", "I")},
	}
	p := planOf(t, f, ships("2", api, "L", "B"), ships("1", api, "L"))
	want := []pins.Action{{Do: pins.UpdateUsers, App: "shop", Version: "2"}, {Do: pins.DropVersion, App: "shop", Version: "1"}}
	if p.Status != pins.StatusNoBackup || !reflect.DeepEqual(p.Findings[0].Do, want) {
		t.Errorf("status %s: %s", p.Status, planData(p))
	}
}

// A retired key is in no pin set, so the gate refuses it even if an old version ships it.
func TestGateRefusesRetiredKeys(t *testing.T) {
	for _, state := range []pins.State{pins.StateRetired, pins.StateCompromised} {
		f := &pins.Facts{Now: now, Keys: []pins.Key{key(t, "L", pins.StateDeployed, api), key(t, "X", state, api)}}
		app := pins.App{Name: "shop", Hosts: []pins.Pattern{{Name: api}}, Role: pins.RoleLeaf, Versions: []pins.Version{ships("1", api, "L", "X")}}
		a := pins.NewView(f).Gate([]pins.App{app}, pins.Candidate{Names: app.Hosts, Chains: []pins.Chain{{Pins: pinsOf("X", "I")}}})
		if a.Hosts != 1 || len(a.Problems) != 1 || a.Problems[0].Code != pins.KeyOutOfUse || a.Problems[0].State != state {
			t.Errorf("%s: %s", state, data(a.Problems...))
		}
	}
}
