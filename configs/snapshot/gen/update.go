package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
)

// listed returns the states of the logs in the list that Google signs. Its list of all logs has
// others, which no browser trusts: pending, rejected, test logs without a state.
func listed() []string {
	return []string{ctwatch.LogQualified, ctwatch.LogUsable, ctwatch.LogReadOnly, ctwatch.LogRetired}
}

// updated returns the logs of a newer list in the listed states, if it agrees with the signed list
// about each log of that one.
func updated(signed *loglist.List, file string) (*loglist.List, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	newer, problems, err := loglist.Parse(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(problems) > 0:
		return nil, fmt.Errorf("%s: %s", file, problems[0])
	case !newer.Timestamp.After(signed.Timestamp):
		return nil, fmt.Errorf("%s: it is from %s, not newer than the signed list", file, newer.Timestamp)
	}
	for _, l := range signed.Logs {
		i := slices.IndexFunc(newer.Logs, func(n ctwatch.Log) bool { return n.ID == l.ID })
		if i < 0 {
			return nil, fmt.Errorf("%s lacks %s, which the signed list has", file, l.Name)
		}
		if !sameLog(l, newer.Logs[i]) {
			return nil, fmt.Errorf("%s disagrees with the signed list about %s", file, l.Name)
		}
	}
	newer.Logs = slices.DeleteFunc(newer.Logs, func(l ctwatch.Log) bool { return !slices.Contains(listed(), l.State) })
	if len(newer.Logs) == 0 {
		return nil, errors.New("no log is left")
	}
	return newer, nil
}

// sameLog reports whether two lists agree about a log. Its state may change.
func sameLog(a, b ctwatch.Log) bool {
	return a.Name == b.Name && a.Operator == b.Operator && a.Kind == b.Kind && string(a.Key) == string(b.Key) &&
		a.URL == b.URL && a.SubmissionURL == b.SubmissionURL && a.MMD == b.MMD &&
		a.IntervalStart.Equal(b.IntervalStart) && a.IntervalEnd.Equal(b.IntervalEnd)
}
