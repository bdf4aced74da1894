package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

func (a *app) pinsImportCommand() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use: "import --app NAME --version V FILE", Short: "Record what a released version of an app ships", Args: cobra.ExactArgs(1),
		Long: `import reads the pins of a released version from the file that it ships, in any of
the formats that export writes: ` + strings.Join(format.Names(), ", ") + `.
import detects the format from the content, unless --format names it; "-" reads from
stdin. It stores the file unchanged; plans and gates apply the rules of its client. The
version counts as supported until "ctwatch pins drop".

To replace a version that is recorded with another format or other pins, add --replace;
import prints the changes. Importing the same file again changes nothing. For an app with
several platforms, import a version for each: "5.2-ios", "5.2-android".

Kotlin and Java source is accepted only if its pins are unambiguous: best is a file with a
single chain CertificatePinner.Builder().add(…).build() of literals.

Importing approves no keys: import lists the unapproved keys in the file, and the pins
that the client cannot use. It refuses a file that the client would ignore or crash on,
and one that pins none of the app's hosts.`,
		Example: `  ctwatch pins import --app shop --version 5.2 app/src/main/res/xml/network_security_config.xml
  ctwatch pins import --app shop --version 5.2 --replace fixed/network_security_config.xml
  ctwatch pins import --app shop-ios --version 5.2 ios/Info.plist`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.app == "" || o.version == "" {
				return usagef("import needs --app and --version")
			}
			o.file = args[0]
			return a.session(c.Context(), func(s *session) error { return a.importPins(c.Context(), s, o) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.app, "app", "", "name of the `app` in the configuration")
	f.StringVar(&o.version, "version", "", "the released `version`")
	f.StringVar(&o.format, "format", "", "`format` of the file (default: detected)")
	f.BoolVar(&o.replace, "replace", false, "replace the recorded version")
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
	Hosts      []pins.Pattern        `json:"hosts"` // in the file
	Pins       map[string][]pins.Pin `json:"pins"`  // by host of the app
	Unapproved []pins.Pin            `json:"unapproved"`
	Useless    []words.Problem       `json:"useless"`            // pins that the client cannot use
	Replaced   []string              `json:"replaced,omitempty"` // differences from the recorded version
}

func (a *app) importPins(ctx context.Context, s *session, o importOptions) error {
	data, f, rules, err := a.readPinFile(o.file, o.format)
	if err != nil {
		return err
	}
	done, err := s.Import(ctx, a.by(), o.app, o.version, operator.PinFile{Name: o.file, Content: data, Format: f, Rules: rules}, o.replace)
	var refused *operator.Error
	switch {
	case errors.As(err, &refused) && refused.Code == operator.Recorded:
		return usagef("version %s of %s is already recorded, from %s, and %s differs:\n- %s\nNothing was changed. To replace the recorded version, add --replace; for another platform, use another --version",
			ctwatch.Printable(o.version, 60), ctwatch.Printable(o.app, 100), ctwatch.Printable(refused.Changed.Before.Name, 200), ctwatch.Printable(o.file, 200), strings.Join(changeText(refused.Changed), "\n- "))
	case errors.As(err, &refused) && refused.Code == operator.PinsNoHost:
		return fmt.Errorf("%s pins none of the hosts of %s: %s", o.file, o.app, words.Sentences(refused.Why...))
	case err != nil:
		return refusal(err)
	}
	out := imported{
		App: o.app, Version: o.version, Format: f.Name, Hosts: rules.Patterns(), Pins: done.Pins, Unapproved: []pins.Pin{},
		Useless: words.Problems(done.Useless), Replaced: changeText(done.Changed),
	}
	for _, u := range done.Unapproved {
		out.Unapproved = append(out.Unapproved, u.Pin)
	}
	if a.json {
		return a.printJSON(out)
	}
	return a.printImported(out, done, f)
}

// changeText lists the differences between a file and the recorded one: the format, and for
// each host the lost and gained pins, their place in the chain, and when they end.
func changeText(c *operator.Change) (lines []string) {
	switch {
	case c == nil:
		return nil
	case c.Unreadable != nil:
		return []string{fmt.Sprintf("the recorded file (%s) cannot be read: %v", ctwatch.Printable(c.Before.Name, 100), c.Unreadable)}
	case c.WasFormat != "":
		lines = append(lines, fmt.Sprintf("the format: %s, previously %s", c.Format, c.WasFormat))
	}
	for _, d := range c.Hosts {
		var parts []string
		if len(d.Lost) > 0 {
			parts = append(parts, "loses "+terminal.List(d.Lost))
		}
		if len(d.Gained) > 0 {
			parts = append(parts, "gains "+terminal.List(d.Gained))
		}
		if d.Moved {
			parts = append(parts, "its pins apply to other certificates of the chain")
		}
		if d.Ends() {
			parts = append(parts, fmt.Sprintf("its pins end %s, previously %s", ending(d.End), ending(d.WasEnd)))
		}
		lines = append(lines, d.Host.String()+": "+strings.Join(parts, "; "))
	}
	return lines
}

func ending(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return "on " + words.Day(t)
}

// printImported prints what a version ships, its unapproved keys and its useless pins.
func (a *app) printImported(out imported, done operator.Imported, f format.Format) error {
	fmt.Fprintf(a.Stdout, "%s ships with version %s (%s):\n", ctwatch.Printable(out.App, 100), ctwatch.Printable(out.Version, 60), f.Title)
	t := a.table("HOST", "PINS")
	for _, p := range done.App.Hosts {
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
		fmt.Fprintf(a.Stdout, "Replaced the recorded version:\n- %s\n", strings.Join(out.Replaced, "\n- "))
	}
	for _, u := range done.Unapproved {
		fmt.Fprintln(a.Stdout, ctwatch.Printable(words.Finding(u.Why).String(), 1000))
	}
	for _, p := range out.Useless {
		fmt.Fprintln(a.Stdout, terminal.Paragraph(p.String()))
	}
	return nil
}
