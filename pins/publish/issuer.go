package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"ctwatch/pins"
)

// A Store keeps issued documents and has the certificates for Wultra documents.
type Store interface {
	// Latest returns the newest document of an app, and whether there is one.
	Latest(ctx context.Context, app string) (pins.Document, bool, error)
	// IssueDocument stores the next document of an app. Its serial comes from raise,
	// which is called with the least possible serial, and its payload from build.
	// Neither may use the store.
	Issue(ctx context.Context, app, plan string,
		raise func(app string, least int64) (serial int64, err error),
		build func(serial int64, at time.Time) (payload []byte, err error)) (pins.Document, error)
	// ServedCertificates returns the certificates that are served now, for each host.
	ServedCertificates(ctx context.Context) ([]pins.Leaf, error)
	// FinalCertificates returns the whole certificates of leaf keys that logs have.
	FinalCertificates(ctx context.Context, leafPins []pins.Pin) ([]pins.Leaf, error)
}

// ErrClock means that nothing is issued because the clock may be wrong.
var ErrClock = errors.New("no pin document is issued, since the clock may be wrong")

// IssuerOptions configure an Issuer. Store, Logger, Refresh and Expires are required.
type IssuerOptions struct {
	Store   Store
	Logger  *slog.Logger
	Refresh time.Duration // after which devices look for a newer document
	Expires time.Duration // after which devices refuse a document

	Now func() time.Time // default time.Now
	// Clock returns why Now may be wrong; nil if it is right. Optional.
	Clock func() error
	// Word words findings for the log. The default is their codes.
	Word func(...pins.Finding) string
	// Raise returns the next serial of an app, as Mark.Raise does. The default is the
	// least serial that the store allows.
	Raise func(app string, least int64) (int64, error)
}

// An Issuer issues the pin documents of apps. It may be used concurrently.
type Issuer struct {
	o IssuerOptions

	mu      sync.Mutex
	current map[string]*Publication // by app: issued since the start
	logged  map[string][2]string    // by app: the refusals and warnings that were logged last
}

// NewIssuer returns an Issuer with the defaults filled in.
func NewIssuer(o IssuerOptions) *Issuer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clock == nil {
		o.Clock = func() error { return nil }
	}
	if o.Word == nil {
		o.Word = func(f ...pins.Finding) string { return pins.Refusals(f).Error() }
	}
	if o.Raise == nil {
		o.Raise = func(_ string, least int64) (int64, error) { return least, nil }
	}
	return &Issuer{o: o, current: make(map[string]*Publication), logged: make(map[string][2]string)}
}

// Publish returns what is published of an app: the last document while its pins are
// current and it need not be renewed, or a new one. The first one after a start is
// always new: the database may have been restored from a backup, and the serials
// issued since then are not in it.
//
// While the clock may be wrong, nothing new is issued, and the last document is
// published until it expires.
//
// It fails with pins.Refusals if there is nothing to publish, and with ErrClock.
func (i *Issuer) Publish(ctx context.Context, v *pins.View, app *pins.App) (*Publication, error) {
	set, err := i.set(ctx, v, app)
	if err != nil {
		return nil, err
	}
	leaves, err := i.leaves(ctx, v, app, set.Withheld)
	if err != nil {
		return nil, err
	}
	noFiles := withheld(slices.Concat(set.Withheld, set.Warnings))
	i.mu.Lock()
	defer i.mu.Unlock()
	clock := i.o.Clock()
	if p := i.current[app.Name]; p != nil && p.Plan == set.Plan && (clock != nil || i.o.Now().Before(p.RefreshAfter)) {
		if slices.EqualFunc(p.Leaves, leaves, sameDER) {
			if reflect.DeepEqual(p.NoFiles, noFiles) {
				return p, nil
			}
			same := *p // for devices, but not for files: min_pins has changed
			same.Set, same.NoFiles = set, noFiles
			return &same, nil
		}
	}
	if clock != nil {
		// A document with a wrong date is refused, or trusted for too long, and its
		// serial is far above those of a right clock.
		return nil, fmt.Errorf("%w: %w", ErrClock, clock)
	}
	p := &Publication{Set: set, Leaves: leaves, NoFiles: noFiles}
	p.Document, err = i.o.Store.Issue(ctx, app.Name, set.Plan, i.o.Raise, func(serial int64, at time.Time) ([]byte, error) {
		p.RefreshAfter, p.Expires = at.Add(i.o.Refresh), at.Add(i.o.Expires)
		return Payload(set, serial, at, p.RefreshAfter, p.Expires)
	})
	if err != nil {
		return nil, err
	}
	i.current[app.Name] = p
	i.o.Logger.Info("pin document issued", "app", app.Name, "serial", p.Serial, "plan", p.Plan)
	return p, nil
}

// Withholds reports whether Publish would fail with pins.Refusals or ErrClock, so that
// devices get no document of the app. It issues nothing.
func (i *Issuer) Withholds(ctx context.Context, v *pins.View, app *pins.App) (bool, error) {
	set, err := i.set(ctx, v, app)
	if _, ok := errors.AsType[pins.Refusals](err); ok {
		return true, nil
	} else if err != nil {
		return false, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.current[app.Name]
	return i.o.Clock() != nil && (p == nil || p.Plan != set.Plan), nil
}

// set returns the pins to publish of an app, given its last document, from this process
// or another.
func (i *Issuer) set(ctx context.Context, v *pins.View, app *pins.App) (pins.Set, error) {
	var last pins.Document
	i.mu.Lock()
	p := i.current[app.Name]
	i.mu.Unlock()
	found := p != nil
	if found {
		last = p.Document
	} else {
		var err error
		if last, found, err = i.o.Store.Latest(ctx, app.Name); err != nil {
			return pins.Set{}, err
		}
	}
	var before pins.Published
	if found {
		var err error
		if before, err = ReadPayload(last.Payload); err != nil {
			return pins.Set{}, err
		}
	}
	return v.Publish(app, before)
}

// leaves returns the certificates of an app's hosts, except withheld ones, for clients
// that pin certificates: those served now, and those in logs whose keys are approved.
// Devices keep the fingerprints that are left out.
func (i *Issuer) leaves(ctx context.Context, v *pins.View, app *pins.App, withheld []pins.Finding) ([]pins.Leaf, error) {
	var hosts []pins.Pattern
	var trusted []pins.Pin
	for _, p := range app.Hosts {
		if slices.ContainsFunc(withheld, func(r pins.Finding) bool { return r.Host == p }) {
			continue
		}
		hosts = append(hosts, p)
		for _, k := range v.TrustedFor(p, pins.RoleLeaf) {
			trusted = append(trusted, k.Pin)
		}
	}
	all, err := i.o.Store.ServedCertificates(ctx)
	if err != nil {
		return nil, err
	}
	finals, err := i.o.Store.FinalCertificates(ctx, trusted)
	if err != nil {
		return nil, err
	}
	for _, l := range finals {
		if l.NotAfter.After(i.o.Now()) {
			l.CommonName = commonName(l.DER)
			all = append(all, l)
		}
	}
	var out []pins.Leaf
	for _, l := range all {
		if approved(v, l, hosts) && !slices.ContainsFunc(out, func(o pins.Leaf) bool { return sameDER(o, l) }) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b pins.Leaf) int { return bytes.Compare(a.DER, b.DER) })
	return out, nil
}

// approved reports whether a certificate is for one of some hosts, for which its key is
// approved.
func approved(v *pins.View, l pins.Leaf, hosts []pins.Pattern) bool {
	for _, p := range hosts {
		covered := func(name pins.Pattern) bool { return p.Covers(name) || name.Covers(p) }
		if slices.ContainsFunc(l.Names, covered) && v.Trusted(l.Pin, pins.RoleLeaf, p) != nil {
			return true
		}
	}
	return false
}

func sameDER(a, b pins.Leaf) bool { return bytes.Equal(a.DER, b.DER) }

// commonName returns the common name of a certificate; "" if it has none, or cannot
// be read.
func commonName(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	return c.Subject.CommonName
}

// logChange logs when the refusals and warnings of an app change.
func (i *Issuer) logChange(app string, withheld, warnings pins.Refusals) {
	now := [2]string{i.o.Word(withheld...), i.o.Word(warnings...)}
	i.mu.Lock()
	before := i.logged[app]
	i.logged[app] = now
	i.mu.Unlock()
	if now == before {
		return
	}
	if len(withheld) > 0 {
		i.o.Logger.Error("pins are withheld", "app", app, "why", now[0])
	}
	if len(warnings) > 0 {
		i.o.Logger.Warn("pins are published with warnings", "app", app, "why", now[1])
	}
	if cmp.Or(now[0], now[1]) == "" {
		i.o.Logger.Info("pins are published again", "app", app)
	}
}
