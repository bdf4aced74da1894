package pins

import (
	"slices"
	"time"
)

// The judge looks for the mildest findings first; a later one replaces an earlier one.

func (j *judge) found(s Status, f Finding) { j.status, j.worst = s, f }

// about begins a finding about the app and the host.
func (j *judge) about(code Code) Finding {
	return Finding{Code: code, App: j.app.Name, Host: j.Pattern, Role: j.app.Role}
}

// findUnknown begins with ok, or with what is missing for a judgment.
func (j *judge) findUnknown() {
	f, status := j.about(Accepted), StatusUnknown
	switch {
	case len(j.app.Unreadable) > 0:
		f = unreadable(j.app)
	case len(j.versions) == 0:
		f = NoReleasedVersion(j.app)
	case j.pinning == 0:
		f.Code, f.Do = NotPinned, []Action{{Do: ExportPins, App: j.app.Name}}
	case len(j.served) == 0:
		f = j.v.unseen(j.app, j.Pattern)
	default:
		f.Want, status = j.app.MinPins, StatusOK
	}
	j.found(status, f)
}

// unreadable returns which versions of an app cannot be judged, and why the first of them.
func unreadable(app *App) Finding {
	f := Unreadables(app)[0]
	f.Have = len(app.Unreadable)
	return f
}

// Unreadables returns a finding for each supported version of an app whose file cannot be
// read.
func Unreadables(app *App) (out []Finding) {
	for _, u := range app.Unreadable {
		out = append(out, Finding{
			Code: VersionUnreadable, App: app.Name, Versions: []string{u.Name}, Detail: u.Why, Have: 1,
			Do: []Action{{Do: ReimportVersion, App: app.Name, Version: u.Name}, {Do: DropVersion, App: app.Name, Version: u.Name}},
		})
	}
	return out
}

// NoReleasedVersion returns the finding that no version of an app is recorded.
func NoReleasedVersion(app *App) Finding {
	return Finding{Code: NoVersion, App: app.Name, Do: []Action{{Do: ImportVersion, App: app.Name}}}
}

// findNoBackup looks for a version that cannot accept another key than those served now:
// each of its other pins is of a key that is not trusted, or is retiring (RFC 7469 §4.3). Where pins at two positions have to match, each position needs its own backup.
func (j *judge) findNoBackup(p *HostPlan) {
	if j.app.MinPins < 2 {
		return
	}
	for i, ver := range j.versions {
		for n, h := range j.asked {
			for _, r := range j.requirements(i, n) {
				if len(j.served) == 0 && len(r.Pins) > 1 || j.v.hasBackup(r, h, j.served) {
					continue
				}
				j.noBackup = true
				f := j.about(NoBackupPin)
				if len(j.served) == 0 {
					f.Code = SinglePin
				}
				f.Names, f.Versions, f.At = []string{h}, []string{ver.Name}, r.At
				f.Because = j.v.notBackups(r, h, j.served)
				if i > 0 { // a newer version has one
					f.Do = []Action{
						{Do: UpdateUsers, App: j.app.Name, Version: j.versions[0].Name},
						{Do: DropVersion, App: j.app.Name, Version: ver.Name},
					}
				} else {
					f.Do = j.addOrDeclare(p)
				}
				j.found(StatusNoBackup, f)
				return
			}
		}
	}
}

// addOrDeclare returns how to get a backup.
func (j *judge) addOrDeclare(p *HostPlan) []Action {
	if len(p.Add) > 0 {
		return []Action{{Do: ShipPins, Pins: p.Add}}
	}
	return []Action{{Do: Declare, Role: j.app.Role, Host: j.Pattern}, {Do: ShipPins}}
}

// findExpiring looks for pins that end, and for a served certificate that ends without a
// successor.
func (j *judge) findExpiring() {
	soon := j.v.now.Add(j.app.LeadTime)
	for _, ver := range j.versions {
		for _, h := range j.asked {
			if end := ver.Rules.Ends(h); !end.IsZero() && end.Before(soon) {
				f := j.about(PinsEnd)
				f.Names, f.Versions, f.Until, f.Past = []string{h}, []string{ver.Name}, end, end.Before(j.v.now)
				f.Do = []Action{{Do: ReleaseVersion, App: j.app.Name}}
				j.found(StatusExpiring, f)
				j.ends = end
				return
			}
		}
	}
	for _, s := range j.served {
		if !j.v.isExpiring(s, j.app.LeadTime) || j.hasSuccessor(s) {
			continue
		}
		f := j.at(CertificateEnds, s)
		f.Until, f.Past, f.Do = s.NotAfter, s.NotAfter.Before(j.v.now), []Action{j.renew(s)}
		j.found(StatusExpiring, f)
		return
	}
}

// at begins a finding about what is served.
func (j *judge) at(code Code, s *Served) Finding {
	f := j.about(code)
	f.Names, f.Address, f.Certificate = []string{s.Host}, s.Address, s.ID
	return f
}

// renew returns which keys to renew a served certificate with.
func (j *judge) renew(s *Served) Action {
	a := Action{Do: RenewCert, Role: j.app.Role, Certificate: s.ID, Pins: j.spares(), Unpinned: j.pinning == 0}
	keys := j.v.pinnable(j.Pattern, []*Served{s}, j.app.Role)
	if len(keys) > 0 && !slices.ContainsFunc(keys, func(pin Pin) bool {
		k := j.v.Trusted(pin, j.app.Role, j.Pattern)
		return k == nil || !k.State.Coming()
	}) {
		a.Pin = keys[0]
	}
	return a
}

// hasSuccessor reports whether a certificate is known that outlives what is served, and
// that every version accepts.
func (j *judge) hasSuccessor(s *Served) bool { return j.lastEnd(s).After(s.NotAfter) }

// lastEnd returns the latest end of the served certificate and of its successors that every
// version accepts.
func (j *judge) lastEnd(s *Served) time.Time {
	last := s.NotAfter
	for _, c := range j.v.coming(&j.target) {
		if c.NotAfter.After(last) && namesCover(c.Names, Pattern{Name: s.Host}) && len(j.refusedBy(s.Host, c.Chain)) == 0 {
			last = c.NotAfter
		}
	}
	return last
}

// findWillBreak checks the certificates that may be deployed next.
func (j *judge) findWillBreak(p *HostPlan) {
	var worst *Coming
	for _, c := range j.v.coming(&j.target) {
		pin := c.Chain.Of(j.app.Role)
		next := Coming{
			Pin: pin, Certificate: c.ID, NotBefore: c.NotBefore.UTC(),
			Trusted: j.v.Trusted(pin, j.app.Role, j.Pattern) != nil,
		}
		for _, h := range j.asked {
			if !namesCover(c.Names, j.Pattern) && !namesCover(c.Names, Pattern{Name: h}) {
				continue
			}
			for _, name := range j.refusedBy(h, c.Chain) {
				if !slices.Contains(next.Refused, name) {
					next.Refused = append(next.Refused, name)
				}
			}
		}
		if len(next.Refused) > 0 {
			f := j.about(ComingRefused)
			f.Certificate, f.From, f.Pin, f.Versions = c.ID, c.NotBefore, pin, next.Refused
			f.Because, f.Do = j.aboutComing(&next)
			next.Finding = &f
			if worst == nil || worst.Trusted && !next.Trusted {
				worst = &next
				j.found(StatusWillBreak, f)
			}
		}
		p.Coming = append(p.Coming, next)
	}
}

// aboutComing returns what is wrong with the key of a certificate that would break apps,
// and what to do.
func (j *judge) aboutComing(next *Coming) (because []Finding, do []Action) {
	hold := Action{Do: DoNotDeploy, Certificate: next.Certificate}
	switch {
	case next.Pin.IsZero():
		return nil, []Action{hold, {Do: ShowCert, Certificate: next.Certificate}}
	case next.Trusted:
		hold.Versions = next.Refused
		return nil, []Action{{Do: ShipPins, Pins: []Pin{next.Pin}}, hold}
	}
	if state := j.v.outOfUse(next.Pin); state != "" {
		return []Finding{{Code: KeyOutOfUse, Pin: next.Pin, State: state}}, []Action{hold}
	}
	return []Finding{{Code: KeyUnapproved, Pin: next.Pin, Host: j.Pattern}}, []Action{
		hold,
		j.v.approve(next.Pin, j.app.Role, j.Pattern),
		{Do: ShipPins, If: Ours, Pins: []Pin{next.Pin}},
		{Do: RejectCert, If: NotOurs, Certificate: next.Certificate},
	}
}

// findDanger finds served chains that must be replaced, even if every version accepts them.
func (j *judge) findDanger() {
	for _, s := range j.served {
		d, pin := j.v.danger(s)
		if d == safe {
			continue
		}
		change := []Action{{Do: Declare, Role: j.app.Role, Host: j.Pattern}, {Do: ShipPins}}
		if j.app.Role == RoleIssuer && pin == s.Chain.Leaf() {
			change = []Action{{Do: NewKey}}
		} else if spares := j.spares(); len(spares) > 0 {
			change = []Action{{Do: ServeKey, Pins: spares, Unpinned: j.pinning == 0}}
		}
		f := j.at(ServedCompromised, s)
		if d == rejected {
			f.Code, change = ServedRejected, append([]Action{{Do: SuspectIntercept, If: NotOurs}}, change...)
		}
		f.Pin, f.Do = pin, change
		j.found(StatusWillBreak, f)
		j.urgent = true
		return
	}
}

// findCompromised looks for versions that accept a compromised key, served or not.
func (j *judge) findCompromised() {
	for _, k := range j.v.compromisedKeys {
		var names []string
		for i, ver := range j.versions {
			for n := range j.asked {
				if slices.ContainsFunc(j.requirements(i, n), func(r Requirement) bool { return slices.Contains(r.Pins, k.Pin) }) {
					names = append(names, ver.Name)
					break
				}
			}
		}
		if len(names) == 0 {
			continue
		}
		f := j.about(ShippedCompromised)
		f.Pin, f.Versions = k.Pin, names
		f.Do = []Action{{Do: ReleaseVersion, App: j.app.Name, Pin: k.Pin}}
		if j.status != StatusOK {
			j.more = append(j.more, f)
			return
		}
		j.found(StatusWillBreak, f)
		j.urgent = true
		return
	}
}

// findUnusable looks for a version whose client cannot use any of its pins for a host: it
// refuses every server. For a host that was seen, what it serves decides.
func (j *judge) findUnusable() {
	for i, ver := range j.versions {
		for n, h := range j.asked {
			if len(j.v.served[h]) > 0 {
				continue
			}
			for _, r := range j.requirements(i, n) {
				if len(r.Pins) == 0 || j.v.hasUsable(r, func(Pin) bool { return true }) {
					continue
				}
				why, _ := j.v.unusable(r, 0)
				f := j.about(PinsUnusable)
				f.Names, f.Versions, f.At, f.Because = []string{h}, []string{ver.Name}, r.At, []Finding{*why}
				f.Do = []Action{{Do: ExportPins, App: j.app.Name}}
				j.found(StatusBroken, f)
				return
			}
		}
	}
}

// findBroken checks the chains that are served now.
func (j *judge) findBroken(p *HostPlan) {
	for _, s := range j.served {
		names := j.refusedBy(s.Host, s.Chain)
		if len(names) == 0 {
			continue
		}
		pin := s.Chain.Of(j.app.Role)
		f := j.at(ServedRefused, s)
		f.Pin, f.Versions, f.Open = pin, names, s.Chain.Open
		serve := Action{Do: ServeKey}
		switch d, key := j.v.danger(s); {
		case d == compromised:
			f.Because, f.Do = []Finding{{Code: KeyOutOfUse, Pin: key, State: StateCompromised}}, []Action{serve}
		case d == rejected:
			f.Because = []Finding{{Code: KeyRejected, Pin: key, Certificate: s.ID}}
			f.Do = []Action{{Do: SuspectIntercept, If: NotOurs}, serve}
		case pin.IsZero():
			f.Do = []Action{serve}
		case j.v.outOfUse(pin) != "":
			f.Because, f.Do = []Finding{{Code: KeyOutOfUse, Pin: pin, State: j.v.outOfUse(pin)}}, []Action{serve}
		case j.v.Trusted(pin, j.app.Role, j.Pattern) == nil:
			f.Because = []Finding{{Code: KeyUnapproved, Pin: pin, Host: j.Pattern}}
			f.Do = []Action{
				serve,
				{Do: SuspectIntercept, If: NotOurs},
				j.v.approve(pin, j.app.Role, j.Pattern),
				{Do: ShipPins, If: Ours, Pins: []Pin{pin}},
			}
		default:
			f.Do = []Action{serve}
			if slices.Contains(p.Add, pin) {
				f.Do = append(f.Do, Action{Do: ShipPins, Pins: []Pin{pin}})
			}
		}
		if p.Broken == nil {
			j.found(StatusBroken, f)
			j.urgent = true
		}
		p.Broken = append(p.Broken, Broken{s, f})
	}
}

// conclude fills in all findings, the worst first, and what to release by when.
func (j *judge) conclude(p *HostPlan) {
	if j.urgent {
		j.worst.Do = append(slices.Clip(j.worst.Do), Action{Do: ActNow})
	}
	p.Findings = append([]Finding{j.worst}, j.more...)
	if len(j.unpinned) > 0 && j.pinning > 0 {
		f := j.about(VersionsUnpinned)
		f.Versions = j.unpinned
		p.Findings = append(p.Findings, f)
	}
	if (p.Status == StatusOK || p.Status == StatusExpiring) && len(p.Add) > 0 {
		p.Do = append(p.Do, Action{Do: ShipPins, Pins: p.Add})
	}
	if len(p.Remove) > 0 {
		p.Do = append(p.Do, Action{Do: OmitPins, Pins: p.Remove})
	}
	if p.Deadline != nil && !j.urgent {
		p.Do = append(p.Do, Action{Do: ReleaseBy, Until: *p.Deadline, Past: !p.Deadline.After(j.v.now)})
	}
}
