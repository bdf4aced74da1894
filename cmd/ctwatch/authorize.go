package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
)

func (a *app) certsAuthorizeCommand() *cobra.Command {
	var domains []string
	var reason string
	var issuer, despite bool
	c := &cobra.Command{
		Use: "authorize ID|FILE.pem|FILE.csr|sha256/PIN", Short: "Say that a certificate should exist, or that a key is yours", Args: cobra.ExactArgs(1),
		Long: `authorize is the human verdict. Of a certificate that was found, by its ID or from a
file, it says that it should exist: its verdict becomes expected, and its key is
approved for its names. A certificate signing request, a public key or a pin
authorizes a key before anything is issued for it: the key is declared for the
domains, may be shipped at once, and is recognized when a log has it.

Of a file with a chain the server's own certificate is taken, wherever it stands. What
looks like a certificate in it and cannot be read is an error. "-" reads from stdin.

With --issuer the key is that of a CA, a root's or an intermediate's, that apps with
"pin: issuer" may pin for the domains: the CA that issues now, or the next one, as a
backup. It expects no certificate; "issuers" in the watch list does.

Who authorized, when and why is kept: "ctwatch pins history".`,
		Example: `  ctwatch certs authorize 3f9a1c22 --reason "our renewal, ticket 4711"
  ctwatch certs authorize next.csr --reason "next year's key"
  ctwatch certs authorize sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --domain api.example.com --reason "backup key in the safe"
  ctwatch certs authorize backup-ca.pem --issuer --domain api.example.com --reason "the CA that we would change to"`,
		RunE: func(c *cobra.Command, args []string) error {
			hosts, err := parseHosts("domain", domains)
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return refusal(&operator.Error{Code: operator.NoReason})
			}
			subject, err := a.readSubject(args[0], issuer)
			if err != nil {
				return err
			}
			if issuer {
				if err := operator.CheckIssuer(subject, hosts); err != nil {
					return refusal(err)
				}
				return a.session(c.Context(), func(s *session) error { return a.declareIssuer(c.Context(), s, subject, hosts, reason) })
			}
			how := setup.Create
			if subject.Pin.IsZero() {
				how = setup.Change // a certificate that was found
			}
			return a.sessionFor(c.Context(), how, func(s *session) error { return a.authorize(c.Context(), s, subject, hosts, reason, despite) })
		},
	}
	c.Flags().StringArrayVar(&domains, "domain", nil, "the `host` that the key is for, or a pattern (\"*.example.com\"); default: the names in the certificate or request")
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	c.Flags().BoolVar(&issuer, "issuer", false, "the key is that of a CA, for apps that pin issuers; needs --domain")
	despiteFlag(c, &despite)
	return a.jsonFlag(c, "print the key as JSON")
}

// despiteFlag lets a person approve a key of which nothing is known but alarms.
func despiteFlag(c *cobra.Command, despite *bool) {
	c.Flags().BoolVar(despite, "despite-alarm", false, "the key is yours although all that is known of it is a certificate that should not exist")
}

func (a *app) certsRejectCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "reject ID", Short: "Say that a certificate should not exist", Args: cobra.ExactArgs(1),
		Long: `reject is the human verdict that a certificate should not exist. It becomes
unexpected, an alarm goes out (certificate.unexpected), and plans no longer reckon with
its deployment. Rules that expected it vouch for its key no more.

A certificate can be issued for your key without you. Rejecting one takes nothing from
a key that other certificates, the configuration or a person vouch for: reject says so.
If the key is not yours, retire it: "ctwatch pins retire".`,
		Example: `  ctwatch certs reject 3f9a1c22 --reason "nobody here asked for it"`,
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return refusal(&operator.Error{Code: operator.NoReason})
			}
			return a.sessionFor(c.Context(), setup.Change, func(s *session) error {
				cert, err := s.Reject(c.Context(), a.by(), args[0], reason)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(cert)
				}
				fmt.Fprintf(a.Stdout, "certificate %s is unexpected\n", cert.ID)
				if err := s.Refresh(c.Context()); err != nil {
					return err
				}
				if k := s.View().Key(cert.Key.Pin, pins.RoleLeaf); k != nil && k.State.Trusted() {
					fmt.Fprintf(a.Stdout, "its key %s stays approved for %s: other certificates, the configuration or a person vouch for it; if it is not yours: ctwatch pins retire %[1]s --reason TEXT, with --compromised to end it at once\n", k.Pin, terminal.List(k.ApprovedFor))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return a.jsonFlag(c, "print the certificate as JSON")
}

func (a *app) authorize(ctx context.Context, s *session, subject keyfile.Subject, hosts []pins.Pattern, reason string, despite bool) error {
	done, err := s.Authorize(ctx, a.by(), subject, hosts, reason, despite)
	if err != nil {
		return refusal(err)
	}
	if done.KnownIssuer {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s is known as an issuer's key, and is now declared as a server's. For apps that pin issuers, add --issuer.\n", done.Pin)
	}
	what := "is authorized for " + terminal.List(done.Hosts)
	switch {
	case done.Certificate == nil:
	case done.Pin.IsZero():
		fmt.Fprintf(a.Stdout, "certificate %s is expected; its key cannot be read, and is approved for nothing\n", done.Certificate.ID)
		return nil
	default:
		what += ", and its certificate is expected"
	}
	return a.printKey(ctx, s, done.Pin, what)
}

// declareIssuer declares the key of a CA.
func (a *app) declareIssuer(ctx context.Context, s *session, subject keyfile.Subject, hosts []pins.Pattern, reason string) error {
	if err := s.DeclareIssuer(ctx, a.by(), subject, hosts, reason); err != nil {
		return refusal(err)
	}
	return a.printKey(ctx, s, subject.Pin, "is authorized as the key of an issuer for "+terminal.List(hosts))
}
