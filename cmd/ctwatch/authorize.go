package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/pins"
	"ctwatch/store"
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
				return usagef("authorize needs --reason: whoever reads the audit trail wants to know why")
			}
			s, err := a.readSubject(args[0], issuer)
			if err != nil {
				return err
			}
			if issuer {
				if err := asIssuer(s, hosts); err != nil {
					return err
				}
				return a.desk(c.Context(), func(d *desk) error { return a.authorizeIssuer(c.Context(), d, s, hosts, reason) })
			}
			how := setup.Create
			if s.Pin.IsZero() {
				how = setup.Change // a certificate that was found
			}
			return a.deskFor(c.Context(), how, func(d *desk) error { return a.authorize(c.Context(), d, s, hosts, reason, despite) })
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
				return usagef("reject needs --reason: whoever reads the audit trail wants to know why")
			}
			return a.deskFor(c.Context(), setup.Change, func(d *desk) error {
				cert, err := d.db.Certificates.Get(c.Context(), strings.ToLower(args[0]))
				if err != nil {
					return err
				}
				if err := rejectCertificate(c.Context(), d.db, &cert, a.person(), reason); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(cert)
				}
				fmt.Fprintf(a.Stdout, "certificate %s is unexpected\n", cert.ID)
				if err := d.refresh(c.Context()); err != nil {
					return err
				}
				if k := d.view.Key(cert.Key.Pin, pins.RoleLeaf); k != nil && k.State.Trusted() {
					fmt.Fprintf(a.Stdout, "its key %s stays approved for %s: other certificates, the configuration or a person vouch for it; if it is not yours: ctwatch pins retire %[1]s --reason TEXT, with --compromised to end it at once\n", k.Pin, terminal.List(k.ApprovedFor))
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return a.jsonFlag(c, "print the certificate as JSON")
}

// rejected is the reason of a certificate that a person rejected.
const rejected = "rejected"

// rejectCertificate records a person's verdict that a certificate should not exist.
func rejectCertificate(ctx context.Context, db *store.DB, c *ctwatch.Certificate, by, reason string) error {
	judged, err := db.Certificates.SetVerdict(ctx, c.ID, ctwatch.Unexpected, []string{rejected}, by, reason)
	if err == nil {
		*c = judged
	}
	return err
}

// errNoHost says that a certificate names nothing that its key could be approved for.
var errNoHost = errors.New("it names no host that its key could be approved for")

// authorizeCertificate records a person's verdict that a certificate which was found
// should exist, and approves its key for hosts, or for its names if there are none.
func authorizeCertificate(ctx context.Context, db *store.DB, c *ctwatch.Certificate, hosts []pins.Pattern, by, reason string) error {
	reasons := []string{"authorized"}
	if c.Key.Pin.IsZero() {
		judged, err := db.Certificates.SetVerdict(ctx, c.ID, ctwatch.Expected, reasons, by, reason)
		if err == nil {
			*c = judged
		}
		return err
	}
	if len(hosts) == 0 {
		hosts = hostsOf(c.Names)
	}
	if len(hosts) == 0 {
		return errNoHost
	}
	judged, err := db.Certificates.Authorize(ctx, c.ID, reasons, approval(c.Key.Pin, c.Key.Algorithm, hosts, by, reason))
	if err == nil {
		*c = judged
	}
	return err
}

func approval(pin pins.Pin, algorithm string, hosts []pins.Pattern, by, reason string) pins.Approval {
	return pins.Approval{Pin: pin, Role: pins.RoleLeaf, Algorithm: algorithm, Hosts: hosts, Declare: true, Actor: pins.Person, By: by, Reason: reason}
}

// hostsOf returns the names that are hosts, or wildcards for them, each once.
func hostsOf(names []string) []pins.Pattern {
	var hosts []pins.Pattern
	for _, n := range names {
		if p, err := pins.PatternOf(n); err == nil && p.Reach != pins.AllBelow && !slices.Contains(hosts, p) {
			hosts = append(hosts, p)
		}
	}
	return hosts
}

func (a *app) authorize(ctx context.Context, d *desk, s keyfile.Subject, hosts []pins.Pattern, reason string, despite bool) error {
	if s.Certificate != "" {
		cert, err := d.db.Certificates.Get(ctx, s.Certificate)
		switch {
		case err == nil:
			return a.authorizeFound(ctx, d, cert, hosts, reason)
		case errors.Is(err, ctwatch.ErrNotFound) && !s.Pin.IsZero():
			// A certificate that no log has shown yet declares its key.
		default:
			return err
		}
	}
	if len(hosts) == 0 {
		hosts = hostsOf(s.Names)
	}
	if len(hosts) == 0 {
		return usagef("%s names no host: say with --domain which ones the key is for", s.What)
	}
	if d.view.Key(s.Pin, pins.RoleIssuer) != nil && d.view.Key(s.Pin, pins.RoleLeaf) == nil {
		fmt.Fprintf(a.Stderr, "ctwatch: note: %s is known as the key of an issuer, and is now declared as one that servers have. For apps that pin issuers, add --issuer.\n", s.Pin)
	}
	approval := approval(s.Pin, s.Algorithm, hosts, a.person(), reason)
	approval.Despite = despite
	if _, err := d.db.Keys.Approve(ctx, approval); err != nil {
		return aboutAlarm(err)
	}
	return a.tellKey(ctx, d, s.Pin, "is authorised for "+terminal.List(hosts))
}

// asIssuer fails for what cannot be declared as the key of a CA.
func asIssuer(s keyfile.Subject, hosts []pins.Pattern) error {
	switch {
	case s.Pin.IsZero():
		return usagef("--issuer takes the certificate, the public key or the pin of a CA, and no ID")
	case len(hosts) == 0:
		return usagef("--issuer needs --domain: say for which hosts apps may pin the key of this CA")
	}
	return nil
}

// authorizeIssuer declares the key of a CA.
func (a *app) authorizeIssuer(ctx context.Context, d *desk, s keyfile.Subject, hosts []pins.Pattern, reason string) error {
	approval := approval(s.Pin, s.Algorithm, hosts, a.person(), reason)
	approval.Role = pins.RoleIssuer
	if _, err := d.db.Keys.Approve(ctx, approval); err != nil {
		return err
	}
	return a.tellKey(ctx, d, s.Pin, "is authorized as the key of an issuer for "+terminal.List(hosts))
}

func (a *app) authorizeFound(ctx context.Context, d *desk, cert ctwatch.Certificate, hosts []pins.Pattern, reason string) error {
	if len(hosts) == 0 {
		hosts = hostsOf(cert.Names)
	}
	err := authorizeCertificate(ctx, d.db, &cert, hosts, a.person(), reason)
	switch {
	case errors.Is(err, errNoHost):
		return usagef("the certificate names no host: say with --domain which ones the key is for")
	case err != nil:
		return err
	case cert.Key.Pin.IsZero():
		fmt.Fprintf(a.Stdout, "certificate %s is expected; its key cannot be read, and is approved for nothing\n", cert.ID)
		return nil
	}
	return a.tellKey(ctx, d, cert.Key.Pin, "is authorised for "+terminal.List(hosts)+", and its certificate is expected")
}

// aboutAlarm adds to an error of an approval what to do if the key has a certificate that
// should not exist.
func aboutAlarm(err error) error {
	if !errors.Is(err, pins.ErrUnexpected) {
		return err
	}
	return fmt.Errorf("%w. If the key is yours, the certificate was issued for it without you: approve the key with --reason TEXT (and --despite-alarm where nothing else is known of it), and reject the certificate. If it is not yours, there is nothing to approve", err)
}

// slackJudge records the verdicts that people give by Slack's buttons.
func slackJudge(ctx context.Context, db *store.DB, id string, authorize bool, by string) error {
	c, err := db.Certificates.Get(ctx, id)
	if err != nil {
		return err
	}
	if !authorize {
		return rejectCertificate(ctx, db, &c, by, "rejected in Slack")
	}
	return authorizeCertificate(ctx, db, &c, nil, by, "authorised in Slack")
}
