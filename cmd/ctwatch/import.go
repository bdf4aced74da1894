package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

func (a *app) pinsImportCommand() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use: "import --app NAME --version V FILE", Short: "Record what a released version of an app ships", Args: cobra.ExactArgs(1),
		Long: `import reads the pins of a released version from the file that it ships, in any of
the formats that export writes: ` + strings.Join(format.Names(), ", ") + `.
The format is found by what the file says, unless --format names it; "-" reads from
stdin. The file is kept
as it is; plans and gates apply its client's own rules. From then on the version
counts as supported, until "ctwatch pins drop".

A version that is recorded already with another format or other pins is replaced only
with --replace; what would change is printed. The same file again changes nothing. An
app with several platforms has a version for each: "5.2-ios", "5.2-android".

Source code in Kotlin or Java is read only where it is certain what the app pins: best
from a file with one chain CertificatePinner.Builder().add(…).build() of literals.

Importing approves nothing: keys in the file that nobody has approved are listed, and so
are pins that the client can make no use of. A file that the client would ignore or crash
on, or that pins none of the app's hosts, is refused.`,
		Example: `  ctwatch pins import --app shop --version 5.2 app/src/main/res/xml/network_security_config.xml
  ctwatch pins import --app shop --version 5.2 --replace fixed/network_security_config.xml
  ctwatch pins import --app shop-ios --version 5.2 ios/Info.plist`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.app == "" || o.version == "" {
				return usagef("import needs --app and --version")
			}
			o.file = args[0]
			return a.desk(c.Context(), func(d *desk) error { return a.importPins(c.Context(), d, o) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.app, "app", "", "the `app`, as the configuration names it")
	f.StringVar(&o.version, "version", "", "the released `version`")
	f.StringVar(&o.format, "format", "", "the file's `format`, if it is not to be found out")
	f.BoolVar(&o.replace, "replace", false, "replace what is recorded of the version")
	return a.jsonFlag(c, "print what was read as JSON")
}

type importOptions struct {
	app, version, format, file string
	replace                    bool
}

// An imported is what "pins import --json" prints.
type imported struct {
	App        string                `json:"app"`
	Version    string                `json:"version"`
	Format     string                `json:"format"`
	Hosts      []pins.Pattern        `json:"hosts"` // that the file speaks of
	Pins       map[string][]pins.Pin `json:"pins"`  // by host of the app
	Unapproved []pins.Pin            `json:"unapproved"`
	Useless    []words.Problem       `json:"useless"`            // pins that the client can make no use of
	Replaced   []string              `json:"replaced,omitempty"` // what differs from what was recorded before
}

func (a *app) importPins(ctx context.Context, d *desk, o importOptions) error {
	app, err := findApp(d.inv.Apps, o.app)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(app.Versions, func(v pins.Version) bool { return v.Name == o.version }) {
		return fmt.Errorf("version %s of %s is in the configuration already: change it there, or take it out and import it", o.version, o.app)
	}
	data, f, rules, err := a.readPinFile(o.file, o.format)
	if err != nil {
		return err
	}
	if yes, why := d.view.Pins(app, rules); !yes {
		return fmt.Errorf("%s pins none of the hosts of %s: %s", o.file, o.app, words.Sentences(why...))
	}
	before, err := recorded(ctx, d.db, o.app, o.version)
	if err != nil {
		return err
	}
	out := imported{App: o.app, Version: o.version, Format: f.Name, Hosts: rules.Patterns(), Pins: make(map[string][]pins.Pin), Unapproved: []pins.Pin{}, Useless: []words.Problem{}}
	same := false
	if before != nil {
		same = before.Format == f.Name && bytes.Equal(before.Content, data)
		if out.Replaced, err = changes(before, f, rules, app.Hosts); err != nil {
			return err
		}
		if len(out.Replaced) > 0 && !o.replace {
			return usagef("version %s of %s is recorded already, from %s, and %s differs:\n- %s\nNothing was changed. To replace what is recorded, add --replace; for another platform, take another --version",
				ctwatch.Printable(o.version, 60), ctwatch.Printable(o.app, 100), ctwatch.Printable(before.Name, 200), ctwatch.Printable(o.file, 200), strings.Join(out.Replaced, "\n- "))
		}
	}
	if !same {
		err := d.db.Apps.Import(ctx, pins.ShippedFile{App: o.app, Version: o.version, Format: f.Name, Name: o.file, Content: data, By: a.person()})
		if err != nil {
			return err
		}
		if err := d.refresh(ctx); err != nil {
			return err
		}
	}
	out.Useless = append(out.Useless, words.Problems(d.view.Unusable(app, rules))...)
	return a.printImported(d, f, out)
}

// recorded returns what is recorded of a version; nil for nothing.
func recorded(ctx context.Context, db *store.DB, app, version string) (*pins.ShippedFile, error) {
	all, err := db.Apps.Shipped(ctx)
	if i := slices.IndexFunc(all, func(s pins.ShippedFile) bool { return s.App == app && s.Version == version }); err == nil && i >= 0 {
		return &all[i], nil
	}
	return nil, err
}

// changes lists in what a file differs from the one before it: the format, and for each
// host the pins that go and come, where they stand, and when they end.
func changes(before *pins.ShippedFile, f format.Format, rules pins.Rules, hosts []pins.Pattern) ([]string, error) {
	old, err := setup.ImportedRules(*before)
	if err != nil {
		return []string{fmt.Sprintf("what is recorded (%s) cannot be read: %v", ctwatch.Printable(before.Name, 100), err)}, nil
	}
	was, err := format.Find(before.Format)
	if err != nil {
		return nil, err
	}
	var out []string
	if was.Name != f.Name {
		out = append(out, fmt.Sprintf("the format: %s, and not %s", f.Title, was.Title))
	}
	var told []string
	for _, p := range slices.Concat(hosts, old.Patterns(), rules.Patterns()) {
		if slices.Contains(told, p.String()) {
			continue
		}
		told = append(told, p.String())
		host := p.Name
		if p.Reach == pins.OneBelow {
			host = "any-host." + p.Name
		}
		if what := hostChange(old, rules, host); what != "" {
			out = append(out, p.String()+": "+what)
		}
	}
	return out, nil
}

// hostChange says in what rules differ for a host, whether or not its pins have ended.
func hostChange(old, rules pins.Rules, host string) string {
	was, is := old.Requirements(host, time.Time{}), rules.Requirements(host, time.Time{})
	gone, come := pins.AllPins(was), pins.AllPins(is)
	var parts []string
	for _, side := range []struct {
		verb      string
		mine, not []pins.Pin
	}{{"loses", gone, come}, {"gains", come, gone}} {
		var list []pins.Pin
		for _, p := range side.mine {
			if !slices.Contains(side.not, p) {
				list = append(list, p)
			}
		}
		if list != nil {
			parts = append(parts, side.verb+" "+terminal.List(list))
		}
	}
	if parts == nil && !slices.EqualFunc(was, is, func(a, b pins.Requirement) bool { return a.At == b.At && len(a.Pins) == len(b.Pins) }) {
		parts = append(parts, "its pins are compared with other certificates of the chain")
	}
	if a, b := old.Ends(host), rules.Ends(host); !a.Equal(b) {
		parts = append(parts, fmt.Sprintf("its pins end %s, and not %s", ending(b), ending(a)))
	}
	return strings.Join(parts, "; ")
}

func ending(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "on " + t.UTC().Format(time.DateOnly)
}

// printImported prints what a version ships, and of which keys to doubt.
func (a *app) printImported(d *desk, f format.Format, out imported) error {
	app, err := findApp(d.apps, out.App)
	if err != nil {
		return err
	}
	var doubts []string
	for _, p := range d.view.Plan(app) {
		out.Pins[p.Host.String()] = p.Shipped[out.Version]
		for _, pin := range p.Shipped[out.Version] {
			leaf, issuer := d.view.Doubt(pin, pins.RoleLeaf, p.Host), d.view.Doubt(pin, pins.RoleIssuer, p.Host)
			if leaf == nil || issuer == nil || slices.Contains(out.Unapproved, pin) {
				continue
			}
			out.Unapproved = append(out.Unapproved, pin)
			if app.Role == pins.RoleIssuer {
				leaf = issuer
			}
			doubts = append(doubts, words.Finding(*leaf).String())
		}
	}
	if a.json {
		return a.printJSON(out)
	}
	fmt.Fprintf(a.Stdout, "%s ships with version %s (%s):\n", ctwatch.Printable(out.App, 100), ctwatch.Printable(out.Version, 60), f.Title)
	t := a.table("HOST", "PINS")
	for _, p := range app.Hosts {
		list := out.Pins[p.String()]
		if len(list) == 0 {
			t.Row(p.String(), "none: this version does not pin it")
		}
		for i, pin := range list {
			t.Row(first(i, p.String()), pin.String())
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(out.Replaced) > 0 {
		fmt.Fprintf(a.Stdout, "What was recorded before is replaced:\n- %s\n", strings.Join(out.Replaced, "\n- "))
	}
	for _, doubt := range doubts {
		fmt.Fprintln(a.Stdout, ctwatch.Printable(doubt, 1000))
	}
	for _, p := range out.Useless {
		fmt.Fprintln(a.Stdout, terminal.Paragraph(p.String()))
	}
	return nil
}
