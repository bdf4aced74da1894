package notify

import (
	"fmt"
	"testing"

	"ctwatch/ctwatch"
)

// repeated is a digest that does not name all its domains.
func repeated(e ctwatch.Event) ctwatch.Event {
	e.Data.Unproven.MoreDomains = 1
	return e
}

func TestFilteredTellsOnlyWhatPasses(t *testing.T) {
	both := testCertificate("a.example.com")
	both.Matches = append(both.Matches, ctwatch.Match{Watch: ".Shop.Example.", Name: "b.shop.example", Domain: "shop.example"})
	idn := testCertificate("a.example")
	idn.Matches[0].Watch = "zürich.example"
	debug := ctwatch.Event{Type: ctwatch.CertificateLogged, Subject: "example.com", Data: ctwatch.EventData{Severity: ctwatch.Debug}}
	for _, tt := range []struct {
		filter Filter
		event  ctwatch.Event
		want   bool
	}{
		{Filter{}, issued(), true},
		{Filter{}, debug, false},
		{Filter{MinSeverity: ctwatch.Debug}, debug, true},
		{Filter{MinSeverity: ctwatch.Critical}, issued(), false},
		{Filter{MinSeverity: ctwatch.Critical}, misbehaved(), true},
		{Filter{Types: []string{"certificate.*"}}, issued(), true},
		{Filter{Types: []string{"certificate.*"}}, misbehaved(), false},
		{Filter{Types: []string{"pin.*", "log.misbehaved"}}, misbehaved(), true},
		{Filter{Subjects: []string{"example.com"}}, issued(), true},
		{Filter{Subjects: []string{"EXAMPLE.com."}}, issued(), true},
		{Filter{Subjects: []string{"*.com"}}, issued(), true},
		{Filter{Subjects: []string{"*.example.com"}}, issued("api.example.com"), false}, // no name of the certificate counts
		{Filter{Subjects: []string{"shop.example"}}, ctwatch.IssuedEvent(both, testTime), true},
		{Filter{Subjects: []string{"zürich.example"}}, ctwatch.IssuedEvent(idn, testTime), true},
		{Filter{Subjects: []string{"xn--*.example"}}, ctwatch.IssuedEvent(idn, testTime), true},
		{Filter{Subjects: []string{"other.example"}, MinSeverity: ctwatch.Debug}, issued(), false},
		// A digest of alarms comes to those who asked for such alarms.
		{Filter{Types: []string{"certificate.unexpected"}, Subjects: []string{"*.example"}}, unproven("shop.example"), true},
		{Filter{Types: []string{"certificate.unexpected"}, Subjects: []string{"other.example"}}, unproven("shop.example"), false},
		{Filter{Types: []string{"pin.*"}}, unproven("shop.example"), false},
		{Filter{Subjects: []string{"other.example"}}, repeated(unproven("shop.example")), true},
	} {
		inner := &funcSender{name: "s"}
		s, err := Filtered(inner, tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Wants(tt.event); got != tt.want {
			t.Errorf("%+v wants %s of %s: %v", tt.filter, tt.event.Type, tt.event.Subject, got)
		}
		inner.wants = func(ctwatch.Event) bool { return false }
		if s.Wants(tt.event) {
			t.Error("it wants what the inner sender does not")
		}
	}
	for _, bad := range []Filter{{MinSeverity: "urgent"}, {Types: []string{"[a"}}, {Subjects: []string{""}}} {
		if _, err := Filtered(&funcSender{name: "s"}, bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	inner := &funcSender{name: "s", revived: make(chan struct{})}
	s, _ := Filtered(inner, Filter{})
	if r, ok := as[Reviver](s); !ok || s.Name() != "s" || r.Revived() == nil {
		t.Error("what the inner sender can do is lost")
	}
	if _, ok := as[Batcher](s); ok {
		t.Error("it can do what the inner sender cannot")
	}
}

// Where an event has no room for all the watched domains that a certificate concerns, those who
// watch only some of them get it, whichever these are.
func TestFilterPassesWhatMayConcernIt(t *testing.T) {
	filter := Filter{Subjects: []string{"d150.test"}}
	for name, tt := range map[string]struct {
		domains, matches int
		want             bool
	}{
		"few, and not this one":          {10, 10, false},
		"few that match many times":      {10, 5000, false},
		"so many that some are left out": {200, 200, true},
	} {
		c := testCertificate("www.test")
		c.Names, c.Matches = nil, nil
		for i := range tt.matches {
			d := fmt.Sprintf("d%d.test", i%tt.domains)
			n := fmt.Sprintf("n%d.%s", i, d)
			c.Names, c.Matches = append(c.Names, n), append(c.Matches, ctwatch.Match{Watch: d, Name: n, Domain: d})
		}
		if got := filter.Match(fromOutbox(t, ctwatch.UnexpectedEvent(c, "no", testTime))[0]); got != tt.want {
			t.Errorf("%s: passes: %v", name, got)
		}
	}
}
