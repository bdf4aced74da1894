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
			return a.sessionFor(c.Context(), setup.Judge, func(s *session) error {
				if _, err := s.App(name); err != nil {
					return refusal(err)
				}
				_, f, rules, err := a.readPinFile(args[0], formatName)
				found, err := s.Check(name, rules, err)
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
			return a.sessionFor(c.Context(), setup.Judge, func(s *session) error {
				apps, err := s.Chosen(name)
				if err != nil {
					return refusal(err)
				}
				return a.gate(c.Context(), s, apps, args[0], chain, allow)
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
