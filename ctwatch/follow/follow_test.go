package follow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
	"ctwatch/pins"
)

// A growing log is read to its end and verified, and every match is reported once.
func TestFollowGrowingLog(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(700)
		first := r.precert("a." + watched)
		size := r.publish().Size
		r.follow(beginning)
		r.verified(size)

		r.fill(300)
		second := r.precert("b." + watched)
		size = r.publish().Size
		r.verified(size)

		if got := r.issued(); len(got) != 2 || got[first] != 1 || got[second] != 1 {
			t.Errorf("issued: %v", got)
		}
		s := r.status()
		if !s.Healthy || s.TreeSize != size || s.LagEntries != 0 || s.LastError != "" || s.LastVerifiedAt == nil {
			t.Errorf("status: %+v", s)
		}
		c, err := r.db.Certificates.Get(t.Context(), first.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Sightings) != 1 || !c.Sightings[0].Verified || c.Sightings[0].Index != 700 {
			t.Errorf("sightings: %+v", c.Sightings)
		}
	})
}

// After a restart reading continues where it stopped, wherever a start is configured.
func TestResume(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(600)
		r.precert("a." + watched)
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.stop()

		// What is logged while no follower runs is found afterwards, once.
		missed := r.precert("b." + watched)
		size := r.publish().Size
		if err := r.db.Close(); err != nil {
			t.Fatal(err)
		}
		r.open()
		before := r.log.Requests(ctlogtest.Entries)
		r.follow(ctwatch.Start{}) // says nothing about a log that was begun
		r.verified(size)
		if got := r.issued(); len(got) != 2 || got[missed] != 1 {
			t.Errorf("issued: %v", got)
		}
		if n := r.log.Requests(ctlogtest.Entries) - before; n > 2 {
			t.Errorf("%d requests for the one entry that was missing", n)
		}
	})
}

// Reading begins where Start and Limit say, and a gap is reported only if Limit skips
// entries.
func TestStart(t *testing.T) {
	for name, test := range map[string]struct {
		start ctwatch.Start
		limit uint64
		at    uint64 // first entry read
		gap   bool
	}{
		"beginning":         {beginning, 0, 0, false},
		"now":               {ctwatch.Start{}, 0, 600, false},
		"an hour back":      {ctwatch.Start{Back: time.Hour}, 0, 300, false},
		"ten days back":     {ctwatch.Start{Back: 240 * time.Hour}, 0, 0, false},
		"short enough":      {beginning, 600, 0, false},
		"too long to begin": {beginning, 599, 600, true},
	} {
		t.Run(name, func(t *testing.T) {
			kinds(t, func(t *testing.T, o ctlogtest.Options) {
				// 300 entries of two days ago, and 300 of half an hour ago.
				at := time.Now().Add(-48 * time.Hour)
				o.Now = func() time.Time { return at }
				r := newRig(t, o)
				r.fill(299)
				old := r.precert("old." + watched)
				at = time.Now().Add(-30 * time.Minute)
				r.fill(299)
				recent := r.precert("recent." + watched)
				at = time.Now()
				head := r.publish()

				r.limit = test.limit
				r.follow(test.start)
				r.verified(head.Size)
				got := r.issued()
				if found := got[old] == 1; found != (test.at <= 299) {
					t.Errorf("the old one was found: %v", found)
				}
				if found := got[recent] == 1; found != (test.at <= 599) {
					t.Errorf("the recent one was found: %v", found)
				}
				gaps := r.of(ctwatch.WatchGap)
				if (len(gaps) == 1) != test.gap {
					t.Fatalf("%d gaps were reported", len(gaps))
				}
				if test.gap && (*gaps[0].Data.Start != 0 || *gaps[0].Data.End != 600) {
					t.Errorf("gap: %+v", gaps[0].Data)
				}
				// From wherever it began, the tree goes on to verify.
				r.precert("new." + watched)
				r.verified(r.publish().Size)
			})
		})
	}
}

// Whatever failure keeps a log from being read, it is read in full once the failure ends.
func TestReadsAllAfterFailures(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for _, f := range []ctlogtest.Fault{
		ctlogtest.Status(503, 0), ctlogtest.Status(429, 0).On(ctlogtest.Entries), ctlogtest.Status(404, 0).On(ctlogtest.Proofs),
		ctlogtest.GarbageBody(), ctlogtest.TruncatedBody(), ctlogtest.HalfBody().On(ctlogtest.Entries),
		ctlogtest.EmptyReplies(), ctlogtest.TooManyEntries(), ctlogtest.EntriesNotYet(400), ctlogtest.Redirect("http://localhost:1/"),
		ctlogtest.Status(500, 0).On(ctlogtest.Entries).Every(2),
	} {
		t.Run(f.Name, func(t *testing.T) {
			kinds(t, func(t *testing.T, o ctlogtest.Options) {
				r := newRig(t, o)
				r.fill(300)
				r.follow(beginning)
				r.verified(r.publish().Size)

				remove := r.log.SetFault(f)
				r.fill(300)
				id := r.precert("a." + watched)
				size := r.publish().Size
				before := r.log.Requests(ctlogtest.All)
				r.until("to have tried", func() bool { return r.log.Requests(ctlogtest.All) > before+4 })
				remove()
				r.verified(size)
				if got := r.issued(); len(got) != 1 || got[id] != 1 {
					t.Errorf("issued: %v", got)
				}
				if e := r.of(ctwatch.LogMisbehaved); len(e) > 0 {
					t.Errorf("trouble is no misbehavior: %s", e[0].Data.Summary)
				}
				r.until("to be healthy", func() bool { return r.status().Healthy })
			})
		})
	}
}

// Replies with fewer entries than requested do not end the reading.
func TestShortReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{MaxReply: 100, Align: true})
		r.log.SetFault(ctlogtest.ShortReplies(7).Every(3))
		r.fill(1000)
		id := r.precert("a." + watched)
		r.follow(beginning)
		r.verified(r.publish().Size)
		if got := r.issued(); got[id] != 1 {
			t.Errorf("issued: %v", got)
		}
	})
}

// A static log names issuers by fingerprint only. If it does not serve one, the alert is
// sent without it.
func TestMissingIssuerDelaysNoAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		r.log.SetFault(ctlogtest.IssuerMissing())
		i, err := r.ca.Issue(ctlogtest.Request{Names: []string{watched}})
		if err != nil {
			t.Fatal(err)
		}
		final, err := i.Final()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.log.AddFinal(i, final); err != nil {
			t.Fatal(err)
		}
		r.follow(beginning)
		r.verified(r.publish().Size)
		e := r.of(ctwatch.CertificateIssued)
		if len(e) != 1 {
			t.Fatalf("%d events", len(e))
		}
		if c := e[0].Data.Certificate; !c.Issuer.Pin.IsZero() || len(c.Problems) == 0 || c.Key.Pin != i.LeafPin {
			t.Errorf("issuer pin %v, problems %q, key pin %v", c.Issuer.Pin, c.Problems, c.Key.Pin)
		}
		// Once the log serves it, the issuer is filled in.
		r.log.ClearFaults()
		r.until("the issuer to be filled in", func() bool {
			c, err := r.db.Certificates.Get(t.Context(), i.ID.String())
			if err != nil {
				t.Fatal(err)
			}
			return c.Issuer.Pin == i.IssuerPin && len(c.Problems) == 0 && len(c.Pins) == 2
		})
		keys, err := r.db.Keys.List(t.Context(), pins.PinRole{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) != 2 || keys[1].Pin != i.IssuerPin || len(r.issued()) != 1 {
			t.Errorf("keys: %+v", keys)
		}
	})
}

// A Group follows the logs of the newest set, and reports those that it no longer follows.
func TestGroupFollowsChangingList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, ctlogtest.Options{Name: "a"})
		b := newRig(t, ctlogtest.Options{Name: "b"})
		rigs := map[ctwatch.LogID]*rig{a.log.Info().ID: a, b.log.Info().ID: b}
		for _, r := range rigs {
			r.fill(10)
			r.publish()
		}
		g := &follow.Group{Logger: logger(t), New: func(l ctwatch.Log) (*follow.Follower, error) {
			r := rigs[l.ID]
			return follow.New(follow.Options{
				Start:  beginning,
				Reader: r.reader(l), Recorder: r.db.Logs, Logger: logger(t), Now: time.Now, Poll: 10 * time.Millisecond,
			}), nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		sets := make(chan []ctwatch.Log)
		done := make(chan error)
		go func() { done <- g.Run(ctx, sets) }()

		sets <- []ctwatch.Log{a.log.Info()}
		a.verified(10)
		sets <- []ctwatch.Log{a.log.Info(), b.log.Info()}
		b.verified(10)
		// A log that leaves the list is asked nothing any more; one whose facts change
		// is followed with the new ones.
		changed := b.log.Info()
		changed.Name = "b, renamed"
		sets <- []ctwatch.Log{changed}
		sets <- []ctwatch.Log{changed} // taken only when the last was carried out
		before := a.asked.Load()
		b.until("to have the new name", func() bool { return b.status().Name == "b, renamed" })
		b.fill(5)
		b.verified(b.publish().Size)
		if n := a.asked.Load() - before; n != 0 {
			t.Errorf("%d requests to the log that left", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
