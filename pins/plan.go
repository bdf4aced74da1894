package pins

import (
	"slices"
	"time"
)

// A Status is the state of an app at a host.
type Status string

// The statuses, the worst first.
const (
	StatusBroken    Status = "broken"     // a supported version refuses what is served now
	StatusWillBreak Status = "will_break" // a supported version will refuse what may be deployed next, or what is served has to be replaced
	StatusExpiring  Status = "expiring"   // pins end before a new version could help, or what is served ends and nothing follows
	StatusNoBackup  Status = "no_backup"  // a version has no backup pin whose key is trusted
	StatusUnknown   Status = "unknown"    // too little is known of what is served or shipped
	StatusOK        Status = "ok"         // accepted by every supported version, with another pin to fall back on
)

// A HostPlan is the state of an app at one of its hosts, and what to do.
type HostPlan struct {
	App      string           `json:"app"`
	Host     Pattern          `json:"host"`
	Status   Status           `json:"status"`
	Shipped  map[string][]Pin `json:"shipped"`  // by version: the pins that concern the host
	Deployed []Pin            `json:"deployed"` // keys that are served now, in the role that the app pins
	Coming   []Coming         `json:"coming"`   // certificates that may be deployed next, the newest last
	Add      []Pin            `json:"add"`      // approved pins that the newest version lacks
	Remove   []Pin            `json:"remove"`   // pins of the newest version that are no longer needed
	Keep     []Pin            `json:"keep"`     // pins of the newest version that are not served any more, and stay for a rollback
	// Deadline is when a version that fixes this has to be released: when
	// the certificate that is served ends, or the pins end, less the lead time. Nil
	// if no version has to be released, or no end is known.
	Deadline *time.Time `json:"deadline"`
	// Withheld is why signed documents have no new pins for the host, and Warning what is
	// wrong with those that they have. At most one of them is set.
	Withheld Code `json:"withheld,omitempty"`
	Warning  Code `json:"warning,omitempty"`

	// Findings has at least one, from which Status follows, and then the others. Do is
	// what to do besides what they say.
	Findings []Finding `json:"-"`
	Do       []Action  `json:"-"`
	// Broken are the chains served now that a version refuses.
	Broken []Broken `json:"-"`
}

// A Broken is a chain that is served now, and that versions of an app refuse.
type Broken struct {
	Served  *Served
	Finding Finding // its Pin is in the role that the app pins; zero when it is not known
}

// A Coming is a certificate that may be deployed next.
type Coming struct {
	Pin         Pin       `json:"pin"` // in the role that the app pins; zero when it is not known
	Certificate string    `json:"certificate"`
	NotBefore   time.Time `json:"not_before"`

	// Refused are the versions that would refuse it, newest first, and Finding is what
	// to do about that; nil if none would.
	Refused []string `json:"refused_by,omitempty"`
	Finding *Finding `json:"-"`
	// Trusted means that its key is approved for the host.
	Trusted bool `json:"approved"`
}

// Plan returns the state of an app at each of its hosts, in their order.
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

// A judge plans one host, or the hosts of one pattern, of one app.
type judge struct {
	v   *View
	app *App
	target
	asked    []string        // hosts that versions are asked about: the known ones, or a sample
	versions []Version       // newest first
	wants    [][]Requirement // of each version and host, in the order of both

	pinning  int      // how many versions pin one of the hosts
	unpinned []string // versions that pin none
	noBackup bool     // a version lacks one

	status Status
	worst  Finding   // from which status follows
	more   []Finding // what else there is: what to keep, and how signed documents stand
	ends   time.Time // when the pins end; zero if that is not what is wrong
	urgent bool      // the harm is done already: there is no time to wait for
}

// ask collects what every version requires of each host.
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

func (j *judge) plan() HostPlan {
	p := HostPlan{
		App: j.app.Name, Host: j.Pattern, Shipped: make(map[string][]Pin, len(j.versions)),
		Deployed: orEmpty(j.keys(j.app.Role)), Coming: []Coming{}, Add: []Pin{}, Remove: []Pin{}, Keep: []Pin{},
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
			j.unpinned = append(j.unpinned, ver.Name)
		}
	}
	j.planAdditions(&p)

	j.findUnknown()
	j.findNoBackup(&p)
	j.findExpiring()
	j.findWillBreak(&p)
	j.findCompromised()
	j.findDanger()
	j.findUnusable()
	j.findBroken(&p)
	p.Status = j.status
	if len(j.app.Unreadable) > 0 && p.Status != StatusUnknown {
		j.more = append(j.more, unreadable(j.app))
	}
	p.Deadline = j.deadline(&p)
	j.document(&p)
	j.noteProbing()
	j.conclude(&p)
	return p
}

// document adds whether signed documents have the host's pins. With details only if all is
// well otherwise: then no other finding has them.
func (j *judge) document(p *HostPlan) {
	_, withheld, warning := j.v.publishable(j.app, &j.target)
	f := j.about(DocumentReduced)
	switch {
	case withheld != nil:
		p.Withheld, f.Code, f.Because = withheld.Code, DocumentWithheld, []Finding{*withheld}
	case warning != nil:
		p.Warning, f.Because = warning.Code, []Finding{*warning}
	default:
		return
	}
	f.Detail = string(f.Because[0].Code)
	if p.Status != StatusOK {
		f.Because = nil
	}
	j.more = append(j.more, f)
}

// planAdditions fills in what to add to the newest version, and what to remove from it.
func (j *judge) planAdditions(p *HostPlan) {
	var newest []Pin
	if len(j.versions) > 0 {
		newest = p.Shipped[j.versions[0].Name]
	}
	for _, k := range j.v.TrustedFor(j.Pattern, j.app.Role) {
		if k.State.Coming() && j.v.belongs(j.app, k, &j.target) && !slices.Contains(newest, k.Pin) {
			p.Add = append(p.Add, k.Pin)
		}
	}
	j.planRemovals(p, newest)
}

// refusedBy lists the versions, newest first, that refuse a chain at a host, or one of
// those that it may be part of.
func (j *judge) refusedBy(host string, c Chain) (names []string) {
	n := slices.Index(j.asked, host)
	for i, ver := range j.versions {
		if !j.v.accepts(j.requirements(i, n), c) {
			names = append(names, ver.Name)
		}
	}
	return names
}

// deadline returns the latest time for a release that fixes what was found; nil if no
// version has to be released. If the only thing to do is to add a key, which is for a later
// certificate than the served one, a time in the past means nothing, and nor does the end of
// a certificate that is shorter than the lead time.
func (j *judge) deadline(p *HostPlan) *time.Time {
	if j.urgent {
		now := j.v.now.UTC()
		return &now
	}
	must := j.noBackup || !j.ends.IsZero() || p.Status == StatusBroken || p.Status == StatusWillBreak
	if p.Status == StatusUnknown || !must && len(p.Add) == 0 {
		return nil
	}
	end := j.ends
	for _, s := range j.served {
		at := s.NotAfter
		if !must {
			if !s.NotBefore.IsZero() && at.Sub(s.NotBefore) <= j.app.LeadTime {
				continue
			}
			at = j.lastEnd(s)
		}
		if !at.IsZero() && (end.IsZero() || at.Before(end)) {
			end = at
		}
	}
	at := end.Add(-j.app.LeadTime).UTC()
	if end.IsZero() || !must && !at.After(j.v.now) {
		return nil
	}
	return &at
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
