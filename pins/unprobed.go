package pins

import (
	"fmt"
	"time"
)

// Unprobed reports whether the configuration turns off looking at what a pattern's hosts
// serve. What is known of them then is what a person had looked at.
func (v *View) Unprobed(p Pattern) bool { return v.unprobed != nil && v.unprobed(p) }

// howToLook says what to do about hosts that are not looked at.
func howToLook(p Pattern) string {
	const on = "Turn it on (endpoints of its domain, and probe.interval)"
	if p.Reach != Exact {
		return on + "."
	}
	return fmt.Sprintf("%s, or look once: ctwatch probe --record %s.", on, p)
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

// noteLastLook says of hosts that are not looked at, whatever else is said of them, of when
// it is what is known of them.
func (j *judge) noteLastLook() {
	at := j.v.LastLook(j.app, j.Pattern)
	switch {
	case !j.v.Unprobed(j.Pattern):
	case !at.IsZero():
		j.more = append(j.more, fmt.Sprintf("What it serves was last looked at on %s: probing is off.", day(at)))
	case j.why.status != StatusUnknown || j.pinning == 0:
		j.more = append(j.more, "What it serves is not looked at: probing is off.")
	}
}

func oldest(served []*Served) (at time.Time) {
	for _, s := range served {
		if at.IsZero() || s.At.Before(at) {
			at = s.At
		}
	}
	return at
}
