package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/chain"
	"ctwatch/pins/format"
)

// unknownHelp is what the help of both gates says of what is unknown.
const unknownHelp = `"Unknown" is exit status 3 with the reason, and "unknown": true in JSON. With
--allow-unknown it is exit status 0, unless there is a known reason to say no.

Without a database the gate knows only the configuration. That can be enough to say no;
everything else is unknown.`

func (a *app) pinsCheckCommand() *cobra.Command {
	var name, formatName string
	var allow bool
	c := &cobra.Command{
		Use: "check --app NAME FILE", Short: "The release gate: is this file safe to ship today?", Args: cobra.ExactArgs(1),
		Long: `check reads a file that is about to be released with an app and says whether it pins
each of the app's hosts, accepts what is served now and what is approved to come, has
a backup, does not end too soon, and names no key that is not approved for its host or
that its client can make no use of: one in a place where the client looks for others, or
of an algorithm that it does not know.

Exit status 0 if it is safe to ship, 3 with the reasons if it is not. A file that its
client would ignore, or crash on, is not; one that cannot be read at all is a failure
(exit status 1). "-" reads from stdin.

It is unknown as long as no connection to one of the hosts has succeeded, as where
probing is off.
` + unknownHelp,
		Example: `  ctwatch pins check --app shop app/src/main/res/xml/network_security_config.xml`,
		RunE: func(c *cobra.Command, args []string) error {
			if name == "" {
				return usagef("check needs --app")
			}
			return a.deskFor(c.Context(), setup.Judge, func(d *desk) error {
				app, err := findApp(d.apps, name)
				if err != nil {
					return err
				}
				_, f, rules, err := a.readPinFile(args[0], formatName)
				var found pins.Answer
				if p, ok := clientProblem(name, err); ok {
					found.Problems = append(found.Problems, p)
				} else if err != nil {
					return err
				} else {
					found = d.view.Check(app, rules)
				}
				return a.answer(d, answer{File: args[0], Format: f.Name}, found, allow, answerWords{
					yes:     fmt.Sprintf("%s is safe to ship with %s.", args[0], name),
					no:      fmt.Sprintf("%s is not safe to ship with %s:", args[0], name),
					unknown: fmt.Sprintf("It is unknown whether %s is safe to ship with %s:", args[0], name),
				})
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "the `app`, as the configuration names it")
	c.Flags().StringVar(&formatName, "format", "", "the file's `format`, if it is not to be found out")
	return a.gateFlags(c, &allow)
}

func (a *app) pinsGateCommand() *cobra.Command {
	var name string
	var allow bool
	c := &cobra.Command{
		Use: "gate CERT.pem", Short: "The deployment gate: would serving this certificate break an app?", Args: cobra.ExactArgs(1),
		Long: `gate reads a certificate that is about to be served, with its chain if the file has
it, and says which supported versions of which apps would refuse it, each by the
rules of its client. As clients do, it completes the chain to a root: by those that
this machine trusts (or those in SSL_CERT_FILE and SSL_CERT_DIR), and by chains that
were seen to be served. Where a CA is cross-signed and clients may build several chains,
each of them has to be accepted. It is made for the deploy hook of an ACME client: exit
status 0 lets the deployment go on, 3 stops it. "-" reads from stdin.

It is unknown if no name of the certificate is a host of an app, or if no released
version of such an app is recorded.
` + unknownHelp,
		Example: `  ctwatch pins gate fullchain.pem
  certbot renew --deploy-hook 'ctwatch pins gate "$RENEWED_LINEAGE/fullchain.pem" && systemctl reload nginx'
  ctwatch pins gate --allow-unknown fullchain.pem    # where some certificates are for no app's host`,
		RunE: func(c *cobra.Command, args []string) error {
			chain, err := a.readChain(args[0])
			if err != nil {
				return err
			}
			return a.deskFor(c.Context(), setup.Judge, func(d *desk) error {
				apps, err := d.chosen(name)
				if err != nil {
					return err
				}
				return a.gate(c.Context(), d, apps, args[0], chain, allow)
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "ask about this `app` alone")
	return a.gateFlags(c, &allow)
}

// gateFlags adds the flags that both gates have.
func (a *app) gateFlags(c *cobra.Command, allow *bool) *cobra.Command {
	c.Flags().BoolVar(allow, "allow-unknown", false, "exit with 0 where too little is known to say yes or no")
	return a.jsonFlag(c, "print the answer as JSON")
}

// An answer is what a gate prints with --json.
type answer struct {
	Safe        bool            `json:"safe"`    // known to be safe
	Unknown     bool            `json:"unknown"` // too little is known to say that it is safe
	Why         []string        `json:"why"`     // it is unknown
	File        string          `json:"file"`
	Format      string          `json:"format,omitempty"`
	Certificate string          `json:"certificate,omitempty"` // ID
	Pin         string          `json:"pin,omitempty"`         // of its key
	Concerned   *int            `json:"hosts_concerned,omitempty"`
	Problems    []words.Problem `json:"problems"`
	Warnings    []words.Problem `json:"warnings"`
}

// answerWords are the first line of an answer for people.
type answerWords struct{ yes, no, unknown string }

// answer prints the answer of a gate, and returns errNo unless something is safe, or
// unknown and allowed.
func (a *app) answer(d *desk, r answer, found pins.Answer, allow bool, first answerWords) error {
	if d.missing != nil {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %v; only the configuration was considered\n", d.missing)
		found.Unknown = append(found.Unknown, pins.Finding{Code: pins.NoDatabase})
	}
	r.Safe, r.Unknown = found.Safe(), len(found.Unknown) > 0
	r.Problems, r.Warnings, r.Why = words.Problems(found.Problems), words.Problems(found.Warnings), []string{}
	for _, f := range found.Unknown {
		r.Why = append(r.Why, ctwatch.Printable(words.Finding(f).String(), 1000))
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.printAnswer(r, first)
	}
	if len(r.Problems) > 0 || r.Unknown && !allow {
		return errNo
	}
	return nil
}

func (a *app) printAnswer(r answer, first answerWords) {
	head := first.no
	switch {
	case r.Safe:
		head = first.yes
	case len(r.Problems) == 0:
		head = first.unknown
	}
	fmt.Fprintln(a.Stdout, ctwatch.Printable(head, 500))
	for _, p := range r.Problems {
		fmt.Fprintln(a.Stdout, terminal.Paragraph("- "+p.String()))
	}
	for _, why := range r.Why {
		fmt.Fprintln(a.Stdout, terminal.Paragraph("- (unknown) "+why))
	}
	for _, p := range r.Warnings {
		fmt.Fprintln(a.Stdout, terminal.Paragraph("(note) "+p.String()))
	}
}

// clientProblem returns what is wrong with a file that can be read, and that its client
// would ignore or crash on, or that pins what no key has; ok is false for another error, or none.
func clientProblem(app string, err error) (f pins.Finding, ok bool) {
	var client *format.ClientError
	var noKey *pins.NoKeyError
	switch {
	case errors.As(err, &client):
		f = pins.Finding{Code: pins.FileUnreadable, App: app, Detail: client.Error()}
	case errors.As(err, &noKey):
		f = pins.Finding{Code: pins.FileUnreadable, App: app, Detail: noKey.Error()}
	default:
		return f, false
	}
	var at *format.SyntaxError
	if errors.As(err, &at) {
		f.Detail = at.Err.Error()
		if at.Line > 0 {
			f.Place = fmt.Sprintf("%d:%d", at.Line, at.Column)
		}
	}
	return f, true
}

func (a *app) gate(ctx context.Context, d *desk, apps []pins.App, file string, certs [][]byte, allow bool) error {
	tbs, err := entry.TBS(certs[0])
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c := entry.Describe(tbs)
	switch {
	case c.Key.Pin.IsZero() || len(c.Problems) > 0 && len(c.Names) == 0:
		return fmt.Errorf("%s: the certificate's key or names cannot be read: %s", file, ctwatch.Printable(strings.Join(c.Problems, "; "), 300))
	case len(c.Names) == 0:
		return fmt.Errorf("%s: the certificate names no host: want the one that a server is to serve, with its chain", file)
	}
	chains, incomplete, err := d.possibleChains(ctx, c.ID, certs)
	if err != nil {
		return err
	}
	var names []pins.Pattern
	for _, n := range c.Names {
		if p, err := pins.PatternOf(n); err == nil && p.Reach != pins.AllBelow {
			names = append(names, p)
		}
	}
	found := d.view.Gate(apps, pins.Candidate{Names: names, NotAfter: c.NotAfter, Chains: chains})
	if len(found.Problems) > 0 && incomplete != nil {
		incomplete.App, incomplete.Host = found.Problems[0].App, found.Problems[0].Host
		found.Warnings = append(found.Warnings, *incomplete)
	}
	r := answer{File: file, Certificate: c.ID.String(), Pin: c.Key.Pin.String(), Concerned: &found.Hosts}
	return a.answer(d, r, found, allow, answerWords{
		yes:     fmt.Sprintf("%s is safe to deploy: every supported app version accepts it (%s checked).", file, words.Count(found.Hosts, "app host")),
		no:      fmt.Sprintf("Deploying %s would break these apps:", file),
		unknown: fmt.Sprintf("It is unknown whether deploying %s would break an app:", file),
	})
}

// possibleChains lists the chains that clients may build for a certificate that is about
// to be served, by the trust anchors of this machine. Where these verify none, it is the
// one that can be built by signature from the file, and incomplete says why it ends there;
// nil if it does not.
func (d *desk) possibleChains(ctx context.Context, id ctwatch.Hash, certs [][]byte) (chains []pins.Chain, incomplete *pins.Finding, err error) {
	known, err := d.plan.Certificates(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent, err := parseAll(certs)
	if err == nil {
		chains, err = chain.Verified(sent, chain.Options{Roots: d.plan.Roots, Known: known, At: validAt(sent[0], time.Now())})
	}
	if err == nil {
		return chains, nil, nil
	}
	c := keyfile.Order(certs)
	if c.Open {
		incomplete = &pins.Finding{Code: pins.ChainIncomplete, Detail: err.Error(), Do: []pins.Action{{Do: pins.GiveChain}}}
	}
	if len(c.Pins) == 1 {
		// A log that has the certificate tells of its issuer, too.
		known, err := d.db.Certificates.Get(ctx, id.String())
		if err == nil && !known.Issuer.Pin.IsZero() {
			c.Pins = append(c.Pins, known.Issuer.Pin)
		} else if err != nil && !errors.Is(err, ctwatch.ErrNotFound) {
			return nil, nil, err
		}
	}
	return []pins.Chain{c}, incomplete, nil
}

// validAt is when a certificate that is about to be served has to be valid: now, or when
// it begins to be.
func validAt(c *x509.Certificate, now time.Time) time.Time {
	if c.NotBefore.After(now) {
		return c.NotBefore
	}
	return now
}

// parseAll parses certificates; the first has to be one, and others that are none are
// left out.
func parseAll(certs [][]byte) (out []*x509.Certificate, err error) {
	for i, der := range certs {
		c, err := x509.ParseCertificate(der)
		switch {
		case err == nil:
			out = append(out, c)
		case i == 0:
			return nil, err
		}
	}
	return out, nil
}
