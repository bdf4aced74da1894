package words

import (
	"strings"

	"ctwatch/pins"
)

// A Plan is what "pins plan --json" prints of a host.
type Plan struct {
	pins.HostPlan
	Why string `json:"why"` // what is wrong, and what to do
}

// Plans words plans.
func Plans(plans []pins.HostPlan) []Plan {
	out := make([]Plan, len(plans))
	for i, p := range plans {
		out[i] = Plan{p, Why(p)}
	}
	return out
}

// Why says what is wrong with an app at a host, what to do, and by when.
func Why(p pins.HostPlan) string {
	return strings.TrimSpace(Sentences(p.Findings...) + " " + Text{Steps: Steps(p.Do)}.String())
}

// A Problem is what a gate prints of a finding with --json.
type Problem struct {
	App     string       `json:"app"`
	Version string       `json:"version,omitempty"` // the version concerned; "" for all
	Host    pins.Pattern `json:"host,omitzero"`     // zero where it concerns the file as a whole
	Place   string       `json:"place,omitempty"`   // in the file: "line:column"; "" where it has none
	Why     string       `json:"why"`               // what would happen, and what to do
}

// Problems words findings of a gate, never nil.
func Problems(fs []pins.Finding) []Problem {
	out := make([]Problem, 0, len(fs))
	for _, f := range fs {
		p := Problem{App: f.App, Host: f.Host, Place: f.Place, Why: Finding(f).String()}
		if len(f.Versions) == 1 {
			p.Version = f.Versions[0]
		}
		out = append(out, p)
	}
	return out
}

// String writes the problem as a line, which begins with what it concerns.
func (p Problem) String() string {
	who := p.App
	if p.Version != "" {
		who += " " + p.Version
	}
	if p.Host != (pins.Pattern{}) {
		who += ", " + p.Host.String()
	}
	if p.Place != "" {
		who += ", line " + p.Place
	}
	return who + ": " + p.Why
}

// Refusals says why no pin set is made, with a line for each host.
func Refusals(rs pins.Refusals) string {
	var lines []string
	for _, r := range rs {
		lines = append(lines, r.App+": "+r.Host.String()+": "+Finding(r).String())
	}
	return strings.Join(lines, "\n")
}
