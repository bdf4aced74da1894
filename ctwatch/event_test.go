package ctwatch_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func certificate() ctwatch.Certificate {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	c := ctwatch.Certificate{
		ID: ctwatch.Hash{1}, Serial: "0a", Names: []string{"api.shop.example"}, IPAddresses: []string{}, Subject: "CN=api.shop.example",
		NotBefore: at, NotAfter: at.AddDate(0, 3, 0),
		Issuer:  ctwatch.Issuer{Name: "CN=E7,O=Let's Encrypt,C=US", Pin: pins.Pin{2}, Proven: true},
		Key:     ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.Pin{3}},
		Matches: []ctwatch.Match{{Watch: "Shop.Example", Name: "api.shop.example", Domain: "shop.example"}, {Watch: "b.example", Name: "b.example", Domain: "b.example"}},
		Verdict: ctwatch.Unreviewed, Reasons: []string{}, Problems: []string{}, FirstSeen: at,
		Sightings: []ctwatch.Sighting{{Log: "Lab", LogID: ctwatch.LogID{4}, Index: 12, Timestamp: at, Kind: ctwatch.Precertificate}},
	}
	c.SetPins()
	return c
}

// An event is written and read as a CloudEvent 1.0 in structured mode.
func TestEventIsCloudEvent(t *testing.T) {
	at := time.Date(2026, 11, 21, 1, 2, 3, 4e6, time.UTC)
	e := ctwatch.IssuedEvent(certificate(), at)
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{
		"specversion": "1.0", "type": "certificate.issued", "subject": "shop.example", "source": "/ctwatch",
		"time": "2026-11-21T01:02:03.004Z", "datacontenttype": "application/json", "id": e.ID,
	} {
		if fields[k] != want {
			t.Errorf("%s = %v, want %v", k, fields[k], want)
		}
	}
	var back ctwatch.Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(b), string(again)); diff != "" {
		t.Errorf("read and written again (-first +again):\n%s", diff)
	}
	for _, bad := range []string{`{}`, `{"specversion":"0.3","id":"a","type":"b"}`, `[]`, `{"specversion":"1.0","id":"a"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read as an event", bad)
		}
	}
}

// A replay is recognized by its ID.
func TestEventIDsSayWhatNotWhen(t *testing.T) {
	c := certificate()
	later := time.Now()
	other := certificate()
	other.ID = ctwatch.Hash{9}
	log := ctwatch.LogStatus{ID: ctwatch.LogID{4}, Name: "Lab"}
	key := pins.Key{Pin: pins.Pin{3}}
	head := ctwatch.Fault{Cause: ctwatch.CauseFork, Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{{Raw: []byte("a")}}}}
	head2 := ctwatch.Fault{Cause: ctwatch.CauseFork, Evidence: ctwatch.Evidence{Heads: []ctwatch.EvidenceHead{{Raw: []byte("b")}}}}
	s := c.Sightings[0]
	s2 := s
	s2.Index++
	s3 := s
	s3.Kind = ctwatch.FinalCertificate
	at := time.Time{}
	all := make(map[string]string)
	for name, e := range map[string][2]ctwatch.Event{
		"issued":           {ctwatch.IssuedEvent(c, at), ctwatch.IssuedEvent(c, later)},
		"issued other":     {ctwatch.IssuedEvent(other, at), ctwatch.IssuedEvent(other, later)},
		"logged":           {ctwatch.LoggedEvent(c, s, at), ctwatch.LoggedEvent(c, s, later)},
		"logged elsewhere": {ctwatch.LoggedEvent(c, s2, at), ctwatch.LoggedEvent(c, s2, later)},
		"logged as final":  {ctwatch.LoggedEvent(c, s3, at), ctwatch.LoggedEvent(c, s3, later)},
		"candidate":        {ctwatch.CandidateEvent(key, c, []string{"a", "b"}, at), ctwatch.CandidateEvent(key, c, []string{"a", "b"}, later)},
		"candidate for a":  {ctwatch.CandidateEvent(key, c, []string{"a"}, at), ctwatch.CandidateEvent(key, c, []string{"a"}, later)},
		"candidate for ab": {ctwatch.CandidateEvent(key, c, []string{"ab"}, at), ctwatch.CandidateEvent(key, c, []string{"ab"}, later)},
		"unhealthy":        {ctwatch.UnhealthyEvent(log, "x", 1, at), ctwatch.UnhealthyEvent(log, "x", 1, later)},
		"unhealthy again":  {ctwatch.UnhealthyEvent(log, "x", 2, at), ctwatch.UnhealthyEvent(log, "x", 2, later)},
		"recovered":        {ctwatch.RecoveredEvent(log, 1, at), ctwatch.RecoveredEvent(log, 1, later)},
		"misbehaved":       {ctwatch.MisbehavedEvent(log, head, at), ctwatch.MisbehavedEvent(log, head, later)},
		"misbehaved again": {ctwatch.MisbehavedEvent(log, head2, at), ctwatch.MisbehavedEvent(log, head2, later)},
		"malformed":        {ctwatch.MalformedEvent(log, []uint64{1}, "x", at), ctwatch.MalformedEvent(log, []uint64{1}, "x", later)},
		"malformed two":    {ctwatch.MalformedEvent(log, []uint64{1, 2}, "x", at), ctwatch.MalformedEvent(log, []uint64{1, 2}, "x", later)},
		"gap":              {ctwatch.GapEvent(log, 0, 5, "why", at), ctwatch.GapEvent(log, 0, 5, "why", later)},
	} {
		if e[0].ID != e[1].ID {
			t.Errorf("%s: another ID at another time", name)
		}
		if was, ok := all[e[0].ID]; ok {
			t.Errorf("%s and %s have one ID", name, was)
		}
		all[e[0].ID] = name
		if e[0].Data.Summary == "" || !strings.HasSuffix(e[0].Data.Summary, ".") {
			t.Errorf("%s: summary %q is not a sentence", name, e[0].Data.Summary)
		}
	}
}

// The subject has the type and the labels of the domain in reverse.
func TestNATSSubject(t *testing.T) {
	if got := ctwatch.IssuedEvent(certificate(), time.Now()).NATSSubject("ctwatch"); got != "ctwatch.certificate.issued.example.shop" {
		t.Errorf("subject %q", got)
	}
	log := ctwatch.LogStatus{ID: ctwatch.LogID{0xab}}
	want := "lab.ct.log.misbehaved.ab" + strings.Repeat("0", 62)
	if got := ctwatch.MisbehavedEvent(log, ctwatch.Fault{}, time.Now()).NATSSubject("lab.ct"); got != want {
		t.Errorf("subject %q, want %q", got, want)
	}
}

// Empty lists are [] in JSON, never null.
func TestCertificateHasNoNullLists(t *testing.T) {
	b, err := json.Marshal(ctwatch.Certificate{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"names", "ip_addresses", "pins", "matches", "reasons", "sightings", "problems"} {
		if _, ok := fields[k].([]any); !ok {
			t.Errorf("%s = %v, want a list", k, fields[k])
		}
	}
}

// Only the canonical text of a hash or log ID is read.
func TestHashesAndIDsAreStrict(t *testing.T) {
	h := ctwatch.Hash{1, 2, 3}
	if got, err := ctwatch.ParseHash(h.String()); err != nil || got != h {
		t.Errorf("%v, %v", got, err)
	}
	id := ctwatch.LogID{1, 2, 3}
	if got, err := ctwatch.ParseLogID(id.String()); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "00", h.String() + "00", strings.Repeat("g", 64)} {
		if _, err := ctwatch.ParseHash(s); err == nil {
			t.Errorf("ParseHash(%q) gave no error", s)
		}
		if _, err := ctwatch.ParseLogID(s); err == nil {
			t.Errorf("ParseLogID(%q) gave no error", s)
		}
	}
}

// Severities are ordered, and an unknown one is the most urgent.
func TestSeverityOrder(t *testing.T) {
	order := []ctwatch.Severity{ctwatch.Debug, ctwatch.Info, ctwatch.Warning, ctwatch.Critical}
	for i, a := range order {
		for j, b := range order {
			if a.AtLeast(b) != (i >= j) {
				t.Errorf("%s at least %s: %v", a, b, a.AtLeast(b))
			}
		}
	}
}
