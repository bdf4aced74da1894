package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ctwatch/ctwatch"
)

// A Log counts what is done with one log. Its methods may be called concurrently.
type Log struct {
	requests                                             *prometheus.CounterVec // by code
	received, entries, matches, malformed, errs, refused prometheus.Counter
}

// Log returns the counters of a log. They start at 0, or continue if the log had some before.
func (m *Metrics) Log(l ctwatch.Log) *Log {
	values := logValues(l.Name, l.ID)
	c := &Log{
		requests: m.requests.MustCurryWith(prometheus.Labels{logLabels[0]: values[0], logLabels[1]: values[1]}),
		received: m.received.WithLabelValues(values...),
		entries:  m.entries.WithLabelValues(values...), matches: m.matches.WithLabelValues(values...),
		malformed: m.malformed.WithLabelValues(values...), errs: m.errs.WithLabelValues(values...), refused: m.refused.WithLabelValues(values...),
	}
	c.requests.WithLabelValues(code(http.StatusOK))
	return c
}

// Batch counts the entries, matches and malformed entries of a batch.
func (l *Log) Batch(b ctwatch.Batch) {
	l.entries.Add(float64(b.End - b.Start))
	l.matches.Add(float64(len(b.Found)))
	l.malformed.Add(float64(len(b.Malformed)))
}

// Failed counts a failure to follow the log.
func (l *Log) Failed(error) { l.errs.Inc() }

// Refused counts a tree head that was refused for its date.
func (l *Log) Refused(ctwatch.Head) { l.refused.Inc() }

// Transport returns a transport that counts requests, which must be to this log, and the bytes of
// their replies.
func (l *Log) Transport(base http.RoundTripper) http.RoundTripper { return &transport{l, base} }

type transport struct {
	log  *Log
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		if !errors.Is(r.Context().Err(), context.Canceled) { // else the daemon canceled it
			t.log.requests.WithLabelValues("error").Inc()
		}
		return nil, err
	}
	t.log.requests.WithLabelValues(code(resp.StatusCode)).Inc()
	resp.Body = &countedBody{resp.Body, t.log.received}
	return resp, nil
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// code returns the label of a status code. A log may answer with any three digits: unknown codes
// share one label.
func code(status int) string {
	if http.StatusText(status) == "" {
		return "other"
	}
	return strconv.Itoa(status)
}

// A countedBody counts the bytes that are read from it.
type countedBody struct {
	io.ReadCloser
	n prometheus.Counter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(float64(n))
	return n, err
}
