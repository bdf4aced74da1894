package pins_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const api = "api.example.com"

// data writes findings with all that they hold, to be searched for what a test wants.
func data(fs ...pins.Finding) string { return fmt.Sprintf("%+v", fs) }

// planData writes what a plan found, and what to do.
func planData(p pins.HostPlan) string { return data(p.Findings...) + fmt.Sprintf(" %+v", p.Do) }

// codes lists the codes of findings.
func codes(fs []pins.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, string(f.Code))
	}
	return out
}

func days(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }

// pin returns a pin by a name that a test can speak of.
func pin(name string) pins.Pin { return sha256.Sum256([]byte(name)) }

func pinsOf(names ...string) (out []pins.Pin) {
	for _, n := range names {
		out = append(out, pin(n))
	}
	return out
}

func patterns(t testing.TB, names ...string) (out []pins.Pattern) {
	t.Helper()
	for _, n := range names {
		p, err := pins.ParsePattern(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// testRules pins hosts as a client with patterns and no rule of its own would.
type testRules struct {
	of   map[string][]pins.Requirement
	ends time.Time
}

func (r testRules) Requirements(host string, at time.Time) []pins.Requirement {
	if !r.ends.IsZero() && at.After(r.ends) {
		return nil
	}
	if rs, ok := r.of[host]; ok {
		return rs
	}
	_, parent, _ := strings.Cut(host, ".")
	return r.of["*."+parent]
}

func (r testRules) Ends(host string) time.Time {
	if len(r.Requirements(host, time.Time{})) == 0 {
		return time.Time{}
	}
	return r.ends
}

func (r testRules) Patterns() []pins.Pattern { return nil }

// ships is a version that compares some pins of a host with the whole chain.
func ships(version, host string, names ...string) pins.Version {
	return pins.Version{Name: version, Rules: testRules{of: map[string][]pins.Requirement{host: {{Pins: pinsOf(names...)}}}}}
}

// until ends the pins of a version.
func until(v pins.Version, end time.Time) pins.Version {
	r := v.Rules.(testRules)
	r.ends = end
	v.Rules = r
	return v
}

// leafAndIssuer is a version that wants two pins of api to match, each at its
// position.
func leafAndIssuer(version string, leaf, issuer []pins.Pin) pins.Version {
	return pins.Version{Name: version, Rules: testRules{of: map[string][]pins.Requirement{
		api: {{At: pins.AtLeaf, Pins: leaf}, {At: pins.AtIssuers, Pins: issuer}},
	}}}
}

func served(host string, end time.Time, chain ...string) pins.Served {
	return pins.Served{
		Host: host, Address: "192.0.2.1:443", Chain: pins.Chain{Pins: pinsOf(chain...)}, ID: "served-" + chain[0], Named: true,
		NotBefore: end.Add(-90 * 24 * time.Hour), NotAfter: end, Since: days(-20), At: now,
	}
}

func issued(t testing.TB, id, names string, leaf, issuer string) pins.Issued {
	return pins.Issued{
		ID: id, Names: patterns(t, strings.Fields(names)...), Chain: pins.Chain{Pins: pinsOf(leaf, issuer), Open: true},
		NotBefore: days(-1), NotAfter: days(89), FirstSeen: now,
	}
}

func rejected(i pins.Issued) pins.Issued { i.Rejected = true; return i }

func key(t testing.TB, name string, state pins.State, hosts ...string) pins.Key {
	return pins.Key{Pin: pin(name), Role: pins.RoleLeaf, State: state, ApprovedFor: patterns(t, hosts...), ChangedAt: days(-3)}
}

func issuerKey(t testing.TB, name string, state pins.State, hosts ...string) pins.Key {
	k := key(t, name, state, hosts...)
	k.Role = pins.RoleIssuer
	return k
}
