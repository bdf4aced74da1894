package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/metrics"
	"ctwatch/ctwatch/schemas"
	"ctwatch/ctwatch/web"
)

// listenHTTP makes the HTTP listener with what it serves; nil if there is to be
// none.
func (d *daemon) listenHTTP() (*web.Server, error) {
	if d.cfg.HTTP.Listen == "" {
		return nil, nil
	}
	o, err := setup.HTTPOptions(d.cfg, d.logger)
	if err != nil {
		return nil, err
	}
	files, err := web.Files(schemas.FS, "application/schema+json")
	if err != nil {
		return nil, err
	}
	pinDocuments, err := d.pinDocuments()
	if err != nil {
		return nil, err
	}
	s, err := web.Listen(o)
	if err != nil {
		return nil, err
	}
	s.HandlePublic("GET /healthz", web.Health())
	s.HandlePublic("GET /schemas/{file}", files)
	s.HandlePublic("/pins/", pinDocuments)
	s.Handle("GET /readyz", web.Ready(d.notReady, d.listDetails))
	s.Handle("GET /metrics", d.metrics.Handler())

	d.logger.Info("HTTP listener is ready", "url", s.URL())
	if !s.Local() && o.TLS == nil {
		d.logger.Warn("the HTTP listener is reached from other machines and has no TLS: whoever is on the way can read tokens and replies; set http.tls, or put a proxy with TLS in front", "listen", d.cfg.HTTP.Listen)
	}
	if (!s.Local() || o.Public) && o.Tokens == nil {
		d.logger.Warn("the HTTP listener is reached from other machines and there are no tokens: /metrics and /readyz answer nobody; set http.tokens_file", "listen", d.cfg.HTTP.Listen)
	}
	if d.onHTTP != nil {
		d.onHTTP(s.URL())
	}
	return s, nil
}

// notReady says why the daemon is not ready, in plain text; nothing if it is.
func (d *daemon) notReady(ctx context.Context) (reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := d.db.Logs.List(ctx); err != nil {
		reasons = append(reasons, "the store does not answer: "+ctwatch.Printable(err.Error(), 500))
	}
	if !d.ready.is() {
		reasons = append(reasons, "no log's tree head has been verified since the start")
	} else if err := d.clock.Check(); err != nil {
		reasons = append(reasons, err.Error())
	}
	return reasons
}

// newMetrics makes the metrics, which look up in the store how logs and senders
// stand.
func (d *daemon) newMetrics() (*metrics.Metrics, error) {
	v := setup.BuildVersion()
	m, err := metrics.New(metrics.Options{
		Registry: prometheus.NewRegistry(), Logger: d.logger,
		Build:   metrics.Build{Version: v.Version, Revision: v.Commit, GoVersion: v.Go},
		Sources: metrics.Sources{Logs: d.followedLogs, Senders: d.db.Senders.List, Rates: d.paces.Rates, Clock: d.clock.Offset, Hosts: d.appHosts, Documents: d.appDocuments, Open: d.openVerdicts, Held: d.db.Logs.HeldAlarms, LogList: d.logList.Load},
	})
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// followedLogs returns how those logs stand that are followed now: the store knows
// others, which left the list.
func (d *daemon) followedLogs(ctx context.Context) ([]ctwatch.LogStatus, error) {
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
