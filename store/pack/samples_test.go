package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

var update = flag.Bool("update", false, "write events.txt again: only before the dictionary is released")

// samples returns a sample of each kind of event, the most frequent last.
func samples() []ctwatch.Event {
	at := time.Date(2026, 11, 20, 12, 0, 0, 123e6, time.UTC)
	sum := func(s string) ctwatch.Hash { return sha256.Sum256([]byte(s)) }
	pre, fin := sum("precertificate"), sum("certificate")
	key, issuer := pins.FromSPKI([]byte("leaf")), pins.FromSPKI([]byte("issuer"))
	sighting := ctwatch.Sighting{
		Log: "Let's Encrypt 'Sycamore2027h1'", LogID: ctwatch.LogID(sum("log")), Index: 1234567890, Timestamp: at, Kind: ctwatch.Precertificate,
	}
	c := ctwatch.Certificate{
		ID: sum("id"), Serial: "05cbb0c15d3a4e4f2d3a8c0f9be2a1d4c7e6", Names: []string{"www.example.com", "*.example.com", "example.com"},
		Subject: "CN=www.example.com", NotBefore: at.Truncate(time.Hour).Add(-time.Hour), NotAfter: at.Truncate(time.Hour).AddDate(0, 0, 90),
		Issuer: ctwatch.Issuer{Name: "CN=R12,O=Let's Encrypt,C=US", Pin: issuer, Proven: true, CAA: "letsencrypt.org"},
		Key:    ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: key},
		Matches: []ctwatch.Match{
			{Watch: "example.com", Name: "www.example.com", Domain: "example.com"},
			{Watch: "example.com", Name: "*.example.com", Domain: "example.com"},
			{Watch: "example.com", Name: "example.com", Domain: "example.com"},
		},
		Verdict: ctwatch.Unreviewed, Reasons: []string{}, FirstSeen: at,
		Sightings: []ctwatch.Sighting{sighting}, Fingerprints: ctwatch.Fingerprints{Precertificate: &pre},
	}
	c.SetPins()
	log := ctwatch.LogStatus{
		Name: sighting.Log, ID: sighting.LogID, Kind: ctwatch.KindStatic, Operator: "Let's Encrypt", State: "usable",
		TreeSize: 1234567999, Position: 1234567890, Verified: 1234567000, LagEntries: 109, LagSeconds: 1.5, LastHeadAt: &at, LastVerifiedAt: &at,
		LastError: "it cannot be followed: reading the tree head: 503 Service Unavailable",
	}
	k := pins.Key{
		Pin: key, Role: pins.RoleLeaf, Algorithm: "ECDSA P-256", State: pins.StateSeen, Hosts: []string{"*.example.com", "example.com", "www.example.com"},
		ApprovedFor: []pins.Pattern{}, Certificates: []string{c.ID.String()}, Apps: []pins.AppVersion{}, FirstSeen: at, ChangedAt: at, By: "log",
		Reason: "first seen in Let's Encrypt 'Sycamore2027h1' entry 1234567890",
	}
	exact, _ := pins.ParsePattern("www.example.com")
	approved := k
	approved.State, approved.ApprovedFor, approved.By, approved.Reason = pins.StateApproved, []pins.Pattern{exact}, "policy", "our renewal"
	judged := c
	judged.Verdict, judged.Reasons, judged.Problems = ctwatch.Unexpected, []string{"issuer_not_allowed"}, []string{ctwatch.ProblemNoIssuer}
	both := c
	both.Verdict, both.Reasons, both.Fingerprints.Certificate = ctwatch.Expected, []string{"issuer_allowed"}, &fin
	both.Sightings[0].Verified = true
	again := sighting
	again.Log, again.LogID, again.Index, again.Kind = "Google 'Argon2027h1'", ctwatch.LogID(sum("argon")), 2345678901, ctwatch.FinalCertificate
	both.Sightings = append(both.Sightings[:1:1], again)
	verified := c
	verified.Sightings = both.Sightings[:1]
	expected := verified
	expected.Verdict, expected.Reasons = ctwatch.Expected, []string{"issuer_allowed"}
	deployed := both
	deployed.Deployed, deployed.DeployedAt = true, &at

	return []ctwatch.Event{
		ctwatch.TestEvent("alice", at),
		ctwatch.HeartbeatEvent(at),
		ctwatch.StalledEvent("no log was read", at),
		ctwatch.ResumedEvent(at, at),
		ctwatch.GapEvent(log, 1234, 5678, "the log does not serve them", at),
		ctwatch.WithMoreEntries(ctwatch.MalformedEvent(log, []uint64{1234567890, 1234567891}, "the TBSCertificate is cut short", at), 17),
		ctwatch.UnhealthyEvent(log, log.LastError, 3, at),
		ctwatch.RecoveredEvent(log, 3, at),
		ctwatch.PinRetiredEvent(k, "example.com", 1, at),
		ctwatch.PinDeployedEvent(approved, "www.example.com", "www.example.com (192.0.2.1)", "example.com", 1, at),
		ctwatch.PinMissingEvent("shop", "www.example.com", "example.com", &c, key, "the app does not pin the key that is served", 1, at),
		ctwatch.ExpiringEvent(deployed, "www.example.com", "www.example.com (192.0.2.1)", at),
		ctwatch.DeployedEvent(deployed, "www.example.com", "www.example.com (192.0.2.1)", at),
		ctwatch.JudgedEvent(both, ctwatch.Unexpected, "our renewal", "alice", 1, at),
		ctwatch.UnexpectedEvent(judged, "It was issued by CN=R12,O=Let's Encrypt,C=US, which is not among the issuers of the rule.", at),
		ctwatch.ForApp(ctwatch.CandidateEvent(k, expected, []string{"example.com"}, at), "shop", "www.example.com"),
		ctwatch.LoggedEvent(both, again, at),
		ctwatch.CandidateEvent(k, expected, []string{"example.com"}, at),
		ctwatch.CandidateEvent(k, verified, []string{"example.com"}, at),
		ctwatch.IssuedEvent(c, at),
	}
}

// The dictionary of events must not change once there are databases with it.
func TestEventSamples(t *testing.T) {
	var b bytes.Buffer
	for _, e := range samples() {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", line)
	}
	if *update {
		if err := os.WriteFile("events.txt", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
