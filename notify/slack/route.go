package slack

import (
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// A Route sends the events that match all of its conditions to a channel.
//
// Of several routes that match an event, the first counts, with one exception: a route
// that would never match, since an earlier one has the same conditions but for a lower
// Severity, goes before that one.
type Route struct {
	// Severity is the lowest severity that matches; "" for any, with Watch or Types.
	Severity ctwatch.Severity
	Channel  string
	// Watch are patterns of watched domains, as Filter.Subjects are. Empty for any.
	Watch []string
	// Types are patterns of event types, as Filter.Types are. Empty for any.
	Types []string
}

// checkRoutes adds the mistakes in routes.
func checkRoutes(routes []Route, wrong *ctwatch.Settings) {
	seen := make(map[string]int)
	for i, r := range routes {
		at := fmt.Sprintf("routes[%d]", i)
		if r.Severity == "" && len(r.Watch)+len(r.Types) == 0 {
			wrong.Wrong(at, "", "does not say which events it is for; want a severity, watch or types")
		}
		wrong.Add(at, r.filter().Check())
		if r.Channel == "" {
			wrong.Wrong(at+".channel", "", "is missing or empty; want a channel, such as \"#incident\"")
		}
		events := fmt.Sprintf("%q", []any{r.Severity, r.Watch, r.Types})
		if first, ok := seen[events]; ok {
			wrong.Wrong(at, "", fmt.Sprintf("is for the same events as routes[%d]; want each once", first))
			continue
		}
		seen[events] = i
	}
}

// inOrder returns routes in the order in which they are tried: one that would leave
// nothing to a more severe route comes after it.
func inOrder(routes []Route) (out []Route) {
	for _, r := range routes {
		if r.Severity == "" {
			r.Severity = ctwatch.Debug
		}
		at := slices.IndexFunc(out, func(earlier Route) bool { return earlier.hides(r) })
		if at < 0 {
			at = len(out)
		}
		out = slices.Insert(out, at, r)
	}
	return out
}

func (r Route) filter() notify.Filter {
	return notify.Filter{MinSeverity: r.Severity, Types: r.Types, Subjects: r.Watch}
}

// hides reports whether r, tried first, matches all that a more severe route does.
func (r Route) hides(other Route) bool {
	return r.Severity != other.Severity && other.Severity.AtLeast(r.Severity) &&
		(len(r.Watch) == 0 || slices.Equal(r.Watch, other.Watch)) &&
		(len(r.Types) == 0 || slices.Equal(r.Types, other.Types))
}

// channel returns the channel for an event.
func (s *Sender) channel(e ctwatch.Event) string {
	for _, r := range s.o.Routes {
		if r.filter().Match(e) {
			return r.Channel
		}
	}
	return s.o.Channel
}

// channelsOf returns all channels, each once, the default last.
func channelsOf(routes []Route, def string) (channels []string) {
	for _, r := range routes {
		if r.Channel != def && !slices.Contains(channels, r.Channel) {
			channels = append(channels, r.Channel)
		}
	}
	return append(channels, def)
}
