package web

import (
	"crypto/tls"
	"log/slog"
)

// TLS returns the configuration of a server with a certificate chain and its key,
// both in PEM files, which are read again when they have changed. Files that cannot
// be used then are logged, and the certificate before them still serves.
func TLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	pair, err := newFresh(logger, func() (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &c, err
	}, certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
	}, nil
}
