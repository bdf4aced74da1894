package main

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// serialRig issues documents of one app by a clock that tests set.
type serialRig struct {
	*testing.T
	dir   string
	now   time.Time
	wrong error // what is wrong with the clock
	db    *store.DB
	*issuer
}

func newSerialRig(t *testing.T) *serialRig {
	r := &serialRig{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	r.open()
	t.Cleanup(func() { r.db.Close() })
	return r
}

// open begins again with the database, as after a restart.
func (r *serialRig) open() {
	r.Helper()
	var err error
	r.db, err = store.Open(r.Context(), filepath.Join(r.dir, "ctwatch.db"), store.Options{
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
	})
	must(r.T, err)
	r.issuer = newIssuer(r.db, configs.Signing{Refresh: time.Hour, Expires: 30 * 24 * time.Hour}, slog.New(slog.DiscardHandler))
	r.issuer.now = func() time.Time { return r.now }
	r.clock = func() error { return r.wrong }
	r.raise = serialMark(&configs.Config{DataDir: r.dir}).Raise
}

// issue returns what is published of the app, which has some approved keys.
func (r *serialRig) issue(keys ...string) (*publish.Document, error) {
	host := pins.Pattern{Name: "api.example.com"}
	f := pins.Facts{Now: r.now}
	for _, k := range keys {
		f.Keys = append(f.Keys, pins.Key{Pin: pins.FromSPKI([]byte(k)), Role: pins.RoleLeaf, State: pins.StateApproved, ApprovedFor: []pins.Pattern{host}})
	}
	f.Served = []pins.Served{{Host: host.Name, Chain: pins.Chain{Pins: []pins.Pin{pins.FromSPKI([]byte(keys[0]))}}, NotAfter: r.now.AddDate(0, 3, 0)}}
	app := &pins.App{Name: "shop", Hosts: []pins.Pattern{host}, Role: pins.RoleLeaf, MinPins: 2}
	return r.document(r.Context(), pins.NewView(&f), app)
}

func (r *serialRig) issues(keys ...string) *publish.Document {
	r.Helper()
	d, err := r.issue(keys...)
	must(r.T, err)
	return d
}

// TestSerialsOutliveTheDatabase: a clock a day ahead once, and then an older database:
// the serial does not fall.
func TestSerialsOutliveTheDatabase(t *testing.T) {
	r := newSerialRig(t)
	path := filepath.Join(r.dir, "ctwatch.db")
	r.issues("A", "B")
	must(t, r.db.Close())
	old, err := os.ReadFile(path)
	must(t, err)

	right := r.now
	r.now = right.Add(24 * time.Hour)
	r.open()
	last := r.issues("A", "C")
	must(t, r.db.Close())

	must(t, os.WriteFile(path, old, 0o600))
	r.now = right.Add(time.Hour)
	r.open()
	restored := r.issues("A", "B")
	if restored.Serial != last.Serial+1 {
		t.Errorf("the serial went from %d to %d, want one more", last.Serial, restored.Serial)
	}
	if !restored.Issued.Equal(r.now) {
		t.Errorf("it is dated %v, want %v", restored.Issued, r.now)
	}

	// A mark that cannot be read is an error, and not a reason to begin again.
	must(t, os.WriteFile(filepath.Join(r.dir, "signing.pem"+publish.MarkSuffix), nil, 0o600))
	if _, err := r.issue("A", "D"); err == nil {
		t.Error("it was issued without the mark")
	}
}

// TestWrongClockIssuesNothing: as long as the clock is not known to be right, what was
// issued stays, also when it should be renewed, and nothing new is issued.
func TestWrongClockIssuesNothing(t *testing.T) {
	r := newSerialRig(t)
	first := r.issues("A", "B")

	right := r.now
	r.now, r.wrong = right.Add(24*time.Hour), errors.New("a day ahead")
	if d := r.issues("A", "B"); d != first {
		t.Errorf("serial %d was issued, dated %v", d.Serial, d.Issued)
	}
	if _, err := r.issue("A", "C"); !errors.Is(err, errClock) {
		t.Errorf("other pins: error %v, want errClock", err)
	}
	must(t, r.db.Close())
	r.open()
	if _, err := r.issue("A", "B"); !errors.Is(err, errClock) {
		t.Errorf("after a restart: error %v, want errClock", err)
	}

	r.now, r.wrong = right.Add(time.Second), nil
	if d := r.issues("A", "C"); d.Serial != r.now.UnixMilli() {
		t.Errorf("with the clock set right the serial is %d, want %d", d.Serial, r.now.UnixMilli())
	}
}

// TestWrongClockIsReported: a daemon whose clock is ahead of those of the logs is not
// ready, shows by how much, and publishes no pins, until the clock is set right.
func TestWrongClockIsReported(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	served := s.forAPI(nil)
	s.log(served)
	p := person{s, s.pinsConfig(s.endpoint(served))}
	p.does(exitDone, "probe", "--record")
	p.does(exitDone, "pins", "approve", served.LeafPin.String(), "--reason", "ours")
	_, next := p.declares()
	var ahead atomic.Int64
	ahead.Store(int64(24 * time.Hour))
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	d := s.start(p.config)

	s.eventually("it is not ready because of the clock", func() bool {
		status, body := d.get("readyz", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "ahead of those of the logs: set it right")
	})
	s.eventually("pins are withheld because of the clock", func() bool {
		got := d.fetch("pins/" + shop + ".json")
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, "clock of the server")
	})
	if offset := d.metrics()["ctwatch_clock_offset_seconds"]; offset < 23*3600 || offset > 25*3600 {
		t.Errorf("ctwatch_clock_offset_seconds is %v", offset)
	}

	ahead.Store(0)
	s.log(s.issue(ctlogtest.Request{Names: []string{"other.example.org"}})) // new tree heads
	s.eventually("it is ready", func() bool { status, _ := d.get("readyz", ""); return status == http.StatusOK })
	got := d.untilPublished(s, served.LeafPin, next)
	if tomorrow := time.Now().Add(12 * time.Hour).UnixMilli(); got.Serial > tomorrow {
		t.Errorf("serial %d is of a clock that was ahead", got.Serial)
	}
}
