package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"ctwatch/ctwatch/ctlogtest"
)

var listenerURL = regexp.MustCompile(`HTTP listener is ready" url=(\S+)`)

// httpURL returns where the daemon's HTTP listener is.
func (r *testDaemon) httpURL() string {
	return listenerURL.FindStringSubmatch(r.log.String())[1] // said before start returned
}

// get asks the HTTP listener, with a token unless it is "".
func (r *testDaemon) get(path, token string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.httpURL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// metrics reads the daemon's metrics, by name and labels as they are printed.
func (r *testDaemon) metrics() map[string]float64 {
	r.t.Helper()
	status, body := r.get("metrics", "")
	if status != http.StatusOK {
		r.t.Fatalf("/metrics: status %d: %s", status, body)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range problems {
		r.t.Errorf("metric %s: %s", p.Metric, p.Text)
	}
	out := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			v, err := strconv.ParseFloat(line[at+1:], 64)
			if err != nil {
				r.t.Fatalf("%q: %v", line, err)
			}
			out[line[:at]] = v
		}
	}
	return out
}

// logLabels writes a log's labels as they are printed.
func logLabels(l *ctlogtest.Log) string {
	i := l.Info()
	return fmt.Sprintf(`log="%s",log_id="%v"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(i.Name), i.ID)
}

func TestReadinessAndMetricsFollowTheLogs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = append(s.logs, s.serve(ctlogtest.Options{Name: `Lab "} 1 \ <script>`}))
	s.fill(300)
	s.addPrecert(s.static, s.watched("a.example.com"))
	s.addPrecert(s.rfc, s.watched("b.example.com"))
	s.publish()
	for _, l := range s.logs {
		l.SetFault(ctlogtest.Status(503, 0).On(ctlogtest.Heads))
	}
	d := s.start(s.config(""))

	if status, body := d.get("healthz", ""); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
	if status, body := d.get("readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "no log's tree head has been verified") {
		t.Errorf("/readyz before any tree head: %d %q", status, body)
	}
	for _, l := range s.logs {
		s.eventually("failures are counted", func() bool {
			m := d.metrics()
			return m[`ctwatch_log_requests_total{code="503",`+logLabels(l)+`}`] > 0 && m["ctwatch_log_errors_total{"+logLabels(l)+"}"] > 0
		})
	}

	for _, l := range s.logs {
		l.ClearFaults()
	}
	s.eventually("it is ready", func() bool { status, _ := d.get("readyz", ""); return status == http.StatusOK })
	s.untilVerified()
	s.untilDelivered()

	m := d.metrics()
	for _, l := range s.logs {
		head, err := l.Head()
		s.check(err)
		size := float64(head.Size)
		for name, want := range map[string]float64{
			"tree_size": size, "position": size, "verified_position": size, "lag_entries": 0, "lag_seconds": 0,
			"entries_read_total": size, "malformed_entries_total": 0,
		} {
			if got, ok := m["ctwatch_log_"+name+"{"+logLabels(l)+"}"]; !ok || got != want {
				t.Errorf("%s of %s is %v, want %v", name, logLabels(l), got, want)
			}
		}
		for _, name := range []string{"healthy", "received_bytes_total", "last_head_timestamp_seconds", "last_verified_timestamp_seconds"} {
			if _, ok := m["ctwatch_log_"+name+"{"+logLabels(l)+"}"]; !ok {
				t.Errorf("there is no %s of %s", name, logLabels(l))
			}
		}
		if m[`ctwatch_log_requests_total{code="200",`+logLabels(l)+`}`] == 0 {
			t.Errorf("no requests to %s are counted", logLabels(l))
		}
	}
	for name, want := range map[string]float64{
		"ctwatch_store_up": 1,
		"ctwatch_log_matches_total{" + logLabels(s.static) + "}": 1,
		"ctwatch_log_matches_total{" + logLabels(s.rfc) + "}":    1,
		`ctwatch_sender_backlog_events{sender="nats"}`:           0,
		`ctwatch_sender_dead_letters{sender="nats"}`:             0,
		`ctwatch_sender_failing{sender="nats"}`:                  0,
		`ctwatch_sender_failures_total{sender="nats"}`:           0,
		`ctwatch_sender_delivered_total{sender="nats"}`:          float64(len(s.stream(d.natsURL))),
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for _, stage := range []string{"fetch", "scan", "record", "verify"} {
		if m[fmt.Sprintf("ctwatch_stage_duration_seconds_count{stage=%q}", stage)] == 0 {
			t.Errorf("stage %s is not measured", stage)
		}
	}
	rates := 0
	for name := range m {
		if strings.Contains(name, ".example.com") { // of a line of the watch list it is one
			t.Errorf("a certificate's name is a label: %s", name)
		}
		if strings.HasPrefix(name, "ctwatch_operator_rate_requests_per_second{") {
			rates++
		}
	}
	if rates == 0 {
		t.Error("no rate is shown")
	}

	// The number of series does not grow with what is read.
	s.fill(300)
	s.addPrecert(s.rfc, s.watched("c.example.com"))
	s.publish()
	s.untilVerified()
	for name := range d.metrics() {
		if _, ok := m[name]; !ok && strings.HasPrefix(name, "ctwatch_") {
			t.Errorf("a series is new: %s", name)
		}
	}
	d.stop()
}

// TestPublicAddressNeedsToken: once the configuration says that others reach the listener,
// a request from loopback proves nothing.
func TestPublicAddressNeedsToken(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = []*ctlogtest.Log{s.rfc}
	s.fill(10)
	s.publish()
	tokens := filepath.Join(t.TempDir(), "tokens")
	s.check(os.WriteFile(tokens, []byte("t0ken\n"), 0o600))
	for _, setting := range []string{"public_url: \"https://ct.example/\"", fmt.Sprintf("tokens_file: %q", tokens)} {
		d := s.start(s.config("http: {listen: \"127.0.0.1:0\", " + setting + "}\n"))
		for path, want := range map[string]int{
			"healthz": http.StatusOK, "schemas/event.json": http.StatusOK,
			"metrics": http.StatusUnauthorized, "readyz": http.StatusUnauthorized,
		} {
			if status, body := d.get(path, ""); status != want {
				t.Errorf("%s: /%s: %d %q", setting, path, status, body)
			}
		}
		if status, _ := d.get("metrics", "t0ken"); strings.Contains(setting, "tokens") != (status == http.StatusOK) {
			t.Errorf("%s: /metrics with a token: %d", setting, status)
		}
		d.stop()
	}
}

func TestBeyondThisMachineATokenIsNeeded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = []*ctlogtest.Log{s.rfc}
	s.fill(10)
	s.publish()
	tokens := filepath.Join(t.TempDir(), "tokens")
	s.check(os.WriteFile(tokens, []byte("# for Prometheus\nt0ken\n"), 0o600))
	d := s.start(s.config(fmt.Sprintf("http: {listen: \"0.0.0.0:0\", tokens_file: %q}\n", tokens)))

	for path, want := range map[string]int{
		"healthz": http.StatusOK, "schemas/event.json": http.StatusOK,
		"metrics": http.StatusUnauthorized, "readyz": http.StatusUnauthorized,
	} {
		for _, token := range []string{"", "wrong"} {
			if status, body := d.get(path, token); status != want {
				t.Errorf("/%s with token %q: %d %q", path, token, status, body)
			}
		}
	}
	s.eventually("it is ready for who has a token", func() bool { status, _ := d.get("readyz", "t0ken"); return status == http.StatusOK })
	if status, body := d.get("metrics", "t0ken"); status != http.StatusOK {
		t.Errorf("/metrics with a token: %d %q", status, body)
	}
	if log := d.log.String(); strings.Contains(log, "t0ken") {
		t.Error("the log has a token")
	} else if !strings.Contains(log, "has no TLS") {
		t.Error("nothing warns of tokens without TLS")
	}
	d.stop()
}

func TestALogThatLeftTheListIsNoLongerMeasured(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.fill(10)
	s.publish()
	before := s.start(s.config(""))
	s.untilVerified()
	before.stop()
	gone := s.rfc
	s.logs = []*ctlogtest.Log{s.static}
	d := s.start(s.config(""))
	s.eventually("the other log is measured", func() bool {
		return d.metrics()["ctwatch_log_tree_size{"+logLabels(s.static)+"}"] == 10
	})
	for name := range d.metrics() {
		if strings.Contains(name, gone.Info().ID.String()) {
			t.Errorf("a log that nobody follows is measured: %s", name)
		}
	}
	d.stop()
}

// TestHangingClientDoesNotBlockStop: a client that hangs does not keep the daemon from
// stopping.
func TestHangingClientDoesNotBlockStop(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.start(s.config(""))
	conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(d.httpURL(), "http:"), "/"))
	s.check(err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n") // and no more
	s.check(err)
	if status, _ := d.get("healthz", ""); status != http.StatusOK { // so it answers, and has met the other
		t.Errorf("/healthz: %d", status)
	}
	d.stop()
}
