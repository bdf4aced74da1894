package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
	"ctwatch/store"
)

func (a *app) certsAuthorizeCommand() *cobra.Command {
	var domains []string
	var reason string
	c := &cobra.Command{
		Use: "authorize ID|FILE.pem|FILE.csr|sha256/PIN", Short: "Say that a certificate should exist, or that a key is yours", Args: cobra.ExactArgs(1),
		Long: `authorize is the human verdict. Of a certificate that was found, by its ID or from a
file, it says that it should exist: its verdict becomes expected, and its key is
approved for its names. A certificate signing request, a public key or a pin
authorises a key before anything is issued for it: the key is declared for the
domains, may be shipped at once, and is recognised when a log has it.

Who authorised, when and why is kept: "ctwatch pins history".`,
		Example: `  ctwatch certs authorize 3f9a1c22 --reason "our renewal, ticket 4711"
  ctwatch certs authorize next.csr --reason "next year's key"
  ctwatch certs authorize sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --domain api.example.com --reason "backup key in the safe"`,
		RunE: func(c *cobra.Command, args []string) error {
			hosts, err := parseHosts("domain", domains)
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return usagef("authorize needs --reason: whoever reads the audit trail wants to know why")
			}
			s, err := a.readSubject(args[0])
			if err != nil {
				return err
			}
			how := toCreate
			if s.pin.IsZero() {
				how = toChange // a certificate that was found
			}
			return a.deskFor(c.Context(), how, func(d *desk) error { return a.authorize(c.Context(), d, s, hosts, reason) })
		},
	}
	c.Flags().StringArrayVar(&domains, "domain", nil, "the `host` that the key is for, or a pattern (\"*.example.com\"); default: the names in the certificate or request")
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return a.jsonFlag(c, "print the key as JSON")
}

func (a *app) certsRejectCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "reject ID", Short: "Say that a certificate should not exist", Args: cobra.ExactArgs(1),
		Long: `reject is the human verdict that a certificate should not exist. It becomes
unexpected, an alarm goes out (certificate.unexpected), plans no longer reckon with
its deployment, and its key cannot be approved. A certificate whose key is trusted
cannot be rejected before that key is retired.`,
		Example: `  ctwatch certs reject 3f9a1c22 --reason "nobody here asked for it"`,
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("reject needs --reason: whoever reads the audit trail wants to know why")
			}
			return a.deskFor(c.Context(), toChange, func(d *desk) error {
				cert, err := d.db.Certificate(c.Context(), strings.ToLower(args[0]))
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
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return a.jsonFlag(c, "print the certificate as JSON")
}

// rejectCertificate records a person's verdict that a certificate should not exist.
func rejectCertificate(ctx context.Context, db *store.DB, c *ctwatch.Certificate, by, reason string) error {
	judged, err := db.Judge(ctx, c.ID, ctwatch.Unexpected, []string{"rejected"}, by, reason)
	if errors.Is(err, store.ErrTrustedKey) {
		return fmt.Errorf("its key %s is trusted: if it is in wrong hands, first \"ctwatch pins retire --compromised %s\"; if not, first \"ctwatch pins retire %s\": %w", c.Key.Pin, c.Key.Pin, c.Key.Pin, err)
	} else if err != nil {
		return err
	}
	*c = judged
	return nil
}

// errNoHost says that a certificate names nothing that its key could be approved for.
var errNoHost = errors.New("it names no host that its key could be approved for")

// authorizeCertificate records a person's verdict that a certificate which was found
// should exist, and approves its key for hosts, or for its names if there are none.
func authorizeCertificate(ctx context.Context, db *store.DB, c *ctwatch.Certificate, hosts []pins.Pattern, by, reason string) error {
	reasons := []string{"authorized"}
	if c.Key.Pin.IsZero() {
		judged, err := db.Judge(ctx, c.ID, ctwatch.Expected, reasons, by, reason)
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
	judged, err := db.Authorize(ctx, c.ID, reasons, approval(c.Key.Pin, c.Key.Algorithm, hosts, by, reason))
	if err == nil {
		*c = judged
	}
	return err
}

func approval(pin pins.Pin, algorithm string, hosts []pins.Pattern, by, reason string) store.Approval {
	return store.Approval{Pin: pin, Role: pins.RoleLeaf, Algorithm: algorithm, Hosts: hosts, Declare: true, Actor: pins.Person, By: by, Reason: reason}
}

// hostsOf returns the names that are hosts, or wildcards for them, each once.
func hostsOf(names []string) []pins.Pattern {
	var hosts []pins.Pattern
	for _, n := range names {
		if p, err := pins.ParsePattern(n); err == nil && p.Reach != pins.AllBelow && !slices.Contains(hosts, p) {
			hosts = append(hosts, p)
		}
	}
	return hosts
}

// A subject is what is to be authorised: a certificate that was found, or a key
// with the names that go with it.
type subject struct {
	id        string // of a certificate, or the first digits of it; "" for a key
	pin       pins.Pin
	algorithm string
	names     []string
	what      string // for messages
}

// maxSubject bounds a file with a certificate, a request or a key.
const maxSubject = 1 << 20

// readSubject tells an ID, a pin and the kinds of files apart.
func (a *app) readSubject(arg string) (subject, error) {
	if strings.HasPrefix(arg, "sha256/") {
		pin, err := parsePin(arg)
		return subject{pin: pin, what: "the pin"}, err
	}
	if _, err := os.Stat(arg); err != nil {
		id := strings.ToLower(arg)
		if digits := id + strings.Repeat("0", len(id)%2); len(id) >= 8 && len(id) <= 64 {
			if _, err := hex.DecodeString(digits); err == nil {
				return subject{id: id}, nil
			}
		}
		return subject{}, usagef("%s is neither a file, nor a pin (\"sha256/…\"), nor a certificate's ID of 8 to 64 hex digits", ctwatch.Printable(arg, 100))
	}
	data, err := readBounded(arg, maxSubject)
	if err != nil {
		return subject{}, err
	}
	s, err := parseSubject(data)
	if err != nil {
		return subject{}, fmt.Errorf("%s: %w", arg, err)
	}
	return s, nil
}

func parseSubject(data []byte) (subject, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return subject{}, errors.New("want PEM: a certificate, a certificate signing request or a public key")
	}
	switch block.Type {
	case "CERTIFICATE":
		tbs, err := entry.TBS(block.Bytes)
		if err != nil {
			return subject{}, fmt.Errorf("reading the certificate: %w", err)
		}
		c := entry.Describe(tbs)
		if c.Key.Pin.IsZero() {
			return subject{}, fmt.Errorf("reading the certificate: %s", strings.Join(c.Problems, "; "))
		}
		return subject{id: c.ID.String(), pin: c.Key.Pin, algorithm: c.Key.Algorithm, names: c.Names, what: "the certificate"}, nil
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return subject{}, fmt.Errorf("reading the certificate signing request: %w", err)
		}
		if err := csr.CheckSignature(); err != nil {
			return subject{}, fmt.Errorf("the certificate signing request is not signed by its own key: %w", err)
		}
		s, err := keySubject(csr.RawSubjectPublicKeyInfo, "the certificate signing request")
		s.names = csr.DNSNames
		if len(s.names) == 0 && csr.Subject.CommonName != "" {
			s.names = []string{csr.Subject.CommonName}
		}
		return s, err
	case "PUBLIC KEY":
		return keySubject(block.Bytes, "the public key")
	}
	if strings.Contains(block.Type, "PRIVATE KEY") {
		return subject{}, errors.New("this is a private key, which ctwatch has no need to see: give its public key (openssl pkey -in KEY -pubout) or a request made with it")
	}
	return subject{}, fmt.Errorf("PEM of type %q; want a certificate, a certificate signing request or a public key", ctwatch.Printable(block.Type, 60))
}

func keySubject(spki []byte, what string) (subject, error) {
	algorithm, err := entry.Algorithm(spki)
	if err != nil {
		return subject{}, fmt.Errorf("reading the public key: %w", err)
	}
	return subject{pin: pins.FromSPKI(spki), algorithm: algorithm, what: what}, nil
}

func (a *app) authorize(ctx context.Context, d *desk, s subject, hosts []pins.Pattern, reason string) error {
	if s.id != "" {
		cert, err := d.db.Certificate(ctx, s.id)
		switch {
		case err == nil:
			return a.authorizeFound(ctx, d, cert, hosts, reason)
		case errors.Is(err, store.ErrNotFound) && !s.pin.IsZero():
			// A certificate that no log has shown yet declares its key.
		default:
			return err
		}
	}
	if len(hosts) == 0 {
		hosts = hostsOf(s.names)
	}
	if len(hosts) == 0 {
		return usagef("%s names no host: say with --domain which ones the key is for", s.what)
	}
	if _, err := d.db.Approve(ctx, approval(s.pin, s.algorithm, hosts, a.person(), reason)); err != nil {
		return err
	}
	return a.tellKey(ctx, d, s.pin, "is authorised for "+words(hosts))
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
	return a.tellKey(ctx, d, cert.Key.Pin, "is authorised for "+words(hosts)+", and its certificate is expected")
}
