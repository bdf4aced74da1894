package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/pins/publish"
)

// The signed forms. They need a key, and are not formats of files that apps ship.
const (
	formatJWS    = "jws"
	formatWultra = "wultra"
)

func (a *app) pinsExportCommand() *cobra.Command {
	var o exportOptions
	var lines []string
	for _, f := range format.All() {
		lines = append(lines, fmt.Sprintf("  %-9s %s", f.Name, f.Title))
	}
	c := &cobra.Command{
		Use: "export --app NAME --format FORMAT", Short: "Write the recommended pins in a client's own format", Args: cobra.NoArgs,
		Long: `export writes the pins that the next version of an app should ship: for each host the
approved keys that are served now, and those that may be served next. The formats:

` + strings.Join(lines, "\n") + `
  jws       ctwatch's signed pin document (compact JWS)
  wultra    Wultra's signed certificate fingerprints

export refuses, with the reasons, pins that would break the app (a served key that is not
approved, fewer pins than min_pins, no backup), and pins that the format cannot express
exactly. A host that was never reached cannot be checked; a note on stderr names it.

To allow a rollback, a key that is no longer served stays in the pins for the app's lead
time, and while a certificate for it may be deployed again. It does not count as a backup.
"ctwatch pins retire" removes it at once.

A signed document revokes compromised keys at once. It withholds a host whose pins export
would refuse, so that apps keep their current pins for it, and a note on stderr names the
host. It is refused only if it would be empty.`,
		Example: `  ctwatch pins export --app shop --format android > network_security_config.xml
  ctwatch pins export --app shop --format curl --host api.example.com
  ctwatch pins export --app shop --format jws --sign-key offline-key.pem --out shop.jws`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.app == "" || o.format == "" {
				return usagef("export needs --app and --format")
			}
			how := setup.View
			if o.format == formatJWS || o.format == formatWultra {
				how = setup.Change // it issues a document
			}
			return a.sessionFor(c.Context(), how, func(s *session) error { return a.export(c.Context(), s, o) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.app, "app", "", "name of the `app` in the configuration")
	f.StringVar(&o.format, "format", "", "output `format`")
	f.StringArrayVar(&o.hosts, "host", nil, "only this `host` or pattern of the app")
	f.StringVar(&o.out, "out", "", "output `file`, replaced atomically (default: stdout)")
	f.StringVar(&o.key, "sign-key", "", "PEM `file` with the key to sign jws and wultra (default: the configured key)")
	return c
}

type exportOptions struct {
	app, format, out, key string
	hosts                 []string
}

func (a *app) export(ctx context.Context, s *session, o exportOptions) error {
	found, err := s.App(o.app)
	if err != nil {
		return refusal(err)
	}
	app := *found
	if len(o.hosts) > 0 {
		only, err := parseHosts("host", o.hosts)
		if err != nil {
			return err
		}
		for _, p := range only {
			if !slices.Contains(app.Hosts, p) {
				return usagef("--host %s is not a host of %s; it has %s", p, app.Name, terminal.List(app.Hosts))
			}
		}
		app.Hosts = only
	}
	var data []byte
	switch o.format {
	case formatJWS, formatWultra:
		if len(o.hosts) > 0 {
			return usagef("--host: a signed document needs all hosts of %s: apps would stop pinning the others", app.Name)
		}
		data, err = a.signed(ctx, s, &app, o)
	default:
		data, err = a.exported(s, &app, o.format)
	}
	var refusals pins.Refusals
	if errors.As(err, &refusals) {
		return fmt.Errorf("nothing was written:\n%s", words.Refusals(refusals))
	} else if err != nil {
		return err
	}
	if o.out != "" {
		return writeFile(o.out, data)
	}
	_, err = a.Stdout.Write(data)
	return err
}

// exported writes a file for an app to ship.
func (a *app) exported(s *session, app *pins.App, name string) ([]byte, error) {
	f, err := format.Find(name)
	if err != nil {
		return nil, usagef("%w, %s, %s", err, formatJWS, formatWultra)
	}
	set, unseen, err := s.View().Recommend(app)
	if err != nil {
		return nil, err
	}
	for _, f := range unseen {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s\n", words.Finding(f))
	}
	return f.Encode(set)
}

// signed writes a signed document.
func (a *app) signed(ctx context.Context, s *session, app *pins.App, o exportOptions) ([]byte, error) {
	key, err := a.signer(s, o.key)
	if err != nil {
		return nil, err
	}
	doc, err := publish.NewIssuer(setup.IssuerOptions(s.db, s.inv.Config, slog.New(slog.DiscardHandler))).Publish(ctx, s.View(), app)
	if err != nil {
		return nil, err
	}
	for _, r := range doc.Set.Withheld {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s is withheld (%s): %s\n", r.Host, r.Code, words.Finding(r))
	}
	for _, r := range doc.Set.Warnings {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s is published with a warning (%s): %s\n", r.Host, r.Code, words.Finding(r))
	}
	if o.format == formatWultra {
		return publish.Wultra(doc.Leaves, key)
	}
	data, err := publish.Compact(doc.Payload, key)
	return append(data, '\n'), err
}

func (a *app) signer(s *session, file string) (*publish.Key, error) {
	if file != "" {
		key, note, err := publish.LoadKey(file)
		if note != "" {
			fmt.Fprintf(a.Stderr, "ctwatch: note: %s\n", ctwatch.Printable(note, 500))
		}
		return key, err
	}
	ring, err := setup.OpenRing(s.inv.Config, true, a.logger())
	if err != nil {
		return nil, err
	}
	return ring.Keys().Active, nil
}

func (a *app) signingCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show the keys that sign pin documents", Args: cobra.NoArgs,
		Example: `  ctwatch signing show --json > jwks.json`,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			ring, err := setup.OpenRing(cfg, false, a.logger())
			if err != nil {
				return err
			}
			return a.showKeys(ring.Keys())
		},
	}
	rotate := &cobra.Command{
		Use: "rotate", Short: "Start a key rotation: a second key signs, too", Args: cobra.NoArgs,
		Long: `rotate generates the next signing key in addition to the active one. /pins/jwks.json then
has both, and documents requested as application/jose+json carry both signatures; compact
documents are still signed by the active key. When every app trusts the next key, run
"ctwatch signing finish". A running daemon needs no restart.`,
		RunE: func(*cobra.Command, []string) error {
			return a.changeKey(publish.Rotate, "now signs, too; once every app trusts it: ctwatch signing finish")
		},
	}
	finish := &cobra.Command{
		Use: "finish", Short: "Finish a key rotation: only the next key signs", Args: cobra.NoArgs,
		Long: `finish activates the key that "ctwatch signing rotate" generated. The previous key no
longer signs; its public key stays in /pins/jwks.json.`,
		RunE: func(*cobra.Command, []string) error { return a.changeKey(publish.Finish, "is now the active key") },
	}
	return group("signing", "The keys that sign pin documents", a.jsonFlag(show, "print the JSON Web Key Set"), rotate, finish)
}

func (a *app) changeKey(change func(path string) (*publish.Key, error), what string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if _, err := setup.OpenRing(cfg, true, a.logger()); err != nil {
		return err
	}
	path, _ := setup.SigningKey(cfg)
	key, err := change(path)
	switch {
	case errors.Is(err, publish.ErrInProgress):
		return errors.New("a replacement is in progress: run ctwatch signing finish once every app trusts the next key")
	case errors.Is(err, publish.ErrNoNext):
		return errors.New("there is no next key: run ctwatch signing rotate first")
	case err != nil:
		return err
	}
	fmt.Fprintf(a.Stdout, "%s (%s) %s\n", key.ID(), key.Algorithm(), what)
	return nil
}

func (a *app) showKeys(k *publish.Keys) error {
	if a.json {
		_, err := a.Stdout.Write(append(slices.Clip(k.JWKS()), '\n'))
		return err
	}
	t := a.table("KEY ID", "ALGORITHM", "STATE", "PUBLIC KEY FOR WULTRA'S SDK")
	for _, row := range []struct {
		key   *publish.Key
		state string
	}{{k.Active, "active"}, {k.Next, "next"}, {k.Old, "old"}} {
		if row.key == nil {
			continue
		}
		wultra, err := row.key.WultraPublicKey()
		if err != nil {
			wultra = ""
		}
		t.Row(row.key.ID(), row.key.Algorithm(), row.state, cmp.Or(wultra, "- (not on P-256)"))
	}
	return t.Flush()
}
