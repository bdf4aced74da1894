package planner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	api = "api.example.com"
	day = 24 * time.Hour
)

func pin(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

// A lab is a planner over a real store, with a clock that stands still until it is
// moved.
type lab struct {
	t       *testing.T
	now     time.Time
	db      *store.DB
	planner *Planner
	apps    []pins.App
	appsErr error
	looks   [][]pins.Pattern
	log     ctwatch.Log
	entries uint64
}

func newLab(t *testing.T, app pins.App) *lab {
	t.Helper()
	l := &lab{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), apps: []pins.App{app}}
	var err error
	l.db, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return l.now },
	})
	l.check(err)
	t.Cleanup(func() { l.check(l.db.Close()) })
	l.check(l.db.Outbox.Register(t.Context(), "test"))
	key := []byte("key of a log")
	l.log = ctwatch.Log{ID: ctwatch.LogIDOf(key), Name: "Lab", Kind: ctwatch.KindStatic, State: ctwatch.LogUsable, Key: key, URL: "https://log.example/"}
	_, err = l.db.Logs.Follow(t.Context(), l.log)
	l.check(err)
	l.check(l.db.Logs.Start(t.Context(), l.log.ID, ctwatch.Tree{}, ctwatch.Head{Timestamp: l.now, Raw: []byte("signed")}, ""))
	l.planner = &Planner{
		Store: l.db.Plans, Logger: slog.New(slog.DiscardHandler),
		Apps:    func(context.Context) ([]pins.App, error) { return l.apps, l.appsErr },
		Subject: func(host pins.Pattern) string { return "example.com" },
		Look:    func(names []pins.Pattern) { l.looks = append(l.looks, names) },
	}
	return l
}

func (l *lab) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// plan plans once, and returns the plan for the only host.
func (l *lab) plan() pins.HostPlan {
	l.t.Helper()
	l.check(l.planner.plan(l.t.Context()))
	revision, err := l.db.Plans.Revision(l.t.Context())
	l.check(err)
	l.check(l.planner.look(l.t.Context(), revision))
	return l.planner.Latest().Plans[0]
}

// certificate makes one up for api.
func (l *lab) certificate(leaf string, from time.Time, life time.Duration) ctwatch.Certificate {
	c := ctwatch.Certificate{
		ID: sha256.Sum256(fmt.Append(nil, leaf, from, life)), Serial: "1", Names: []string{api},
		NotBefore: from, NotAfter: from.Add(life), Issuer: ctwatch.Issuer{Name: "CN=CA", Pin: pin("CA")},
		Key:     ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pin(leaf)},
		Matches: []ctwatch.Match{{Watch: "example.com", Name: api, Domain: "example.com"}},
		Verdict: ctwatch.Unreviewed, FirstSeen: l.now,
	}
	c.SetPins()
	return c
}

// serves has api serve a certificate from now on.
func (l *lab) serves(c ctwatch.Certificate) {
	l.t.Helper()
	l.check(l.db.Endpoints.Observe(l.t.Context(), pins.Look{
		Endpoint: pins.Endpoint{Host: api}, At: l.now, Addresses: []pins.Address{{Addr: "192.0.2.1:443", Served: []pins.Served{{
			Chain: pins.Chain{Pins: []pins.Pin{c.Key.Pin, pin("CA"), pin("root")}}, Certificates: [][]byte{c.ID[:]}, CommonName: api,
			Problem: "an unknown root",
		}}}},
	}, func([]byte) ctwatch.Certificate { return c }))
}

// logged has a log show a certificate.
func (l *lab) logged(c ctwatch.Certificate) {
	l.t.Helper()
	c.Sightings = []ctwatch.Sighting{{Log: l.log.Name, LogID: l.log.ID, Index: l.entries, Timestamp: l.now, Kind: ctwatch.FinalCertificate}}
	l.entries++
	l.check(l.db.Logs.Record(l.t.Context(), ctwatch.Batch{Log: l.log.ID, End: l.entries, Found: []ctwatch.Found{{
		Certificate: c, LeafHash: sha256.Sum256(fmt.Append(nil, l.entries)), TBS: []byte(c.ID.String()), DER: c.ID[:],
	}}}, l.entries))
}

func (l *lab) approves(leaf string) {
	l.t.Helper()
	_, err := l.db.Keys.Approve(l.t.Context(), pins.Approval{
		Pin: pin(leaf), Role: pins.RoleLeaf, Hosts: []pins.Pattern{{Name: api}}, Declare: true, Actor: pins.Person, By: "alice", Reason: "ours",
	})
	l.check(err)
}

// reported takes the events of a type since the last call.
func (l *lab) reported(kind ctwatch.EventType) (out []ctwatch.Event) {
	l.t.Helper()
	for {
		list, err := l.db.Outbox.Pending(l.t.Context(), "test", 100)
		l.check(err)
		if len(list) == 0 {
			return out
		}
		for _, q := range list {
			l.check(l.db.Outbox.SetDelivered(l.t.Context(), "test", q.Seq))
			if q.Event.Type == kind {
				out = append(out, q.Event)
			}
		}
	}
}

// rules are what a version ships for api.
type rules []pins.Requirement

func (r rules) Requirements(host string, _ time.Time) []pins.Requirement {
	if host == api {
		return r
	}
	return nil
}
func (r rules) Ends(string) time.Time    { return time.Time{} }
func (r rules) Patterns() []pins.Pattern { return []pins.Pattern{{Name: api}} }

// shop is an app whose only version ships some keys.
func shop(keys ...string) pins.App {
	var r pins.Requirement
	for _, k := range keys {
		r.Pins = append(r.Pins, pin(k))
	}
	return pins.App{
		Name: "shop", Hosts: []pins.Pattern{{Name: api}}, Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * day,
		Versions: []pins.Version{{Name: "1.0", Rules: rules{r}}},
	}
}

// An event reports once that a certificate expires, when its own life has come to the time of
// renewal and the plan says the same; and again of the next one that is not renewed.
func TestExpiringEventWhenRenewalIsDue(t *testing.T) {
	for life, from := range map[int]int{6: 5, 45: 32, 90: 77, 398: 385} { // the first day on which it is due
		t.Run(fmt.Sprint(life, " days"), func(t *testing.T) {
			l := newLab(t, shop("L", "B"))
			l.approves("L")
			l.approves("B")
			for range 2 {
				begin := l.now
				l.serves(l.certificate("L", begin, time.Duration(life)*day))
				reported := 0
				for _, age := range []int{0, 1, life / 2, from - 1, from, from + 1, life - 1} {
					l.now = begin.Add(time.Duration(age) * day)
					p, due := l.plan(), age >= from
					if want := map[bool]pins.Status{true: pins.StatusExpiring, false: pins.StatusOK}[due]; p.Status != want {
						t.Fatalf("day %d: %s, want %s: %v", age, p.Status, want, p.Findings)
					}
					events := l.reported(ctwatch.CertificateExpiring)
					reported += len(events)
					if due != (reported == 1) {
						t.Fatalf("day %d: reported %d times", age, reported)
					}
				}
				l.now = begin.Add(time.Duration(life) * day)
			}
		})
	}
}

// What an app refuses is reported once while it holds, and again when it begins again.
func TestPinMissingOncePerEpisode(t *testing.T) {
	l := newLab(t, shop("L", "B"))
	l.approves("L")
	l.approves("B")
	ours, foreign := l.certificate("L", l.now, 90*day), l.certificate("X", l.now, 90*day)
	var reported []int
	for _, c := range []ctwatch.Certificate{ours, foreign, foreign, ours, foreign} {
		l.now = l.now.Add(time.Hour)
		l.serves(c)
		p := l.plan()
		if (p.Status == pins.StatusBroken) != (c.ID == foreign.ID) {
			t.Errorf("%s: %v", p.Status, p.Findings)
		}
		if c.ID == foreign.ID && (len(p.Remove) > 0 || p.Withheld != pins.NotApproved) {
			t.Errorf("remove %v, withheld %q", p.Remove, p.Withheld)
		}
		reported = append(reported, len(l.reported(ctwatch.PinMissing)))
	}
	if want := []int{0, 1, 0, 0, 1}; !slices.Equal(reported, want) {
		t.Errorf("reported %v times, want %v", reported, want)
	}
}

// A key to add is reported with the time by which to release it, unless that means nothing:
// a certificate that never outlives the lead time sets no deadline.
func TestCandidateDeadline(t *testing.T) {
	for life, want := range map[int]string{6: "", 90: "Release by 2027-02-04"} {
		l := newLab(t, shop("L", "B"))
		l.approves("L")
		l.approves("B")
		l.serves(l.certificate("L", l.now, time.Duration(life)*day))
		l.plan()
		l.approves("N")
		l.plan()
		events := l.reported(ctwatch.PinCandidate)
		if len(events) != 1 || events[0].Data.Key.Pin != pin("N") {
			t.Fatalf("%d days: %+v", life, events)
		}
		if says := events[0].Data.Summary; !strings.Contains(says, want) || want == "" && strings.Contains(says, "Release") {
			t.Errorf("%d days: %s", life, says)
		}
	}
}

// Apps that cannot be read leave the plans before in force, and end nothing.
func TestUnreadableAppsLeaveThePlans(t *testing.T) {
	l := newLab(t, shop("L", "B"))
	l.plan()
	before := l.planner.Latest()
	l.appsErr = errors.New("a file is gone")
	l.check(l.planner.plan(t.Context()))
	if l.planner.Latest() != before {
		t.Error("there are other plans")
	}
}

// Servers are looked at when the planner begins, and for the names of each certificate
// that is new.
func TestProbesForNewCertificates(t *testing.T) {
	l := newLab(t, shop("L", "B"))
	l.logged(l.certificate("L", l.now, 90*day))
	l.plan()
	l.plan()
	l.logged(l.certificate("B", l.now, 90*day))
	l.plan()
	l.plan()
	if len(l.looks) != 2 || l.looks[0] != nil || !slices.Equal(l.looks[1], []pins.Pattern{{Name: api}}) {
		t.Errorf("looked at %v", l.looks)
	}
}

// Run plans until it is asked to end, and again when the apps have changed.
func TestRunPlansAgainWhenAsked(t *testing.T) {
	l := newLab(t, shop("L", "B"))
	results := make(chan *Result)
	l.planner.Poll = time.Millisecond
	l.planner.Changed = func(r *Result) { results <- r }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.planner.Run(ctx) }()
	<-results
	l.planner.Replan()
	<-results
	cancel()
	for {
		select {
		case <-results:
			continue
		case err := <-done:
			l.check(err)
		}
		return
	}
}
