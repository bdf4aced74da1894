package setup

import (
	"context"
	"errors"
	"fmt"

	"ctwatch/configs"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/files"
	"ctwatch/pins"
	"ctwatch/store"
)

// An Inventory has everything that a configuration describes, with the files that it names: what is
// watched, who may issue for it, which keys are trusted, which apps ship pins, and which
// endpoints serve them. It does not change.
type Inventory struct {
	Config    *configs.Config
	Watched   []Watched       // the watch list of the configuration, in its order
	List      *watchlist.List // Watched, then watch files and the command line: names without a policy
	Apps      []pins.App      // with the versions that the configuration names
	Endpoints []pins.Endpoint // those of Watched, and those that only apps name; each once
}

// Watched is one line of a configuration's watch list, with all that follows from it.
type Watched struct {
	Rule      watchlist.Rule
	Policy    policy.Rule        // who may issue
	Grants    []pins.PolicyGrant // the keys that the line trusts
	Endpoints []pins.Endpoint    // where what it watches is served
	Where     Place

	entry configs.Watch
}

// A Place is where a setting is in a configuration.
type Place struct {
	config *configs.Config
	path   string
}

// String returns "FILE:LINE:COLUMN", or the setting's path where there is no file.
func (p Place) String() string {
	var e *configs.Error
	if errors.As(p.config.Errorf(p.path, "is here"), &e) && e.Line > 0 {
		return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	return p.path
}

// sub returns the path of a setting in this one.
func (p Place) sub(format string, args ...any) string {
	return p.path + "." + fmt.Sprintf(format, args...)
}

// Read returns the inventory of a configuration, with more names to watch, which have no
// policy. It reads every file that the configuration names. The error has all mistakes, as
// configs.Errors.
func Read(cfg *configs.Config, more ...watchlist.Rule) (*Inventory, error) {
	return new(Inventory).Reread(cfg, more...)
}

// Reread returns the inventory of a configuration as Read does. Of the watch list it reads
// only what is new since inv.
func (inv *Inventory) Reread(cfg *configs.Config, more ...watchlist.Rule) (*Inventory, error) {
	wrong := configs.Mistakes{Config: cfg}
	next := &Inventory{Config: cfg}
	cas := policy.NewCAs()
	for i, entry := range cfg.Watch {
		next.Watched = append(next.Watched, readWatched(entry, Place{cfg, fmt.Sprintf("watch[%d]", i)}, cas, &wrong))
	}
	next.List = watchList(inv.List, next.Watched, cfg.WatchFiles, more, &wrong)
	next.Apps = configuredApps(cfg, &wrong)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	next.findEndpoints()
	return next, nil
}

// watchList returns the watch list that takes the place of another. It adds mistakes to
// wrong.
func watchList(before *watchlist.List, watched []Watched, names []string, more []watchlist.Rule, wrong *configs.Mistakes) *watchlist.List {
	parts := []watchlist.Part{{Name: "watch"}} // the part that narrowest knows
	for _, w := range watched {
		parts[0].Rules = append(parts[0].Rules, w.Rule)
	}
	for i, name := range names {
		text, err := watchFile(name)
		wrong.At(err, "watch_files[%d]", i)
		parts = append(parts, watchlist.Part{Name: name, Text: text})
	}
	list, mistakes := watchlist.Update(before, append(parts, watchlist.Part{Name: "--watch", Rules: more})...)
	for i, err := range mistakes {
		if i > 0 && i <= len(names) {
			wrong.At(err, "watch_files[%d]", i-1)
		} else {
			wrong.At(err, "watch_files") // too many names
		}
	}
	return list
}

// readWatched reads a line of the watch list. With a mistake, which it adds to wrong, it
// returns what it could read.
func readWatched(entry configs.Watch, where Place, cas *policy.CAs, wrong *configs.Mistakes) Watched {
	w := Watched{Where: where, entry: entry}
	var err error
	w.Rule, err = entry.Rule()
	wrong.At(err, "%s", where.sub("domain"))
	w.Policy = NoPolicy(w.Rule)
	w.Policy.Keys, w.Policy.Never, w.Policy.MaxValidity, w.Policy.Wildcards, w.Policy.CAA = entry.Keys, entry.Never, entry.MaxValidity, entry.Wildcards, entry.CAA
	for i, s := range entry.Issuers {
		issuer, err := policy.ParseIssuer(s)
		if err == nil {
			err = cas.Check(issuer)
		}
		wrong.At(err, "%s", where.sub("issuers[%d]", i))
		w.Policy.Issuers = append(w.Policy.Issuers, issuer)
	}
	for i, s := range entry.Algorithms {
		wrong.At(policy.CheckAlgorithm(s), "%s", where.sub("algorithms[%d]", i))
		w.Policy.Algorithms = append(w.Policy.Algorithms, s)
	}
	w.Grants = grants(entry, w.Rule)
	return w
}

func watchFile(name string) ([]byte, error) {
	data, err := files.Read(name, watchlist.MaxFile)
	if err != nil {
		return nil, err
	}
	if data, err = files.Text(data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// NoPolicy returns the policy of a line that does not say who may issue.
func NoPolicy(r watchlist.Rule) policy.Rule {
	p, _ := Pattern(r) // a network's subject is a name, too
	return policy.Rule{Pattern: p, Where: r.Domain + " in the watch list"}
}

// grants returns the keys that a line of the watch list trusts: its keys, and its issuers
// that are pins.
func grants(entry configs.Watch, r watchlist.Rule) (out []pins.PolicyGrant) {
	p, named := Pattern(r)
	if !named {
		return nil
	}
	for _, pin := range entry.Keys {
		out = append(out, pins.PolicyGrant{Pin: pin, Role: pins.RoleLeaf, Pattern: p, Reason: "among the keys of " + entry.Domain + " in the configuration"})
	}
	for _, issuer := range entry.Issuers {
		if pin, err := pins.Parse(issuer); err == nil {
			out = append(out, pins.PolicyGrant{Pin: pin, Role: pins.RoleIssuer, Pattern: p, Reason: "among the issuers of " + entry.Domain + " in the configuration"})
		}
	}
	return out
}

// Pattern returns the names that a rule watches; named is false for a rule about
// addresses.
func Pattern(r watchlist.Rule) (p pins.Pattern, named bool) {
	p = pins.Pattern{Name: r.Domain}
	if r.Subdomains {
		p.Reach = pins.AllBelow
	}
	return p, !r.Network.IsValid()
}

// Policies returns the policies of the configuration's watch list, in its order.
func (inv *Inventory) Policies() []policy.Rule {
	var out []policy.Rule
	for _, w := range inv.Watched {
		out = append(out, w.Policy)
	}
	return out
}

// Grants returns all keys that the configuration trusts.
func (inv *Inventory) Grants() []pins.PolicyGrant {
	var out []pins.PolicyGrant
	for _, w := range inv.Watched {
		out = append(out, w.Grants...)
	}
	return out
}

// narrowest returns the narrowest rule that covers a host, with its line if that is one of
// Watched; ok is false if no rule does.
func (inv *Inventory) narrowest(host pins.Pattern) (rule watchlist.Rule, line *Watched, ok bool) {
	rule, part, at, ok := inv.List.Narrowest(host)
	if ok && part == 0 {
		line = &inv.Watched[at]
	}
	return rule, line, ok
}

// Subject returns the watched domain that a host lies in, which is the subject of events
// about the host.
func (inv *Inventory) Subject(host pins.Pattern) string {
	if rule, _, ok := inv.narrowest(host); ok {
		return rule.Domain
	}
	return host.Name
}

// Pinned returns the first app that pins a host which a certificate's name covers.
func (inv *Inventory) Pinned(name string) (app, host string, ok bool) {
	n, err := pins.PatternOf(name)
	if err != nil {
		return "", "", false
	}
	for _, a := range inv.Apps {
		for _, h := range a.Hosts {
			if h.Covers(n) || n.Covers(h) {
				return a.Name, h.String(), true
			}
		}
	}
	return "", "", false
}

// NewPolicy returns the policy of the inventory, ready to judge.
func (inv *Inventory) NewPolicy() *policy.Live {
	return policy.NewLive(inv.Policies(), BuildVersion().Version)
}

// Apply brings a store in line with the inventory: with the keys that it trusts, and the
// verdicts of its policy.
func (inv *Inventory) Apply(ctx context.Context, db *store.DB, p *policy.Live) error {
	if err := db.Keys.SyncPolicy(ctx, inv.Grants()); err != nil {
		return err
	}
	return p.Apply(ctx, db.Issuers)
}
