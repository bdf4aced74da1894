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

// A Filter says which events a sender is told of: those that meet all of its
// conditions. The zero Filter lets pass what is at least of severity info.
//
// Senders to people (Email, Service, and Slack, which has a filter of its own) leave
// out of that what is routine: that an expected certificate was issued, logged,
// deployed or found to be expected, that it has a new key, and heartbeats. They also
// leave out certificate.issued of an unexpected certificate, where
// certificate.unexpected follows at once.
type Filter struct {
	// MinSeverity is the least urgent severity. Default info. With debug, people are
	// told what is routine as well.
	MinSeverity ctwatch.Severity
	// Types are patterns of event types, such as "certificate.*", of which one has
	// to match; none means any type. A star stands for any characters (path.Match).
	Types []string
	// Subjects are patterns, as above, of watched domains, of hosts and of log IDs in
	// hex, such as "*.example.com"; none means any. A certificate that concerns
	// several watched domains passes by each of them, so that nobody misses an alarm
	// because the certificate also names somebody else's domain.
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

// standsFor lists the types that an event has for a filter: who asked for alarms only,
// or only for what is issued, gets the digests of alarms and what follows them, too.
func standsFor(e ctwatch.Event) []ctwatch.EventType {
	if e.Type == ctwatch.EntryUnproven || e.Data.AfterDigest {
		return []ctwatch.EventType{e.Type, ctwatch.CertificateUnexpected, ctwatch.CertificateIssued}
	}
	return []ctwatch.EventType{e.Type}
}

// moreSubjects reports whether an event may concern watched domains that it has no room for.
// It names one match of each domain before it names a second of any: so if each that it names
// is of another, there may be more.
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

// matchesAny reports whether one of the patterns matches, or there is none.
func matchesAny(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(domain(p), s)
		return ok
	})
}

// subjects lists what an event is about, all of it from the configuration or a log
// list: never a name that was found in a certificate.
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

// Filtered returns a sender that is told only of events that pass the filter and
// that s wants. A sender to people is told what is routine as well if the filter says
// debug. It has the name of s, and whatever else s can do.
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
	people bool // who read it
}

// Wants implements Sender.
func (f *filtered) Wants(e ctwatch.Event) bool {
	if f.people {
		return f.filter.Match(e) && f.filter.wantedByPeople(e)
	}
	return f.filter.Match(e) && f.Sender.Wants(e)
}

func (f *filtered) unwrap() Sender { return f.Sender }

// What people are not told. A person who hears of every renewal stops to listen, and
// then misses the one certificate that matters. Programs (nats.Sender, webhooks, hooks,
// standard output) are told everything.

// IsRoutine reports whether an event only says that all is as it should be.
func IsRoutine(e ctwatch.Event) bool {
	expected := e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Expected
	switch e.Type {
	case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.CertificateDeployed:
		return expected
	case ctwatch.CertificateJudged:
		// Of one that raised an alarm, or that a person judged, people hear.
		return expected && e.Data.By == "" && !e.Data.Severity.AtLeast(ctwatch.Info)
	case ctwatch.PinCandidate:
		// Without a certificate it is for the people who release the app. With one, they
		// hear of the certificate already: of its key only if an app pins it.
		return e.Data.Certificate != nil && (expected || e.Data.App == "")
	case ctwatch.WatchHeartbeat:
		return true
	}
	return false
}

// AlarmFollows reports whether certificate.unexpected follows at once, of the same
// certificate, and says all that this event does: both are recorded together.
func AlarmFollows(e ctwatch.Event) bool {
	return e.Type == ctwatch.CertificateIssued && e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Unexpected
}

// IsNews is what senders to people want. Of an event in a digest they hear by that.
func IsNews(e ctwatch.Event) bool { return !IsRoutine(e) && !AlarmFollows(e) && !e.Data.InDigest }

// ForPeople marks a sender to people, which wants what IsNews says. Filtered can give
// it more.
type ForPeople interface{ ForPeople() }

// wantedByPeople is IsNews where people have a filter: with severity debug they asked
// for what is routine as well, and who gets no alarms is told of each certificate.
func (f Filter) wantedByPeople(e ctwatch.Event) bool {
	if e.Data.InDigest {
		return false
	}
	if AlarmFollows(e) {
		return !matchesAny(f.Types, string(ctwatch.CertificateUnexpected))
	}
	return f.MinSeverity == ctwatch.Debug || !IsRoutine(e)
}
