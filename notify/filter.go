package notify

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"ctwatch/ctwatch"
)

// A Filter selects the events that a sender gets: those that meet all of its conditions.
// The zero Filter passes events of at least severity info.
//
// Senders to people (email, service, and slack, which has its own filter) also leave out
// routine events: that an expected certificate was issued, logged, deployed or found to
// be expected, that it has a new key, and heartbeats. They leave out certificate.issued
// of an unexpected certificate as well, since certificate.unexpected follows at once.
type Filter struct {
	// MinSeverity is the lowest severity. Default info. With debug, people get routine
	// events as well.
	MinSeverity ctwatch.Severity
	// Types are patterns of event types, such as "certificate.*", one of which has to
	// match; empty means any type. A star matches any characters (path.Match).
	Types []string
	// Subjects are patterns, as above, of watched domains, of hosts and of log IDs in
	// hex, such as "*.example.com"; empty means any. A certificate that matches several
	// watched domains passes if one of them matches, so that a certificate that also
	// names a foreign domain still raises its alarm.
	Subjects []string
}

// Check returns the mistakes in the filter, as settings "severity", "types[0]", "watch[0]".
func (f Filter) Check() error {
	var wrong ctwatch.Settings
	wrong.Add("", CheckSeverity(f.MinSeverity))
	for i, p := range f.Types {
		checkPattern(&wrong, fmt.Sprintf("types[%d]", i), p, "certificate.*")
	}
	for i, p := range f.Subjects {
		checkPattern(&wrong, fmt.Sprintf("watch[%d]", i), p, "*.example.com")
	}
	return wrong.Err()
}

// CheckSeverity checks the setting "severity"; "" stands for the default.
func CheckSeverity(s ctwatch.Severity) error {
	if s == "" || slices.Contains(ctwatch.Severities(), s) {
		return nil
	}
	return &ctwatch.SettingError{Setting: "severity", Value: string(s), Wrong: "is not known; want debug, info, warning, critical"}
}

// checkPattern checks a pattern. One that begins with a dot is refused, since elsewhere that
// means every name below a domain, and here would match nothing.
func checkPattern(s *ctwatch.Settings, setting, p, example string) {
	_, err := path.Match(p, "")
	if err != nil || p == "" || p[0] == '.' || strings.ContainsFunc(p, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		s.Wrong(setting, p, fmt.Sprintf("is not a pattern; want a word in which * stands for any characters, such as %q", example))
	}
}

// Match reports whether the event passes.
func (f Filter) Match(e ctwatch.Event) bool {
	least := f.MinSeverity
	if least == "" {
		least = ctwatch.Info
	}
	return e.Data.Severity.AtLeast(least) &&
		slices.ContainsFunc(standsFor(e), func(t ctwatch.EventType) bool { return matchesAny(f.Types, string(t)) }) &&
		(moreSubjects(e) || len(f.Subjects) == 0 || slices.ContainsFunc(subjects(e), func(s string) bool { return matchesAny(f.Subjects, s) }))
}

// standsFor returns the types that an event has for a filter: a filter for alarms, or for
// issued certificates, also passes digests of alarms and what follows them.
func standsFor(e ctwatch.Event) []ctwatch.EventType {
	if e.Type == ctwatch.EntryUnproven || e.Data.AfterDigest {
		return []ctwatch.EventType{e.Type, ctwatch.CertificateUnexpected, ctwatch.CertificateIssued}
	}
	return []ctwatch.EventType{e.Type}
}

// moreSubjects reports whether an event may concern watched domains that it had no room
// for. An event names one match of each domain before it names a second of any: if all
// matches are of different domains, there may be more.
func moreSubjects(e ctwatch.Event) bool {
	if e.Data.Unproven != nil && e.Data.Unproven.MoreDomains > 0 {
		return true
	}
	c := e.Data.Certificate
	if c == nil || c.Omitted["matches"] == 0 {
		return false
	}
	seen := make(map[string]bool, len(c.Matches))
	for _, m := range c.Matches {
		seen[m.Watch] = true
	}
	return len(seen) == len(c.Matches)
}

// matchesAny reports whether one of the patterns matches, or there are no patterns.
func matchesAny(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(domain(p), s)
		return ok
	})
}

// subjects returns what an event is about. All of it comes from the configuration or a
// log list: never from a certificate.
func subjects(e ctwatch.Event) []string {
	all := []string{domain(e.Subject)}
	if e.Data.Host != "" {
		all = append(all, domain(e.Data.Host))
	}
	if c := e.Data.Certificate; c != nil {
		for _, m := range c.Matches {
			all = append(all, domain(m.Watch))
		}
	}
	if u := e.Data.Unproven; u != nil {
		all = append(all, u.Domains...)
	}
	return all
}

// domain spells a configured domain as events do: lower case and punycode, without
// the dots around it.
func domain(s string) string {
	s = strings.Trim(strings.ToLower(strings.TrimSpace(s)), ".")
	if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
		if a, err := idna.Punycode.ToASCII(s); err == nil {
			return a
		}
	}
	return s
}

// Filtered returns a sender that gets only events that pass the filter and that s wants.
// A sender to people gets routine events as well if the filter has severity debug. It has
// the name of s, and whatever else s can do.
func Filtered(s Sender, f Filter) (Sender, error) {
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("the filter of %s: %w", s.Name(), err)
	}
	_, people := s.(ForPeople)
	return &filtered{Sender: s, filter: f, people: people}, nil
}

type filtered struct {
	Sender
	filter Filter
	people bool // it is a ForPeople
}

// Wants implements Sender.
func (f *filtered) Wants(e ctwatch.Event) bool {
	if f.people {
		return f.filter.Match(e) && f.filter.wantedByPeople(e)
	}
	return f.filter.Match(e) && f.Sender.Wants(e)
}

func (f *filtered) unwrap() Sender { return f.Sender }

// IsRoutine reports whether an event only says that all is well. People do not get such
// events: a person who reads of every renewal stops reading, and then misses the one
// certificate that matters. Programs (NATS, webhooks, hooks, standard output) get all.
func IsRoutine(e ctwatch.Event) bool {
	expected := e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Expected
	switch e.Type {
	case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.CertificateDeployed:
		return expected
	case ctwatch.CertificateJudged:
		// If it raised an alarm, or a person judged it, people get it.
		return expected && e.Data.By == "" && !e.Data.Severity.AtLeast(ctwatch.Info)
	case ctwatch.PinCandidate:
		// Without a certificate it is for the people who release the app. With one, they
		// get an event about the certificate already: about its key only if an app pins it.
		return e.Data.Certificate != nil && (expected || e.Data.App == "")
	case ctwatch.WatchHeartbeat:
		return true
	}
	return false
}

// AlarmFollows reports whether certificate.unexpected about the same certificate follows
// at once, with all that this event says: both are recorded together.
func AlarmFollows(e ctwatch.Event) bool {
	return e.Type == ctwatch.CertificateIssued && e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Unexpected
}

// WantedByPeople reports whether senders to people want an event. For an event in a
// digest they get the digest.
func WantedByPeople(e ctwatch.Event) bool {
	return !IsRoutine(e) && !AlarmFollows(e) && !e.Data.InDigest
}

// ForPeople marks a sender to people, which wants what WantedByPeople says. Filtered can
// give it more.
type ForPeople interface{ ForPeople() }

// wantedByPeople is WantedByPeople for people with a filter: with severity debug they get
// routine events as well, and those whose filter takes no alarms get every certificate.
func (f Filter) wantedByPeople(e ctwatch.Event) bool {
	if e.Data.InDigest {
		return false
	}
	if AlarmFollows(e) {
		return !matchesAny(f.Types, string(ctwatch.CertificateUnexpected))
	}
	return f.MinSeverity == ctwatch.Debug || !IsRoutine(e)
}
