package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

func (a *app) pinsImportCommand() *cobra.Command {
	var app, version, formatName string
	c := &cobra.Command{
		Use: "import --app NAME --version V FILE", Short: "Record what a released version of an app ships", Args: cobra.ExactArgs(1),
		Long: `import reads the pins of a released version from the file that it ships, in any of
the formats that export writes: ` + strings.Join(format.Names(), ", ") + `.
The format is found by what the file says, unless --format names it. The file is kept
as it is; plans and gates apply its client's own rules. From then on the version
counts as supported, until "ctwatch pins drop".

Source code in Kotlin or Java is read only where it is certain what the app pins: best
from a file with one chain CertificatePinner.Builder().add(…).build() of literals.

Importing approves nothing: keys in the file that nobody has approved are listed, and so
are pins that the client can make no use of. A file that the client would ignore or crash
on, or that pins none of the app's hosts, is refused.`,
		Example: `  ctwatch pins import --app shop --version 5.2 app/src/main/res/xml/network_security_config.xml
  ctwatch pins import --app shop --version 5.2 ios/Info.plist`,
		RunE: func(c *cobra.Command, args []string) error {
			if app == "" || version == "" {
				return usagef("import needs --app and --version")
			}
			return a.desk(c.Context(), func(d *desk) error { return a.importPins(c.Context(), d, app, version, formatName, args[0]) })
		},
	}
	f := c.Flags()
	f.StringVar(&app, "app", "", "the `app`, as the configuration names it")
	f.StringVar(&version, "version", "", "the released `version`")
	f.StringVar(&formatName, "format", "", "the file's `format`, if it is not to be found out")
	return a.jsonFlag(c, "print what was read as JSON")
}

// An imported is what "pins import --json" prints.
type imported struct {
	App        string                `json:"app"`
	Version    string                `json:"version"`
	Format     string                `json:"format"`
	Hosts      []pins.Pattern        `json:"hosts"` // that the file speaks of
	Pins       map[string][]pins.Pin `json:"pins"`  // by host of the app
	Unapproved []pins.Pin            `json:"unapproved"`
	Useless    []pins.Problem        `json:"useless"` // pins that the client can make no use of
}

func (a *app) importPins(ctx context.Context, d *desk, name, version, formatName, file string) error {
	app, err := findApp(d.estate.apps, name)
	if err != nil {
		return err
	}
	if hasVersion(*app, version) {
		return fmt.Errorf("version %s of %s is in the configuration already: change it there, or take it out and import it", version, name)
	}
	data, f, rules, err := readPinFile(file, formatName)
	if err != nil {
		return err
	}
	if yes, why := d.view.Pins(app, rules); !yes {
		return fmt.Errorf("%s pins none of the hosts of %s: %s", file, name, strings.Join(why, " "))
	}
	err = d.db.Import(ctx, store.Shipped{App: name, Version: version, Format: f.Name, Name: file, Content: data, By: a.person()})
	if err != nil {
		return err
	}
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if app, err = findApp(d.apps, name); err != nil {
		return err
	}
	out := imported{App: name, Version: version, Format: f.Name, Hosts: rules.Patterns(), Pins: make(map[string][]pins.Pin), Unapproved: []pins.Pin{}, Useless: []pins.Problem{}}
	out.Useless = append(out.Useless, d.view.Unusable(app, rules)...)
	for _, p := range d.view.Plan(app) {
		out.Pins[p.Host.String()] = p.Shipped[version]
		for _, pin := range p.Shipped[version] {
			if d.view.Trusted(pin, pins.RoleLeaf, p.Host) == nil && d.view.Trusted(pin, pins.RoleIssuer, p.Host) == nil && !slices.Contains(out.Unapproved, pin) {
				out.Unapproved = append(out.Unapproved, pin)
			}
		}
	}
	if a.json {
		return a.printJSON(out)
	}
	fmt.Fprintf(a.Stdout, "%s ships with version %s (%s):\n", ctwatch.Printable(name, 100), ctwatch.Printable(version, 60), f.Title)
	t := a.table("HOST", "PINS")
	for _, p := range app.Hosts {
		list := out.Pins[p.String()]
		if len(list) == 0 {
			t.row(p.String(), "none: this version does not pin it")
		}
		for i, pin := range list {
			t.row(first(i, p.String()), pin.String())
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, pin := range out.Unapproved {
		fmt.Fprintf(a.Stdout, "%s is approved by nobody: if it is yours, approve it (ctwatch pins approve) or declare it (ctwatch certs authorize).\n", pin)
	}
	for _, p := range out.Useless {
		fmt.Fprintln(a.Stdout, paragraph(problemWords(p)))
	}
	return nil
}

func (a *app) pinsDropCommand() *cobra.Command {
	var app, version, reason string
	c := &cobra.Command{
		Use: "drop --app NAME --version V", Short: "Say that an imported version is no longer supported", Args: cobra.NoArgs,
		Long:    `drop takes a version that was imported out of plans and gates.`,
		Example: `  ctwatch pins drop --app shop --version 4.9 --reason "blocked by the update wall"`,
		RunE: func(c *cobra.Command, _ []string) error {
			if app == "" || version == "" {
				return usagef("drop needs --app and --version")
			}
			return a.deskFor(c.Context(), toChange, func(d *desk) error {
				err := d.db.Drop(c.Context(), app, version, a.person(), orDefault(reason, "dropped on the command line"))
				if errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("no version %s of %s was imported: versions that the configuration names are dropped there", ctwatch.Printable(version, 60), ctwatch.Printable(app, 100))
				} else if err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "version %s of %s is no longer supported\n", ctwatch.Printable(version, 60), ctwatch.Printable(app, 100))
				return d.refresh(c.Context())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&app, "app", "", "the `app`")
	f.StringVar(&version, "version", "", "the `version`")
	f.StringVar(&reason, "reason", "", "why, for the audit trail")
	return c
}

// writeFile writes a whole file or leaves what was there.
func writeFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".ctwatch-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return os.Rename(tmp.Name(), file)
}
