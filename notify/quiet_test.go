package notify

import (
	"testing"

	"ctwatch/ctwatch"
)

// A peopleSender is a sender to people without a service.
type peopleSender struct{ *funcSender }

func (peopleSender) forPeople() {}

func newPeopleSender() Sender { return peopleSender{&funcSender{name: "people", wants: isNews}} }

// People get no routine events, unless their filter asks for severity debug.
func TestPeopleGetNoRoutineEvents(t *testing.T) {
	people := newPeopleSender()
	checkPeople(t, people, false)
	for _, f := range []Filter{{}, {MinSeverity: ctwatch.Info}, {Types: []string{"*"}}, {MinSeverity: ctwatch.Debug}} {
		s, err := Filtered(people, f)
		if err != nil {
			t.Fatal(err)
		}
		checkPeople(t, s, f.MinSeverity == ctwatch.Debug)
	}
}

// An unexpected certificate is one alarm. A filter that takes no alarms passes the
// event that it was issued instead.
func TestOneMessagePerUnexpectedCertificate(t *testing.T) {
	both := newStory("a.example.com").alarmed()
	only, err := Filtered(newPeopleSender(), Filter{Types: []string{"certificate.issued"}})
	if err != nil {
		t.Fatal(err)
	}
	if !only.Wants(both[0]) || only.Wants(both[1]) {
		t.Error("a filter hides a certificate altogether")
	}
}
