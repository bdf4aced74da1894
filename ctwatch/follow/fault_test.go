package follow_test

import (
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// Each lie is reported once, with evidence. It verifies nothing and loses no match, and
// when the log is honest again everything verifies.
func TestLyingLogIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		fault func(old ctwatch.Head) ctlogtest.Fault
		cause map[string]bool
		entry uint64 // that is to blame; 0 for none
		heads int    // in the evidence, at least
	}{
		"altered entry": {
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.AlterEntry(old.Size+70, nil) },
			cause: map[string]bool{ctwatch.CauseRootMismatch: true}, entry: 370, heads: 1,
		},
		"wrong root": {
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.WrongRoot() },
			cause: map[string]bool{ctwatch.CauseRootMismatch: true, ctwatch.CauseInconsistent: true, ctwatch.CauseFork: true}, heads: 1,
		},
		"bad signature": {
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.BadSignature() },
			cause: map[string]bool{ctwatch.CauseBadSignature: true}, heads: 1,
		},
		"rollback": {
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.Rollback(120) },
			cause: map[string]bool{ctwatch.CauseRollback: true}, heads: 2,
		},
		"fork at the same size": {
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.Fork(100, nil) },
			cause: map[string]bool{ctwatch.CauseFork: true, ctwatch.CauseRootMismatch: true, ctwatch.CauseInconsistent: true}, heads: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, o ctlogtest.Options) {
				r := newRig(t, o)
				r.fill(300)
				r.follow(beginning)
				old := r.publish()
				r.verified(old.Size)

				remove := r.log.SetFault(test.fault(old))
				if name != "fork at the same size" && name != "rollback" {
					r.fill(100)
					r.precert("a." + watched)
					r.publish()
				}
				r.until("to be found out", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
				e := r.of(ctwatch.LogMisbehaved)[0]
				ev := e.Data.Evidence
				if !test.cause[ev.Cause] || len(ev.Heads) < test.heads || e.Data.Severity != ctwatch.Critical {
					t.Errorf("cause %q with %d tree heads, %s", ev.Cause, len(ev.Heads), e.Data.Severity)
				}
				for _, h := range ev.Heads {
					if len(h.Raw) == 0 {
						t.Error("evidence without the tree head as it was served")
					}
				}
				if test.entry != 0 && (ev.Entry == nil || ev.Entry.Index != test.entry) {
					t.Errorf("bad entry: %+v, want %d", ev.Entry, test.entry)
				}
				if test.entry == 0 && ev.Entry != nil {
					t.Errorf("entry %d was blamed, but is good", ev.Entry.Index)
				}
				// More polls do not report it again.
				before := r.log.Requests(ctlogtest.Heads)
				r.until("more polls", func() bool { return r.log.Requests(ctlogtest.Heads) > before+3 })
				if s := r.status(); s.Verified != old.Size || s.Healthy {
					t.Errorf("verified %d, healthy %v; want %d and false", s.Verified, s.Healthy, old.Size)
				}
				reports := make(map[string]int)
				for _, e := range r.of(ctwatch.LogMisbehaved) {
					reports[e.Data.Evidence.Cause]++
				}
				for cause, n := range reports {
					if n > 1 {
						t.Errorf("%s was reported %d times", cause, n)
					}
				}

				remove()
				id := r.precert("b." + watched)
				size := r.publish().Size
				r.verified(size)
				if n := r.issued()[id]; n != 1 {
					t.Errorf("the certificate logged afterwards was reported %d times", n)
				}
				r.until("to be healthy", func() bool { return r.status().Healthy })
				for c, err := range r.all() {
					if err != nil {
						t.Fatal(err)
					}
					for _, s := range c.Sightings {
						if !s.Verified {
							t.Errorf("%v: not verified: %+v", c.Names, s)
						}
					}
				}
			})
		})
	}
}

// Entries that do not verify are read anyway, and matches among them are reported as
// unverified.
func TestMatchAfterBadEntryIsReported(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.log.SetFault(ctlogtest.AlterEntry(5, nil))
		r.fill(300)
		r.follow(beginning)
		r.publish()
		r.until("the lie to be found out", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })

		id := r.precert("a." + watched)
		r.publish()
		r.until("the match to be reported", func() bool { return r.issued()[id] == 1 })
		c, err := r.db.Certificates.Get(t.Context(), id.String())
		if err != nil {
			t.Fatal(err)
		}
		if c.Sightings[0].Verified {
			t.Error("it counts as verified")
		}
		r.log.ClearFaults()
		r.verified(301)
		c, err = r.db.Certificates.Get(t.Context(), id.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Sightings) != 1 || !c.Sightings[0].Verified {
			t.Errorf("after the truth was served: %+v", c.Sightings)
		}
	})
}

// If a log alters the entry of a watched certificate, and later serves it as it was
// signed, only the latter becomes verified.
func TestAlteredCertificateStaysUnverified(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(10)
		id := r.precert("a." + watched)
		r.log.SetFault(ctlogtest.AlterEntry(10, nil)) // another timestamp, so the same certificate
		r.follow(beginning)
		r.publish()
		r.until("the lie to be found out", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		r.log.ClearFaults()
		r.verified(11)
		c, err := r.db.Certificates.Get(t.Context(), id.String())
		if err != nil {
			t.Fatal(err)
		}
		verified := 0
		for _, s := range c.Sightings {
			if s.Verified {
				verified++
			}
		}
		if len(c.Sightings) != 2 || verified != 1 || r.issued()[id] != 1 {
			t.Errorf("sightings: %+v; issued %d times", c.Sightings, r.issued()[id])
		}
	})
}

// A stale cache that serves an old tree head is no misbehavior.
func TestStaleHeadIsNoMisbehavior(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(100)
		old := r.publish()
		r.fill(100)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.StaleHead(old).Every(2))
		before := r.log.Requests(ctlogtest.Heads)
		r.until("more polls", func() bool { return r.log.Requests(ctlogtest.Heads) > before+25 })
		id := r.precert("a." + watched)
		r.verified(r.publish().Size)
		if e := r.of(ctwatch.LogMisbehaved); len(e) != 0 || r.issued()[id] != 1 {
			t.Errorf("misbehaved: %+v, issued: %v", e, r.issued())
		}
	})
}

// A log that serves only tree heads smaller than one it signed, unlike a stale cache, has
// rolled back.
func TestOnlyOldHeadsAreRollback(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(100)
		old := r.publish()
		r.fill(100)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.StaleHead(old))
		r.until("to be found out", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
		if cause := r.of(ctwatch.LogMisbehaved)[0].Data.Evidence.Cause; cause != ctwatch.CauseRollback {
			t.Errorf("cause %q", cause)
		}
		if s := r.status(); s.Verified != 200 {
			t.Errorf("verified %d", s.Verified)
		}
	})
}
