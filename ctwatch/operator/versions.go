package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

// AllApps returns configured apps with the imported versions. The
// configuration wins over an import of the same version. An import that can no longer be
// read, since readers have become stricter, is among the app's unreadable versions.
func AllApps(ctx context.Context, configured []pins.App, imported Versions) ([]pins.App, error) {
	shipped, err := imported.Shipped(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pins.App, len(configured))
	for i, app := range configured {
		app.Versions, app.Unreadable = slices.Clip(app.Versions), nil
		for _, s := range shipped {
			if s.App != app.Name || hasVersion(&configured[i], s.Version) {
				continue
			}
			rules, err := importedRules(s)
			if err != nil {
				app.Unreadable = append(app.Unreadable, pins.Unreadable{
					Name: ctwatch.Printable(s.Version, 60), Why: fmt.Sprintf("%s: %s", ctwatch.Printable(s.Name, 100), ctwatch.Printable(err.Error(), 500)),
				})
				continue
			}
			app.Versions = append(app.Versions, pins.Version{Name: s.Version, Rules: rules})
		}
		pins.SortVersions(app.Versions)
		out[i] = app
	}
	return out, nil
}

func hasVersion(app *pins.App, name string) bool {
	return slices.ContainsFunc(app.Versions, func(v pins.Version) bool { return v.Name == name })
}

// importedRules reads what was recorded of a version.
func importedRules(s pins.ShippedFile) (pins.Rules, error) {
	f, err := format.Find(s.Format)
	if err != nil {
		return nil, err
	}
	return f.Decode(s.Content)
}

// A PinFile is what an app ships, as format.ReadFile read it.
type PinFile struct {
	Name    string
	Content []byte
	Format  format.Format
	Rules   pins.Rules
}

// A Change is what a file changes of what was recorded of a version.
type Change struct {
	Before     pins.ShippedFile
	WasFormat  string // its title, if the format changes
	Format     string // title
	Unreadable error  // what was recorded cannot be read
	Hosts      []pins.Difference
}

// Imported is the result of importing a released version.
type Imported struct {
	App        *pins.App // with the version
	Version    string
	Pins       map[string][]pins.Pin // by host of the app
	Unapproved []Unapproved
	Useless    []pins.Finding // pins that the client can make no use of
	Changed    *Change        // nil if nothing was recorded before, or the same
}

// An Unapproved pin is shipped, and its key is not trusted.
type Unapproved struct {
	Pin pins.Pin
	Why pins.Finding
}

// Import records the pins of a released version. Another file for a version that is recorded
// changes it only with replace; the same again changes nothing. It fails with the codes
// NoApps, UnknownApp, InConfig, PinsNoHost and Recorded.
func (op *Operator) Import(ctx context.Context, by By, app, version string, f PinFile, replace bool) (Imported, error) {
	configured, err := findApp(op.o.Configured, app)
	if err != nil {
		return Imported{}, err
	}
	if hasVersion(configured, version) {
		return Imported{}, &Error{Code: InConfig, App: app, Version: version}
	}
	view, err := op.viewOf(ctx, pins.Scope{Rules: []pins.Rules{f.Rules}})
	if err != nil {
		return Imported{}, err
	}
	if yes, why := view.Pins(configured, f.Rules); !yes {
		return Imported{}, &Error{Code: PinsNoHost, App: app, Why: why}
	}
	before, err := op.recorded(ctx, app, version)
	if err != nil {
		return Imported{}, err
	}
	out := Imported{Version: version, Pins: make(map[string][]pins.Pin)}
	if before != nil {
		if out.Changed, err = change(*before, f, configured.Hosts); err != nil {
			return Imported{}, err
		}
		if out.Changed != nil && !replace {
			return Imported{}, &Error{Code: Recorded, App: app, Version: version, Changed: out.Changed}
		}
	}
	if before == nil || before.Format != f.Format.Name || !bytes.Equal(before.Content, f.Content) {
		err := op.o.Versions.Import(ctx, pins.ShippedFile{App: app, Version: version, Format: f.Format.Name, Name: f.Name, Content: f.Content, By: by.Name})
		if err != nil {
			return Imported{}, err
		}
		if err := op.Refresh(ctx); err != nil {
			return Imported{}, err
		}
	}
	if out.App, err = op.App(app); err != nil {
		return Imported{}, err
	}
	out.Useless = view.Unusable(configured, f.Rules)
	op.listPins(&out)
	return out, nil
}

// recorded returns what is recorded of a version; nil for nothing.
func (op *Operator) recorded(ctx context.Context, app, version string) (*pins.ShippedFile, error) {
	all, err := op.o.Versions.Shipped(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].App == app && all[i].Version == version {
			return &all[i], nil
		}
	}
	return nil, nil
}

// change returns what a file changes of the one before it: the format, and for each host the
// pins that go and come, their place in the chain, and when they end; nil for nothing.
func change(before pins.ShippedFile, f PinFile, hosts []pins.Pattern) (*Change, error) {
	c := &Change{Before: before, Format: f.Format.Title}
	old, err := importedRules(before)
	if err != nil {
		c.Unreadable = err
		return c, nil
	}
	was, err := format.Find(before.Format)
	if err != nil {
		return nil, err
	}
	if was.Name != f.Format.Name {
		c.WasFormat = was.Title
	}
	if c.Hosts = pins.Differences(old, f.Rules, hosts); c.Hosts == nil && c.WasFormat == "" {
		return nil, nil
	}
	return c, nil
}

// listPins fills in the pins of a version by host, and which of their keys are not trusted.
func (op *Operator) listPins(out *Imported) {
	seen := make(map[pins.Pin]bool)
	for _, p := range op.view.Plan(out.App) {
		list := p.Shipped[out.Version]
		out.Pins[p.Host.String()] = list
		for _, pin := range list {
			leaf, issuer := op.view.Doubt(pin, pins.RoleLeaf, p.Host), op.view.Doubt(pin, pins.RoleIssuer, p.Host)
			if leaf == nil || issuer == nil || seen[pin] {
				continue
			}
			seen[pin] = true
			why := *leaf
			if out.App.Role == pins.RoleIssuer {
				why = *issuer
			}
			out.Unapproved = append(out.Unapproved, Unapproved{Pin: pin, Why: why})
		}
	}
}

// Drop records that an imported version is no longer supported, whether or not its file can
// be read. It fails with the code UnknownVersion.
func (op *Operator) Drop(ctx context.Context, by By, app, version, reason string) error {
	err := op.o.Versions.DropVersion(ctx, app, version, by.Name, by.reason(reason, "dropped"))
	if errors.Is(err, ctwatch.ErrNotFound) {
		return &Error{Code: UnknownVersion, App: app, Version: version, Err: err}
	}
	return err
}
