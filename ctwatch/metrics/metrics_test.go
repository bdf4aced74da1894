package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"ctwatch/ctwatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nothing are sources that know of nothing.
func nothing() Sources {
	return Sources{
		Logs:    func(context.Context) ([]ctwatch.LogStatus, error) { return nil, nil },
		Senders: func(context.Context) ([]ctwatch.SenderStatus, error) { return nil, nil },
	}
}

func newMetrics(t *testing.T, s Sources) *Metrics {
	t.Helper()
	m, err := New(Options{
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Sources: s,
		Build: Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go1.26"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// scrape reads the metrics as Prometheus does, and returns the lines of those with
// a prefix, in the order in which they are served.
func scrape(t *testing.T, m *Metrics, prefix string) (lines []string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("status %d, %s: %s", w.Code, w.Header(), w.Body)
	}
	problems, err := promlint.New(strings.NewReader(w.Body.String())).Lint()
	if err != nil {
		t.Fatalf("%v in:\n%s", err, w.Body)
	}
	for _, p := range problems {
		t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
	for _, line := range strings.Split(w.Body.String(), "\n") {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

func logOf(name string) ctwatch.Log {
	return ctwatch.Log{Name: name, ID: ctwatch.LogIDOf([]byte(name))}
}

// The gauges have the values of the sources at the time of a scrape.
func TestState(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_250)
	l := logOf("Lab 2026h2")
	s := Sources{
		Logs: func(ctx context.Context) ([]ctwatch.LogStatus, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the store has no time limit")
			}
			return []ctwatch.LogStatus{{
				Name: l.Name, ID: l.ID, Kind: ctwatch.KindStatic, Operator: "Lab", State: "usable", Healthy: true,
				TreeSize: 1000, Position: 900, Verified: 800, LagEntries: 100, LagSeconds: 2.5, LastHeadAt: &at,
			}}, nil
		},
		Senders: func(context.Context) ([]ctwatch.SenderStatus, error) {
			return []ctwatch.SenderStatus{
				{Name: "nats", Backlog: 3, DeadLetters: 1, LastSuccess: &at, Warnings: []ctwatch.SenderWarning{{Code: "planted_message", Times: 2}}},
				{Name: "slack", LastError: "503"},
			}, nil
		},
		Rates: func() map[string]float64 { return map[string]float64{"Lab": 12.5} }, MaxRate: 200,
		Held: func(context.Context) (map[ctwatch.LogID]int64, error) { return map[ctwatch.LogID]int64{l.ID: 295}, nil },
		Hosts: func() []Host {
			left := -90 * time.Second
			return []Host{
				{App: "shop", Host: "api.example.com", Status: "broken", Left: &left},
				{App: "shop", Host: "*.cdn.example.com", Withheld: true, Status: "ok"},
			}
		},
		Documents: func(context.Context) (map[string]bool, error) {
			return map[string]bool{"cdn": true, "shop": false}, nil
		},
		Open: func(context.Context) ([]Open, error) {
			return []Open{{Watch: "example.com", Unexpected: 2}, {Watch: "example.net", Unreviewed: 7}}, nil
		},
		Store: func() Store { return Store{Transactions: 7, LogBytes: 4096} },
		LogList: func() *LogList {
			return &LogList{Published: at, Alarms: map[string]bool{"outdated": true, "rollback": false}}
		},
	}
	m := newMetrics(t, s)
	labels := fmt.Sprintf(`{log="Lab 2026h2",log_id="%v"}`, l.ID)
	want := []string{
		`ctwatch_build_info{goversion="go1.26",revision="abc",version="v1.2.3"} 1`,
		`ctwatch_certificates_open{verdict="unexpected",watch="example.com"} 2`,
		`ctwatch_certificates_open{verdict="unexpected",watch="example.net"} 0`,
		`ctwatch_certificates_open{verdict="unreviewed",watch="example.com"} 0`,
		`ctwatch_certificates_open{verdict="unreviewed",watch="example.net"} 7`,
		`ctwatch_config_reloads_total{result="done"} 0`,
		`ctwatch_config_reloads_total{result="refused"} 0`,
		`ctwatch_config_stale 0`,
		`ctwatch_log_alarms_in_digests_total` + labels + ` 295`,
		`ctwatch_log_healthy` + labels + ` 1`,
		`ctwatch_log_info{kind="static",log="Lab 2026h2",log_id="` + l.ID.String() + `",operator="Lab",state="usable"} 1`,
		`ctwatch_log_lag_entries` + labels + ` 100`,
		`ctwatch_log_lag_seconds` + labels + ` 2.5`,
		`ctwatch_log_last_head_timestamp_seconds` + labels + ` 1.79000000025e+09`,
		`ctwatch_log_list_alarm{reason="outdated"} 1`,
		`ctwatch_log_list_alarm{reason="rollback"} 0`,
		`ctwatch_log_list_timestamp_seconds 1.79000000025e+09`,
		`ctwatch_log_position` + labels + ` 900`,
		`ctwatch_log_tree_size` + labels + ` 1000`,
		`ctwatch_log_verified_position` + labels + ` 800`,
		"ctwatch_operator_max_rate_requests_per_second 200",
		`ctwatch_operator_rate_requests_per_second{operator="Lab"} 12.5`,
		`ctwatch_pins_deadline_seconds{app="shop",host="api.example.com"} -90`,
		`ctwatch_pins_document_withheld{app="cdn"} 1`,
		`ctwatch_pins_document_withheld{app="shop"} 0`,
		`ctwatch_pins_status{app="shop",host="*.cdn.example.com",status="ok"} 1`,
		`ctwatch_pins_status{app="shop",host="api.example.com",status="broken"} 1`,
		`ctwatch_pins_withheld{app="shop",host="*.cdn.example.com"} 1`,
		`ctwatch_pins_withheld{app="shop",host="api.example.com"} 0`,
		`ctwatch_sender_backlog_events{sender="nats"} 3`,
		`ctwatch_sender_backlog_events{sender="slack"} 0`,
		`ctwatch_sender_dead_letters{sender="nats"} 1`,
		`ctwatch_sender_dead_letters{sender="slack"} 0`,
		`ctwatch_sender_failing{sender="nats"} 0`,
		`ctwatch_sender_failing{sender="slack"} 1`,
		`ctwatch_sender_last_success_timestamp_seconds{sender="nats"} 1.79000000025e+09`,
		`ctwatch_sender_warnings{code="planted_message",sender="nats"} 2`,
		`ctwatch_store_log_bytes 4096`,
		`ctwatch_store_transactions_total 7`,
		`ctwatch_store_up 1`,
	}
	if diff := cmp.Diff(want, scrape(t, m, "ctwatch_")); diff != "" {
		t.Error(diff)
	}
	if len(scrape(t, m, "go_goroutines ")) != 1 || len(scrape(t, m, "process_start_time_seconds ")) != 1 {
		t.Error("the runtime and the process are not measured")
	}
}

// If the store fails, all other metrics are there.
func TestStoreErrorHidesNothingElse(t *testing.T) {
	s := nothing()
	s.Logs = func(context.Context) ([]ctwatch.LogStatus, error) { return nil, errors.New("disk on fire") }
	s.Rates = func() map[string]float64 { return map[string]float64{"Lab": 1} }
	got := scrape(t, newMetrics(t, s), "ctwatch_")
	if !slices.Contains(got, `ctwatch_operator_rate_requests_per_second{operator="Lab"} 1`) || !slices.Contains(got, "ctwatch_store_up 0") {
		t.Errorf("%q", got)
	}
}

// Batches, failures, stages and deliveries are counted.
func TestCounters(t *testing.T) {
	m := newMetrics(t, nothing())
	a, b := m.Log(logOf("A")), m.Log(logOf("B"))
	a.Batch(ctwatch.Batch{Start: 10, End: 266, Found: make([]ctwatch.Found, 2), Malformed: make([]ctwatch.Malformed, 1)})
	m.Log(logOf("A")).Batch(ctwatch.Batch{Start: 266, End: 270}) // followed again
	b.Failed(errors.New("x"))
	b.Refused(ctwatch.Head{})
	m.Took("fetch", 10*time.Millisecond)
	m.Sent("nats", nil)
	m.Sent("nats", nil)
	m.Sent("slack", errors.New("no"))

	labels := func(name string) string { return fmt.Sprintf(`{log="%s",log_id="%v"} `, name, logOf(name).ID) }
	want := []string{
		"ctwatch_log_entries_read_total" + labels("A") + "260", "ctwatch_log_entries_read_total" + labels("B") + "0",
		"ctwatch_log_errors_total" + labels("A") + "0", "ctwatch_log_errors_total" + labels("B") + "1",
		"ctwatch_log_malformed_entries_total" + labels("A") + "1", "ctwatch_log_malformed_entries_total" + labels("B") + "0",
		"ctwatch_log_matches_total" + labels("A") + "2", "ctwatch_log_matches_total" + labels("B") + "0",
		"ctwatch_log_received_bytes_total" + labels("A") + "0", "ctwatch_log_received_bytes_total" + labels("B") + "0",
		"ctwatch_log_refused_heads_total" + labels("A") + "0", "ctwatch_log_refused_heads_total" + labels("B") + "1",
		`ctwatch_log_requests_total{code="200",` + labels("A")[1:] + "0", `ctwatch_log_requests_total{code="200",` + labels("B")[1:] + "0",
	}
	if diff := cmp.Diff(want, scrape(t, m, "ctwatch_log_")); diff != "" {
		t.Error(diff)
	}
	want = []string{
		`ctwatch_sender_delivered_total{sender="nats"} 2`, `ctwatch_sender_delivered_total{sender="slack"} 0`,
		`ctwatch_sender_failures_total{sender="nats"} 0`, `ctwatch_sender_failures_total{sender="slack"} 1`,
	}
	if diff := cmp.Diff(want, scrape(t, m, "ctwatch_sender_")); diff != "" {
		t.Error(diff)
	}
	if got := scrape(t, m, `ctwatch_stage_duration_seconds_bucket{stage="fetch",le="0.032"} 1`); len(got) != 1 {
		t.Errorf("%q", scrape(t, m, "ctwatch_stage_"))
	}
}

// Whatever statuses a log answers with, valid or not, the number of series is bounded.
func TestLogsCannotAddSeries(t *testing.T) {
	m := newMetrics(t, nothing())
	var status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	base := &http.Transport{}
	client := &http.Client{Transport: m.Log(logOf("A")).Transport(base)}
	defer client.CloseIdleConnections()
	ask := func() error {
		resp, err := client.Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for code := 200; code < 1000; code++ {
		status.Store(int64(code))
		if err := ask(); err != nil && code/100 != 3 { // a redirect to nowhere
			t.Fatal(err)
		}
	}
	known := regexp.MustCompile(`code="([0-9]{3}|other)"`)
	series := scrape(t, m, "ctwatch_log_requests_total{")
	for _, line := range series {
		if !known.MatchString(line) {
			t.Error(line)
		}
	}
	if len(series) > 70 {
		t.Errorf("%d series", len(series))
	}
}

// Requests and bytes are counted, except requests that the daemon cancels.
func TestTransport(t *testing.T) {
	m := newMetrics(t, nothing())
	block := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/entries":
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		case "/hang":
			<-block
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	defer close(block)
	base := &http.Transport{}
	client := &http.Client{Transport: m.Log(logOf("A")).Transport(base)}
	defer client.CloseIdleConnections()
	get := func(ctx context.Context, path string) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return len(b), err
	}
	for range 2 {
		if n, err := get(t.Context(), "/entries"); n != 100_000 || err != nil {
			t.Fatal(n, err)
		}
	}
	n, err := get(t.Context(), "/nothing")
	if err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := get(late, "/hang"); err == nil {
		t.Error("it does not hang")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop() // the daemon ends: that is no error of the log
	if _, err := get(stopped, "/entries"); err == nil {
		t.Error("it is not stopped")
	}
	labels := fmt.Sprintf(`log="A",log_id="%v"} `, logOf("A").ID)
	want := []string{
		`ctwatch_log_requests_total{code="200",` + labels + "2",
		`ctwatch_log_requests_total{code="404",` + labels + "1",
		`ctwatch_log_requests_total{code="error",` + labels + "1",
	}
	if diff := cmp.Diff(want, scrape(t, m, "ctwatch_log_requests_total{")); diff != "" {
		t.Error(diff)
	}
	want = []string{"ctwatch_log_received_bytes_total{" + labels + fmt.Sprint(200_000+n)}
	if diff := cmp.Diff(want, scrape(t, m, "ctwatch_log_received_bytes_total{")); diff != "" {
		t.Error(diff)
	}
}

// Names that try to end a line or a label, or are not text, are harmless.
func TestHostileNames(t *testing.T) {
	names := []string{
		"two\nlines 1", `quote"} 1`, `back\slash`, "\xff\xfe", "\x1b[31m", "\u202egnol", strings.Repeat("long", 1000), "", `same`, `same`,
	}
	var logs []ctwatch.LogStatus
	rates := make(map[string]float64)
	for i, name := range names {
		logs = append(logs, ctwatch.LogStatus{
			Name: name, ID: ctwatch.LogIDOf([]byte{byte(i)}), Operator: name, State: name, Kind: ctwatch.LogKind(name),
		})
		rates[name] = 1
	}
	s := nothing()
	s.Logs = func(context.Context) ([]ctwatch.LogStatus, error) { return logs, nil }
	s.Rates = func() map[string]float64 { return rates }
	m := newMetrics(t, s)
	for i, name := range names {
		m.Log(ctwatch.Log{Name: name, ID: logs[i].ID}).Failed(errors.New("x"))
	}
	for _, prefix := range []string{"ctwatch_log_tree_size{", "ctwatch_log_errors_total{", "ctwatch_log_info{"} {
		got := scrape(t, m, prefix)
		if len(got) != len(names) {
			t.Errorf("%d lines of %s for %d logs", len(got), prefix, len(names))
		}
		for _, line := range got {
			if len(line) > 1000 || strings.ContainsAny(line, "\x1b\u202e") {
				t.Errorf("%q", line)
			}
		}
	}
	if got := scrape(t, m, "ctwatch_operator_rate_requests_per_second{"); len(got) != len(rates) {
		t.Errorf("rates: %q", got)
	}
}

// A refused reload leaves a stale configuration in force until one succeeds.
func TestReloaded(t *testing.T) {
	m := newMetrics(t, nothing())
	for _, step := range []struct {
		inForce bool
		want    []string
	}{
		{false, []string{`ctwatch_config_reloads_total{result="done"} 0`, `ctwatch_config_reloads_total{result="refused"} 1`, `ctwatch_config_stale 1`}},
		{false, []string{`ctwatch_config_reloads_total{result="done"} 0`, `ctwatch_config_reloads_total{result="refused"} 2`, `ctwatch_config_stale 1`}},
		{true, []string{`ctwatch_config_reloads_total{result="done"} 1`, `ctwatch_config_reloads_total{result="refused"} 2`, `ctwatch_config_stale 0`}},
	} {
		m.Reloaded(step.inForce)
		if diff := cmp.Diff(step.want, scrape(t, m, "ctwatch_config_")); diff != "" {
			t.Error(diff)
		}
	}
}

// If open verdicts cannot be counted in time, the store counts as up, and all other
// metrics are there.
func TestSlowOpenHidesNothingElse(t *testing.T) {
	s := nothing()
	s.Open = func(context.Context) ([]Open, error) { return nil, context.DeadlineExceeded }
	s.Documents = func(context.Context) (map[string]bool, error) { return nil, context.DeadlineExceeded }
	m := newMetrics(t, s)
	if got := scrape(t, m, "ctwatch_store_up"); len(got) != 1 || got[0] != "ctwatch_store_up 1" {
		t.Errorf("%q", got)
	}
}
