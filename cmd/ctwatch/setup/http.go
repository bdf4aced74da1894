package setup

import (
	"log/slog"

	"ctwatch/configs"
	"ctwatch/ctwatch/web"
)

// HTTPOptions reads the files that http in the configuration names.
func HTTPOptions(cfg *configs.Config, logger *slog.Logger) (o web.Options, err error) {
	c, wrong := cfg.HTTP, configs.Mistakes{Config: cfg}
	o = web.Options{Listen: c.Listen, Public: c.PublicURL != "", Logger: logger}
	if c.TokensFile != "" {
		if o.Tokens, err = web.ReadTokens(c.TokensFile, logger); err != nil {
			wrong.Add(cfg.Errorf("http.tokens_file", "cannot be used: %w; want a file with a token on each line", err))
		}
	}
	if c.TLS != nil && !cfg.Spoiled("http.tls") {
		if o.TLS, err = web.TLS(c.TLS.Cert, c.TLS.Key, logger); err != nil {
			wrong.Add(cfg.Errorf("http.tls", "cannot be used: %w; want two PEM files, a certificate with its chain and its key", err))
		}
	}
	return o, wrong.Err()
}
