package ctwatch

import (
	"slices"
	"strconv"
	"time"

	"ctwatch/pins"
)

// A Past counts the verdicts that a certificate got before, by the audit trail.
type Past struct {
	ByPerson   bool  // a person gave one: rules do not change it
	Unexpected int64 // how many were Unexpected
	Times      int64 // how many there were
}

// A RuleChange says what a judgment by rules changes about a certificate.
type RuleChange struct {
	Grants  bool // the names for which rules approve its key
	Verdict bool // its verdict, reasons or CAA identity
	New     bool // the verdict is another one, or raises an alarm of its own
	Audit   bool // the audit trail gets a record
	Event   bool // an event reports it
	// Before is the verdict before, as the event has it.
	Before Verdict
}

// ApplyRules returns what a judgment by rules changes about a certificate. found means
// that the certificate is new: it has no verdict yet.
//
// A verdict by a person stays. A new certificate is reported only if it is unexpected,
// and one that has expired not at all. Two issuers of one certificate are an alarm of
// their own, whatever was reported before.
func ApplyRules(c *Certificate, j Judgment, past Past, found bool, now time.Time) RuleChange {
	change := RuleChange{Before: c.Verdict}
	if past.ByPerson {
		// After a person rejected it, what rules granted because of it stays on record.
		change.Grants = c.Verdict != Unexpected
		return change
	}
	codes := j.Codes()
	conflict := slices.Contains(codes, ReasonIssuerConflict) && !slices.Contains(c.Reasons, ReasonIssuerConflict)
	alarm := conflict && j.Verdict == Unexpected
	if alarm {
		change.Before = Unreviewed
	}
	expired := !c.NotAfter.IsZero() && !c.NotAfter.After(now)
	change.Grants = true
	change.Verdict = c.Verdict != j.Verdict || !slices.Equal(c.Reasons, codes) || c.Issuer.CAA != j.CAA
	change.New = c.Verdict != j.Verdict || alarm
	change.Audit = change.New && !(found && j.Verdict == Expected)
	if found {
		change.Event = change.New && j.Verdict == Unexpected
	} else {
		change.Event = change.New && !expired
	}
	return change
}

// A PersonChange says what a verdict by a person changes about a certificate.
type PersonChange struct {
	Verdict bool // its verdict or reasons; false if the same person's verdict stands already
	// DropGrants means that rules no longer approve its key because of it: the person
	// agrees with rules that it is unexpected.
	DropGrants bool
	Event      bool // an event reports it
}

// ApplyPerson returns what a verdict by a person changes about a certificate. To
// confirm an alarm is reported; to confirm that all is well is not.
func ApplyPerson(c *Certificate, verdict Verdict, reasons []string, past Past) PersonChange {
	same := c.Verdict == verdict
	if past.ByPerson && same && slices.Equal(c.Reasons, reasons) {
		return PersonChange{}
	}
	return PersonChange{
		Verdict:    true,
		DropGrants: same && verdict == Unexpected && !past.ByPerson,
		Event:      !same || verdict == Unexpected,
	}
}

// VerdictEvent reports a new verdict, each time under an ID of its own. by is the
// person who gave it, or "".
func VerdictEvent(c Certificate, before Verdict, why, by string, past Past, at time.Time) Event {
	if c.Verdict != Unexpected || before == Unexpected {
		return JudgedEvent(c, before, why, by, past.Times, at)
	}
	e := UnexpectedEvent(c, why, at)
	if past.Unexpected > 0 {
		e.ID = NewEventID(e.Type, e.ID, strconv.FormatInt(past.Unexpected, 10))
	}
	e.Data.By = by
	return e
}

// MayBeCandidate reports whether a certificate's key may be reported as a candidate for
// pins: an entry with the certificate is proven to be in its log's tree, and it is not
// unexpected.
func MayBeCandidate(c *Certificate) bool {
	return !c.Key.Pin.IsZero() && c.Verdict != Unexpected &&
		slices.ContainsFunc(c.Sightings, func(s Sighting) bool { return s.Verified })
}

// MatchedHosts returns the names by which a certificate matches, sorted, each once.
func (c *Certificate) MatchedHosts() []string {
	hosts := make([]string, 0, len(c.Matches))
	for _, m := range c.Matches {
		hosts = append(hosts, m.Name)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// ApprovedForAll reports whether patterns cover all hosts.
func ApprovedForAll(approved []pins.Pattern, hosts []string) bool {
	set := pins.NewPatternSet(approved...)
	return !slices.ContainsFunc(hosts, func(h string) bool {
		host, err := pins.PatternOf(h)
		return err != nil || !set.Covers(host)
	})
}
