package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ctwatch/ctwatch"
)

// sourceTimeout bounds how long the store may take to answer.
const sourceTimeout = 3 * time.Second

// Sources are called at each scrape, possibly concurrently.
type Sources struct {
	// Logs returns the status of the followed logs.
	Logs func(context.Context) ([]ctwatch.LogStatus, error)
	// Senders returns the status of delivery.
	Senders func(context.Context) ([]ctwatch.SenderStatus, error)
	// Rates returns how many requests a second the logs of each operator may get now, by the
	// operator's name; optional.
	Rates func() map[string]float64
	// MaxRate is the most that Rates can be.
	MaxRate float64
	// Clock returns how far the local clock is ahead of the logs, if that is known; optional.
	Clock func() (offset time.Duration, known bool)
	// Held returns how many alarms of each log have been held back for a digest; optional.
	Held func(context.Context) (map[ctwatch.LogID]int64, error)
	// Hosts returns the hosts of all apps; optional.
	Hosts func() []Host
	// Documents returns, by app, whether its whole signed document is withheld; optional.
	Documents func(context.Context) (map[string]bool, error)
	// Open returns how many certificates wait for a person's verdict, by a few lines of the watch
	// list; optional.
	Open func(context.Context) ([]Open, error)
	// Store returns what the database does; optional.
	Store func() Store
	// LogList returns the status of the log list; nil before it was read; optional.
	LogList func() *LogList
}

// A LogList is the status of the log list.
type LogList struct {
	Published time.Time       // of the list in use; zero if there is none, or it has no date
	Alarms    map[string]bool // whether each possible alarm is raised
}

// A Store is the work and size of the database.
type Store struct {
	Transactions int64 // that wrote, since the start
	LogBytes     int64 // of the write-ahead log
}

// A Host is a host of an app, as in the configuration.
type Host struct {
	App, Host string
	Withheld  bool           // from signed documents
	Status    string         // of its plan; one of a few
	Left      *time.Duration // until a version must be released; nil if none must be
}

// An Open counts the certificates of a line of the watch list that no person judged.
type Open struct {
	Watch                  string
	Unexpected, Unreviewed int64
}

// state is a prometheus.Collector of its sources.
type state struct {
	sources Sources
	log     *slog.Logger

	up *prometheus.Desc

	info, size, position, verified, lag, lagTime, healthy, headAt, verifiedAt *prometheus.Desc
	backlog, dead, failing, successAt, wrong                                  *prometheus.Desc
	rate, maxRate, clock, withheld, document, status, deadline, open, held    *prometheus.Desc
	listAlarm, listAt, transactions, logBytes                                 *prometheus.Desc
}

func newState(s Sources, log *slog.Logger) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ctwatch_"+name, help, labels, nil)
	}
	return &state{
		sources: s, log: log,
		up: desc("store_up", "Whether the store answered; without it the gauges of logs and senders are missing."),

		info:       desc("log_info", "A log that is followed; always 1.", append(logLabels, "operator", "kind", "state")...),
		size:       desc("log_tree_size", "Entries in the log by the largest tree head accepted.", logLabels...),
		position:   desc("log_position", "Entries of the log read and matched, counted from its first.", logLabels...),
		verified:   desc("log_verified_position", "Entries of the log proven to be in its tree, counted from its first.", logLabels...),
		lag:        desc("log_lag_entries", "Entries known to be in the log and not yet read.", logLabels...),
		lagTime:    desc("log_lag_seconds", "How long unread entries have been known; 0 if there are none.", logLabels...),
		healthy:    desc("log_healthy", "Whether the log can be followed and does not misbehave.", logLabels...),
		headAt:     desc("log_last_head_timestamp_seconds", "When the last tree head was accepted.", logLabels...),
		verifiedAt: desc("log_last_verified_timestamp_seconds", "When the verified position last moved.", logLabels...),

		backlog:   desc("sender_backlog_events", "Events that wait for the sender.", "sender"),
		dead:      desc("sender_dead_letters", "Events set aside because the sender's service will never accept them.", "sender"),
		failing:   desc("sender_failing", "Whether the sender's last attempt failed.", "sender"),
		successAt: desc("sender_last_success_timestamp_seconds", "When the sender was last done with an event.", "sender"),

		wrong: desc("sender_warnings", "How often a problem was found with the sender's service, although it accepts events; missing if there is none.", "sender", "code"),

		rate:    desc("operator_rate_requests_per_second", "Requests a second that the operator's logs together may get now.", "operator"),
		maxRate: desc("operator_max_rate_requests_per_second", "The most requests a second to the logs of one operator (logs.max_rate)."),
		clock:   desc("clock_offset_seconds", "How far the local clock is ahead of the logs, by their newest tree heads; missing until one was read."),

		held: desc("log_alarms_in_digests_total", "Alarms about entries that were not verified when they were read, which were sent in a digest.", logLabels...),

		withheld: desc("pins_withheld", "Whether signed documents withhold the pins of the app's host.", "app", "host"),
		document: desc("pins_document_withheld", "Whether the app has no signed document: all its hosts are withheld, or the clock is not known to be right.", "app"),
		status:   desc("pins_status", "Status of the app's host by the plan, in the label status; always 1.", "app", "host", "status"),
		deadline: desc("pins_deadline_seconds", "Time until a version of the app with other pins must be released, negative if it is too late; missing if none must be.", "app", "host"),
		open:     desc("certificates_open", "Certificates that are unexpected or unreviewed and that no person judged, by the line of the watch list; one may match several.", "watch", "verdict"),

		transactions: desc("store_transactions_total", "Transactions of the daemon that wrote to the database."),
		logBytes:     desc("store_log_bytes", "Size of the database's write-ahead log, which grows while something reads the database for long."),

		listAlarm: desc("log_list_alarm", "Whether something is wrong with the published log list, or with the one in use.", "reason"),
		listAt:    desc("log_list_timestamp_seconds", "When the log list in use was published."),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.up, s.info, s.size, s.position, s.verified, s.lag, s.lagTime, s.healthy, s.headAt, s.verifiedAt,
		s.backlog, s.dead, s.failing, s.successAt, s.wrong, s.rate, s.maxRate, s.clock, s.withheld, s.document, s.status, s.deadline, s.open, s.held, s.listAlarm, s.listAt, s.transactions, s.logBytes,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout) // a Collector gets none
	defer cancel()
	g := gauges(out)
	logs, err := s.sources.Logs(ctx)
	if err == nil {
		var senders []ctwatch.SenderStatus
		if senders, err = s.sources.Senders(ctx); err == nil {
			s.logs(g, logs)
			s.senders(g, senders)
		}
	}
	if err == nil && s.sources.Held != nil {
		var held map[ctwatch.LogID]int64
		if held, err = s.sources.Held(ctx); err == nil {
			for _, l := range logs {
				g.count(s.held, float64(held[l.ID]), logValues(l.Name, l.ID)...)
			}
		}
	}
	if err != nil {
		s.log.Error("metrics are incomplete: the store does not answer", "error", err)
	}
	g.put(s.up, boolean(err == nil))
	if s.sources.Store != nil {
		x := s.sources.Store()
		g.count(s.transactions, float64(x.Transactions))
		g.put(s.logBytes, float64(x.LogBytes))
	}
	if s.sources.Rates != nil {
		for operator, rate := range s.sources.Rates() {
			g.put(s.rate, rate, label(operator))
		}
		g.put(s.maxRate, s.sources.MaxRate)
	}
	if s.sources.Clock != nil {
		if offset, known := s.sources.Clock(); known {
			g.put(s.clock, offset.Seconds())
		}
	}
	if s.sources.Hosts != nil {
		for _, h := range s.sources.Hosts() {
			s.host(g, h)
		}
	}
	if s.sources.LogList != nil {
		if l := s.sources.LogList(); l != nil {
			s.logList(g, l)
		}
	}
	s.waiting(ctx, g)
}

func (s *state) logList(g gauges, l *LogList) {
	for reason, raised := range l.Alarms {
		g.put(s.listAlarm, boolean(raised), label(reason))
	}
	if !l.Published.IsZero() {
		g.time(s.listAt, &l.Published)
	}
}

func (s *state) host(g gauges, h Host) {
	g.put(s.withheld, boolean(h.Withheld), label(h.App), label(h.Host))
	g.put(s.status, 1, label(h.App), label(h.Host), h.Status)
	if h.Left != nil {
		g.put(s.deadline, h.Left.Seconds(), label(h.App), label(h.Host))
	}
}

// waiting puts what takes longer to look up. If that fails, all else is there.
func (s *state) waiting(ctx context.Context, g gauges) {
	if s.sources.Documents != nil {
		documents, err := s.sources.Documents(ctx)
		if err != nil {
			s.log.Error("metrics are incomplete: cannot list withheld documents", "error", err)
		}
		for app, withheld := range documents {
			g.put(s.document, boolean(withheld), label(app))
		}
	}
	if s.sources.Open != nil {
		open, err := s.sources.Open(ctx)
		if err != nil {
			s.log.Error("metrics are incomplete: open verdicts cannot be counted", "error", err)
		}
		for _, o := range open {
			g.put(s.open, float64(o.Unexpected), label(o.Watch), string(ctwatch.Unexpected))
			g.put(s.open, float64(o.Unreviewed), label(o.Watch), string(ctwatch.Unreviewed))
		}
	}
}

func (s *state) logs(g gauges, logs []ctwatch.LogStatus) {
	for _, l := range logs {
		values := logValues(l.Name, l.ID)
		g.put(s.info, 1, append(values, label(l.Operator), label(string(l.Kind)), label(l.State))...)
		g.put(s.size, float64(l.TreeSize), values...)
		g.put(s.position, float64(l.Position), values...)
		g.put(s.verified, float64(l.Verified), values...)
		g.put(s.lag, float64(l.LagEntries), values...)
		g.put(s.lagTime, l.LagSeconds, values...)
		g.put(s.healthy, boolean(l.Healthy), values...)
		g.time(s.headAt, l.LastHeadAt, values...)
		g.time(s.verifiedAt, l.LastVerifiedAt, values...)
	}
}

func (s *state) senders(g gauges, senders []ctwatch.SenderStatus) {
	for _, x := range senders {
		g.put(s.backlog, float64(x.Backlog), x.Name)
		g.put(s.dead, float64(x.DeadLetters), x.Name)
		g.put(s.failing, boolean(x.LastError != ""), x.Name)
		g.time(s.successAt, x.LastSuccess, x.Name)
		for _, w := range x.Warnings {
			g.put(s.wrong, float64(w.Times), x.Name, label(w.Code))
		}
	}
}

// gauges takes current values.
type gauges chan<- prometheus.Metric

func (g gauges) put(d *prometheus.Desc, v float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// count puts a number that only grows.
func (g gauges) count(d *prometheus.Desc, v float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// time puts seconds since 1970, or nothing if t is nil.
func (g gauges) time(d *prometheus.Desc, t *time.Time, labels ...string) {
	if t != nil {
		g.put(d, float64(t.UnixMilli())/1000, labels...)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
