// Package metrics provides metrics for Prometheus, by its naming conventions and in its text
// format (prometheus.io/docs/instrumenting/exposition_formats).
//
// Metrics and Log count work when it happens, once for a request, a batch or a step and never for
// an entry. State is looked up at each scrape (state.go). Label values are few and never from a
// certificate: the names and IDs of the followed logs, their operators, the senders, the stages,
// the apps, hosts and first lines of the watch list of the configuration, and the known status
// codes of HTTP.
package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ctwatch/ctwatch"
)

// Build describes the program.
type Build struct{ Version, Revision, GoVersion string }

// Options configure metrics. Registry and Logger are required, and so is each source that is not
// marked as optional.
type Options struct {
	Registry *prometheus.Registry
	Logger   *slog.Logger
	Build    Build
	Sources  Sources
}

// Metrics are the daemon's metrics. Its methods may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger

	requests                                    *prometheus.CounterVec // by log and code
	received, entries, matches, malformed, errs *prometheus.CounterVec // by log
	refused                                     *prometheus.CounterVec // by log
	stages                                      *prometheus.HistogramVec
	delivered, failures                         *prometheus.CounterVec // by sender
	reloads                                     *prometheus.CounterVec // by result
	stale                                       prometheus.Gauge
}

// logLabels identify a log. Names may be shared or change; IDs do not.
var logLabels = []string{"log", "log_id"}

func logValues(name string, id ctwatch.LogID) []string {
	return []string{label(name), id.String()}
}

// label returns hostile text as a value for a label.
func label(s string) string { return ctwatch.Printable(s, 100) }

// New registers the metrics, and those of the Go runtime and the process.
func New(o Options) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ctwatch", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: o.Registry, log: o.Logger,
		requests: counter("log_requests_total",
			"Requests to the log by the status code of the reply; \"error\" without a reply, \"other\" for a code that does not exist.",
			append(logLabels, "code")...),
		received:  counter("log_received_bytes_total", "Bytes received from the log in replies, mostly compressed.", logLabels...),
		entries:   counter("log_entries_read_total", "Entries read from the log, including those read again.", logLabels...),
		matches:   counter("log_matches_total", "Entries read that matched the watch list, including those read again.", logLabels...),
		malformed: counter("log_malformed_entries_total", "Entries read that could not be parsed, including those read again.", logLabels...),
		errs:      counter("log_errors_total", "How often following the log failed, after all attempts.", logLabels...),
		refused:   counter("log_refused_heads_total", "Tree heads of the log that were refused because they are dated in the future.", logLabels...),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "ctwatch", Name: "stage_duration_seconds",
			Help:    "How long each part of the work took, once for each reply (fetch, scan), transaction (record) or proof (verify).",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9), // up to 33 s
		}, []string{"stage"}),
		delivered: counter("sender_delivered_total", "Events that the sender's service accepted.", "sender"),
		failures:  counter("sender_failures_total", "Failed attempts to send an event.", "sender"),
		reloads:   counter("config_reloads_total", "How often the configuration was read again: \"done\", or \"refused\" because of an error, so that the old one stays in force.", "result"),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "ctwatch", Name: "config_stale", Help: "Whether the last reload was refused, so that the configuration in force is not the one in the files.",
		}),
	}
	for _, result := range []string{reloadDone, reloadRefused} {
		m.reloads.WithLabelValues(result)
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "ctwatch", Name: "build_info", Help: "Version of ctwatch; always 1.",
	}, []string{"version", "revision", "goversion"})
	build.WithLabelValues(o.Build.Version, o.Build.Revision, o.Build.GoVersion).Set(1)

	var errs []error
	for _, c := range []prometheus.Collector{
		m.requests, m.received, m.entries, m.matches, m.malformed, m.errs, m.refused, m.stages, m.delivered, m.failures, m.reloads, m.stale, build,
		newState(o.Sources, o.Logger),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		errs = append(errs, o.Registry.Register(c))
	}
	return m, errors.Join(errs...)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError, // a wrong metric does not hide the others
		MaxRequestsInFlight: 4,
	})
}

// Took records how long a stage of the work took.
func (m *Metrics) Took(stage string, d time.Duration) {
	m.stages.WithLabelValues(stage).Observe(d.Seconds())
}

// The results of a reload.
const reloadDone, reloadRefused = "done", "refused"

// Reloaded records that the configuration was read again, and whether it is in force.
func (m *Metrics) Reloaded(inForce bool) {
	if inForce {
		m.reloads.WithLabelValues(reloadDone).Inc()
	} else {
		m.reloads.WithLabelValues(reloadRefused).Inc()
	}
	m.stale.Set(boolean(!inForce))
}

// Sent records the result of an attempt to send an event.
func (m *Metrics) Sent(sender string, err error) {
	delivered, failures := m.delivered.WithLabelValues(sender), m.failures.WithLabelValues(sender)
	if err == nil {
		delivered.Inc()
	} else {
		failures.Inc()
	}
}
