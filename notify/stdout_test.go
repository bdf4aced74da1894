package notify

import (
	"testing"

	"ctwatch/ctwatch"
)

func TestStdoutLineOfATest(t *testing.T) {
	var out lockedBuffer
	mustSend(t, NewStdout(StdoutOptions{W: &out}), ctwatch.TestEvent("alice", testTime))
	if got, want := out.String(), "2026-11-20 10:00:00 info     notify.test: This is a test, which alice asked for: nothing has happened.\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestStdoutTakesHugeEvents(t *testing.T) {
	var out lockedBuffer
	for _, e := range fromOutbox(t, hugeEvents()...) {
		mustSend(t, NewStdout(StdoutOptions{W: &out}), e)
	}
	checkHuge(t, out.String())
}

// A person at the terminal reads digests, and not each event of one; programs get all.
func TestTerminalHasDigests(t *testing.T) {
	s := NewStdout(StdoutOptions{})
	if s.Wants(inDigest(newStory("c.example.com").alarmed()[1])) || !s.Wants(unproven("example.com")) {
		t.Error("a terminal is told of each forged entry, or not of the digest")
	}
	checkPrograms(t, NewStdout(StdoutOptions{JSON: true}))
}
