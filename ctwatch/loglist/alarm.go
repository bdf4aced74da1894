package loglist

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// An Alarm is something wrong with a log list that people must know about.
type Alarm struct {
	Code string // one of the constants below
	// Refused means that the published list is not used: reading continues with the last
	// good one. Otherwise the alarm is about the list in use.
	Refused bool
	Detail  string // a sentence, fit to print
	// Cause stays the same while nothing about the alarm changes, also after a restart.
	Cause string
}

// Event returns the event about an alarm. It is critical if certificates may be hidden. An
// older list mostly comes from a stale cache, and a single operator or an old date is a sign
// of neglect.
func (a Alarm) Event(at time.Time) ctwatch.Event {
	severity := ctwatch.Critical
	switch a.Code {
	case Rollback, OneOperator, Outdated:
		severity = ctwatch.Warning
	}
	if a.Refused {
		return ctwatch.LogListRefusedEvent(severity, a.Detail, a.Cause, at)
	}
	return ctwatch.LogListOutdatedEvent(severity, a.Detail, a.Cause, at)
}

// The codes of alarms.
const (
	CompromisedLogs = "compromised_logs" // refused: it names a log whose private key is public
	Rollback        = "rollback"         // refused: it is older than the list in use
	LogsLost        = "logs_lost"        // refused: most logs of the list in use are missing
	CoverageLost    = "coverage_lost"    // refused: unlike the list in use it has no log for new certificates
	NotCovered      = "not_covered"      // the list in use has no log for new certificates
	OneOperator     = "one_operator"     // the list in use has such logs of a single operator
	Outdated        = "outdated"         // the list in use was published weeks ago
)

// Codes lists the codes of all alarms.
func Codes() []string {
	return []string{CompromisedLogs, Rollback, LogsLost, CoverageLost, NotCovered, OneOperator, Outdated}
}

const (
	// longest is the longest validity of a certificate (Baseline Requirements §6.3.2 since
	// March 2026). A log accepts the certificates that end in its interval, so a current list
	// has shards at least that far ahead.
	longest = 200 * 24 * time.Hour
	// maxAge is the age at which a list is outdated. Google publishes several a week, and
	// Chrome stops enforcing Certificate Transparency with a list of more than ten weeks.
	maxAge = 28 * 24 * time.Hour
	// minLogs is how many logs a list must have for the loss of most of them to count: short
	// lists are private ones.
	minLogs = 5
	// patience is how long a list that cannot be read causes no alarm for its age: a network
	// that is down is reported elsewhere.
	patience = 24 * time.Hour
)

// compromised reports whether the private key of a log is public. Two such logs are in lists
// that are signed like Chrome's and served to programs that seem to enforce Certificate
// Transparency. They log nothing, and their signatures prove nothing.
func compromised(id ctwatch.LogID) bool { return slices.Contains(compromisedLogs(), id.String()) }

func compromisedLogs() []string {
	return []string{
		"9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=",
		"si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=",
	}
}

// A compromisedError means that a list has logs whose private keys are public.
type compromisedError struct{ ids []string }

func (e *compromisedError) Error() string {
	return fmt.Sprintf("the log list has %s, whose private key is public: such lists are for programs that are not supposed to find new logs", strings.Join(e.ids, " and "))
}

// checkCompromised looks for the IDs of compromised logs in the whole list, also in parts
// that cannot be parsed. ids are those of its logs.
func checkCompromised(data []byte, ids map[ctwatch.LogID]bool) error {
	var found []string
	for _, id := range compromisedLogs() {
		parsed, err := ctwatch.ParseLogID(id)
		if bytes.Contains(data, []byte(id)) || err == nil && ids[parsed] {
			found = append(found, id)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &compromisedError{found}
}

// A RefusedError is why a list that was read is not used.
type RefusedError struct {
	Alarm Alarm
	err   error
}

func (e *RefusedError) Error() string { return e.err.Error() }
func (e *RefusedError) Unwrap() error { return e.err }

// refuse returns the error for a list that is not used.
func (s *Source) refuse(code, about string, err error) error {
	return &RefusedError{s.alarm(code, true, about, err.Error()), fmt.Errorf("%s: %w", s.fetcher.name(), err)}
}

// alarm returns an alarm. about distinguishes its cause from others with the same code; with
// another list in use the cause is another one.
func (s *Source) alarm(code string, refused bool, about, detail string) Alarm {
	cause := code + " " + about
	if s.current != nil {
		cause += " " + s.current.list.Timestamp.Format(time.RFC3339)
	}
	return Alarm{Code: code, Refused: refused, Detail: ctwatch.Printable(s.fetcher.name()+": "+detail, 600), Cause: cause}
}

// checkReplacement returns an error if a list must not replace the one in use because it is
// worse: reading logs that are not needed costs little, but a log that is not read hides
// certificates. The owner of a file without a signature may change it in any way.
func (s *Source) checkReplacement(next *List) error {
	if s.current == nil || s.owned() {
		return nil
	}
	now, have := s.config.Now(), s.current.list
	newest := have.Timestamp
	if newest.After(now) {
		newest = now // a date in the future does not block later lists
	}
	if next.Timestamp.Before(newest) {
		return s.refuse(Rollback, "", fmt.Errorf("%w: it is from %s, and the one in use from %s", ErrRollback,
			next.Timestamp.Format(time.RFC3339), have.Timestamp.Format(time.RFC3339)))
	}
	if gone, of := lost(have.Logs, next.Logs, now); of >= minLogs && 2*gone > of {
		return s.refuse(LogsLost, fmt.Sprint(gone), fmt.Errorf("the log list lacks %d of the %d logs of the one in use that can still have valid certificates", gone, of))
	}
	if then := now.Add(longest); len(covering(next.Logs, then)) == 0 && len(covering(have.Logs, then)) > 0 {
		return s.refuse(CoverageLost, "", fmt.Errorf("the log list has no log for certificates that end on %s, 200 days from now, and the one in use has", then.UTC().Format(time.DateOnly)))
	}
	return nil
}

// owned reports whether the list is an unsigned file, which its owner may change in any way.
func (s *Source) owned() bool {
	_, file := s.fetcher.(fileFetcher)
	return file && s.config.Key == nil
}

// lost counts the logs that can have valid certificates, and those of them that the next list
// lacks or rejects.
func lost(have, next []ctwatch.Log, now time.Time) (gone, of int) {
	kept := make(map[ctwatch.LogID]bool)
	for _, l := range next {
		kept[l.ID] = l.State != ctwatch.LogRejected
	}
	for _, l := range have {
		if l.State == ctwatch.LogRejected || l.State == ctwatch.LogPending || !l.IntervalEnd.IsZero() && !now.Before(l.IntervalEnd) {
			continue
		}
		of++
		if !kept[l.ID] {
			gone++
		}
	}
	return gone, of
}

// covering returns the operators, sorted, of the logs that accept certificates that end at a
// time. Browsers require proofs from two operators' logs. If no log has a state, all count.
func covering(logs []ctwatch.Log, end time.Time) (operators []string) {
	stated := slices.ContainsFunc(logs, func(l ctwatch.Log) bool { return l.State != "" })
	for _, l := range logs {
		open := l.State == ctwatch.LogUsable || l.State == ctwatch.LogQualified || !stated
		in := l.IntervalEnd.IsZero() || !end.Before(l.IntervalStart) && end.Before(l.IntervalEnd)
		if open && in {
			operators = append(operators, l.Operator)
		}
	}
	slices.Sort(operators)
	return slices.Compact(operators)
}

// currentAlarms returns what is wrong with the list in use.
func (s *Source) currentAlarms() (out []Alarm) {
	if s.current == nil || s.failures > 0 && s.config.Now().Sub(s.failingSince) < patience {
		return nil
	}
	now, list := s.config.Now(), s.current.list
	then := now.Add(longest)
	day := then.UTC().Format(time.DateOnly)
	switch operators := covering(list.Logs, then); {
	case len(operators) == 0:
		out = append(out, s.alarm(NotCovered, false, "", fmt.Sprintf("the log list has no usable or qualified log for certificates that end on %s, 200 days from now: certificates issued today may be in logs that are not read", day)))
	case len(operators) == 1 && severalOperators(list.Logs):
		out = append(out, s.alarm(OneOperator, false, operators[0], fmt.Sprintf("of the logs for certificates that end on %s, 200 days from now, all belong to %s, but browsers require two operators: logs may be missing from the list", day, operators[0])))
	}
	if age := now.Sub(list.Timestamp); !list.Timestamp.IsZero() && age > maxAge && !s.owned() {
		out = append(out, s.alarm(Outdated, false, "", fmt.Sprintf("the log list was published %d days ago, on %s, and no newer one is available: it lacks new logs", int(age.Hours()/24), list.Timestamp.Format(time.DateOnly))))
	}
	return out
}

func severalOperators(logs []ctwatch.Log) bool {
	return slices.ContainsFunc(logs, func(l ctwatch.Log) bool { return l.Operator != logs[0].Operator })
}

// report updates the alarms after a reading, with its error. It logs new ones, and calls
// OnAlarms.
func (s *Source) report(err error, currentAlarms []Alarm) {
	var now []Alarm
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		now = append(now, refused.Alarm)
	} else if err != nil { // nothing new is known about the published list
		for _, a := range s.alarms {
			if a.Refused {
				now = append(now, a)
			}
		}
	}
	now = append(now, currentAlarms...)
	for _, a := range now {
		if !slices.ContainsFunc(s.alarms, func(b Alarm) bool { return a.Cause == b.Cause }) {
			s.config.Logger.Error("alarm about the log list", "code", a.Code, "refused", a.Refused, "detail", a.Detail)
		}
	}
	s.alarms = now
	if s.config.OnAlarms != nil {
		s.config.OnAlarms(slices.Clone(now), s.date())
	}
}

// date returns when the list in use was published; zero if there is none.
func (s *Source) date() time.Time {
	if s.current == nil {
		return time.Time{}
	}
	return s.current.list.Timestamp
}
