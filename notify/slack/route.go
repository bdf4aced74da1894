package slack

import (
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// A Route sends the events that match all of its conditions to a channel.
//
// Of several routes that an event matches, the first counts. There is one exception,
// so that no route is dead: a route that an earlier one leaves nothing to, for being
// the same but for a higher Severity, goes before it.
type Route struct {
	// Severity is the least urgent severity that matches; "" for any, if Watch or
	// Types is given.
	Severity ctwatch.Severity
	Channel  string
	// Watch are patterns of watched domains, as Filter.Subjects are. Empty for any.
	Watch []string
	// Types are patterns of event types, as Filter.Types are. Empty for any.
	Types []string
}

// checkRoutes checks routes, and returns them in the order in which they are tried.
func checkRoutes(routes []Route) ([]Route, error) {
	var out []Route
	for i, r := range routes {
		if r.Severity == "" {
			if len(r.Watch)+len(r.Types) == 0 {
				return nil, fmt.Errorf("slack.routes[%d]: want a severity, or what to watch, or types of events", i)
			}
			r.Severity = ctwatch.Debug
		}
		if err := r.filter().Check(); err != nil {
			return nil, fmt.Errorf("slack.routes[%d]: %w", i, err)
		}
		if r.Channel == "" {
			return nil, fmt.Errorf("slack.routes[%d]: want the channel that it leads to", i)
		}
		at := slices.IndexFunc(out, func(earlier Route) bool { return earlier.hides(r) })
		if at < 0 {
			at = len(out)
		}
		out = slices.Insert(out, at, r)
	}
	return out, nil
}

func (r Route) filter() notify.Filter {
	return notify.Filter{MinSeverity: r.Severity, Types: r.Types, Subjects: r.Watch}
}

// hides reports whether r, tried first, leaves nothing to a more severe route.
func (r Route) hides(other Route) bool {
	return r.Severity != other.Severity && other.Severity.AtLeast(r.Severity) &&
		(len(r.Watch) == 0 || slices.Equal(r.Watch, other.Watch)) &&
		(len(r.Types) == 0 || slices.Equal(r.Types, other.Types))
}

// channel chooses the channel for an event.
func (s *Sender) channel(e ctwatch.Event) string {
	for _, r := range s.o.Routes {
		if r.filter().Match(e) {
			return r.Channel
		}
	}
	return s.o.Channel
}

// channelsOf lists all channels, each once, the default one last.
func channelsOf(routes []Route, def string) (channels []string) {
	for _, r := range routes {
		if r.Channel != def && !slices.Contains(channels, r.Channel) {
			channels = append(channels, r.Channel)
		}
	}
	return append(channels, def)
}
