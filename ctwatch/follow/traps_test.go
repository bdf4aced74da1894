package follow_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// Faults of real logs, as they were observed. While one lasts, the log gets a bounded
// number of requests; once it ends everything is read and verified, and every certificate
// is reported once.
func TestTraps(t *testing.T) {
	rfc, static := ctwatch.KindRFC6962, ctwatch.KindStatic
	both := []ctwatch.LogKind{rfc, static}
	for _, test := range []struct {
		name    string
		kinds   []ctwatch.LogKind
		options func(*ctlogtest.Options)
		fault   func(old ctwatch.Head) ctlogtest.Fault
		// harmless says that nothing is held up while the fault lasts.
		harmless bool
		// lie says that the log is to be reported.
		lie bool
	}{
		{
			name: "1 get-entries returns fewer than asked", kinds: both[:1], harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.ShortReplies(3) },
		}, {
			name: "2 no entries with status 200", kinds: both[:1],
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.EmptyReplies() },
		}, {
			name: "3 more entries than requested", kinds: both[:1],
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.TooManyEntries() },
		}, {
			name: "4 replies end at multiples of 256", kinds: both[:1], harmless: true,
			options: func(o *ctlogtest.Options) { o.Align, o.MaxReply = true, 64 },
		}, {
			name: "6 a tree head before its entries", kinds: both,
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.EntriesNotYet(old.Size) },
		}, {
			name: "7 a hybrid log serves tiles but no checkpoint", kinds: both[:1], harmless: true,
			options: func(o *ctlogtest.Options) { o.Hybrid = true },
		}, {
			name: "9 status 429 without Retry-After", kinds: both,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.Status(http.StatusTooManyRequests, 0) },
		}, {
			name: "9 status 503 on entries", kinds: both,
			fault: func(ctwatch.Head) ctlogtest.Fault {
				return ctlogtest.Status(http.StatusServiceUnavailable, 0).On(ctlogtest.Entries)
			},
		}, {
			name: "10 slow replies", kinds: both, harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.SlowBy(100 * time.Millisecond) },
		}, {
			name: "11 a partial tile is gone once the full one exists", kinds: both[1:], harmless: true,
			options: func(o *ctlogtest.Options) { o.DropPartials = true },
		}, {
			name: "13 signature lines of witnesses", kinds: both[1:], harmless: true,
			options: func(o *ctlogtest.Options) { o.Witnesses = true },
		}, {
			name: "14 another origin", kinds: both[1:], harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.WrongOrigin("elsewhere.example/log") },
		}, {
			name: "15 gzip without having said so", kinds: both[1:], harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.UnsaidGzip() },
		}, {
			name: "15 gzip is said and is not", kinds: both[1:], harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.NotGzip() },
		}, {
			name: "16 an entry with the index of another", kinds: both[1:],
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.WrongLeafIndex(old.Size + 2) },
		}, {
			name: "17 a missing tile", kinds: both[1:],
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.MissingTile(ctlogtest.DataTile, 1) },
		}, {
			name: "18 a missing issuer", kinds: both[1:], harmless: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.IssuerMissing() },
		}, {
			name: "19 an older tree head", kinds: both,
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.StaleHead(old).Times(8) },
		}, {
			name: "20 another root for the same size", kinds: both, lie: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.Fork(7, nil) },
		}, {
			name: "22 a signature by another key", kinds: both, lie: true,
			fault: func(ctwatch.Head) ctlogtest.Fault { return ctlogtest.BadSignature() },
		}, {
			name: "23 an entry that is not in the tree", kinds: both, lie: true,
			fault: func(old ctwatch.Head) ctlogtest.Fault { return ctlogtest.AlterEntry(old.Size+2, nil) },
		},
	} {
		for _, kind := range test.kinds {
			t.Run("trap "+test.name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o := ctlogtest.Options{Kind: kind}
					if test.options != nil {
						test.options(&o)
					}
					r := newRig(t, o)
					r.fill(300)
					r.follow(beginning)
					old := r.publish()
					r.verified(old.Size)

					remove := func() {}
					if test.fault != nil {
						remove = r.log.SetFault(test.fault(old))
					}
					before, heads := r.log.Requests(ctlogtest.All), r.log.Requests(ctlogtest.Heads)
					r.fill(5)
					id := r.precert("a." + watched)
					size := r.publish().Size
					switch {
					case test.harmless:
						r.verified(size)
					case test.lie:
						r.until("to be found out", func() bool { return len(r.of(ctwatch.LogMisbehaved)) > 0 })
					default:
						r.until("to have been tried", func() bool { return r.log.Requests(ctlogtest.Heads) >= heads+5 })
					}
					if s := r.status(); !test.harmless && s.Verified > old.Size {
						t.Errorf("verified %d of %d while the fault lasts", s.Verified, size)
					}
					asked, polls := r.log.Requests(ctlogtest.All)-before, r.log.Requests(ctlogtest.Heads)-heads
					if asked > 60+12*polls {
						t.Errorf("%d requests in %d polls: %v", asked, polls, paths(r.log))
					}
					remove()
					more := r.precert("b." + watched)
					size = r.publish().Size
					r.verified(size)
					if got := r.issued(); len(got) != 2 || got[id] != 1 || got[more] != 1 {
						t.Errorf("reported: %v", got)
					}
					if n := len(r.of(ctwatch.LogMisbehaved)); (n > 0) != test.lie {
						t.Errorf("reported %d times", n)
					}
					for c, err := range r.all() {
						if err != nil {
							t.Fatal(err)
						}
						if n := len(c.Sightings); !c.Sightings[n-1].Verified {
							t.Errorf("%v is not verified", c.Names)
						}
					}
				})
			})
		}
	}
}

func paths(l *ctlogtest.Log) string {
	var out []string
	for _, h := range l.Recent(ctlogtest.All) {
		out = append(out, h.Path)
	}
	return strings.Join(out[max(0, len(out)-40):], " ")
}

// Nothing past the tree head is requested, which some logs answer with status 400.
func TestTrap05NoRequestPastHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{})
		r.fill(300)
		r.publish()
		r.fill(300) // not published
		r.follow(beginning)
		r.verified(300)
		for _, h := range r.log.Recent(ctlogtest.Entries) {
			if strings.Contains(h.Path, "end=3") && !strings.Contains(h.Path, "end=299") {
				t.Errorf("requested %s, with a tree of 300", h.Path)
			}
		}
	})
}

// After several failures at once everything is read and verified.
func TestSeveralFailuresAtOnce(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(300)
		r.follow(beginning)
		old := r.publish()
		r.verified(old.Size)
		for _, f := range []ctlogtest.Fault{
			ctlogtest.Status(http.StatusTooManyRequests, 0).On(ctlogtest.Entries).Every(3),
			ctlogtest.Status(http.StatusBadGateway, 0).On(ctlogtest.Heads).Every(2),
			ctlogtest.TruncatedBody().On(ctlogtest.Entries).Every(4),
			ctlogtest.StaleHead(old).Every(3),
			ctlogtest.LatencyEvery(5, 30*time.Millisecond),
			ctlogtest.AlterEntry(310, nil).Times(3),
			ctlogtest.IssuerMissing(),
		} {
			r.log.SetFault(f)
		}
		want := make(map[ctwatch.Hash]bool)
		for _, name := range []string{"a", "b", "c"} {
			r.fill(200)
			want[r.precert(name+"."+watched)] = true
			r.publish()
		}
		before := r.log.Requests(ctlogtest.All)
		r.until("to have tried", func() bool { return r.log.Requests(ctlogtest.All) > before+30 })
		r.log.ClearFaults()
		r.verified(r.publish().Size)
		got := r.issued()
		for id := range want {
			if got[id] != 1 {
				t.Errorf("%v was reported %d times", id, got[id])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d certificates reported, want %d", len(got), len(want))
		}
		r.until("to be healthy", func() bool { return r.status().Healthy })
	})
}
