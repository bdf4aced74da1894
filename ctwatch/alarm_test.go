package ctwatch_test

import (
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// The first cheap alarms of a log go out individually, the others in a
// digest, and what is proven always by itself.
func TestNextAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		cheap bool
		alone int
		want  ctwatch.AlarmState
	}{
		"proven":              {false, 0, ctwatch.AlarmNone},
		"proven in a flood":   {false, 100, ctwatch.AlarmNone},
		"the first":           {true, 0, ctwatch.AlarmAlone},
		"the last by itself":  {true, ctwatch.MaxAlone - 1, ctwatch.AlarmAlone},
		"the first in digest": {true, ctwatch.MaxAlone, ctwatch.AlarmHeld},
	} {
		if got := ctwatch.NextAlarm(c.cheap, c.alone); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What people had only in a digest, or not yet, gets an alarm of its
// own once it is proven; nothing else does.
func TestRaiseProven(t *testing.T) {
	for name, c := range map[string]struct {
		state   ctwatch.AlarmState
		verdict ctwatch.Verdict
		past    ctwatch.Past
		want    bool
	}{
		"waits for a digest":  {ctwatch.AlarmHeld, ctwatch.Unexpected, ctwatch.Past{}, true},
		"sent in a digest":    {ctwatch.AlarmDigest, ctwatch.Unexpected, ctwatch.Past{}, true},
		"sent by itself":      {ctwatch.AlarmAlone, ctwatch.Unexpected, ctwatch.Past{}, false},
		"decided by a person": {ctwatch.AlarmHeld, ctwatch.Unexpected, ctwatch.Past{ByPerson: true}, false},
		"expected meanwhile":  {ctwatch.AlarmDigest, ctwatch.Expected, ctwatch.Past{}, false},
	} {
		if got := ctwatch.RaiseProven(c.state, c.verdict, c.past); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// An alarm that goes away without the other issuers rests on them.
func TestOnlyConflict(t *testing.T) {
	judge := func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		if len(k.OtherIssuers) > 0 || c.Serial == "bad" {
			return ctwatch.Judgment{Verdict: ctwatch.Unexpected}
		}
		return ctwatch.Judgment{Verdict: ctwatch.Expected}
	}
	two := ctwatch.Standing{OtherIssuers: []pins.Pin{{1}}}
	for name, c := range map[string]struct {
		c    ctwatch.Certificate
		k    ctwatch.Standing
		want bool
	}{
		"only that":      {ctwatch.Certificate{Verdict: ctwatch.Unexpected}, two, true},
		"also otherwise": {ctwatch.Certificate{Verdict: ctwatch.Unexpected, Serial: "bad"}, two, false},
		"one issuer":     {ctwatch.Certificate{Verdict: ctwatch.Unexpected}, ctwatch.Standing{}, false},
		"not an alarm":   {ctwatch.Certificate{Verdict: ctwatch.Expected}, two, false},
	} {
		if got := ctwatch.OnlyConflict(&c.c, c.k, judge); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
