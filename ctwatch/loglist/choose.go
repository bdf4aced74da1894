package loglist

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// A Choice says which logs of a list to follow.
type Choice struct {
	// States are the states of the logs to follow. A log without a state has the state "".
	States []string
	// Only are names, IDs (base64 or hex) and operators, in any case. If it is empty, every
	// log in one of States is chosen. An operator chooses its logs in one of States; a name
	// or ID chooses a log in any state.
	Only []string
	// Now is when the choice is made. Optional: by default the time does not matter.
	Now time.Time
}

// Choose returns the chosen logs, in their order, and the words of Only that match no log,
// which are likely mistakes.
//
// A retired log whose interval is over is not chosen, unless by name or ID: its certificates
// are not valid any more. The placeholders in Google's list, whose URLs do not exist, are
// such logs.
func Choose(logs []ctwatch.Log, c Choice) (chosen []ctwatch.Log, unmatched []string) {
	used := make([]bool, len(c.Only))
	for _, log := range logs {
		inState := slices.Contains(c.States, log.State) && !over(log, c.Now)
		ok := len(c.Only) == 0 && inState
		for i, word := range c.Only {
			word = strings.TrimSpace(word)
			switch {
			case word == "":
			case hasID(log, word) || hasName(log, word):
				used[i], ok = true, true
			case strings.EqualFold(log.Operator, word):
				used[i], ok = true, ok || inState
			}
		}
		if ok {
			chosen = append(chosen, log)
		}
	}
	for i, word := range c.Only {
		if !used[i] {
			unmatched = append(unmatched, word)
		}
	}
	return chosen, unmatched
}

func over(log ctwatch.Log, now time.Time) bool {
	return log.State == ctwatch.LogRetired &&
		!now.IsZero() && !log.IntervalEnd.IsZero() && !now.Before(log.IntervalEnd)
}

// Find returns the log that word identifies: by ID (base64 or hex), else by its name, else by
// a part of its name that no other log has. The error lists similar logs.
func Find(logs []ctwatch.Log, word string) (ctwatch.Log, error) {
	word = strings.TrimSpace(word)
	if word == "" {
		return ctwatch.Log{}, errors.New("want the name or ID of a log")
	}
	for _, is := range []func(ctwatch.Log, string) bool{hasID, hasName, hasInName} {
		var found []ctwatch.Log
		for _, log := range logs {
			if is(log, word) {
				found = append(found, log)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return ctwatch.Log{}, fmt.Errorf("%q matches %d logs: %s", word, len(found), enumerate(found))
		}
	}
	if near := nearest(logs, word); len(near) > 0 {
		return ctwatch.Log{}, fmt.Errorf("no log is called %q; similar: %s", word, enumerate(near))
	}
	return ctwatch.Log{}, fmt.Errorf("no log is called %q, among the %d of the log list", word, len(logs))
}

// hasID compares the ID's bytes: base64 is case-sensitive, hex is not.
func hasID(log ctwatch.Log, word string) bool {
	if id, err := ctwatch.ParseLogID(word); err == nil {
		return log.ID == id
	}
	id, err := hex.DecodeString(word)
	return err == nil && string(id) == string(log.ID[:])
}

func hasName(log ctwatch.Log, word string) bool {
	return strings.EqualFold(log.Name, word) || strings.EqualFold(shortName(log), word)
}

func hasInName(log ctwatch.Log, word string) bool {
	return strings.Contains(strings.ToLower(log.Name), strings.ToLower(word))
}

// shortName returns the usual short name of a log: Argon2026h1 for "Google 'Argon2026h1' log".
func shortName(log ctwatch.Log) string {
	name := log.Name
	if n := len(log.Operator); n > 0 && len(name) > n && strings.EqualFold(name[:n], log.Operator) {
		name = name[n:]
	}
	name = strings.TrimSuffix(strings.TrimSpace(name), " log")
	return strings.Trim(name, "'")
}

// maxListed bounds the logs that an error lists.
const maxListed = 6

func enumerate(logs []ctwatch.Log) string {
	var b strings.Builder
	for i, log := range logs[:min(len(logs), maxListed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s)", log.Name, log.ID)
	}
	if more := len(logs) - maxListed; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// nearest returns the logs whose names have the longest common prefix with word: shards of one
// log differ in their last letters, and so do most mistakes.
func nearest(logs []ctwatch.Log, word string) []ctwatch.Log {
	const least = 3
	alike := make(map[ctwatch.LogID]int)
	var near []ctwatch.Log
	for _, log := range logs {
		n := max(commonPrefix(shortName(log), word), commonPrefix(log.Name, word))
		if n >= least {
			alike[log.ID] = n
			near = append(near, log)
		}
	}
	slices.SortStableFunc(near, func(a, b ctwatch.Log) int { return cmp.Compare(alike[b.ID], alike[a.ID]) })
	return near
}

func commonPrefix(a, b string) (n int) {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// Merge adds the logs of a list to configured ones, which take precedence.
func Merge(configured, listed []ctwatch.Log) []ctwatch.Log {
	out := slices.Clone(configured)
	for _, l := range listed {
		if !slices.ContainsFunc(configured, func(c ctwatch.Log) bool { return c.ID == l.ID }) {
			out = append(out, l)
		}
	}
	return out
}
