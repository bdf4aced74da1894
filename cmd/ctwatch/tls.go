package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"ctwatch/configs"
)

// natsTLS reads the certificates for a NATS server; nil when none is configured.
func natsTLS(c *configs.NATSTLS) (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		var err error
		if out.RootCAs, err = certPool(c.CA); err != nil {
			return nil, fmt.Errorf("nats.tls.ca: %w", err)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("nats.tls: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// certPool reads the certificates in a PEM file.
func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s: want PEM", file)
	}
	return pool, nil
}
