package setup

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"

	"ctwatch/configs"
	"ctwatch/ctwatch/web"
	"ctwatch/files"
	"ctwatch/notify/nats"
	"ctwatch/pins/pemfile"
)

// NATSOptions returns how to reach the NATS server.
func NATSOptions(cfg *configs.Config, logger *slog.Logger) (nats.Options, error) {
	o := nats.Options{
		URL: string(cfg.NATS.URL), CredentialsFile: cfg.NATS.CredentialsFile,
		Stream: cfg.NATS.Stream, SubjectPrefix: cfg.NATS.Subject, Logger: logger,
	}
	var err error
	if o.URL != "" {
		o.TLS, err = natsTLS(cfg)
	}
	return o, err
}

// natsTLS reads the certificates for a NATS server; nil when none is configured.
func natsTLS(cfg *configs.Config) (*tls.Config, error) {
	c := cfg.NATS.TLS
	if c == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		var err error
		if out.RootCAs, err = certPool(c.CA); err != nil {
			return nil, cfg.Errorf("nats.tls.ca", "%w", err)
		}
	}
	if c.Cert != "" {
		pair, err := web.KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, cfg.Errorf("nats.tls", "%w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// maxBundle bounds a file of CA certificates, in bytes; that of a system has 250 kB.
const maxBundle = 16 << 20

// certPool reads the certificates in a PEM file.
func certPool(file string) (*x509.CertPool, error) {
	data, err := files.Read(file, maxBundle)
	if err != nil {
		return nil, err
	}
	blocks, err := pemfile.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	pool := x509.NewCertPool()
	for _, b := range blocks {
		if b.Type != "" && b.Type != "CERTIFICATE" && b.Type != "X509 CERTIFICATE" {
			continue
		}
		// Bundles of a system have old certificates that are too odd to verify by.
		if cert, err := x509.ParseCertificate(b.Bytes); err == nil {
			pool.AddCert(cert)
		}
	}
	if pool.Equal(x509.NewCertPool()) {
		return nil, fmt.Errorf("no certificate in %s: want PEM", file)
	}
	return pool, nil
}
