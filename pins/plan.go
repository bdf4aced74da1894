package pins

import (
	"slices"
	"time"
)

// A Status says how an app stands with a host.
type Status string

// The statuses, the worst first.
const (
	StatusBroken    Status = "broken"     // a supported version refuses what is served now
	StatusWillBreak Status = "will_break" // a supported version will refuse a certificate that may be deployed next
	StatusExpiring  Status = "expiring"   // pins, or the certificate that is served, end before a new version could help
	StatusNoBackup  Status = "no_backup"  // every pin that counts is in the chain served now
	StatusUnknown   Status = "unknown"    // too little is known of what is served or shipped
	StatusOK        Status = "ok"         // accepted by every supported version, with another pin to fall back on
)

// A HostPlan says how an app stands with one of its hosts, and what to do.
type HostPlan struct {
	App      string           `json:"app"`
	Host     Pattern          `json:"host"`
	Status   Status           `json:"status"`
	Shipped  map[string][]Pin `json:"shipped"`  // by version: the pins that concern the host
	Deployed []Pin            `json:"deployed"` // keys that are served now, in the role that the app pins
	Coming   []Coming         `json:"coming"`   // certificates that may be deployed next, the newest last
	Add      []Pin            `json:"add"`      // approved pins that the newest version lacks
	Remove   []Pin            `json:"remove"`   // pins of the newest version that are of no use any more
	// Deadline is when a version that sets things right has to be released: when
	// the certificate that is served ends, or the pins end, less the lead time. Nil
	// when nothing has to be done, or no end is known.
	Deadline *time.Time `json:"deadline"`
	Why      string     `json:"why"` // for a person: what is wrong, and what to do

	// Broken are the chains served now that a version refuses.
	Broken []Broken `json:"-"`
}

// A Broken is a chain that is served now, and that versions of an app refuse.
type Broken struct {
	Served  *Served
	Pin     Pin      // in the role that the app pins; zero when it is not known
	Refused []string // the versions, newest first
	Why     string   // what is wrong, and what to do
}

// A Coming is a certificate that may be deployed next.
type Coming struct {
	Pin         Pin       `json:"pin"` // in the role that the app pins; zero when it is not known
	Certificate string    `json:"certificate"`
	NotBefore   time.Time `json:"not_before"`

	// Refused are the versions that would refuse it, newest first, and Why says what
	// that leads to.
	Refused []string `json:"refused_by,omitempty"`
	Why     string   `json:"-"`
	// Trusted says that its key is approved for the host.
	Trusted bool `json:"approved"`
}

// Plan says how an app stands with each of its hosts, in their order.
func (v *View) Plan(app *App) []HostPlan {
	versions := slices.Clone(app.Versions)
	SortVersions(versions)
	out := make([]HostPlan, 0, len(app.Hosts))
	for _, p := range app.Hosts {
		j := judge{v: v, app: app, target: v.target(app, p), versions: versions}
		j.asked = j.orSample()
		j.ask()
		out = append(out, j.plan())
	}
	return out
}

// A judge looks at one host, or at the hosts of one pattern, of one app.
type judge struct {
	v   *View
	app *App
	target
	asked    []string        // hosts that versions are asked about: the known ones, or a sample
	versions []Version       // newest first
	wants    [][]Requirement // of each version and host, in the order of both

	pinning int      // how many versions pin one of the hosts
	lax     []string // versions that pin none
	why     finding  // the worst
}

// ask has every version say what it requires of each host.
func (j *judge) ask() {
	j.wants = make([][]Requirement, 0, len(j.versions)*len(j.asked))
	for _, ver := range j.versions {
		for _, h := range j.asked {
			j.wants = append(j.wants, ver.Rules.Requirements(h, j.v.now))
		}
	}
}

// requirements returns what version i requires of host n.
func (j *judge) requirements(i, n int) []Requirement { return j.wants[i*len(j.asked)+n] }

// A finding is a status and the reason for it.
type finding struct {
	status  Status
	what    string // what is wrong, in a sentence
	toDo    string // what to do about it
	waiting time.Time
}

func (j *judge) plan() HostPlan {
	p := HostPlan{
		App: j.app.Name, Host: j.Pattern, Shipped: make(map[string][]Pin, len(j.versions)),
		Deployed: orEmpty(j.keys(j.app.Role)), Coming: []Coming{}, Add: []Pin{}, Remove: []Pin{},
	}
	for i, ver := range j.versions {
		all := []Pin{}
		for n := range j.asked {
			all = appendPins(all, j.requirements(i, n))
		}
		p.Shipped[ver.Name] = all
		if len(all) > 0 {
			j.pinning++
		} else {
			j.lax = append(j.lax, ver.Name)
		}
	}
	j.change(&p)

	j.findUnknown()
	j.findNoBackup(&p)
	j.findExpiring()
	j.findWillBreak(&p)
	j.findNever()
	j.findBroken(&p)
	p.Status = j.why.status
	p.Deadline = j.deadline(&p)
	p.Why = j.sentence(&p)
	return p
}

// change fills in what to add to the newest version, and what to remove from it.
func (j *judge) change(p *HostPlan) {
	var newest []Pin
	if len(j.versions) > 0 {
		newest = p.Shipped[j.versions[0].Name]
	}
	for _, k := range j.v.TrustedFor(j.Pattern, j.app.Role) {
		if j.v.belongs(k, &j.target) && !slices.Contains(newest, k.Pin) {
			p.Add = append(p.Add, k.Pin)
		}
	}
	for _, pin := range newest {
		if !slices.Contains(p.Deployed, pin) && j.useless(pin) || j.compromised(pin) {
			p.Remove = append(p.Remove, pin)
		}
	}
}

func (j *judge) compromised(pin Pin) bool {
	k := j.v.anyKey(pin)
	return k != nil && k.State == StateCompromised
}

// useless reports whether a pin that is not served is no fallback any more: it was
// retired, no key can have it, or all certificates known for it have ended and nobody
// vouches for it. A pin nobody has heard of may be that of a key in a safe.
func (j *judge) useless(pin Pin) bool {
	if pin.Check() != nil {
		return true
	}
	k := j.v.anyKey(pin)
	if k == nil {
		return false
	}
	switch k.State {
	case StateRetiring, StateRetired, StateCompromised:
		return true
	case StateSeen:
		return k.Role == RoleLeaf && len(k.Certificates) > 0 && len(j.v.issuedFor[pin]) == 0
	}
	return false
}

// refusing lists the versions, newest first, that refuse a chain at a host, or one of
// those that it may be part of.
func (j *judge) refusing(host string, c Chain) (names []string) {
	n := slices.Index(j.asked, host)
	for i, ver := range j.versions {
		if !j.v.accepts(j.requirements(i, n), c) {
			names = append(names, ver.Name)
		}
	}
	return names
}

// deadline is the latest time for a release that sets things right.
func (j *judge) deadline(p *HostPlan) *time.Time {
	if p.Status == StatusOK && len(p.Add) == 0 || p.Status == StatusUnknown {
		return nil
	}
	var end time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	for _, s := range j.served {
		sooner(s.NotAfter)
	}
	if p.Status == StatusExpiring {
		sooner(j.why.waiting)
	}
	if end.IsZero() {
		return nil
	}
	at := end.Add(-j.app.LeadTime).UTC()
	return &at
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
