package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ctwatch/pins"
)

// A lookout notes who is looked at instead of looking.
type lookout struct {
	mu   sync.Mutex
	seen map[string]int
}

func (l *lookout) look(_ context.Context, e pins.Endpoint) pins.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[e.Host]++
	return pins.Look{Endpoint: e, At: time.Now()}
}

func (l *lookout) looks(host string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[host]
}

// TestNothingIsProbedWhereOff: neither at the start, nor when a certificate is seen, nor on
// SIGHUP does a look go to a domain without endpoints, while another is looked at.
func TestNothingIsProbedWhereOff(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	l := &lookout{seen: make(map[string]int)}
	s.look, s.hangup = l.look, make(chan os.Signal, 1)
	s.fill(10)
	config := s.config("apps: [{name: shop, hosts: [api.example.com]}]\n")
	b, err := os.ReadFile(config)
	s.check(err)
	text := strings.Replace(string(b), "watch: [example.com, example.net]", "watch: [{domain: example.com, endpoints: []}, example.net]", 1)
	s.check(os.WriteFile(config, []byte(text), 0o600))
	d := s.start(config)
	s.eventually("the other domain is looked at", func() bool { return l.looks("example.net") == 1 })
	s.addPrecert(s.static, s.watched("api.example.com", "example.com", "example.net"))
	s.publish()
	s.untilVerified()
	// The certificate asks for a look at all of its names, and so does a SIGHUP.
	s.hangup <- syscall.SIGHUP
	s.eventually("the other domain is looked at again", func() bool { return l.looks("example.net") == 2 })
	d.says(t, "probes 1 endpoint every 10m: example.net;")
	d.stop()
	if l.looks("example.com")+l.looks("api.example.com") > 0 {
		t.Errorf("looked at %v", l.seen)
	}
}

// TestNoConnectionWithIntervalZero: with "probe: {interval: 0}" no connection is made, not
// even to an endpoint that is named.
func TestNoConnectionWithIntervalZero(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hangup = make(chan os.Signal, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	s.check(err)
	accepted := make(chan struct{}, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- struct{}{}
			c.Close()
		}
	}()
	s.fill(10)
	config := s.config("probe: {interval: 0}\n")
	b, err := os.ReadFile(config)
	s.check(err)
	text := strings.Replace(string(b), "watch: [example.com, ", fmt.Sprintf("watch: [{domain: example.com, endpoints: [%q]}, ", ln.Addr()), 1)
	s.check(os.WriteFile(config, []byte(text), 0o600))
	d := s.start(config)
	s.addPrecert(s.static, s.watched("example.com"))
	s.publish()
	s.untilVerified()
	s.untilDelivered()
	s.hangup <- syscall.SIGHUP
	d.says(t, "configuration reloaded")
	d.says(t, "probing is off")
	d.stop()
	ln.Close()
	for range accepted {
		t.Error("a connection was made")
	}
}
