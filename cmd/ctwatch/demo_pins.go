package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// The acts of the demo about an app that pins.

// demoConfig is what the commands of these acts read; the daemon has it, too.
const demoConfig = `data_dir: %s
watch:
  - domain: %s
    endpoints: ["%s"]
apps:
  - name: shop
    hosts: [%s]
    min_pins: 2
    lead_time: 14d
`

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// command runs a command of this very program, shows it with what it prints, and
// wants an exit status.
func (d *demo) command(want int, args ...string) (string, error) {
	fmt.Fprintf(d.w, "  %s\n", d.style("36", "$ ctwatch "+shellLine(args)))
	var out, errs bytes.Buffer
	status := run(d.ctx, world{
		Args: append(args, "--config", filepath.Join(d.dir, "ctwatch.yaml")), Stdout: &out, Stderr: &errs, LookupEnv: func(string) (string, bool) { return "", false },
	})
	for _, line := range strings.Split(strings.TrimRight(out.String()+errs.String(), "\n"), "\n") {
		if line != "" {
			d.say("    %s", strings.ReplaceAll(line, d.dir+string(filepath.Separator), ""))
		}
	}
	if status != want {
		return "", fmt.Errorf("ctwatch %s: exit status %d, not %d", shellLine(args), status, want)
	}
	if want != exitDone {
		d.say("    exit status %d", status)
	}
	return out.String(), nil
}

func shellLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if strings.ContainsAny(a, " \t") {
			words[i] = "'" + a + "'"
		}
		if filepath.IsAbs(a) {
			words[i] = filepath.Base(a)
		}
	}
	return strings.Join(words, " ")
}

func jsonInto(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading JSON: %w", err)
	}
	return nil
}

// file writes a file of the demo and returns its path.
func (d *demo) file(name, blockType string, blocks ...[]byte) (string, error) {
	var b bytes.Buffer
	for _, der := range blocks {
		if err := pem.Encode(&b, &pem.Block{Type: blockType, Bytes: der}); err != nil {
			return "", err
		}
	}
	path := filepath.Join(d.dir, name)
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}

// fullchain writes a certificate with its chain, as an ACME client does.
func (d *demo) fullchain(name string, i *ctlogtest.Issued) (string, error) {
	final, err := i.Final()
	if err != nil {
		return "", err
	}
	return d.file(name, "CERTIFICATE", append([][]byte{final}, i.Chain...)...)
}

// appShips: the app ships the key that is served, and one declared before anything
// is issued for it.
func (d *demo) appShips() error {
	d.title("7. An app ships two pins: the key served now, and the next one, declared before anything is issued")
	if err := d.logged(d.static, d.served, true); err != nil {
		return err
	}
	if _, err := d.command(exitDone, "pins", "approve", d.served.LeafPin.String(), "--host", demoHost, "--reason", "the key of our server"); err != nil {
		return err
	}
	var err error
	if d.nextKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: demoHost}, DNSNames: []string{demoHost}}, d.nextKey)
	if err != nil {
		return err
	}
	csr, err := d.file("next.csr", "CERTIFICATE REQUEST", der)
	if err != nil {
		return err
	}
	shipped := filepath.Join(d.dir, "network_security_config.xml")
	for _, args := range [][]string{
		{"certs", "authorize", csr, "--reason", "the next key, in the safe"},
		{"pins", "export", "--app", "shop", "--format", "android", "--out", shipped},
		{"pins", "check", "--app", "shop", shipped},
		{"pins", "import", "--app", "shop", "--version", "1.0", shipped},
		{"pins", "plan"},
	} {
		if _, err := d.command(exitDone, args...); err != nil {
			return err
		}
	}
	return d.document(d.served)
}

// document fetches the app's signed pin document and checks it as an app would.
func (d *demo) document(served *ctlogtest.Issued) error {
	var keys jose.JSONWebKeySet
	if err := d.get("pins/jwks.json", func(b []byte) error { return jsonInto(b, &keys) }); err != nil {
		return err
	}
	return d.get("pins/shop.jws", func(b []byte) error {
		signed, err := jose.ParseSignedCompact(string(bytes.TrimSpace(b)), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return err
		}
		kid := signed.Signatures[0].Header.KeyID
		found := keys.Key(kid)
		if len(found) == 0 {
			return fmt.Errorf("no key %s among those published", kid)
		}
		payload, err := signed.Verify(found[0])
		if err != nil {
			return fmt.Errorf("the pin document's signature: %w", err)
		}
		if !bytes.Contains(payload, []byte(served.LeafPin.String())) {
			return errors.New("the pin document lacks the key served now")
		}
		d.say("Apps that load their pins at run time get them signed (key %s…) at %spins/shop.jws:", kid[:8], d.daemon.httpURL)
		d.say("    %s", payload)
		return nil
	})
}

// get fetches from the daemon's HTTP listener until use accepts the reply: plans
// are made anew twice a second.
func (d *demo) get(path string, use func([]byte) error) error {
	deadline := time.Now().Add(d.patience)
	for {
		err := func() error {
			r, err := http.Get(d.daemon.httpURL + path)
			if err != nil {
				return err
			}
			defer r.Body.Close()
			b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			if err != nil {
				return err
			}
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("GET %s: %s: %s", path, r.Status, b)
			}
			return use(b)
		}()
		if err == nil || time.Now().After(deadline) || d.ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// goodRotation rotates to the declared key.
func (d *demo) goodRotation() error {
	d.title("8. The certificate is renewed with the declared key: expected, let through, deployed")
	i, err := d.issue(d.nextKey, demoHost)
	if err != nil {
		return err
	}
	if err := d.logged(d.rfc, i, false); err != nil {
		return err
	}
	chain, err := d.fullchain("next.pem", i)
	if err != nil {
		return err
	}
	if _, err := d.command(exitDone, "pins", "gate", chain); err != nil {
		return err
	}
	begun := time.Now()
	if err := d.endpoint.deploy(i); err != nil {
		return err
	}
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateDeployed, i.ID)
	if err != nil {
		return err
	}
	d.arrived("NATS", begun, string(e.Type), e.Data.Summary)
	e, err = d.nats.waitFor(d.ctx, "pin.deployed", func(e ctwatch.Event) bool {
		return e.Type == ctwatch.PinDeployed && e.Data.Key != nil && e.Data.Key.Pin == i.LeafPin
	})
	if err != nil {
		return err
	}
	d.arrived("NATS", begun, string(e.Type), e.Data.Summary)
	d.served = i
	return nil
}

// roguePin tries to serve, and to ship, a key that nobody declared.
func (d *demo) roguePin() error {
	d.title("9. Somebody has a certificate issued for a key that nobody declared: both gates stop it")
	i, err := d.issue(nil, demoHost)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := d.logged(d.static, i, true); err != nil {
		return err
	}
	e, err := d.nats.wait(d.ctx, ctwatch.PinMissing, i.ID)
	if err != nil {
		return err
	}
	d.arrived("NATS", begun, string(e.Type), e.Data.Summary)
	if _, err := d.slack.wait(d.ctx, e.ID); err != nil {
		return err
	}
	chain, err := d.fullchain("unknown.pem", i)
	if err != nil {
		return err
	}
	if _, err := d.command(exitNo, "pins", "gate", chain); err != nil {
		return err
	}
	d.say("A release manager who copies its pin into the next version:")
	xml, err := os.ReadFile(filepath.Join(d.dir, "network_security_config.xml"))
	if err != nil {
		return err
	}
	bare := func(pin string) string { return strings.TrimPrefix(pin, "sha256/") }
	rogue := strings.ReplaceAll(string(xml), bare(d.issued[d.first].LeafPin.String()), bare(i.LeafPin.String()))
	if rogue == string(xml) {
		return errors.New("the file that was exported lacks the pin of the first key")
	}
	draft := filepath.Join(d.dir, "draft.xml")
	if err := os.WriteFile(draft, []byte(rogue), 0o600); err != nil {
		return err
	}
	if _, err := d.command(exitNo, "pins", "check", "--app", "shop", draft); err != nil {
		return err
	}
	out, err := d.command(exitNo, "pins", "plan")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "will_break") {
		return errors.New("the plan does not say that the app will break")
	}
	d.say("A person looks at it, and rejects it:")
	begun = time.Now()
	if _, err := d.command(exitDone, "certs", "reject", i.ID.String()[:12], "--reason", "nobody here asked for it"); err != nil {
		return err
	}
	e, err = d.nats.wait(d.ctx, ctwatch.CertificateUnexpected, i.ID)
	if err != nil {
		return err
	}
	d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	text, err := d.slack.wait(d.ctx, e.ID)
	if err != nil {
		return err
	}
	d.arrived("Slack", begun, "message in #certs", text)
	_, err = d.command(exitDone, "pins", "plan")
	return err
}
