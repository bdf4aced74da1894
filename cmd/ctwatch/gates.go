package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// unknownHelp explains the answer "unknown" in the help of both gates.
const unknownHelp = `"Unknown" is exit status 3 with the reason, and "unknown": true in JSON. With
--allow-unknown it is exit status 0, unless there is a known problem.

Without a database, the gate uses only the configuration. It can then find problems, but
otherwise answers "unknown".`

func (a *app) pinsCheckCommand() *cobra.Command {
	var name, formatName string
	var allow bool
	c := &cobra.Command{
		Use: "check --app NAME FILE", Short: "Release gate: is this pin file safe to ship?", Args: cobra.ExactArgs(1),
		Long: `check reads a pin file before it is released with an app. The file is safe to ship if it:

  - pins every host of the app
  - accepts the certificates served now and those that may be deployed next
  - has a backup pin for every host, and does not end too soon
  - has only approved keys, which its client can use (at the right place in the chain, and
    of a supported algorithm)

Exit status 0: safe to ship; 3: not safe, with the reasons. A file that its client would
ignore or crash on is not safe; a file that cannot be read is a failure (exit status 1).
"-" reads from stdin.

The answer is unknown until a connection to every host has succeeded, for example while
probing is off.
` + unknownHelp,
		Example: `  ctwatch pins check --app shop app/src/main/res/xml/network_security_config.xml`,
		RunE: func(c *cobra.Command, args []string) error {
			if name == "" {
				return usagef("check needs --app")
			}
			return a.sessionFor(c.Context(), setup.Judge, func(s *session) error {
				if _, err := s.App(name); err != nil {
					return refusal(err)
				}
				_, f, rules, err := a.readPinFile(args[0], formatName)
				found, err := s.Check(c.Context(), name, rules, err)
				if err != nil {
					return err
				}
				return a.answer(s, answer{File: args[0], Format: f.Name}, found, allow, answerWords{
					yes:     fmt.Sprintf("%s is safe to ship with %s.", args[0], name),
					no:      fmt.Sprintf("%s is not safe to ship with %s:", args[0], name),
					unknown: fmt.Sprintf("It is unknown whether %s is safe to ship with %s:", args[0], name),
				})
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "name of the `app` in the configuration")
	c.Flags().StringVar(&formatName, "format", "", "`format` of the file (default: detected)")
	return a.gateFlags(c, &allow)
}

func (a *app) pinsGateCommand() *cobra.Command {
	var name string
	var allow bool
	c := &cobra.Command{
		Use: "gate CERT.pem", Short: "Deployment gate: would this certificate break an app?", Args: cobra.ExactArgs(1),
		Long: `gate reads a certificate before it is deployed, with its chain if the file has one, and
lists the supported app versions that would refuse it, by the rules of each client.

Like clients, it completes the chain to a root, with the roots that this machine trusts
(or those in SSL_CERT_FILE and SSL_CERT_DIR) and with chains that servers were seen to
serve. If a CA is cross-signed and clients may build several chains, apps must accept each.

Use it in the deploy hook of an ACME client: exit status 0: proceed; 3: stop. "-" reads
from stdin.

The answer is unknown if no name of the certificate is a host of an app, or if no released
version of such an app is recorded.
` + unknownHelp,
		Example: `  ctwatch pins gate fullchain.pem
  certbot renew --deploy-hook 'ctwatch pins gate "$RENEWED_LINEAGE/fullchain.pem" && systemctl reload nginx'
  ctwatch pins gate --allow-unknown fullchain.pem    # if some certificates are not for an app's host`,
		RunE: func(c *cobra.Command, args []string) error {
			chain, err := a.readChain(args[0])
			if err != nil {
				return err
			}
			return a.sessionFor(c.Context(), setup.Judge, func(s *session) error {
				apps, err := s.Chosen(name)
				if err != nil {
					return refusal(err)
				}
				return a.gate(c.Context(), s, apps, args[0], chain, allow)
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "only this `app`")
	return a.gateFlags(c, &allow)
}

// gateFlags adds the flags that both gates have.
func (a *app) gateFlags(c *cobra.Command, allow *bool) *cobra.Command {
	c.Flags().BoolVar(allow, "allow-unknown", false, "exit with 0 if the answer is unknown")
	return a.jsonFlag(c, "print the answer as JSON")
}

// An answer is what a gate prints with --json.
type answer struct {
	Safe        bool            `json:"safe"`    // known to be safe
	Unknown     bool            `json:"unknown"` // too little is known
	Why         []string        `json:"why"`     // reasons why it is unknown
	File        string          `json:"file"`
	Format      string          `json:"format,omitempty"`
	Certificate string          `json:"certificate,omitempty"` // ID
	Pin         string          `json:"pin,omitempty"`         // of its key
	Concerned   *int            `json:"hosts_concerned,omitempty"`
	Problems    []words.Problem `json:"problems"`
	Warnings    []words.Problem `json:"warnings"`
}

// answerWords has the first line of each answer for people.
type answerWords struct{ yes, no, unknown string }

// answer prints the answer of a gate, and returns errNo unless something is safe, or
// unknown and allowed.
func (a *app) answer(s *session, r answer, found pins.Answer, allow bool, first answerWords) error {
	if s.missing != nil {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %v; only the configuration was considered\n", s.missing)
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

func (a *app) gate(ctx context.Context, s *session, apps []pins.App, file string, certs [][]byte, allow bool) error {
	found, err := s.Gate(ctx, apps, certs)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r := answer{File: file, Certificate: found.Certificate.String(), Pin: found.Pin.String(), Concerned: &found.Hosts}
	return a.answer(s, r, found.Answer, allow, answerWords{
		yes:     fmt.Sprintf("%s is safe to deploy: every supported app version accepts it (%s checked).", file, words.Count(found.Hosts, "app host")),
		no:      fmt.Sprintf("Deploying %s would break these apps:", file),
		unknown: fmt.Sprintf("It is unknown whether deploying %s would break an app:", file),
	})
}
