package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
)

// The version 3 form of a log's facts, in three groups. Each is a line of the file, so that a change
// of state changes one short line.
type (
	identity struct {
		Description string        `json:"description"`
		LogID       ctwatch.LogID `json:"log_id"`
		Key         []byte        `json:"key"`
	}
	address struct {
		URL           string `json:"url,omitempty"`
		SubmissionURL string `json:"submission_url,omitempty"`
		MonitoringURL string `json:"monitoring_url,omitempty"`
	}
	standing struct {
		MMD      int64            `json:"mmd"`
		State    map[string]state `json:"state,omitempty"`
		Interval *interval        `json:"temporal_interval,omitempty"`
	}
	state struct {
		FinalHead *finalHead `json:"final_tree_head,omitempty"`
	}
	finalHead struct {
		Root []byte `json:"sha256_root_hash"`
		Size uint64 `json:"tree_size"`
	}
	interval struct {
		Start time.Time `json:"start_inclusive"`
		End   time.Time `json:"end_exclusive"`
	}
)

// encode writes the list sorted by operator, kind, interval and name, and checks that it reads back
// as the same list.
func encode(l *loglist.List) ([]byte, error) {
	logs := slices.Clone(l.Logs)
	slices.SortFunc(logs, func(a, b ctwatch.Log) int {
		return cmp.Or(
			cmp.Compare(a.Operator, b.Operator), cmp.Compare(a.Kind, b.Kind),
			a.IntervalStart.Compare(b.IntervalStart), cmp.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]),
		)
	})

	var w writer
	w.printf("{\n\"version\": %s,\n\"log_list_timestamp\": %s,\n\"operators\": [", w.json(l.Version), w.json(l.Timestamp))
	for i := 0; i < len(logs); {
		operator := logs[i].Operator
		w.comma(i > 0)
		w.printf("\n{\"name\": %s", w.json(operator))
		for i < len(logs) && logs[i].Operator == operator {
			kind, list := logs[i].Kind, "logs"
			if kind == ctwatch.KindStatic {
				list = "tiled_logs"
			}
			w.printf(",\n%q: [", list)
			for first := i; i < len(logs) && logs[i].Operator == operator && logs[i].Kind == kind; i++ {
				w.comma(i > first)
				w.log(logs[i])
			}
			w.printf("\n]")
		}
		w.printf("}")
	}
	w.printf("\n]\n}\n")
	if w.err != nil {
		return nil, w.err
	}

	back, problems, err := loglist.Parse(w.out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("reading back the result: %w", err)
	}
	if want := (loglist.List{Version: l.Version, Timestamp: l.Timestamp, Logs: logs}); len(problems) > 0 || !reflect.DeepEqual(*back, want) {
		return nil, errors.New("the result does not read back as the same list")
	}
	return w.out.Bytes(), nil
}

// A writer collects the file and the first error.
type writer struct {
	out bytes.Buffer
	err error
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(&w.out, format, args...) }

func (w *writer) comma(yes bool) {
	if yes {
		w.out.WriteByte(',')
	}
}

func (w *writer) json(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	return bytes.TrimSpace(b.Bytes())
}

// members returns a JSON object without its braces.
func (w *writer) members(v any) []byte {
	object := w.json(v)
	return object[1 : len(object)-1]
}

func (w *writer) log(l ctwatch.Log) {
	a := address{URL: l.URL}
	if l.Kind == ctwatch.KindStatic {
		a = address{SubmissionURL: l.SubmissionURL, MonitoringURL: l.URL}
	}
	s := standing{MMD: int64(l.MMD / time.Second)}
	if l.State != "" {
		var st state
		if l.FinalSize > 0 {
			st.FinalHead = &finalHead{l.FinalRoot[:], l.FinalSize}
		}
		s.State = map[string]state{l.State: st}
	}
	if !l.IntervalEnd.IsZero() {
		s.Interval = &interval{l.IntervalStart, l.IntervalEnd}
	}
	w.printf("\n{%s,\n %s,\n %s}", w.members(identity{l.Name, l.ID, l.Key}), w.members(a), w.members(s))
}
