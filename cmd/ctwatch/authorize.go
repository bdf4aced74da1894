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
		Use: "authorize ID|FILE.pem|FILE.csr|sha256/PIN", Short: "Authorize a certificate, or declare a key before it is certified", Args: cobra.ExactArgs(1),
		Long: `authorize confirms that a certificate is legitimate: its verdict becomes expected, and
its key is approved for its names. Give the certificate's ID, or a file with it.

A certificate signing request, a public key or a pin declares a key before a certificate
is issued for it. Apps may ship the key at once, and its certificate is expected when it
appears in a log.

From a file with a chain, authorize takes the server's certificate, at any position in the
file. A damaged certificate in the file is an error. "-" reads from stdin.

With --issuer, the key is that of a CA (root or intermediate). Apps with "pin: issuer" may
then pin it for the domains, as the current CA or as a backup. This does not make the CA's
certificates expected; use "issuers" in the watch list for that.

"ctwatch pins history" shows who authorized what, when and why.`,
		Example: `  ctwatch certs authorize 3f9a1c22 --reason "our renewal, ticket 4711"
  ctwatch certs authorize next.csr --reason "next year's key"
  ctwatch certs authorize sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --domain api.example.com --reason "backup key in the safe"
  ctwatch certs authorize backup-ca.pem --issuer --domain api.example.com --reason "our backup CA"`,
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
	c.Flags().StringArrayVar(&domains, "domain", nil, "`host` or pattern (\"*.example.com\") of the key (default: the names in the certificate or request)")
	c.Flags().StringVar(&reason, "reason", "", "reason, for the audit trail")
	c.Flags().BoolVar(&issuer, "issuer", false, "the key is a CA's, for apps that pin issuers; needs --domain")
	despiteFlag(c, &despite)
	return a.jsonFlag(c, "print the key as JSON")
}

// despiteFlag adds the flag to approve a key whose only certificates are unexpected.
func despiteFlag(c *cobra.Command, despite *bool) {
	c.Flags().BoolVar(despite, "despite-alarm", false, "approve the key although its only certificates are unexpected")
}

func (a *app) certsRejectCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "reject ID", Short: "Reject an unauthorized certificate", Args: cobra.ExactArgs(1),
		Long: `reject confirms that a certificate is unauthorized. Its verdict becomes unexpected, an
alarm (certificate.unexpected) is sent, and plans ignore the certificate. Rules that
expected it no longer approve its key.

A certificate for your key can be issued without your consent. Its key stays approved if
other certificates, the configuration or a person approve it, and reject says so. If the
key is not yours, retire it: "ctwatch pins retire".`,
		Example: `  ctwatch certs reject 3f9a1c22 --reason "not requested by us"`,
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
				keys, err := s.Keys(c.Context(), cert.Key.Pin)
				if err != nil {
					return err
				}
				if len(keys) > 0 && keys[0].Role == pins.RoleLeaf && keys[0].State.Trusted() {
					k := keys[0]
					fmt.Fprintf(a.Stdout, "its key %s stays approved for %s, by other certificates, the configuration or a person; if it is not yours: ctwatch pins retire %[1]s --reason TEXT (add --compromised to revoke it at once)\n", k.Pin, terminal.List(k.ApprovedFor))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "reason, for the audit trail")
	return a.jsonFlag(c, "print the certificate as JSON")
}

func (a *app) authorize(ctx context.Context, s *session, subject keyfile.Subject, hosts []pins.Pattern, reason string, despite bool) error {
	done, err := s.Authorize(ctx, a.by(), subject, hosts, reason, despite)
	if err != nil {
		return refusal(err)
	}
	if done.KnownIssuer {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s is an issuer's key, and is now also declared as a server's key. For apps that pin issuers, add --issuer.\n", done.Pin)
	}
	what := "is authorized for " + terminal.List(done.Hosts)
	switch {
	case done.Certificate == nil:
	case done.Pin.IsZero():
		fmt.Fprintf(a.Stdout, "certificate %s is expected; its key is unreadable and was not approved\n", done.Certificate.ID)
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
