package notify

import (
	"fmt"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

// repeated is a digest that does not name all its domains.
func repeated(e ctwatch.Event) ctwatch.Event {
	e.Data.Unproven.MoreDomains = 1
	return e
}

func TestFilteredPassesMatchingEvents(t *testing.T) {
	both := notifytest.Certificate("a.example.com")
	both.Matches = append(both.Matches, ctwatch.Match{Watch: ".Shop.Example.", Name: "b.shop.example", Domain: "shop.example"})
	idn := notifytest.Certificate("a.example")
	idn.Matches[0].Watch = "zürich.example"
	debug := ctwatch.Event{Type: ctwatch.CertificateLogged, Subject: "example.com", Data: ctwatch.EventData{Severity: ctwatch.Debug}}
	for _, tt := range []struct {
		filter Filter
		event  ctwatch.Event
		want   bool
	}{
		{Filter{}, notifytest.Issued(), true},
		{Filter{}, debug, false},
		{Filter{MinSeverity: ctwatch.Debug}, debug, true},
		{Filter{MinSeverity: ctwatch.Critical}, notifytest.Issued(), false},
		{Filter{MinSeverity: ctwatch.Critical}, notifytest.Misbehaved(), true},
		{Filter{Types: []string{"certificate.*"}}, notifytest.Issued(), true},
		{Filter{Types: []string{"certificate.*"}}, notifytest.Misbehaved(), false},
		{Filter{Types: []string{"pin.*", "log.misbehaved"}}, notifytest.Misbehaved(), true},
		{Filter{Subjects: []string{"example.com"}}, notifytest.Issued(), true},
		{Filter{Subjects: []string{"EXAMPLE.com."}}, notifytest.Issued(), true},
		{Filter{Subjects: []string{"*.com"}}, notifytest.Issued(), true},
		{Filter{Subjects: []string{"*.example.com"}}, notifytest.Issued("api.example.com"), false}, // no name of the certificate counts
		{Filter{Subjects: []string{"shop.example"}}, ctwatch.IssuedEvent(both, notifytest.Time), true},
		{Filter{Subjects: []string{"zürich.example"}}, ctwatch.IssuedEvent(idn, notifytest.Time), true},
		{Filter{Subjects: []string{"xn--*.example"}}, ctwatch.IssuedEvent(idn, notifytest.Time), true},
		{Filter{Subjects: []string{"other.example"}, MinSeverity: ctwatch.Debug}, notifytest.Issued(), false},
		// A digest of alarms comes to those who asked for such alarms.
		{Filter{Types: []string{"certificate.unexpected"}, Subjects: []string{"*.example"}}, notifytest.Unproven("shop.example"), true},
		{Filter{Types: []string{"certificate.unexpected"}, Subjects: []string{"other.example"}}, notifytest.Unproven("shop.example"), false},
		{Filter{Types: []string{"pin.*"}}, notifytest.Unproven("shop.example"), false},
		{Filter{Subjects: []string{"other.example"}}, repeated(notifytest.Unproven("shop.example")), true},
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
func TestFilterPassesOmittedDomains(t *testing.T) {
	filter := Filter{Subjects: []string{"d150.test"}}
	for name, tt := range map[string]struct {
		domains, matches int
		want             bool
	}{
		"few, and not this one":          {10, 10, false},
		"few that match many times":      {10, 5000, false},
		"so many that some are left out": {200, 200, true},
	} {
		c := notifytest.Certificate("www.test")
		c.Names, c.Matches = nil, nil
		for i := range tt.matches {
			d := fmt.Sprintf("d%d.test", i%tt.domains)
			n := fmt.Sprintf("n%d.%s", i, d)
			c.Names, c.Matches = append(c.Names, n), append(c.Matches, ctwatch.Match{Watch: d, Name: n, Domain: d})
		}
		if got := filter.Match(notifytest.FromOutbox(t, ctwatch.UnexpectedEvent(c, "no", notifytest.Time))[0]); got != tt.want {
			t.Errorf("%s: passes: %v", name, got)
		}
	}
}

// A peopleSender is a sender to people without a service.
type peopleSender struct{ *funcSender }

func (peopleSender) ForPeople() {}

func newPeopleSender() Sender {
	return peopleSender{&funcSender{name: "people", wants: WantedByPeople}}
}

// People get no routine events, unless their filter asks for severity debug.
func TestPeopleGetNoRoutineEvents(t *testing.T) {
	people := newPeopleSender()
	notifytest.CheckPeople(t, people, false)
	for _, f := range []Filter{{}, {MinSeverity: ctwatch.Info}, {Types: []string{"*"}}, {MinSeverity: ctwatch.Debug}} {
		s, err := Filtered(people, f)
		if err != nil {
			t.Fatal(err)
		}
		notifytest.CheckPeople(t, s, f.MinSeverity == ctwatch.Debug)
	}
}

// An unexpected certificate is one alarm. A filter that takes no alarms passes the
// event that it was issued instead.
func TestOneMessagePerUnexpectedCertificate(t *testing.T) {
	both := notifytest.NewStory("a.example.com").Alarmed()
	only, err := Filtered(newPeopleSender(), Filter{Types: []string{"certificate.issued"}})
	if err != nil {
		t.Fatal(err)
	}
	if !only.Wants(both[0]) || only.Wants(both[1]) {
		t.Error("a filter hides a certificate altogether")
	}
}
