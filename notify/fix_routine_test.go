package notify

import (
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A wanter is the part of a sender that says which events it wants.
type wanter interface {
	Wants(e ctwatch.Event) bool
}

// checkPeople checks that a sender to people wants no routine event, unless all says
// that it has been asked for all of them.
func checkPeople(t *testing.T, s wanter, all bool) {
	t.Helper()
	expected, unreviewed := newStory("a.example.com"), newStory("b.example.com")
	expected.c.Verdict = ctwatch.Expected
	key := pins.Key{Pin: expected.c.Key.Pin, Role: pins.RoleLeaf}
	news := newStory("c.example.com")
	allClear := newStory("d.example.com")
	allClear.alarmed()
	lapsed := newStory("e.example.com")
	lapsed.c.Verdict = ctwatch.Unexpected
	deployed := newStory("g.example.com")
	deployed.alarmed()
	for name, tt := range map[string]struct {
		e       ctwatch.Event
		routine bool
	}{
		"expected":                           {expected.issued(), true},
		"expected, deployed":                 {expected.deployed(), true},
		"expected, logged":                   {expected.logged(), true},
		"expected, its new key":              {ctwatch.CandidateEvent(key, expected.c, []string{"example.com"}, testTime), true},
		"expected, its key for an app":       {ctwatch.PinCandidateForApp("shop", "a.example.com", "example.com", key, "why", 1, testTime), false},
		"expected, near its end":             {ctwatch.ExpiringEvent(expected.c, "a.example.com", "a.example.com (192.0.2.1:443)", testTime), false},
		"expected, but not by an app's pins": {ctwatch.PinMissingEvent("shop", "a.example.com", "example.com", &expected.c, key.Pin, "why", 1, testTime), false},
		"unreviewed":                         {unreviewed.issued(), false},
		"unreviewed, deployed":               {unreviewed.deployed(), false},
		"unreviewed, its new key":            {ctwatch.CandidateEvent(key, unreviewed.c, []string{"example.com"}, testTime), true},
		"unreviewed, an app's new key":       {ctwatch.ForApp(ctwatch.CandidateEvent(key, unreviewed.c, []string{"example.com"}, testTime), "shop", "b.example.com"), false},
		"authorised by a person":             {news.authorized("alice"), false},
		"expected after an alarm":            {allClear.judged(ctwatch.Expected), false},
		"unreviewed after an alarm":          {lapsed.judged(ctwatch.Unreviewed), false},
		"unexpected":                         {newStory("f.example.com").alarmed()[1], false},
		"in a digest":                        {inDigest(newStory("h.example.com").alarmed()[1]), true},
		"a digest of alarms":                 {unproven("example.com"), false},
		"unexpected, deployed":               {deployed.deployed(), false},
		"a log that misbehaves":              {misbehaved(), false},
		"a heartbeat":                        {ctwatch.HeartbeatEvent(testTime), true},
		"a log list that is refused":         {ctwatch.LogListRefusedEvent(ctwatch.Critical, "why", "cause", testTime), false},
		"a log list that is outdated":        {ctwatch.LogListOutdatedEvent(ctwatch.Warning, "why", "cause", testTime), false},
		"nobody watches":                     {ctwatch.StalledEvent("why", testTime), false},
		"watching again":                     {ctwatch.ResumedEvent(testTime, testTime), false},
		"a test":                             {ctwatch.TestEvent("alice", testTime), false},
	} {
		if got := s.Wants(tt.e); got == tt.routine && !(all && got) {
			t.Errorf("%s: wanted: %v", name, got)
		} else if all && !got && !tt.e.Data.InDigest {
			t.Errorf("%s: not wanted, though all was asked for", name)
		}
	}
	both := newStory("i.example.com").alarmed()
	if s.Wants(both[0]) || !s.Wants(both[1]) {
		t.Errorf("unexpected: it wants %v of certificate.issued, and %v of the alarm", s.Wants(both[0]), s.Wants(both[1]))
	}
}

// checkPrograms checks that a sender to programs wants routine events, and each event
// of a digest.
func checkPrograms(t *testing.T, s wanter) {
	t.Helper()
	expected := newStory("a.example.com")
	expected.c.Verdict = ctwatch.Expected
	for _, e := range append(newStory("b.example.com").alarmed(), inDigest(newStory("c.example.com").alarmed()[1]), unproven("example.com"), expected.issued(), expected.deployed()) {
		if !s.Wants(e) {
			t.Errorf("it does not want %s", e.Type)
		}
	}
}

func inDigest(e ctwatch.Event) ctwatch.Event {
	e.Data.InDigest = true
	return e
}

// unproven is a digest of alarms.
func unproven(domains ...string) ctwatch.Event {
	u := ctwatch.Unproven{Count: 295, Domains: domains, First: testTime, Last: testTime}
	return ctwatch.UnprovenEvent(ctwatch.LogStatus{Name: "Lab", ID: ctwatch.LogID{7}}, u, 1, testTime)
}
