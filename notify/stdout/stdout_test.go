package stdout

import (
	"errors"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/notify/notifytest"
)

func TestLineOfTestEvent(t *testing.T) {
	var out notifytest.Buffer
	notifytest.MustSend(t, New(Options{W: &out}), ctwatch.TestEvent("alice", notifytest.Time))
	if got, want := out.String(), "2026-11-20 10:00:00 info     notify.test: This is a test requested by alice: nothing has happened.\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestHugeEvents(t *testing.T) {
	var out notifytest.Buffer
	for _, e := range notifytest.FromOutbox(t, notifytest.HugeEvents()...) {
		notifytest.MustSend(t, New(Options{W: &out}), e)
	}
	notifytest.CheckHuge(t, out.String())
}

// A person at the terminal reads digests, and not each event of one; programs get all.
func TestTerminalHasDigests(t *testing.T) {
	s := New(Options{})
	if s.Wants(notifytest.InDigest(notifytest.NewStory("c.example.com").Alarmed()[1])) || !s.Wants(notifytest.Unproven("example.com")) {
		t.Error("a terminal gets each forged entry, or not the digest")
	}
	notifytest.CheckPrograms(t, New(Options{JSON: true}))
}

func TestLines(t *testing.T) {
	send := func(o Options, e ctwatch.Event) string {
		var b notifytest.Buffer
		o.W = &b
		notifytest.MustSend(t, New(o), e)
		return b.String()
	}
	hostile := notifytest.Issued("api.example.com", "evil\x1b[2J.example.com", "b", "c", "d", "e", "f\u202e")

	human := send(Options{}, hostile)
	if strings.Count(human, "\n") != 1 || !strings.HasSuffix(human, "\n") || strings.ContainsAny(human, "\x1b\u202e") {
		t.Errorf("not one line of harmless text: %q", human)
	}
	for _, want := range []string{
		"2026-11-20 10:00:00", "info", "certificate.issued", "A certificate for api.example.com was issued",
		"names api.example.com, evil\uFFFD[2J.example.com, b, c, d, and 2 more", "leaf sha256/", "issuer sha256/", hostile.Data.Certificate.ID.String(),
	} {
		if !strings.Contains(human, want) {
			t.Errorf("%q is not in %q", want, human)
		}
	}
	if got := send(Options{Color: true}, notifytest.Misbehaved()); !strings.Contains(got, "\x1b[1;31mcritical") {
		t.Errorf("critical is not red: %q", got)
	}
	line := send(Options{JSON: true, Color: true}, hostile)
	var back ctwatch.Event
	if err := back.UnmarshalJSON([]byte(line)); err != nil || strings.Count(line, "\n") != 1 {
		t.Errorf("%q: %v", line, err)
	} else if back.ID != hostile.ID {
		t.Errorf("came back as %s", back.ID)
	}

	s := New(Options{})
	if s.Wants(ctwatch.Event{Data: ctwatch.EventData{Severity: ctwatch.Debug}}) || !s.Wants(hostile) {
		t.Error("it wants debug, or does not want info")
	}
	if retry, err := New(Options{W: brokenWriter{}}).Send(t.Context(), hostile); err == nil || !retry {
		t.Errorf("a broken pipe: retry %v, %v", retry, err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
