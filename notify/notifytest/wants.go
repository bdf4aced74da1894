package notifytest

import (
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A wanter is the part of a sender that says which events it wants.
type wanter interface {
	Wants(e ctwatch.Event) bool
}

// CheckPeople checks that a sender to people wants no routine event, unless all says
// that it has been asked for all of them.
func CheckPeople(t *testing.T, s wanter, all bool) {
	t.Helper()
	expected, unreviewed := NewStory("a.example.com"), NewStory("b.example.com")
	expected.Cert.Verdict = ctwatch.Expected
	key := pins.Key{Pin: expected.Cert.Key.Pin, Role: pins.RoleLeaf}
	news := NewStory("c.example.com")
	allClear := NewStory("d.example.com")
	allClear.Alarmed()
	lapsed := NewStory("e.example.com")
	lapsed.Cert.Verdict = ctwatch.Unexpected
	deployed := NewStory("g.example.com")
	deployed.Alarmed()
	for name, tt := range map[string]struct {
		e       ctwatch.Event
		routine bool
	}{
		"expected":                           {expected.Issued(), true},
		"expected, deployed":                 {expected.Deployed(), true},
		"expected, logged":                   {expected.Logged(), true},
		"expected, its new key":              {ctwatch.CandidateEvent(key, expected.Cert, []string{"example.com"}, Time), true},
		"expected, its key for an app":       {ctwatch.PinCandidateForApp("shop", "a.example.com", "example.com", key, "why", 1, Time), false},
		"expected, near its end":             {ctwatch.ExpiringEvent(expected.Cert, "a.example.com", "a.example.com (192.0.2.1:443)", Time), false},
		"expected, but not by an app's pins": {ctwatch.PinMissingEvent("shop", "a.example.com", "example.com", &expected.Cert, key.Pin, "why", 1, Time), false},
		"unreviewed":                         {unreviewed.Issued(), false},
		"unreviewed, deployed":               {unreviewed.Deployed(), false},
		"unreviewed, its new key":            {ctwatch.CandidateEvent(key, unreviewed.Cert, []string{"example.com"}, Time), true},
		"unreviewed, an app's new key":       {ctwatch.ForApp(ctwatch.CandidateEvent(key, unreviewed.Cert, []string{"example.com"}, Time), "shop", "b.example.com"), false},
		"authorized by a person":             {news.Authorized("alice"), false},
		"expected after an alarm":            {allClear.Judged(ctwatch.Expected), false},
		"unreviewed after an alarm":          {lapsed.Judged(ctwatch.Unreviewed), false},
		"unexpected":                         {NewStory("f.example.com").Alarmed()[1], false},
		"in a digest":                        {InDigest(NewStory("h.example.com").Alarmed()[1]), true},
		"a digest of alarms":                 {Unproven("example.com"), false},
		"unexpected, deployed":               {deployed.Deployed(), false},
		"a log that misbehaves":              {Misbehaved(), false},
		"a heartbeat":                        {ctwatch.HeartbeatEvent(Time), true},
		"a log list that is refused":         {ctwatch.LogListRefusedEvent(ctwatch.Critical, "why", "cause", Time), false},
		"a log list that is outdated":        {ctwatch.LogListOutdatedEvent(ctwatch.Warning, "why", "cause", Time), false},
		"nobody watches":                     {ctwatch.StalledEvent("why", Time), false},
		"watching again":                     {ctwatch.ResumedEvent(Time, Time), false},
		"a test":                             {ctwatch.TestEvent("alice", Time), false},
	} {
		if got := s.Wants(tt.e); got == tt.routine && !(all && got) {
			t.Errorf("%s: wanted: %v", name, got)
		} else if all && !got && !tt.e.Data.InDigest {
			t.Errorf("%s: not wanted, though all was asked for", name)
		}
	}
	both := NewStory("i.example.com").Alarmed()
	if s.Wants(both[0]) || !s.Wants(both[1]) {
		t.Errorf("unexpected: it wants %v of certificate.issued, and %v of the alarm", s.Wants(both[0]), s.Wants(both[1]))
	}
}

// CheckPrograms checks that a sender to programs wants routine events, and each event
// of a digest.
func CheckPrograms(t *testing.T, s wanter) {
	t.Helper()
	expected := NewStory("a.example.com")
	expected.Cert.Verdict = ctwatch.Expected
	for _, e := range append(NewStory("b.example.com").Alarmed(), InDigest(NewStory("c.example.com").Alarmed()[1]), Unproven("example.com"), expected.Issued(), expected.Deployed()) {
		if !s.Wants(e) {
			t.Errorf("it does not want %s", e.Type)
		}
	}
}

func InDigest(e ctwatch.Event) ctwatch.Event {
	e.Data.InDigest = true
	return e
}

// Unproven is a digest of alarms.
func Unproven(domains ...string) ctwatch.Event {
	u := ctwatch.Unproven{Count: 295, Domains: domains, First: Time, Last: Time}
	return ctwatch.UnprovenEvent(ctwatch.LogStatus{Name: "Lab", ID: ctwatch.LogID{7}}, u, 1, Time)
}
