package pins

import (
	"slices"
	"time"
)

// Bounds of how long before its end a certificate counts as ending: the last sixth
// of its life, when an automatic renewal at two thirds of it has long failed, and
// no more than two weeks.
const (
	endingPart = 6
	endingMost = 14 * 24 * time.Hour
)

// Ending lists what is served, is near its end or beyond it, and has no successor:
// no certificate is known that is good for the host, ends later, and is not known
// to be one that should not exist.
func (v *View) Ending() []*Served {
	var out []*Served
	for _, list := range v.served {
		for _, s := range list {
			if s.NotAfter.IsZero() || s.NotAfter.Sub(v.now) > min(s.NotAfter.Sub(s.NotBefore)/endingPart, endingMost) {
				continue
			}
			host := Pattern{Name: s.Host}
			t := target{Pattern: host, hosts: []string{s.Host}, served: []*Served{s}}
			if !slices.ContainsFunc(v.coming(&t), func(c *Issued) bool { return c.NotAfter.After(s.NotAfter) }) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Served) int { return a.NotAfter.Compare(b.NotAfter) })
	return out
}
