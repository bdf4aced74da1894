// Package loglist reads log lists of version 3
// (www.gstatic.com/ct/log_list/v3/log_list_schema.json), the format in which Google publishes
// Chrome's logs. It checks their signatures, keeps them up to date, raises alarms about lists
// that would hide certificates, and chooses the logs to follow.
//
// Others write the lists, and ctwatch reads them for years: a log that cannot be used is
// reported and skipped, and the rest are used.
package loglist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ctwatch/ctwatch"
)

const (
	// MaxSize bounds a list, in bytes. The largest published one has 80 kB.
	MaxSize = 16 << 20
	// MaxLogs bounds the logs of a list; the largest published one has 117.
	MaxLogs = 10_000
)

// The longest names that are kept, in runes.
const (
	maxName    = 200
	maxVersion = 40
)

// A List is a log list as read. Its logs are unique by ID, in the list's order.
type List struct {
	Version string // such as "85.92"; "" if the list has none
	// Timestamp is when the list was published; zero if the list does not say.
	Timestamp time.Time
	Logs      []ctwatch.Log
}

// A Problem is something in a list that could not be used.
type Problem struct {
	Log    string // the log or operator, printable
	Reason string // what is wrong, and what was done about it
}

// String returns the problem as one line.
func (p Problem) String() string { return p.Log + ": " + p.Reason }

// The parts of a list that are read. Operators and logs stay raw, so that one that does not
// parse affects no other.
type (
	listJSON struct {
		Version   string            `json:"version"`
		Timestamp time.Time         `json:"log_list_timestamp"`
		Operators []json.RawMessage `json:"operators"`
	}
	operatorJSON struct {
		Name      string            `json:"name"`
		Logs      []json.RawMessage `json:"logs"`
		TiledLogs []json.RawMessage `json:"tiled_logs"`
	}
)

// Parse reads a log list. It skips what it cannot use and returns it as problems. The error
// means that data is not a log list, or that the list has a log whose private key is public.
// If a log ID occurs twice, the first log counts. An operator's `logs` come before its
// `tiled_logs`: some logs that are listed as both serve tiles without a checkpoint, so RFC
// 6962 is the complete API.
func Parse(data []byte) (*List, []Problem, error) {
	if len(data) > MaxSize {
		return nil, nil, fmt.Errorf("log list has %d bytes, more than the %d allowed", len(data), MaxSize)
	}
	var in listJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, nil, fmt.Errorf("log list beginning with %q is not JSON of version 3: %w", beginning(data), err)
	}
	if in.Operators == nil {
		return nil, nil, errors.New(`log list has no "operators": it is not of version 3`)
	}

	p := parser{
		list: List{Version: ctwatch.Printable(in.Version, maxVersion), Timestamp: in.Timestamp.UTC()},
		seen: make(map[ctwatch.LogID]ctwatch.Log), named: make(map[ctwatch.LogID]bool),
	}
	for i, raw := range in.Operators {
		var op operatorJSON
		if err := json.Unmarshal(raw, &op); err != nil {
			p.problem(fmt.Sprintf("operator %d", i), "skipped with its logs: %v", err)
			continue
		}
		if p.count += len(op.Logs) + len(op.TiledLogs); p.count > MaxLogs {
			return nil, nil, fmt.Errorf("log list has more than the %d logs allowed", MaxLogs)
		}
		name := ctwatch.Printable(op.Name, maxName)
		for _, raw := range op.Logs {
			p.add(raw, ctwatch.KindRFC6962, name)
		}
		for _, raw := range op.TiledLogs {
			p.add(raw, ctwatch.KindStatic, name)
		}
	}
	if err := checkCompromised(data, p.named); err != nil {
		return nil, nil, err
	}
	return &p.list, p.problems, nil
}

type parser struct {
	list     List
	problems []Problem
	seen     map[ctwatch.LogID]ctwatch.Log
	named    map[ctwatch.LogID]bool // the IDs, and those of the keys, of all logs, good and bad
	count    int                    // logs, good and bad
}

func (p *parser) problem(log, format string, args ...any) {
	// The reason may quote the list, which is hostile.
	p.problems = append(p.problems, Problem{log, ctwatch.Printable(fmt.Sprintf(format, args...), 300)})
}

func (p *parser) add(raw json.RawMessage, kind ctwatch.LogKind, operator string) {
	var in logJSON
	err := json.Unmarshal(raw, &in)
	p.named[ctwatch.LogIDOf(in.Key)] = true
	if len(in.LogID) == len(ctwatch.LogID{}) {
		p.named[ctwatch.LogID(in.LogID)] = true
	}
	if err != nil {
		p.problem(in.label(operator), "skipped: %v", err)
		return
	}
	log, minor, err := in.log(kind)
	if err != nil {
		p.problem(in.label(operator), "skipped: %v", err)
		return
	}
	log.Operator = operator
	if first, ok := p.seen[log.ID]; ok {
		p.problem(in.label(operator), "skipped: %s has the same ID %s and came first", first.Name, log.ID)
		return
	}
	p.seen[log.ID] = log
	p.list.Logs = append(p.list.Logs, log)
	for _, m := range minor {
		p.problem(in.label(operator), "%s", m)
	}
}

// beginning returns enough of a wrong reply, such as a login page, to recognize it.
func beginning(data []byte) string {
	data = bytes.TrimSpace(data)
	return ctwatch.Printable(string(data[:min(len(data), 200)]), 30)
}
