package demo

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"ctwatch/ctwatch/ctlogtest"
)

// demoHost is served by the demo, and pinned by its app.
const demoHost = "mobile." + demoDomain

// An endpoint is a TLS server whose certificate can be replaced while it runs.
type endpoint struct {
	addr    string
	current atomic.Pointer[tls.Certificate]
	server  *http.Server
}

// startEndpoint serves the demo's host on loopback.
func startEndpoint() (*endpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &endpoint{addr: l.Addr().String()}
	e.server = &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          discardLog(),
		TLSConfig: &tls.Config{
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName != demoHost {
					return nil, fmt.Errorf("there is no %s here", hello.ServerName)
				}
				return e.current.Load(), nil
			},
		},
	}
	go e.server.ServeTLS(l, "", "")
	return e, nil
}

// deploy serves a certificate from now on, in its final form, with its chain.
func (e *endpoint) deploy(i *ctlogtest.Issued) error {
	final, err := i.Final()
	if err != nil {
		return err
	}
	e.current.Store(&tls.Certificate{Certificate: append([][]byte{final}, i.Chain...), PrivateKey: i.Key})
	return nil
}

func (e *endpoint) stop() { e.server.Close() }
