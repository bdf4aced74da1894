package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"ctwatch/files"
)

// TLS returns the configuration of a server with a certificate chain and its key,
// both in PEM files, which are read again when they have changed. Files that cannot
// be used then are logged, and the certificate before them still serves.
func TLS(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	pair, err := newFresh(logger, func() (*tls.Certificate, error) {
		c, err := KeyPair(certFile, keyFile)
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

// maxPEM bounds a file of a certificate chain or a key, in bytes.
const maxPEM = 1 << 20

// KeyPair reads a certificate with its chain, and its key, from PEM files.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	var text [2][]byte
	for i, name := range []string{certFile, keyFile} {
		data, err := files.Read(name, maxPEM)
		if err != nil {
			return tls.Certificate{}, err
		}
		if text[i], err = files.Text(data); err != nil {
			return tls.Certificate{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	c, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s with %s: %w", certFile, keyFile, err)
	}
	return c, nil
}
