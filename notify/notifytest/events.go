// Package notifytest has what tests of senders share: events, text of attackers, an outbox
// in memory, an HTTP server, and waiting.
package notifytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func Events(n int) (events []ctwatch.Event, ids []string) {
	for i := range n {
		e := ctwatch.Event{ID: fmt.Sprintf("event-%03d", i), Type: ctwatch.CertificateIssued, Subject: "example.com", Data: ctwatch.EventData{Severity: ctwatch.Info}}
		events, ids = append(events, e), append(ids, e.ID)
	}
	return events, ids
}

func Unexpected(names ...string) ctwatch.Event {
	c := Certificate(names...)
	c.Verdict, c.Reasons = ctwatch.Unexpected, []string{"issuer_not_allowed"}
	e := ctwatch.UnexpectedEvent(c, "issuer not allowed", Time)
	e.Data.ReportTo = "report@ca.example"
	return e
}

var Time = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func Certificate(names ...string) ctwatch.Certificate {
	if len(names) == 0 {
		names = []string{"api.example.com"}
	}
	fp := ctwatch.Hash{0xfe}
	c := ctwatch.Certificate{
		ID: ctwatch.Hash{0xce}, Serial: "0a", Names: names, Subject: "CN=" + names[0],
		NotBefore: Time, NotAfter: Time.AddDate(0, 3, 0),
		Issuer:  ctwatch.Issuer{Name: "CN=E7,O=Let's Encrypt,C=US", Pin: pins.FromSPKI([]byte("issuer")), Proven: true},
		Key:     ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.FromSPKI([]byte("leaf"))},
		Matches: []ctwatch.Match{{Watch: "example.com", Name: names[0], Domain: "example.com"}},
		Verdict: ctwatch.Unreviewed,
		Sightings: []ctwatch.Sighting{{
			Log: "Lab 2026h2", LogID: ctwatch.LogIDOf([]byte("log")), Index: 12, Timestamp: Time, Kind: ctwatch.Precertificate,
		}},
		FirstSeen: Time, Fingerprints: ctwatch.Fingerprints{Precertificate: &fp},
	}
	c.SetPins()
	return c
}

func Issued(names ...string) ctwatch.Event {
	return ctwatch.IssuedEvent(Certificate(names...), Time)
}

func LogStatus() ctwatch.LogStatus {
	return ctwatch.LogStatus{
		Name: "Lab 2026h2", ID: ctwatch.LogIDOf([]byte("log")), Kind: ctwatch.KindStatic, Operator: "Lab",
		TreeSize: 100, Position: 90, Verified: 80, LastError: "connection refused",
	}
}

func Misbehaved() ctwatch.Event {
	root := ctwatch.Hash{7}
	return ctwatch.MisbehavedEvent(LogStatus(), ctwatch.Fault{
		Cause: ctwatch.CauseFork, Detail: "it signed two roots of one size",
		Evidence: ctwatch.Evidence{
			Cause:    ctwatch.CauseFork,
			Heads:    []ctwatch.EvidenceHead{{Size: 100, Root: &root, Timestamp: Time, Raw: []byte("head")}},
			Computed: &ctwatch.EvidenceRoot{Size: 100, Root: ctwatch.Hash{8}},
		},
	}, Time)
}

// A Story is what happens to one certificate.
type Story struct {
	Cert ctwatch.Certificate
	at   time.Time
}

func NewStory(name string) *Story {
	c := Certificate(name)
	c.ID = ctwatch.Hash([]byte(strings.Repeat(name, 32)[:32]))
	return &Story{Cert: c, at: Time}
}

func (s *Story) Next() time.Time { s.at = s.at.Add(time.Minute); return s.at }

func (s *Story) Issued() ctwatch.Event { return ctwatch.IssuedEvent(s.Cert, s.Next()) }

func (s *Story) Logged() ctwatch.Event {
	sighting := s.Cert.Sightings[0]
	sighting.Index += uint64(len(s.Cert.Sightings))
	sighting.Kind = ctwatch.FinalCertificate
	s.Cert.Sightings = append(slices.Clone(s.Cert.Sightings), sighting)
	return ctwatch.LoggedEvent(s.Cert, sighting, s.Next())
}

func (s *Story) Deployed() ctwatch.Event {
	at := s.Next()
	s.Cert.Deployed, s.Cert.DeployedAt = true, &at
	return ctwatch.DeployedEvent(s.Cert, "api.example.com", "api.example.com (192.0.2.1:443)", at)
}

func (s *Story) Rejected(by string) ctwatch.Event {
	s.Cert.Verdict, s.Cert.Reasons = ctwatch.Unexpected, []string{ctwatch.ReasonRejected}
	e := ctwatch.UnexpectedEvent(s.Cert, "nobody here asked for it", s.Next())
	e.Data.By, e.Data.ReportTo = by, "problems@ca.example"
	return e
}

func (s *Story) Authorized(by string) ctwatch.Event {
	before := s.Cert.Verdict
	s.Cert.Verdict, s.Cert.Reasons = ctwatch.Expected, []string{ctwatch.ReasonAuthorized}
	return ctwatch.JudgedEvent(s.Cert, before, "the shop's new CDN", by, 2, s.Next())
}

// Judged is the event of a verdict by rules.
func (s *Story) Judged(v ctwatch.Verdict) ctwatch.Event {
	before := s.Cert.Verdict
	s.Cert.Verdict, s.Cert.Reasons = v, []string{"issuer_allowed"}
	return ctwatch.JudgedEvent(s.Cert, before, "The rule for example.com allows its issuer.", "", 3, s.Next())
}

// Alarmed are the events of a certificate that rules find unexpected at once, as they
// are written.
func (s *Story) Alarmed() []ctwatch.Event {
	s.Cert.Verdict, s.Cert.Reasons = ctwatch.Unexpected, []string{"issuer_not_allowed"}
	alarm := ctwatch.UnexpectedEvent(s.Cert, "no rule allows its issuer", s.Next())
	alarm.Data.ReportTo = "problems@ca.example"
	return []ctwatch.Event{ctwatch.IssuedEvent(s.Cert, alarm.Time), alarm}
}
