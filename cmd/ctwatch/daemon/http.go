package daemon

import (
	"context"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/schemas"
	"ctwatch/ctwatch/web"
)

// listen opens the HTTP listener, if the configuration has one. It serves nothing yet.
func (d *Daemon) listen(context.Context) error {
	if d.cfg.HTTP.Listen == "" {
		return nil
	}
	o, err := setup.HTTPOptions(d.cfg, d.logger)
	if err != nil {
		return err
	}
	files, err := web.Files(schemas.FS, "application/schema+json")
	if err != nil {
		return err
	}
	s, err := web.Listen(o)
	if err != nil {
		return err
	}
	s.HandlePublic("GET /healthz", web.Health())
	s.HandlePublic("GET /schemas/{file}", files)
	s.HandlePublic("/pins/", d.pages)
	s.Handle("GET /readyz", web.Ready(d.notReady, d.listState.details))
	s.Handle("GET /metrics", d.metrics.Handler())
	d.listener = s

	d.logger.Info("HTTP listener is ready", "url", s.URL())
	if !s.Local() && o.TLS == nil {
		d.logger.Warn("the HTTP listener is reached from other machines and has no TLS: anyone on the way can read tokens and replies; set http.tls, or put a proxy with TLS in front", "listen", d.cfg.HTTP.Listen)
	}
	if (!s.Local() || o.Public) && o.Tokens == nil {
		d.logger.Warn("the HTTP listener is reached from other machines and there are no tokens: /metrics and /readyz refuse every request; set http.tokens_file", "listen", d.cfg.HTTP.Listen)
	}
	if d.o.OnHTTP != nil {
		d.o.OnHTTP(s.URL())
	}
	return nil
}

func (d *Daemon) serve(ctx context.Context) error {
	if d.listener == nil {
		return nil
	}
	return d.listener.Run(ctx)
}

func (d *Daemon) closeListener() error {
	if d.listener != nil {
		d.listener.Close()
	}
	return nil
}

// notReady says why the daemon is not ready, in plain text; nothing if it is.
func (d *Daemon) notReady(ctx context.Context) (reasons []string) {
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
