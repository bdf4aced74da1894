package ctlogtest

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ctwatch/ctwatch"
)

// ListJSON returns a log list, version 3 of Google's schema, of logs as Info returns them or as
// a test changes them.
func ListJSON(at time.Time, logs ...ctwatch.Log) ([]byte, error) {
	list := listJSON{Version: "1.0", Timestamp: at.UTC().Truncate(time.Second)}
	for _, l := range logs {
		i := slices.IndexFunc(list.Operators, func(o operatorJSON) bool { return o.Name == l.Operator })
		if i < 0 {
			i = len(list.Operators)
			list.Operators = append(list.Operators, operatorJSON{
				Name: l.Operator, Email: []string{"ct@operator.invalid"}, Logs: []logJSON{}, Tiled: []logJSON{},
			})
		}
		if o := &list.Operators[i]; l.Kind == ctwatch.KindStatic {
			o.Tiled = append(o.Tiled, logJSONOf(l, at))
		} else {
			o.Logs = append(o.Logs, logJSONOf(l, at))
		}
	}
	return json.MarshalIndent(list, "", "  ")
}

// SignedList returns a log list and its signature, RSA PKCS #1 v1.5 with SHA-256
// over the bytes of the list, as in Google's log_list.sig.
func SignedList(key *rsa.PrivateKey, at time.Time, logs ...ctwatch.Log) (list, signature []byte, err error) {
	if list, err = ListJSON(at, logs...); err != nil {
		return nil, nil, err
	}
	if signature, err = signSHA256(crypto.Signer(key), list); err != nil {
		return nil, nil, fmt.Errorf("signing the log list: %w", err)
	}
	return list, signature, nil
}

type listJSON struct {
	Version   string         `json:"version"`
	Timestamp time.Time      `json:"log_list_timestamp"`
	Operators []operatorJSON `json:"operators"`
}

type operatorJSON struct {
	Name  string    `json:"name"`
	Email []string  `json:"email"`
	Logs  []logJSON `json:"logs"`
	Tiled []logJSON `json:"tiled_logs"`
}

// A logJSON is a log of either kind; they differ in their URLs.
type logJSON struct {
	Description   string               `json:"description"`
	ID            ctwatch.LogID        `json:"log_id"`
	Key           []byte               `json:"key"`
	URL           string               `json:"url,omitempty"`
	SubmissionURL string               `json:"submission_url,omitempty"`
	MonitoringURL string               `json:"monitoring_url,omitempty"`
	MMD           int64                `json:"mmd"`
	State         map[string]stateJSON `json:"state,omitempty"`
	Interval      *intervalJSON        `json:"temporal_interval,omitempty"`
}

type stateJSON struct {
	Timestamp time.Time  `json:"timestamp"`
	Final     *finalJSON `json:"final_tree_head,omitempty"` // readonly logs only
}

type finalJSON struct {
	Root []byte `json:"sha256_root_hash"`
	Size uint64 `json:"tree_size"`
}

type intervalJSON struct {
	Start time.Time `json:"start_inclusive"`
	End   time.Time `json:"end_exclusive"`
}

func logJSONOf(l ctwatch.Log, at time.Time) logJSON {
	out := logJSON{Description: l.Name, ID: l.ID, Key: l.Key, MMD: int64(l.MMD / time.Second)}
	if l.Kind == ctwatch.KindStatic {
		out.SubmissionURL, out.MonitoringURL = l.SubmissionURL, l.URL
	} else {
		out.URL = l.URL
	}
	if l.State != "" {
		s := stateJSON{Timestamp: at.UTC().AddDate(-1, 0, 0).Truncate(time.Second)}
		if l.State == ctwatch.LogReadOnly {
			s.Final = &finalJSON{l.FinalRoot[:], l.FinalSize}
		}
		out.State = map[string]stateJSON{l.State: s}
	}
	if !l.IntervalStart.IsZero() {
		out.Interval = &intervalJSON{l.IntervalStart.UTC(), l.IntervalEnd.UTC()}
	}
	return out
}
