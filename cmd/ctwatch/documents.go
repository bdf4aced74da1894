package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"ctwatch/configs"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// signingKey is where the key is that signs pin documents.
func signingKey(cfg *configs.Config) (path string, ours bool) {
	if cfg.Signing.KeyFile != "" {
		return cfg.Signing.KeyFile, false
	}
	return filepath.Join(cfg.DataDir, "signing.pem"), true
}

// openRing opens the signing keys. It makes one only if create is set, and only where
// the configuration names none.
func openRing(cfg *configs.Config, create bool, logger *slog.Logger) (*publish.Ring, error) {
	path, ours := signingKey(cfg)
	ring, err := publish.OpenRing(path, ours && create, logger)
	switch {
	case err != nil && !ours:
		return nil, &usageError{cfg.Errorf("signing.key_file", "cannot be used: %w", err)}
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, fmt.Errorf("there is no signing key yet: name another data directory with --data or data_dir, or start \"ctwatch run\", which makes one (%w)", err)
	}
	return ring, err
}

// serialMark is where the highest serials of pin documents are kept besides the database:
// beside the signing key, or, where this user cannot write there, in the data directory.
func serialMark(cfg *configs.Config) *publish.Mark {
	path, ours := signingKey(cfg)
	paths := []string{path + publish.MarkSuffix}
	if !ours {
		paths = append(paths, filepath.Join(cfg.DataDir, "signing.pem"+publish.MarkSuffix))
	}
	return publish.NewMark(paths...)
}

// errClock says that no document is issued because of the clock.
var errClock = errors.New("no pin document is issued by a clock that is not known to be right")

// An issuer issues the pin documents of apps.
type issuer struct {
	db      *store.DB
	signing configs.Signing
	logger  *slog.Logger
	now     func() time.Time
	clock   func() error                                 // why now is not known to be right; nil if it is
	raise   func(app string, least int64) (int64, error) // see store.DB.Issue

	mu      sync.Mutex
	current map[string]*publish.Document // by app: issued since the start
	held    map[string][2]string         // by app: what is withheld, and what is wrong, as it was logged
}

func newIssuer(db *store.DB, signing configs.Signing, logger *slog.Logger) *issuer {
	return &issuer{
		db: db, signing: signing, logger: logger, now: time.Now,
		clock: func() error { return nil }, raise: func(_ string, least int64) (int64, error) { return least, nil },
		current: make(map[string]*publish.Document), held: make(map[string][2]string),
	}
}

// document returns what is published of an app by a plan: the document before, as
// long as it says the same and need not be renewed. The first one after a start is
// always new: the database may be an older one, put back from a backup, and the
// serials of what it issued since then are not known.
//
// As long as the clock is not known to be right nothing new is issued, and the document
// before is published until it expires.
//
// It fails with pins.Refusals if there is nothing to publish, and with errClock.
func (i *issuer) document(ctx context.Context, v *pins.View, app *pins.App) (*publish.Document, error) {
	before, err := i.before(ctx, app.Name)
	if err != nil {
		return nil, err
	}
	set, err := v.Publish(app, before)
	if err != nil {
		return nil, err
	}
	leaves, err := i.leaves(ctx, v, app, set.Withheld)
	if err != nil {
		return nil, err
	}
	files := withheld(slices.Concat(set.Withheld, set.Warnings))
	i.mu.Lock()
	defer i.mu.Unlock()
	clock := i.clock()
	if d := i.current[app.Name]; d != nil && d.Set.Plan == set.Plan && (clock != nil || i.now().Before(d.RefreshAfter)) {
		if slices.EqualFunc(d.Leaves, leaves, func(a, b publish.Leaf) bool { return string(a.DER) == string(b.DER) }) {
			if reflect.DeepEqual(d.NoFiles, files) {
				return d, nil
			}
			same := *d // the same to devices, and not to builds: min_pins has changed
			same.Set, same.NoFiles = set, files
			return &same, nil
		}
	}
	if clock != nil {
		// A document that is dated by a wrong clock is refused, or trusted for too long,
		// and its serial is far above those of a right clock.
		return nil, fmt.Errorf("%w: %w", errClock, clock)
	}
	d := &publish.Document{App: app.Name, Set: set, Leaves: leaves, NoFiles: files}
	issued, err := i.db.Issue(ctx, app.Name, set.Plan, i.raise, func(serial int64, at time.Time) ([]byte, error) {
		d.Serial, d.Issued = serial, at
		d.RefreshAfter, d.Expires = at.Add(i.signing.Refresh), at.Add(i.signing.Expires)
		return publish.Payload(set, serial, d.Issued, d.RefreshAfter, d.Expires)
	})
	if err != nil {
		return nil, err
	}
	d.Payload = issued.Payload
	i.current[app.Name] = d
	i.logger.Info("pin document issued", "app", app.Name, "serial", d.Serial, "plan", set.Plan)
	return d, nil
}

// withholds reports whether nothing is published of an app by a plan, so that devices are
// refused its document: document would fail with pins.Refusals or with errClock. It issues
// nothing.
func (i *issuer) withholds(ctx context.Context, v *pins.View, app *pins.App) (bool, error) {
	before, err := i.before(ctx, app.Name)
	if err != nil {
		return false, err
	}
	set, err := v.Publish(app, before)
	var refusals pins.Refusals
	switch {
	case errors.As(err, &refusals):
		return true, nil
	case err != nil:
		return false, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	d := i.current[app.Name]
	return i.clock() != nil && (d == nil || d.Set.Plan != set.Plan), nil
}

// before returns what the last document of an app says, from this process or another.
func (i *issuer) before(ctx context.Context, app string) (pins.Published, error) {
	i.mu.Lock()
	d := i.current[app]
	i.mu.Unlock()
	if d != nil {
		return publish.ReadPayload(d.Payload)
	}
	last, found, err := i.db.LatestDocument(ctx, app)
	if err != nil || !found {
		return pins.Published{}, err
	}
	return publish.ReadPayload(last.Payload)
}

// leaves lists the certificates of an app's hosts, but for those that are withheld, for
// clients that pin those: served now, or final ones that a log has for keys that are
// approved. Devices keep what is left out.
func (i *issuer) leaves(ctx context.Context, v *pins.View, app *pins.App, withheld []pins.Refusal) ([]publish.Leaf, error) {
	var hosts []pins.Pattern
	for _, p := range app.Hosts {
		if !slices.ContainsFunc(withheld, func(r pins.Refusal) bool { return r.Host == p }) {
			hosts = append(hosts, p)
		}
	}
	served, err := i.db.ServedCertificates(ctx)
	if err != nil {
		return nil, err
	}
	var out []publish.Leaf
	add := func(l publish.Leaf) {
		if !slices.ContainsFunc(out, func(o publish.Leaf) bool { return string(o.DER) == string(l.DER) }) {
			out = append(out, l)
		}
	}
	ours := func(pin pins.Pin, host pins.Pattern) bool {
		for _, p := range hosts {
			if (p.Covers(host) || host.Covers(p)) && v.Trusted(pin, pins.RoleLeaf, p) != nil {
				return true
			}
		}
		return false
	}
	var trusted []pins.Pin
	for _, s := range served {
		if ours(s.Pin, pins.Pattern{Name: s.Host}) {
			add(publish.Leaf{CommonName: s.CommonName, DER: s.DER, NotAfter: s.NotAfter})
		}
	}
	for _, p := range hosts {
		for _, k := range v.TrustedFor(p, pins.RoleLeaf) {
			trusted = append(trusted, k.Pin)
		}
	}
	finals, err := i.db.Finals(ctx, trusted)
	if err != nil {
		return nil, err
	}
	for _, f := range finals {
		if !f.NotAfter.After(i.now()) || !slices.ContainsFunc(f.Names, func(n string) bool {
			p, err := pins.ParsePattern(n)
			return err == nil && p.Reach != pins.AllBelow && ours(f.Pin, p)
		}) {
			continue
		}
		add(publish.Leaf{CommonName: commonName(f.DER), DER: f.DER, NotAfter: f.NotAfter})
	}
	slices.SortFunc(out, func(a, b publish.Leaf) int { return strings.Compare(string(a.DER), string(b.DER)) })
	return out, nil
}

// A source serves the documents of the plans that the daemon made last.
type source struct {
	issuer *issuer
	latest func() *planner.Result
}

// Document implements publish.Source. Everybody reads for which reason the pins of a host
// are withheld; the details, which name keys and commands, are for the log.
func (s *source) Document(ctx context.Context, name string) (*publish.Document, error) {
	r := s.latest()
	if r == nil {
		return nil, &publish.Withheld{Reasons: []string{"ctwatch has just started"}}
	}
	app, err := findApp(r.Apps, name)
	if err != nil {
		return nil, publish.ErrNoApp
	}
	d, err := s.issuer.document(ctx, r.View, app)
	if errors.Is(err, errClock) { // the clock logs it itself
		return nil, &publish.Withheld{Reasons: []string{"the clock of the server is not known to be right"}}
	}
	var refusals pins.Refusals
	switch {
	case err == nil:
		s.issuer.tell(name, d.Set.Withheld, d.Set.Warnings)
	case errors.As(err, &refusals):
		s.issuer.tell(name, refusals, nil)
		return nil, withheld(refusals)
	}
	return d, err
}

// withheld says to everybody why the pins of hosts are withheld; nil if none are.
func withheld(why []pins.Refusal) *publish.Withheld {
	if len(why) == 0 {
		return nil
	}
	w := &publish.Withheld{}
	for _, r := range why {
		w.Reasons = append(w.Reasons, fmt.Sprintf("%s: %s: its operator has to look at it", r.Host, r.Code))
	}
	return w
}

// tell logs when hosts of an app begin to be withheld, or to be published with a
// warning, and when no longer.
func (i *issuer) tell(app string, withheld, warnings pins.Refusals) {
	now := [2]string{withheld.Error(), warnings.Error()}
	i.mu.Lock()
	before := i.held[app]
	i.held[app] = now
	i.mu.Unlock()
	if now == before {
		return
	}
	if len(withheld) > 0 {
		i.logger.Error("pins are withheld", "app", app, "why", now[0])
	}
	if len(warnings) > 0 {
		i.logger.Warn("pins are published although something is wrong", "app", app, "why", now[1])
	}
	if now == [2]string{} {
		i.logger.Info("pins are published again", "app", app)
	}
}
