package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
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
				r := answer{File: args[0], Format: f.Name}
				if p, ok := clientProblem(name, err); ok {
					r.Problems = append(r.Problems, p)
				} else if err != nil {
					return err
				} else {
					r.Problems, r.Warnings = d.view.Check(app, rules)
					for _, p := range app.Hosts {
						if at := d.view.LastLook(app, p); !at.IsZero() {
							r.Warnings = append(r.Warnings, pins.Problem{App: name, Host: p, Why: fmt.Sprintf("It was compared with what was served on %s: probing is off.", day(at))})
						}
					}
					for _, p := range d.view.Unseen(app) {
						if d.view.Unprobed(p) {
							r.unknown("%s is not looked at: probing is off. Look once: ctwatch probe --record HOST", p)
							continue
						}
						r.unknown("%s could not be checked: no connection to it has succeeded yet. Try one: ctwatch probe --record", p)
					}
				}
				return a.answer(d, r, allow, answerWords{
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
	Safe        bool           `json:"safe"`    // known to be safe
	Unknown     bool           `json:"unknown"` // too little is known to say that it is safe
	Why         []string       `json:"why"`     // it is unknown
	File        string         `json:"file"`
	Format      string         `json:"format,omitempty"`
	Certificate string         `json:"certificate,omitempty"` // ID
	Pin         string         `json:"pin,omitempty"`         // of its key
	Concerned   *int           `json:"hosts_concerned,omitempty"`
	Problems    []pins.Problem `json:"problems"`
	Warnings    []pins.Problem `json:"warnings"`
}

// unknown notes why it is not known that something is safe.
func (r *answer) unknown(format string, args ...any) {
	r.Unknown, r.Why = true, append(r.Why, ctwatch.Printable(fmt.Sprintf(format, args...), 1000))
}

// answerWords are the first line of an answer for people.
type answerWords struct{ yes, no, unknown string }

// answer prints the answer of a gate, and returns errNo unless something is safe, or
// unknown and allowed.
func (a *app) answer(d *desk, r answer, allow bool, words answerWords) error {
	if d.missing != nil {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %v; only the configuration was considered\n", d.missing)
		r.unknown("There is no database: what was imported, approved, reported as compromised and seen to be served is not known.")
	}
	r.Safe = len(r.Problems) == 0 && !r.Unknown
	for _, list := range []*[]pins.Problem{&r.Problems, &r.Warnings} {
		if *list == nil {
			*list = []pins.Problem{}
		}
	}
	if r.Why == nil {
		r.Why = []string{}
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		a.printAnswer(r, words)
	}
	if len(r.Problems) > 0 || r.Unknown && !allow {
		return errNo
	}
	return nil
}

func (a *app) printAnswer(r answer, words answerWords) {
	head := words.no
	switch {
	case r.Safe:
		head = words.yes
	case len(r.Problems) == 0:
		head = words.unknown
	}
	fmt.Fprintln(a.Stdout, ctwatch.Printable(head, 500))
	for _, p := range r.Problems {
		fmt.Fprintln(a.Stdout, paragraph("- "+problemWords(p)))
	}
	for _, why := range r.Why {
		fmt.Fprintln(a.Stdout, paragraph("- (unknown) "+why))
	}
	for _, p := range r.Warnings {
		fmt.Fprintln(a.Stdout, paragraph("(note) "+problemWords(p)))
	}
}

func problemWords(p pins.Problem) string {
	who := p.App
	if p.Version != "" {
		who += " " + p.Version
	}
	if p.Host != (pins.Pattern{}) {
		who += ", " + p.Host.String()
	}
	if p.Place != "" {
		who += ", line " + p.Place
	}
	return who + ": " + p.Why
}

// clientProblem returns what is wrong with a file that can be read, and that its client
// would ignore or crash on, or that pins what no key has; ok is false for another error, or none.
func clientProblem(app string, err error) (p pins.Problem, ok bool) {
	var client *format.ClientError
	var noKey *pins.NoKeyError
	switch {
	case errors.As(err, &client):
		p = pins.Problem{App: app, Why: client.Error()}
	case errors.As(err, &noKey):
		p = pins.Problem{App: app, Why: noKey.Error()}
	default:
		return p, false
	}
	var at *format.SyntaxError
	if errors.As(err, &at) {
		p.Why = at.Err.Error()
		if at.Line > 0 {
			p.Place = fmt.Sprintf("%d:%d", at.Line, at.Column)
		}
	}
	return p, true
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
	chains, note, err := d.possibleChains(ctx, c.ID, certs)
	if err != nil {
		return err
	}
	var names []pins.Pattern
	for _, n := range c.Names {
		if p, err := pins.PatternOf(n); err == nil && p.Reach != pins.AllBelow {
			names = append(names, p)
		}
	}
	r := answer{File: file, Certificate: c.ID.String(), Pin: c.Key.Pin.String(), Concerned: new(int)}
	for i := range apps {
		problems, concerned := d.view.Gate(&apps[i], names, chains...)
		*r.Concerned += concerned
		r.Problems = append(r.Problems, problems...)
		if now := time.Now(); concerned > 0 && !c.NotAfter.IsZero() && now.After(c.NotAfter) {
			for _, h := range apps[i].Hosts {
				if slices.ContainsFunc(names, func(n pins.Pattern) bool { return n.Covers(h) }) {
					r.Problems = append(r.Problems, pins.Problem{App: apps[i].Name, Host: h, Why: fmt.Sprintf("It ended on %s: every client refuses it.", c.NotAfter.UTC().Format(time.DateOnly))})
				}
			}
		}
		for _, u := range apps[i].Unreadable {
			if concerned > 0 {
				r.unknown("What was imported for version %s of %s cannot be read (%s), so it was not checked. Import it again with --replace, or take it out: ctwatch pins drop", u.Name, apps[i].Name, u.Why)
			}
		}
		if concerned > 0 && len(apps[i].Versions)+len(apps[i].Unreadable) == 0 {
			r.unknown("No released version of %s is recorded, so nothing was checked for it. Record one: ctwatch pins import, or shipped in the configuration.", apps[i].Name)
		}
	}
	if len(r.Problems) > 0 && note != "" {
		r.Warnings = append(r.Warnings, pins.Problem{App: r.Problems[0].App, Host: r.Problems[0].Host, Why: note})
	}
	if *r.Concerned == 0 {
		var asked []string
		for i := range apps {
			asked = append(asked, apps[i].Name)
		}
		r.unknown("No name of the certificate is a host of an app (%s), so nothing was checked.", words.Short(asked, 5))
	}
	return a.answer(d, r, allow, answerWords{
		yes:     fmt.Sprintf("%s is safe to deploy: every supported app version accepts it (%s checked).", file, appHosts(*r.Concerned)),
		no:      fmt.Sprintf("Deploying %s would break these apps:", file),
		unknown: fmt.Sprintf("It is unknown whether deploying %s would break an app:", file),
	})
}

func appHosts(n int) string {
	if n == 1 {
		return "1 app host"
	}
	return fmt.Sprintf("%d app hosts", n)
}
