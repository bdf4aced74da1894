package pins

import "time"

// Unprobed reports whether the configuration turns off looking at what a pattern's hosts
// serve. What is known of them then is what a person had looked at.
func (v *View) Unprobed(p Pattern) bool { return v.unprobed != nil && v.unprobed(p) }

// unseen returns why it is not known what a pattern's hosts serve.
func (v *View) unseen(app *App, p Pattern) Finding {
	f := Finding{Code: NotReached, App: app.Name, Host: p, Role: app.Role, Do: []Action{{Do: ProbeHost, Host: p}}}
	switch {
	case v.Unprobed(p):
		f.Code, f.Do = ProbingOff, []Action{{Do: EnableProbing, Host: p}}
		if p.Reach == Exact {
			f.Do = append(f.Do, Action{Do: ProbeHost, Host: p})
		}
	case p.Reach != Exact:
		f.Code, f.Do = NoKnownHost, []Action{{Do: ListEndpoints, Host: p}}
	}
	return f
}

// LastLook says when a pattern's hosts were looked at, the oldest look first, if looking
// is turned off since: what they serve may have changed. It is zero otherwise, and for
// hosts that never were looked at.
func (v *View) LastLook(app *App, p Pattern) (at time.Time) {
	if !v.Unprobed(p) {
		return at
	}
	t := v.target(app, p)
	return oldest(t.served)
}

// noteLastLook adds, for a host that is not probed, when what is known of it was seen.
func (j *judge) noteLastLook() {
	if !j.v.Unprobed(j.Pattern) {
		return
	}
	if at := j.v.LastLook(j.app, j.Pattern); !at.IsZero() {
		j.more = append(j.more, lastProbed(j.app, j.Pattern, at))
	} else if j.status != StatusUnknown || j.pinning == 0 {
		j.more = append(j.more, j.about(ProbingOff))
	}
}

func lastProbed(app *App, p Pattern, at time.Time) Finding {
	return Finding{Code: LastProbed, App: app.Name, Host: p, From: at}
}

func oldest(served []*Served) (at time.Time) {
	for _, s := range served {
		if at.IsZero() || s.At.Before(at) {
			at = s.At
		}
	}
	return at
}
