package main

import (
	"fmt"
	"slices"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// TestMisbehavior: whatever a log does against its promises is reported with the
// evidence, and not verified; when it behaves again, the truth is reached. A dozen
// logs misbehave at once, each in a way of its own, one of each kind.
func TestMisbehavior(t *testing.T) {
	t.Parallel()
	const before, altered = 401, 450 // entries when all was well; the entry to be altered
	cases := []struct {
		name   string
		fault  func() ctlogtest.Fault
		grows  bool     // whether the log goes on growing
		causes []string // one of which is reported first
		entry  bool     // whether an entry can be blamed
	}{
		{"altered entry", func() ctlogtest.Fault { return ctlogtest.AlterEntry(altered, nil) }, true, []string{ctwatch.CauseRootMismatch}, true},
		// It may be asked before it has grown, and contradict its head of that size.
		{"wrong root", ctlogtest.WrongRoot, true, []string{ctwatch.CauseRootMismatch, ctwatch.CauseInconsistent, ctwatch.CauseFork}, false},
		{"bad signature", ctlogtest.BadSignature, true, []string{ctwatch.CauseBadSignature}, false},
		{"rollback", func() ctlogtest.Fault { return ctlogtest.Rollback(300) }, false, []string{ctwatch.CauseRollback}, false},
		{"fork", func() ctlogtest.Fault { return ctlogtest.Fork(100, nil) }, false, []string{ctwatch.CauseFork}, false},
		{"fork that grows", func() ctlogtest.Fault { return ctlogtest.Fork(100, nil) }, true, []string{ctwatch.CauseInconsistent, ctwatch.CauseRootMismatch, ctwatch.CauseFork}, false},
	}
	s := newStage(t)
	s.logs = nil
	for _, tt := range cases {
		for _, kind := range []ctwatch.LogKind{ctwatch.KindStatic, ctwatch.KindRFC6962} {
			s.logs = append(s.logs, s.serve(ctlogtest.Options{Name: tt.name + ", " + string(kind), Kind: kind}))
		}
	}
	s.fill(before - 1)
	first := s.watched("first.example.com")
	for _, l := range s.logs {
		s.addPrecert(l, first)
	}
	s.publish()
	d := s.start(s.config(""))
	s.untilVerified()
	events := s.subscribe(d.natsURL)

	for n, l := range s.logs {
		tt := cases[n/2]
		l.SetFault(tt.fault())
		if tt.grows {
			s.check(l.Fill(100))
			s.addPrecert(l, s.watched(fmt.Sprintf("second%d.example.com", n)))
		}
	}
	s.publish()

	reported := make(map[string]message) // the first of each log
	for len(reported) < len(s.logs) {
		m := s.next(events, ctwatch.LogMisbehaved)
		if _, ok := reported[m.Subject]; !ok {
			reported[m.Subject] = m
		}
	}
	for n, l := range s.logs {
		tt, m := cases[n/2], reported[l.Info().ID.Hex()]
		e := m.Data.Evidence
		if e == nil || m.Data.Severity != ctwatch.Critical || !slices.Contains(tt.causes, e.Cause) {
			t.Errorf("%s: reported with severity %s: %q %+v", l.Info().Name, m.Data.Severity, m.Data.Summary, e)
			continue
		}
		if len(e.Heads) == 0 || slices.ContainsFunc(e.Heads, func(h ctwatch.EvidenceHead) bool { return len(h.Raw) == 0 }) {
			t.Errorf("%s: the evidence has no tree heads as they were served: %+v", l.Info().Name, e)
		}
		if tt.entry && (e.Entry == nil || e.Entry.Index != altered) {
			t.Errorf("%s: the evidence does not name the altered entry: %+v", l.Info().Name, e.Entry)
		}
	}

	// Asked again they are not believed either.
	asked := make([]int, len(s.logs))
	for n, l := range s.logs {
		asked[n] = l.Requests(ctlogtest.Heads)
	}
	for n, l := range s.logs {
		s.eventually("the log is asked again", func() bool { return l.Requests(ctlogtest.Heads) > asked[n] })
		if st := s.status(l); st.Verified != before || st.Healthy || st.LastError == "" {
			t.Errorf("%s: verified up to %d of %d while it misbehaves; healthy: %v, error %q", st.Name, st.Verified, before, st.Healthy, st.LastError)
		}
	}

	for _, l := range s.logs {
		l.ClearFaults()
	}
	s.publish()
	s.untilVerified()
	for _, l := range s.logs {
		s.eventually("the log counts as healthy", func() bool { return s.status(l).Healthy })
	}
	s.untilDelivered()
	s.expectTruth()
	s.expectEvents(s.stream(d.natsURL), len(s.issued))
	d.stop()
}
