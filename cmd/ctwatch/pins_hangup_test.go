package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"ctwatch/ctwatch"
)

// TestOnSIGHUPEndpointsAreLookedAt: after a deployment, SIGHUP probes at once.
func TestOnSIGHUPEndpointsAreLookedAt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hangup = make(chan os.Signal, 1)
	first, second := s.forAPI(nil), s.forAPI(nil)
	server := s.endpoint(first)
	config := s.pinsConfig(server)
	b, err := os.ReadFile(config)
	s.check(err)
	s.check(os.WriteFile(config, []byte(strings.Replace(string(b), "interval: 1s", "interval: 24h", 1)), 0o600))
	d := s.start(config)
	hears := s.listen(d)
	hears.await(ctwatch.CertificateDeployed, ofCertificate(first))
	s.deploy(server, second)
	s.hangup <- syscall.SIGHUP
	hears.await(ctwatch.CertificateDeployed, ofCertificate(second))
	d.stop()
}
