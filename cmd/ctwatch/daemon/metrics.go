package daemon

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/metrics"
)

// makeMetrics makes the metrics, which read the state of logs and senders from the store.
func (d *Daemon) makeMetrics(context.Context) (err error) {
	v := setup.BuildVersion()
	d.metrics, err = metrics.New(metrics.Options{
		Registry: prometheus.NewRegistry(), Logger: d.logger,
		Build:   metrics.Build{Version: v.Version, Revision: v.Commit, GoVersion: v.Go},
		Sources: metrics.Sources{Logs: d.followedLogs, Senders: d.db.Senders.List, Rates: d.paces.Rates, MaxRate: float64(d.cfg.Logs.MaxRate), Clock: d.clock.Offset, Hosts: d.appHosts, Documents: d.appDocuments, Open: d.openVerdicts, Held: d.db.Logs.HeldAlarms, Store: d.storeWork, LogList: d.listState.metrics.Load},
	})
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// storeWork returns what the database does.
func (d *Daemon) storeWork() metrics.Store {
	return metrics.Store{Transactions: d.db.Commits(), LogBytes: d.db.LogBytes()}
}

// followedLogs returns the states of the logs that are followed now. The store has
// others, which left the list.
func (d *Daemon) followedLogs(ctx context.Context) ([]ctwatch.LogStatus, error) {
	all, err := d.db.Logs.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []ctwatch.LogStatus
	for _, s := range all {
		if d.logs.Has(s.ID) {
			out = append(out, s)
		}
	}
	return out, nil
}

// appHosts returns the states of the apps' hosts; nothing before the first plan.
func (d *Daemon) appHosts() (out []metrics.Host) {
	r := d.planner.Latest()
	if r == nil {
		return nil
	}
	for _, p := range r.Plans {
		h := metrics.Host{App: p.App, Host: p.Host.String(), Withheld: p.Withheld != "", Status: string(p.Status)}
		if p.Deadline != nil {
			left := p.Deadline.Sub(d.now())
			h.Left = &left
		}
		out = append(out, h)
	}
	return out
}

// appDocuments returns whether each app's signed document is withheld; nothing before the
// first plan.
func (d *Daemon) appDocuments(ctx context.Context) (map[string]bool, error) {
	r := d.planner.Latest()
	if r == nil || d.documents == nil {
		return nil, nil
	}
	out := make(map[string]bool, len(r.Apps))
	for i := range r.Apps {
		withheld, err := d.documents.Withholds(ctx, r.View, &r.Apps[i])
		if err != nil {
			return out, err
		}
		out[r.Apps[i].Name] = withheld
	}
	return out, nil
}

// maxWatchLabels is how many lines of the watch list have metrics of their own. All other
// lines, and those of files, of which there can be a million, share one.
const maxWatchLabels = 500

const otherLines = "(other)"

// openVerdicts counts the certificates that need a person's verdict, by lines of the watch
// list.
func (d *Daemon) openVerdicts(ctx context.Context) ([]metrics.Open, error) {
	inv := d.inventory.Load()
	out := []metrics.Open{{Watch: otherLines}}
	place := make(map[string]int) // in out, by domain
	var domains []string
	for _, w := range inv.Watched[:min(maxWatchLabels, len(inv.Watched))] {
		line := w.Rule.Domain
		if w.Rule.Network.IsValid() {
			line = w.Rule.Watch
		}
		if _, twice := place[w.Rule.Domain]; !twice {
			domains = append(domains, w.Rule.Domain)
		}
		place[w.Rule.Domain] = len(out)
		out = append(out, metrics.Open{Watch: line})
	}
	counts, err := d.db.Certificates.CountOpen(ctx, domains)
	if err != nil {
		return nil, err
	}
	add := func(to *metrics.Open, v ctwatch.Verdict, n int64) {
		switch v {
		case ctwatch.Unexpected:
			to.Unexpected += n
		case ctwatch.Unreviewed:
			to.Unreviewed += n
		}
	}
	for _, c := range counts {
		if c.Domain == "" {
			add(&out[0], c.Verdict, c.Count) // all
			continue
		}
		add(&out[place[c.Domain]], c.Verdict, c.Count)
		add(&out[0], c.Verdict, -c.Count)
	}
	return out, nil
}
