package planner

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A memory is a Store of facts that a test changes.
type memory struct {
	mu       sync.Mutex
	revision int64
	facts    pins.Facts
	settles  int    // how many keys the next SettleKeys moves
	fails    string // the method that fails

	quiet   int64 // the revision when facts were read, or more changed that concerns nothing
	read    int   // how often facts were read
	shipped map[pins.Pin][]pins.AppVersion
	holding []ctwatch.Condition
}

var errDisk = errors.New("disk full")

func (m *memory) err(method string) error {
	if m.fails == method {
		return errDisk
	}
	return nil
}

// pass changes what concerns no app.
func (m *memory) pass(f func(*pins.Facts)) {
	m.change(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quiet = m.revision
}

// change changes the facts.
func (m *memory) change(f func(*pins.Facts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	if f != nil {
		f(&m.facts)
	}
}

func (m *memory) Revision(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision, m.err("Revision")
}

func (m *memory) Facts(context.Context, pins.Scope) (pins.Facts, *pins.Interest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read++
	return m.facts, &pins.Interest{Revision: m.revision}, m.err("Facts")
}

func (m *memory) Watch(in *pins.Interest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quiet = in.Revision
}

func (m *memory) Concerns(revision int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read == 0 || revision > m.quiet
}

func (m *memory) NewNames(_ context.Context, after int64) (names []pins.Pattern, last int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last = int64(len(m.facts.Issued))
	for _, c := range m.facts.Issued[min(last, max(0, after)):] {
		names = append(names, c.Names...)
	}
	if after < 0 {
		names = nil
	}
	return names, last, m.err("NewNames")
}

func (m *memory) Key(context.Context, pins.Pin, pins.Role) (pins.Key, error) {
	return pins.Key{}, ctwatch.ErrNotFound
}

func (m *memory) SettleKeys(_ context.Context, shipped map[pins.Pin][]pins.AppVersion) (changed int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed, m.settles, m.shipped = m.settles, 0, shipped
	return changed, m.err("SettleKeys")
}

func (m *memory) Certificate(_ context.Context, id string) (c ctwatch.Certificate, err error) {
	return c, errors.New("no log has " + id)
}

func (m *memory) SyncConditions(_ context.Context, holding []ctwatch.Condition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = holding
	return m.err("SyncConditions")
}

// A run is a planner over a memory, in a bubble of synctest.
type run struct {
	*Planner
	store *memory
	log   bytes.Buffer
	start time.Time

	appsErr error
	plans   []string // when plans were made, after the start
	looks   [][]pins.Pattern
}

func newRun(app pins.App) *run {
	r := &run{store: &memory{facts: pins.Facts{Now: time.Now()}}, start: time.Now()}
	r.Planner = &Planner{
		Store: r.store, Logger: slog.New(slog.NewTextHandler(&r.log, nil)),
		Apps:    func(context.Context) ([]pins.App, error) { return []pins.App{app}, r.appsErr },
		Subject: func(host pins.Pattern) string { return "subject of " + host.String() },
		Look:    func(names []pins.Pattern) { r.looks = append(r.looks, names) },
		Changed: func(*Result) { r.plans = append(r.plans, fmt.Sprint(time.Since(r.start))) },
	}
	return r
}

// Run plans at once, half a second after a change at the latest, and once a minute
// without one.
func TestRunPlansWhenSomethingChanged(t *testing.T) {
	type step struct {
		at time.Duration
		do func(*run)
	}
	change, again := func(r *run) { r.store.change(nil) }, func(r *run) { r.Replan() }
	for name, tt := range map[string]struct {
		poll  time.Duration
		steps []step
		end   time.Duration
		want  []string
	}{
		"nothing":        {0, nil, 130 * time.Second, []string{"0s", "1m0s", "2m0s"}},
		"a change":       {0, []step{{1200 * time.Millisecond, change}}, 70 * time.Second, []string{"0s", "1.5s", "1m1.5s"}},
		"other apps":     {0, []step{{1200 * time.Millisecond, again}}, 70 * time.Second, []string{"0s", "1.5s", "1m1.5s"}},
		"several":        {0, []step{{1100 * time.Millisecond, change}, {1200 * time.Millisecond, change}, {1300 * time.Millisecond, again}}, 3 * time.Second, []string{"0s", "1.5s"}},
		"individually":   {0, []step{{1100 * time.Millisecond, change}, {1600 * time.Millisecond, again}, {2100 * time.Millisecond, change}}, 3 * time.Second, []string{"0s", "1.5s", "2s", "2.5s"}},
		"a long poll":    {10 * time.Second, []step{{11 * time.Second, change}}, 40 * time.Second, []string{"0s", "20s"}},
		"a slow minute":  {40 * time.Second, nil, 170 * time.Second, []string{"0s", "1m20s", "2m40s"}},
		"at the minute":  {0, []step{{59900 * time.Millisecond, change}}, 70 * time.Second, []string{"0s", "1m0s"}},
		"right before":   {0, []step{{59300 * time.Millisecond, change}}, 70 * time.Second, []string{"0s", "59.5s"}},
		"before it runs": {0, []step{{0, again}}, time.Second, []string{"0s", "500ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRun(shop("L", "B"))
				r.Poll = tt.poll
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- r.Run(ctx) }()
				synctest.Wait()
				for _, s := range tt.steps {
					time.Sleep(time.Until(r.start.Add(s.at)))
					s.do(r)
				}
				time.Sleep(time.Until(r.start.Add(tt.end)))
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, r.plans); diff != "" {
					t.Errorf("plans (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Run ends with an error if the store fails, and without one if its context has ended.
func TestRunFailsOnlyWithTheStore(t *testing.T) {
	for _, method := range []string{"Revision", "Facts", "SettleKeys", "SyncConditions", "NewNames"} {
		for _, ended := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRun(shop("L", "B"))
				r.store.fails = method
				ctx, cancel := context.WithCancel(t.Context())
				if ended {
					cancel()
				}
				err := r.Run(ctx)
				cancel()
				if ended && err != nil || !ended && !errors.Is(err, errDisk) {
					t.Errorf("%s fails, context ended %v: %v", method, ended, err)
				}
				if r.Latest() != nil && method != "NewNames" || len(r.looks) > 0 {
					t.Errorf("%s fails: there are plans", method)
				}
			})
		}
	}
}

// Apps that cannot be read are logged, leave the plans before in force, and are tried again
// with the next change.
func TestRunSurvivesUnreadableApps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(shop("L", "B"))
		r.appsErr = errors.New("a file is gone")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		if r.Latest() != nil || !strings.Contains(r.log.String(), "a file is gone") {
			t.Errorf("plans %v, log %s", r.Latest(), &r.log)
		}
		r.appsErr = nil
		r.Replan()
		time.Sleep(time.Second)
		synctest.Wait()
		if r.Latest() == nil || len(r.plans) != 1 {
			t.Errorf("plans at %v", r.plans)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Plans are made again by new facts if keys moved, and only then.
func TestPlansAgainAfterKeysMoved(t *testing.T) {
	for settles, want := range map[int]int{0: 1, 3: 2} {
		synctest.Test(t, func(t *testing.T) {
			r := newRun(shop("L", "B"))
			r.store.settles = settles
			if err := r.plan(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r.store.read != want {
				t.Errorf("%d keys moved: facts were read %d times, want %d", settles, r.store.read, want)
			}
			version := []pins.AppVersion{{Name: "shop", Version: "1.0"}}
			if diff := cmp.Diff(map[pins.Pin][]pins.AppVersion{pin("L"): version, pin("B"): version}, r.store.shipped); diff != "" {
				t.Errorf("shipped (-want +got):\n%s", diff)
			}
		})
	}
}

// Look is called after the first plan for all servers, and then for the names of certificates
// that are new, whether or not they concern an app.
func TestLooksForNewCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(shop("L", "B"))
		issue := func(names ...string) func(*pins.Facts) {
			return func(f *pins.Facts) {
				for _, n := range names {
					f.Issued = append(f.Issued, pins.Issued{ID: n, Names: []pins.Pattern{{Name: n + ".example.com"}}})
				}
			}
		}
		r.store.change(issue("a"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		for _, step := range []func(){
			func() {}, func() {}, func() { r.store.change(issue("b", "c")) }, func() { r.store.pass(issue("d")) },
			func() { r.store.change(nil) }, r.Replan,
		} {
			synctest.Wait()
			step()
			time.Sleep(time.Second)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := [][]pins.Pattern{nil, {{Name: "b.example.com"}, {Name: "c.example.com"}}, {{Name: "d.example.com"}}}
		if diff := cmp.Diff(want, r.looks); diff != "" {
			t.Errorf("looks (-want +got):\n%s", diff)
		}
		if len(r.plans) != 4 {
			t.Errorf("planned at %v: want no plan for what concerns no app", r.plans)
		}
	})
}

// What holds is a condition for each app, host and key or certificate, each once.
func TestConditions(t *testing.T) {
	key := func(name string) pins.Key {
		return pins.Key{Pin: pin(name), Role: pins.RoleLeaf, State: pins.StateApproved, ApprovedFor: []pins.Pattern{{Name: api}}}
	}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	id := func(name string) string { p := pin(name); return hex.EncodeToString(p[:]) }
	serves := func(address, leaf string, left time.Duration) pins.Served {
		return pins.Served{
			Host: api, Address: address, Algorithm: "ECDSA P-256", ID: id(leaf), Named: true,
			Chain:     pins.Chain{Pins: []pins.Pin{pin(leaf), pin("CA")}},
			NotBefore: now.Add(left - 90*day), NotAfter: now.Add(left), Since: now.Add(-day), At: now,
		}
	}
	coming := func(id, leaf string) pins.Issued {
		return pins.Issued{
			ID: id, Names: []pins.Pattern{{Name: api}}, Chain: pins.Chain{Pins: []pins.Pin{pin(leaf), pin("CA")}, Open: true},
			NotBefore: now, NotAfter: now.Add(90 * day), FirstSeen: now, Expected: true,
		}
	}
	short := func(name string) string { return pin(name).String()[:14] }
	for name, tt := range map[string]struct {
		app   pins.App
		facts pins.Facts
		want  []string
	}{
		"nothing known": {shop("L", "B"), pins.Facts{}, nil},
		"all is well":   {shop("L", "B"), pins.Facts{Keys: []pins.Key{key("L"), key("B")}, Served: []pins.Served{serves("192.0.2.1:443", "L", 60*day)}}, nil},
		"a served key is refused": {
			shop("L", "B"),
			pins.Facts{Served: []pins.Served{serves("192.0.2.1:443", "X", 60*day)}},
			[]string{"pin.missing served " + short("X")},
		},
		"at two addresses": {
			shop("L", "B"),
			pins.Facts{Served: []pins.Served{serves("192.0.2.1:443", "X", 60*day), serves("192.0.2.2:443", "X", 60*day)}},
			[]string{"pin.missing served " + short("X")},
		},
		"two keys are refused": {
			shop("L", "B"),
			pins.Facts{Served: []pins.Served{serves("192.0.2.1:443", "X", 60*day), serves("192.0.2.1:443", "Y", 60*day)}},
			[]string{"pin.missing served " + short("Y"), "pin.missing served " + short("X")},
		},
		"two certificates of a coming key": {
			shop("L", "B"),
			pins.Facts{Issued: []pins.Issued{coming("01", "X"), coming("02", "X")}},
			[]string{"pin.missing coming " + short("X")},
		},
		"a key to add": {
			shop("L", "B"),
			pins.Facts{Keys: []pins.Key{key("L"), key("B"), key("N")}, Served: []pins.Served{serves("192.0.2.1:443", "L", 60*day)}},
			[]string{"pin.candidate " + short("N")},
		},
		"a key to add, of an app that ships nothing": {
			pins.App{Name: "shop", Hosts: []pins.Pattern{{Name: api}}, Role: pins.RoleLeaf, MinPins: 2},
			pins.Facts{Keys: []pins.Key{key("L"), key("N")}, Served: []pins.Served{serves("192.0.2.1:443", "L", 60*day)}},
			nil,
		},
		"a certificate that ends": {
			shop("L", "B"),
			pins.Facts{Keys: []pins.Key{key("L"), key("B")}, Served: []pins.Served{serves("192.0.2.1:443", "L", 3*day)}},
			[]string{"certificate.expiring " + id("L")[:14]},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(tt.app)
			tt.facts.Now = now
			r.store.facts = tt.facts
			if err := r.plan(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range r.store.holding {
				e := c.Event(1)
				if e.Type != c.Kind || e.Data.Host != api || c.Host != api {
					t.Errorf("the event of %s at %s is a %s at %s", c.Kind, c.Host, e.Type, e.Data.Host)
				}
				if c.Kind != ctwatch.CertificateExpiring && c.Event(2).ID == e.ID { // a certificate ends once
					t.Errorf("%s %s: two episodes have one event ID", c.Kind, c.What)
				}
				what := ""
				for _, w := range strings.Fields(c.What)[:min(2, len(strings.Fields(c.What)))] {
					what += " " + w[:min(len(w), 14)]
				}
				got = append(got, string(c.Kind)+what)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}
