package publish

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
	"ctwatch/store"
)

const apiHost = "api.example.com"

// An issuerRig issues documents of one app by a clock that tests set.
type issuerRig struct {
	*testing.T
	dir   string
	now   time.Time
	wrong error // what is wrong with the clock
	db    *store.DB
	*Issuer

	served, finals []pins.Leaf
	minPins        int
	log            strings.Builder
}

func newIssuerRig(t *testing.T) *issuerRig {
	r := &issuerRig{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), minPins: 2}
	r.open()
	t.Cleanup(func() { r.db.Close() })
	return r
}

// certificates is a store with certificates of its own.
type certificates struct {
	store.Documents
	rig *issuerRig
}

func (c certificates) ServedCertificates(context.Context) ([]pins.Leaf, error) {
	return c.rig.served, nil
}

func (c certificates) FinalCertificates(_ context.Context, leafPins []pins.Pin) ([]pins.Leaf, error) {
	return slices.DeleteFunc(slices.Clone(c.rig.finals), func(l pins.Leaf) bool { return !slices.Contains(leafPins, l.Pin) }), nil
}

// open starts again with the database, as after a restart.
func (r *issuerRig) open() {
	r.Helper()
	var err error
	r.db, err = store.Open(r.Context(), filepath.Join(r.dir, "ctwatch.db"), store.Options{
		Logger: discard(), Now: func() time.Time { return r.now },
	})
	r.must(err)
	r.Issuer = NewIssuer(IssuerOptions{
		Store: certificates{r.db.Documents, r}, Logger: slog.New(slog.NewTextHandler(&r.log, nil)), Refresh: time.Hour, Expires: 30 * 24 * time.Hour,
		Now: func() time.Time { return r.now }, Clock: func() error { return r.wrong },
		Raise: NewMark(filepath.Join(r.dir, "signing.pem"+MarkSuffix)).Raise,
	})
}

func (r *issuerRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func keyPin(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

// plan returns the app, and what is known of it: some keys are approved, and the first
// of them is served.
func (r *issuerRig) plan(keys ...string) (*pins.View, *pins.App) {
	host := pins.Pattern{Name: apiHost}
	f := pins.Facts{Now: r.now}
	for _, k := range keys {
		f.Keys = append(f.Keys, pins.Key{Pin: keyPin(k), Role: pins.RoleLeaf, State: pins.StateApproved, ApprovedFor: []pins.Pattern{host}})
	}
	f.Served = []pins.Served{{Host: host.Name, Chain: pins.Chain{Pins: []pins.Pin{keyPin(keys[0])}}, NotAfter: r.now.AddDate(0, 3, 0)}}
	return pins.NewView(&f), &pins.App{Name: "shop", Hosts: []pins.Pattern{host}, Role: pins.RoleLeaf, MinPins: r.minPins}
}

// publish returns what is published of the app.
func (r *issuerRig) publish(keys ...string) (*Publication, error) {
	v, app := r.plan(keys...)
	return r.Publish(r.Context(), v, app)
}

func (r *issuerRig) issues(keys ...string) *Publication {
	r.Helper()
	d, err := r.publish(keys...)
	r.must(err)
	return d
}

// TestSerialsOutliveDatabase: after a clock that was once a day ahead, and an older
// database, the serial still grows.
func TestSerialsOutliveDatabase(t *testing.T) {
	r := newIssuerRig(t)
	path := filepath.Join(r.dir, "ctwatch.db")
	r.issues("A", "B")
	r.must(r.db.Close())
	old, err := os.ReadFile(path)
	r.must(err)

	right := r.now
	r.now = right.Add(24 * time.Hour)
	r.open()
	last := r.issues("A", "C")
	r.must(r.db.Close())

	r.must(os.WriteFile(path, old, 0o600))
	r.now = right.Add(time.Hour)
	r.open()
	restored := r.issues("A", "B")
	if restored.Serial != last.Serial+1 {
		t.Errorf("the serial went from %d to %d, want one more", last.Serial, restored.Serial)
	}
	if !restored.Issued.Equal(r.now) {
		t.Errorf("it is dated %v, want %v", restored.Issued, r.now)
	}

	// An unreadable mark is an error, not a reason to start again.
	r.must(os.WriteFile(filepath.Join(r.dir, "signing.pem"+MarkSuffix), nil, 0o600))
	if _, err := r.publish("A", "D"); err == nil {
		t.Error("it was issued without the mark")
	}
}

// TestWrongClockIssuesNothing: while the clock may be wrong, the last
// document is published, even when it should be renewed, and nothing new is issued.
func TestWrongClockIssuesNothing(t *testing.T) {
	r := newIssuerRig(t)
	first := r.issues("A", "B")

	right := r.now
	r.now, r.wrong = right.Add(24*time.Hour), errors.New("a day ahead")
	if d := r.issues("A", "B"); d != first {
		t.Errorf("serial %d was issued, dated %v", d.Serial, d.Issued)
	}
	if _, err := r.publish("A", "C"); !errors.Is(err, ErrClock) {
		t.Errorf("other pins: error %v, want ErrClock", err)
	}
	r.must(r.db.Close())
	r.open()
	if _, err := r.publish("A", "B"); !errors.Is(err, ErrClock) {
		t.Errorf("after a restart: error %v, want ErrClock", err)
	}

	r.now, r.wrong = right.Add(time.Second), nil
	if d := r.issues("A", "C"); d.Serial != r.now.UnixMilli() {
		t.Errorf("with the clock set right the serial is %d, want %d", d.Serial, r.now.UnixMilli())
	}
}

// TestDocumentIsIssuedWhenItChanges: a document is issued again for other pins, other
// certificates, when it has to be renewed and after a restart, and otherwise not.
func TestDocumentIsIssuedWhenItChanges(t *testing.T) {
	r := newIssuerRig(t)
	last := r.issues("A", "B")
	for _, step := range []struct {
		name   string
		change func()
		issued bool
		keys   []string
	}{
		{"nothing", func() {}, false, []string{"A", "B"}},
		{"a minute", func() { r.now = r.now.Add(time.Minute) }, false, []string{"A", "B"}},
		{"another pin", func() {}, true, []string{"A", "C"}},
		{"a certificate", func() { r.served = []pins.Leaf{leafOf("A", apiHost)} }, true, []string{"A", "C"}},
		{"time to renew", func() { r.now = r.now.Add(time.Hour) }, true, []string{"A", "C"}},
		{"a restart", func() { r.must(r.db.Close()); r.open() }, true, []string{"A", "C"}},
	} {
		step.change()
		d := r.issues(step.keys...)
		if issued := d.Serial != last.Serial; issued != step.issued {
			t.Errorf("%s: issued %v, want %v", step.name, issued, step.issued)
		}
		if d.Serial < last.Serial {
			t.Errorf("%s: serial %d after %d", step.name, d.Serial, last.Serial)
		}
		if stored, ok, err := r.db.Documents.Latest(t.Context(), "shop"); err != nil || !ok || stored.Serial != d.Serial || string(stored.Payload) != string(d.Payload) {
			t.Errorf("%s: the store has serial %d (%v), want %d", step.name, stored.Serial, err, d.Serial)
		}
		last = d
	}
}

// leafOf returns a certificate of a key for some names.
func leafOf(key string, names ...string) pins.Leaf {
	l := pins.Leaf{Pin: keyPin(key), CommonName: names[0], DER: []byte(key + "|" + strings.Join(names, ",")), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, n := range names {
		p, err := pins.ParsePattern(n)
		if err != nil {
			panic(err)
		}
		l.Names = append(l.Names, p)
	}
	return l
}

// TestOnlyLeavesOfApprovedKeysArePublished: a document carries the certificates that the
// app's hosts serve and those from logs that they may serve next, each once, as long as
// their keys are approved for the hosts.
func TestOnlyLeavesOfApprovedKeysArePublished(t *testing.T) {
	both, next := leafOf("A", apiHost), leafOf("B", "*.example.com")
	expired := leafOf("B", apiHost)
	expired.NotAfter = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		served, finals, want []pins.Leaf
	}{
		"nothing":             {},
		"served":              {served: []pins.Leaf{both}, want: []pins.Leaf{both}},
		"served and logged":   {served: []pins.Leaf{both}, finals: []pins.Leaf{both, next}, want: []pins.Leaf{both, next}},
		"a wildcard":          {finals: []pins.Leaf{next}, want: []pins.Leaf{next}},
		"another name":        {served: []pins.Leaf{leafOf("A", "www.example.com")}, finals: []pins.Leaf{leafOf("B", "www.example.com")}},
		"a key not approved":  {served: []pins.Leaf{leafOf("C", apiHost)}, finals: []pins.Leaf{leafOf("C", apiHost)}},
		"expired in the logs": {finals: []pins.Leaf{expired}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newIssuerRig(t)
			r.served, r.finals = tt.served, tt.finals
			if got := r.issues("A", "B").Leaves; !slices.EqualFunc(got, tt.want, sameDER) {
				t.Errorf("published are %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLoggedLeafHasItsCommonName: the name by which Wultra's SDK finds a certificate
// from a log is read from the certificate.
func TestLoggedLeafHasItsCommonName(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the name"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	r := newIssuerRig(t)
	l := leafOf("A", apiHost)
	l.CommonName, l.DER = "", der
	r.finals = []pins.Leaf{l}
	if got := r.issues("A", "B").Leaves; len(got) != 1 || got[0].CommonName != "the name" {
		t.Errorf("published are %q", got)
	}
}

// TestWithholdsIssuesNothing: Withholds says what Publish would do, without a new
// document.
func TestWithholdsIssuesNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		keys  []string
		wrong error
		want  bool
	}{
		{"all is well", []string{"A", "B"}, nil, false},
		{"no backup key", []string{"A"}, nil, true},
		{"a wrong clock", []string{"A", "B"}, errors.New("a day ahead"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newIssuerRig(t)
			r.wrong = tt.wrong
			v, app := r.plan(tt.keys...)
			got, err := r.Withholds(t.Context(), v, app)
			if err != nil || got != tt.want {
				t.Errorf("withheld: %v, %v, want %v", got, err, tt.want)
			}
			if _, ok, _ := r.db.Documents.Latest(t.Context(), "shop"); ok {
				t.Error("a document was issued")
			}
			if _, err := r.publish(tt.keys...); (err != nil) != tt.want {
				t.Errorf("publishing: %v", err)
			}
		})
	}
}

// TestPlanSourceSaysWhatIsWithheld: devices get codes as reasons, the log gets the
// details, once for each change.
func TestPlanSourceSaysWhatIsWithheld(t *testing.T) {
	r := newIssuerRig(t)
	var view *pins.View
	var app *pins.App
	s := &PlanSource{Issuer: r.Issuer, Latest: func() (*pins.View, []pins.App) {
		if view == nil {
			return nil, nil
		}
		return view, []pins.App{*app}
	}}
	wantReason := func(what, want string) {
		t.Helper()
		_, err := s.Publication(t.Context(), "shop")
		w, ok := errors.AsType[*Withheld](err)
		if !ok || len(w.Reasons) != 1 || !strings.Contains(w.Reasons[0], want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	wantReason("before the first plan", "just started")
	view, app = r.plan("A")
	wantReason("without a backup key", apiHost+": "+string(pins.BelowMinPins))
	wantReason("again", apiHost+": "+string(pins.BelowMinPins))
	if n := strings.Count(r.log.String(), "pins are withheld"); n != 1 {
		t.Errorf("it was logged %d times:\n%s", n, r.log.String())
	}
	if _, err := s.Publication(t.Context(), "other"); !errors.Is(err, ErrNoApp) {
		t.Errorf("an app that does not exist: %v", err)
	}

	view, app = r.plan("A", "B")
	if p, err := s.Publication(t.Context(), "shop"); err != nil || p.App != "shop" {
		t.Errorf("with a backup key: %v, %v", p, err)
	}
	if !strings.Contains(r.log.String(), "pins are published again") {
		t.Errorf("it was not logged:\n%s", r.log.String())
	}
	view, app = r.plan("A", "C")
	r.wrong = errors.New("a day ahead")
	wantReason("with a wrong clock", "clock of the server")
}

// TestLowerMinPinsIssuesNoDocument: a document stays when only the unsigned files are
// withheld or published again.
func TestLowerMinPinsIssuesNoDocument(t *testing.T) {
	r := newIssuerRig(t)
	v, app := r.plan("A", "B", "C")
	first, err := r.Publish(t.Context(), v, app)
	r.must(err)
	// The third key leaks, so that the app has fewer keys than it wants.
	leaked := func(minPins int) *Publication {
		r.Helper()
		host := pins.Pattern{Name: apiHost}
		f := pins.Facts{Now: r.now, Served: []pins.Served{{Host: apiHost, Chain: pins.Chain{Pins: []pins.Pin{keyPin("A")}}, NotAfter: r.now.AddDate(0, 3, 0)}}}
		for _, k := range []string{"A", "B", "C"} {
			f.Keys = append(f.Keys, pins.Key{Pin: keyPin(k), Role: pins.RoleLeaf, State: pins.StateApproved, ApprovedFor: []pins.Pattern{host}})
		}
		f.Keys[2].State = pins.StateCompromised
		d, err := r.Publish(t.Context(), pins.NewView(&f), &pins.App{Name: "shop", Hosts: []pins.Pattern{host}, Role: pins.RoleLeaf, MinPins: minPins})
		r.must(err)
		return d
	}
	few := leaked(3)
	if few.NoFiles == nil || few.Serial <= first.Serial {
		t.Errorf("after the leak: serial %d after %d, files withheld: %v", few.Serial, first.Serial, few.NoFiles)
	}
	enough := leaked(2)
	if enough.NoFiles != nil || enough.Serial != few.Serial {
		t.Errorf("with lower min_pins: serial %d, want %d; files withheld: %v", enough.Serial, few.Serial, enough.NoFiles)
	}
}
