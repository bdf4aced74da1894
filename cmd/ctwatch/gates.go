package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
	"ctwatch/store"
)

func (a *app) pinsCheckCommand() *cobra.Command {
	var name, formatName string
	c := &cobra.Command{
		Use: "check --app NAME FILE", Short: "The release gate: is this file safe to ship today?", Args: cobra.ExactArgs(1),
		Long: `check reads a file that is about to be released with an app and says whether it pins
each of the app's hosts, accepts what is served now and what is approved to come, has
a backup, does not end too soon, and names no key that is not approved for its host.

Exit status 0 if it is safe to ship, 3 with the reasons if it is not.`,
		Example: `  ctwatch pins check --app shop app/src/main/res/xml/network_security_config.xml`,
		RunE: func(c *cobra.Command, args []string) error {
			if name == "" {
				return usagef("check needs --app")
			}
			return a.desk(c.Context(), func(d *desk) error {
				app, err := findApp(d.apps, name)
				if err != nil {
					return err
				}
				_, f, rules, err := readPinFile(args[0], formatName)
				if err != nil {
					return err
				}
				problems, warnings := d.view.Check(app, rules)
				return a.answer(answer{
					Safe: len(problems) == 0, File: args[0], Format: f.Name, Problems: problems, Warnings: warnings,
				}, fmt.Sprintf("%s is safe to ship with %s.", args[0], name), fmt.Sprintf("%s is not safe to ship with %s:", args[0], name))
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "the `app`, as the configuration names it")
	c.Flags().StringVar(&formatName, "format", "", "the file's `format`, if it is not to be found out")
	return a.jsonFlag(c, "print the answer as JSON")
}

func (a *app) pinsGateCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "gate CERT.pem", Short: "The deployment gate: would serving this certificate break an app?", Args: cobra.ExactArgs(1),
		Long: `gate reads a certificate that is about to be served, with its chain if the file has
it, and says which supported versions of which apps would refuse it, each by the
rules of its client. It is made for the deploy hook of an ACME client: exit status 0
lets the deployment go on, 3 stops it. "-" reads from stdin.`,
		Example: `  ctwatch pins gate fullchain.pem
  certbot renew --deploy-hook 'ctwatch pins gate "$RENEWED_LINEAGE/fullchain.pem" && systemctl reload nginx'
  lego renew --renew-hook 'ctwatch pins gate "$LEGO_CERT_PATH" && systemctl reload nginx'`,
		RunE: func(c *cobra.Command, args []string) error {
			chain, err := a.readChain(args[0])
			if err != nil {
				return err
			}
			return a.desk(c.Context(), func(d *desk) error {
				apps, err := d.chosen(name)
				if err != nil {
					return err
				}
				return a.gate(c.Context(), d, apps, args[0], chain)
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "ask about this `app` alone")
	return a.jsonFlag(c, "print the answer as JSON")
}

// An answer is what a gate prints with --json.
type answer struct {
	Safe        bool           `json:"safe"`
	File        string         `json:"file"`
	Format      string         `json:"format,omitempty"`
	Certificate string         `json:"certificate,omitempty"` // ID
	Pin         string         `json:"pin,omitempty"`         // of its key
	Concerned   *int           `json:"hosts_concerned,omitempty"`
	Problems    []pins.Problem `json:"problems"`
	Warnings    []pins.Problem `json:"warnings"`
}

func (a *app) answer(r answer, yes, no string) error {
	if r.Problems == nil {
		r.Problems = []pins.Problem{}
	}
	if r.Warnings == nil {
		r.Warnings = []pins.Problem{}
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		head := yes
		if !r.Safe {
			head = no
		}
		fmt.Fprintln(a.Stdout, ctwatch.Printable(head, 500))
		for _, p := range r.Problems {
			fmt.Fprintln(a.Stdout, paragraph("- "+problemWords(p)))
		}
		for _, p := range r.Warnings {
			fmt.Fprintln(a.Stdout, paragraph("(note) "+problemWords(p)))
		}
	}
	if !r.Safe {
		return errNo
	}
	return nil
}

func problemWords(p pins.Problem) string {
	who := p.App
	if p.Version != "" {
		who += " " + p.Version
	}
	return fmt.Sprintf("%s, %s: %s", who, p.Host, p.Why)
}

func (a *app) gate(ctx context.Context, d *desk, apps []pins.App, file string, certs [][]byte) error {
	tbs, err := entry.TBS(certs[0])
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c := entry.Describe(tbs)
	if c.Key.Pin.IsZero() || len(c.Names) == 0 {
		return fmt.Errorf("%s: the certificate's key or names cannot be read: %s", file, ctwatch.Printable(strings.Join(c.Problems, "; "), 300))
	}
	chain := chainOf(certs)
	if len(chain.Pins) == 1 {
		// A log that has the certificate tells of its issuer, too.
		known, err := d.db.Certificate(ctx, c.ID.String())
		if err == nil && !known.Issuer.Pin.IsZero() {
			chain.Pins = append(chain.Pins, known.Issuer.Pin)
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	var names []pins.Pattern
	for _, n := range c.Names {
		if p, err := pins.ParsePattern(n); err == nil && p.Reach != pins.AllBelow {
			names = append(names, p)
		}
	}
	r := answer{Safe: true, File: file, Certificate: c.ID.String(), Pin: c.Key.Pin.String(), Concerned: new(int)}
	for i := range apps {
		problems, concerned := d.view.Gate(&apps[i], names, chain)
		*r.Concerned += concerned
		r.Problems = append(r.Problems, problems...)
		if concerned > 0 && len(apps[i].Versions) == 0 {
			r.Warnings = append(r.Warnings, pins.Problem{App: apps[i].Name, Host: apps[i].Hosts[0], Why: "No version of it is known, so that none can be asked. Tell what is released: ctwatch pins import."})
		}
	}
	r.Safe = len(r.Problems) == 0
	yes := fmt.Sprintf("Serving %s cuts no supported version of an app off (%d of their hosts concerned).", file, *r.Concerned)
	return a.answer(r, yes, fmt.Sprintf("Serving %s would cut apps off:", file))
}

// Bounds of a file with a certificate and its chain.
const (
	maxChainFile = 1 << 20
	maxChain     = 32
)

// readChain reads the certificates of a PEM file, or the one of a DER file, the
// leaf first.
func (a *app) readChain(file string) ([][]byte, error) {
	var data []byte
	var err error
	if file == "-" {
		if data, err = io.ReadAll(io.LimitReader(os.Stdin, maxChainFile)); err != nil {
			return nil, fmt.Errorf("reading stdin: %w", err)
		}
	} else if data, err = readBounded(file, maxChainFile); err != nil {
		return nil, err
	}
	var certs [][]byte
	for rest := data; len(certs) < maxChain; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			certs = append(certs, block.Bytes)
		}
	}
	if certs == nil && len(data) > 0 && data[0] == 0x30 {
		certs = [][]byte{data}
	}
	if certs == nil {
		return nil, fmt.Errorf("%s: there is no certificate in it: want PEM (-----BEGIN CERTIFICATE-----), the server's own first, or one in DER", file)
	}
	return certs, nil
}

// chainOf builds the chain of a leaf from certificates that may be in any order,
// and among which some may not belong: by signature.
func chainOf(certs [][]byte) pins.Chain {
	c := pins.Chain{Open: true}
	current, others := certs[0], certs[1:]
	for range certs {
		key, err := entry.SPKI(current)
		if err != nil {
			return c
		}
		c.Pins = append(c.Pins, pins.FromSPKI(key))
		if entry.SignedBy(current, key) == nil {
			c.Open = false // it signed itself: nothing follows
			return c
		}
		next := -1
		for i, o := range others {
			if issuer, err := entry.SPKI(o); err == nil && entry.SignedBy(current, issuer) == nil {
				next = i
				break
			}
		}
		if next < 0 {
			return c
		}
		current = others[next]
		others = append(others[:next:next], others[next+1:]...)
	}
	return c
}
