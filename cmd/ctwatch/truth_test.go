package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestTruth reads two logs of many thousand entries each, in which some 150
// certificates for watched names are scattered, and wants to know all of them and
// no other.
func TestTruth(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	rounds, filler := 16, 320
	switch {
	case thorough():
		filler = 1250
	case testing.Short():
		rounds, filler = 4, 300
	}
	s.silence = time.Hour     // the daemon may be slow
	s.poll = 30 * time.Second // and a log is unhealthy when a step takes twenty times that long
	candidates := 0
	for n := range rounds {
		s.fill(filler)
		candidates += s.scatter(n)
	}
	s.publish()

	d := s.start(s.config(""))
	s.untilVerified()
	s.untilDelivered()
	s.expectTruth()
	all := s.stream(d.natsURL)
	s.expectEvents(all, candidates)
	for _, m := range all {
		switch m.Type {
		case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.PinCandidate, ctwatch.WatchHeartbeat:
		default:
			t.Errorf("unexpected %s: %s", m.Type, m.Data.Summary)
		}
	}
	d.stop()
	if d.log.contains("level=WARN") || d.log.contains("level=ERROR") {
		t.Errorf("the daemon complained:\n%s", d.log.tail())
	}
}

// scatter puts certificates of every sort into the logs, and returns how many keys
// they have that are new on a watched domain.
func (s *stage) scatter(n int) (candidates int) {
	s.t.Helper()
	name := func(prefix string) string { return fmt.Sprintf("%s%d.example.com", prefix, n) }

	// A precertificate in one log, and the final certificate in the other.
	a := s.watched(name("both"), name("www.both"))
	sct := s.addPrecert(s.static, a)
	s.addFinal(s.rfc, a, sct)

	// A precertificate in both logs, twice, and the final certificate in both.
	b := s.watched(name("twice"))
	for range 2 {
		s.addPrecert(s.static, b)
		sct = s.addPrecert(s.rfc, b)
	}
	s.addFinal(s.static, b, sct)
	s.addFinal(s.rfc, b, sct)

	// A renewal with the same key: no new pin.
	s.addPrecert(s.rfc, s.renew(b.Key, name("twice")))

	// Wildcards, one of which covers both watched domains from above.
	s.addPrecert(s.static, s.watched("*."+name("wild"), name("wild")))
	s.addFinal(s.rfc, s.watched("*.com", "*.net"))
	s.addPrecert(s.rfc, s.watched("*.example.net"))

	// A name in nothing but the common name.
	s.addPrecert(s.static, s.issue(ctlogtest.Request{CommonName: name("cn")}))

	// An internationalized name, capital letters, another watched domain, an address.
	s.addPrecert(s.rfc, s.watched("xn--bcher-kva."+name("idn")))
	s.addPrecert(s.static, s.watched("API."+name("Upper")))
	s.addFinal(s.rfc, s.issue(ctlogtest.Request{Names: []string{fmt.Sprintf("net%d.example.net", n)}, IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")}}))

	// The final certificate only.
	s.addFinal(s.static, s.watched(name("final")))

	// What nobody watches, though it looks like it.
	for _, other := range []string{"example.com.evil.test", "notexample.com", "*.notexample.com", "example.org"} {
		i, err := s.ca.Issue(ctlogtest.Request{Names: []string{other}})
		s.check(err)
		s.addPrecert(s.static, i)
		s.addFinal(s.rfc, i)
	}
	return 10
}
