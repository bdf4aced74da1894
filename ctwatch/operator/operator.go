// Package operator is what people may do and ask: authorize and reject certificates,
// declare, approve and retire keys, import and drop released versions of apps, and ask for
// plans, for the answers of the two gates and for suggested rules. The commands and Slack's
// buttons call it, and decide nothing themselves.
//
// Each change names who made it, by what means and why, and the store records that in its
// audit trail. Results and refusals are data (see Error): the caller words them for a
// terminal, a message or a page.
package operator

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
)

// Means is where a person made a change.
type Means string

// The means.
const (
	Command Means = "on the command line"
	Slack   Means = "in Slack"
)

// By is who makes a change, for the audit trail.
type By struct {
	Name  string
	Means Means
}

// reason returns the reason that a person gave, or else what was done by what means.
func (b By) reason(given, done string) string {
	return cmp.Or(strings.TrimSpace(given), done+" "+string(b.Means))
}

// verdictReason returns the reason of a verdict on a certificate. It fails with the code
// NoReason if there is none, except for a button, which has no field for one.
func (b By) verdictReason(given, done string) (string, error) {
	if b.Means != Slack {
		if err := requireReason(given); err != nil {
			return "", err
		}
	}
	return b.reason(given, done), nil
}

func requireReason(given string) error {
	if strings.TrimSpace(given) == "" {
		return &Error{Code: NoReason}
	}
	return nil
}

// Certificates keeps the certificates that were found.
type Certificates interface {
	// Get returns the certificate with an ID in hex, or with an ID that starts with eight
	// digits or more. It fails with ctwatch.ErrNotFound or ctwatch.ErrAmbiguous.
	Get(ctx context.Context, id string) (ctwatch.Certificate, error)
	SetVerdict(ctx context.Context, id ctwatch.Hash, v ctwatch.Verdict, reasons []string, by, reason string) (ctwatch.Certificate, error)
	// Authorize makes a certificate expected and approves its key: both, or neither.
	Authorize(ctx context.Context, id ctwatch.Hash, reasons []string, a pins.Approval) (ctwatch.Certificate, error)
	Standing(ctx context.Context, id ctwatch.Hash) (ctwatch.Standing, error)
}

// Keys keeps the keys of servers and issuers, and who trusts them for which hosts.
type Keys interface {
	TrustedLeaves(ctx context.Context) ([]pins.Pin, error)
	// Of returns the key of a pin in each role that it is known in.
	Of(ctx context.Context, pin pins.Pin) ([]pins.Key, error)
	// Approve fails with ctwatch.ErrNotFound, pins.ErrState or pins.ErrUnexpected.
	Approve(ctx context.Context, a pins.Approval) (pins.Key, error)
	// Retire fails with ctwatch.ErrNotFound or pins.ErrState.
	Retire(ctx context.Context, pin pins.Pin, compromised bool, by, reason string) error
	CertifiedNames(ctx context.Context, leaf pins.Pin) ([]string, error)
}

// Versions keeps the pin files of released versions.
type Versions interface {
	Shipped(ctx context.Context) ([]pins.ShippedFile, error)
	Import(ctx context.Context, f pins.ShippedFile) error
	// DropVersion fails with ctwatch.ErrNotFound.
	DropVersion(ctx context.Context, app, version, by, reason string) error
}

// Options are what an Operator works on. A caller that only authorizes and rejects
// certificates needs Certificates alone, one that only drops versions Versions.
type Options struct {
	Certificates Certificates
	Keys         Keys
	Versions     Versions
	Facts        *planner.FactStore
	Configured   []pins.App       // with the versions that the configuration names
	Now          func() time.Time // optional: the system's clock
	// NoDatabase means that the store is empty because there is no database: gates answer
	// by the configuration alone, and say so.
	NoDatabase bool
}

// An Operator does what people ask. It has a view of the facts about its apps as of the last
// Refresh, and reads more for what a person asks besides. It serves one caller at a time.
type Operator struct {
	o    Options
	apps []pins.App
	view *pins.View
}

// New returns an operator. Call Refresh or Read before anything about keys, apps and plans.
func New(o Options) *Operator {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Operator{o: o, view: pins.NewView(&pins.Facts{})}
}

// Refresh reads the facts, and updates the states of keys by their use.
func (op *Operator) Refresh(ctx context.Context) error {
	if err := op.Read(ctx); err != nil {
		return err
	}
	changed, err := op.o.Facts.SettleKeys(ctx, planner.Shipped(planner.PlanAll(op.view, op.apps)))
	if err != nil || changed == 0 {
		return err
	}
	return op.Read(ctx)
}

// Read reads the facts, and writes nothing.
func (op *Operator) Read(ctx context.Context) (err error) {
	if op.apps, err = AllApps(ctx, op.o.Configured, op.o.Versions); err != nil {
		return err
	}
	op.view, err = op.viewOf(ctx, pins.Scope{})
	return err
}

// viewOf returns the facts about the operator's apps, and about more.
func (op *Operator) viewOf(ctx context.Context, more pins.Scope) (*pins.View, error) {
	more.Apps = op.apps
	facts, _, err := op.o.Facts.Facts(ctx, more)
	if err != nil {
		return op.view, err
	}
	return pins.NewView(&facts), nil
}

// View returns the facts about all apps as of the last Refresh.
func (op *Operator) View() *pins.View { return op.view }

// Apps returns the apps with all their versions, as of the last Refresh.
func (op *Operator) Apps() []pins.App { return op.apps }

// App returns the app with a name. It fails with the code NoApps or UnknownApp.
func (op *Operator) App(name string) (*pins.App, error) { return findApp(op.apps, name) }

// Chosen returns the app with a name, or all apps for no name. It fails as App does.
func (op *Operator) Chosen(name string) ([]pins.App, error) {
	if name == "" && len(op.apps) > 0 {
		return op.apps, nil
	}
	app, err := op.App(name)
	if err != nil {
		return nil, err
	}
	return []pins.App{*app}, nil
}

func findApp(apps []pins.App, name string) (*pins.App, error) {
	var names []string
	for i := range apps {
		if apps[i].Name == name {
			return &apps[i], nil
		}
		names = append(names, apps[i].Name)
	}
	if names == nil {
		return nil, &Error{Code: NoApps, App: name}
	}
	return nil, &Error{Code: UnknownApp, App: name, Others: names}
}

// Keys returns what is known of a pin, for each role that its key was seen in.
func (op *Operator) Keys(ctx context.Context, pin pins.Pin) ([]pins.Key, error) {
	keys, err := op.o.Keys.Of(ctx, pin)
	slices.SortFunc(keys, func(a, b pins.Key) int { return strings.Compare(string(b.Role), string(a.Role)) }) // the leaf first
	return keys, err
}

// A List is a sequence of certificates, which may end with an error.
type List = iter.Seq2[ctwatch.Certificate, error]
