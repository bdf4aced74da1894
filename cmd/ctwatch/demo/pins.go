package demo

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

// demoConfig is the configuration of the commands in these acts, and of the daemon.
const demoConfig = `data_dir: %s
watch:
  - domain: %s
    issuers: ["%s"]
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
func (d *Demo) command(want int, args ...string) (string, error) {
	fmt.Fprintf(d.w, "  %s\n", d.style("36", "$ ctwatch "+shellLine(args)))
	out, err := d.silently(want, args...)
	for _, line := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
		if line != "" {
			d.say("    %s", strings.ReplaceAll(line, d.dir+string(filepath.Separator), ""))
		}
	}
	if err == nil && want != done {
		d.say("    exit status %d", want)
	}
	return out, err
}

// silently runs a command of this very program, wants an exit status, and returns
// what it prints.
func (d *Demo) silently(want int, args ...string) (string, error) {
	var out, errs bytes.Buffer
	status := d.o.Command(d.ctx, append(args, "--config", filepath.Join(d.dir, "ctwatch.yaml")), &out, &errs)
	out.Write(errs.Bytes())
	if status != want {
		return out.String(), fmt.Errorf("ctwatch %s: exit status %d, not %d", shellLine(args), status, want)
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
func (d *Demo) file(name, blockType string, blocks ...[]byte) (string, error) {
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
func (d *Demo) fullchain(name string, i *ctlogtest.Issued) (string, error) {
	final, err := i.Final()
	if err != nil {
		return "", err
	}
	return d.file(name, "CERTIFICATE", append([][]byte{final}, i.Chain...)...)
}

// appShips: the app ships the key that is served, and one declared before anything
// is issued for it.
func (d *Demo) appShips() error {
	d.title("7. An app ships the keys that the policy approves, and the next one, declared before anything is issued")
	if err := d.logged(d.static, d.served, true); err != nil {
		return err
	}
	d.say("The key served now needs no approval by a person: the policy approved it.")
	out, err := d.command(done, "pins", "history", d.served.LeafPin.String())
	if err != nil {
		return err
	}
	if !strings.Contains(out, "approve for "+demoHost) {
		return errors.New("the key served now was not approved by the policy")
	}
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
		if _, err := d.command(done, args...); err != nil {
			return err
		}
	}
	payload, err := d.document(d.served)
	if err == nil {
		d.say("Apps that load their pins at run time get them signed, at %spins/shop.jws:", d.daemon.httpURL)
		d.say("    %s", payload)
	}
	return err
}

// document fetches the app's signed pin document and checks it as an app would. It
// has to have the key that is served.
func (d *Demo) document(served *ctlogtest.Issued) (payload []byte, err error) {
	var keys jose.JSONWebKeySet
	if err := d.get("pins/jwks.json", func(b []byte) error { return jsonInto(b, &keys) }); err != nil {
		return nil, err
	}
	err = d.get("pins/shop.jws", func(b []byte) error {
		signed, err := jose.ParseSignedCompact(string(bytes.TrimSpace(b)), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return err
		}
		kid := signed.Signatures[0].Header.KeyID
		found := keys.Key(kid)
		if len(found) == 0 {
			return fmt.Errorf("no key %s among those published", kid)
		}
		if payload, err = signed.Verify(found[0]); err != nil {
			return fmt.Errorf("the pin document's signature: %w", err)
		}
		if !bytes.Contains(payload, []byte(served.LeafPin.String())) {
			return errors.New("the pin document lacks the key served now")
		}
		return nil
	})
	return payload, err
}

// get fetches from the daemon's HTTP listener until use accepts the reply: plans
// are made twice a second.
func (d *Demo) get(path string, use func([]byte) error) error {
	deadline := time.Now().Add(d.o.Patience)
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
func (d *Demo) goodRotation() error {
	d.title("8. The certificate is renewed with the declared key: expected, let through, deployed")
	i, err := d.issue(d.nextKey, demoHost)
	if err != nil {
		return err
	}
	if err := d.logged(d.RFC, i, false); err != nil {
		return err
	}
	chain, err := d.fullchain("next.pem", i)
	if err != nil {
		return err
	}
	if _, err := d.command(done, "pins", "gate", chain); err != nil {
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
