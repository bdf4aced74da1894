package main

import (
	"context"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"ctwatch/cmd/ctwatch/demo"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/store"
)

func TestDemoPlaysOut(t *testing.T) {
	t.Parallel()
	var out, log safeBuffer
	status := run(t.Context(), environment{Args: []string{"demo"}, Stdout: &out, Stderr: &log, LookupEnv: os.LookupEnv})
	if status != exitDone {
		t.Fatalf("exit status %d\n%s%s", status, out.String(), log.String())
	}
	for _, want := range []string{
		"15. What arrived, compared with what was issued", "nothing missing, nothing twice", "certificate.issued  ctwatch.certificate.issued.example.shop",
		"8 certificates issued for watched names, 8 reported", "pin.missing", "exit status 3",
		"Slack   no message: the certificate is expected (issuer_allowed)",
		"2 should not exist, 2 raised an alarm; no message in Slack about an expected one",
		"certificate.unexpected  ctwatch.certificate.unexpected.example.shop", "severity critical, reasons issuer_not_allowed",
		"│ 🔴 Unexpected certificate: shop.example", "│ • If nobody did: ctwatch certs reject",
		"it is unexpected, so its key cannot be approved", "It is not in the plan (as JSON), in no export",
		"nobody here asked for it", "│ • Rejected by", "│ • Authorized by", "certificate.judged", "the alarm is updated  ✅",
	} {
		if !out.contains(want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	if out.contains("✗") || log.String() != "" {
		t.Errorf("it complains:\n%s%s", out.String(), log.String())
	}
}

// TestDemoCannotPretend: each thing that does not really happen fails the demo.
func TestDemoCannotPretend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		sabotage func(*demo.Demo, *configs.Config)
		says     string
		// hopeless reports that what the demo waits for can no longer come; nil where it
		// waits for nothing.
		hopeless func(d *demo.Demo, out, data string) bool
	}{
		{
			"nothing is watched",
			func(_ *demo.Demo, c *configs.Config) { c.Watch = []configs.Watch{{Domain: "elsewhere.example"}} },
			"no certificate.issued for",
			func(_ *demo.Demo, out, data string) bool {
				return strings.Contains(out, "1. A precertificate is logged") && allSent(data, 1001)
			},
		},
		{
			"too much is watched",
			func(_ *demo.Demo, c *configs.Config) {
				c.Watch = append(c.Watch, configs.Watch{Domain: "other.example", Subdomains: true})
			},
			"there is an event about a certificate that is not watched: www.other.example", nil,
		},
		{
			"Slack gets nothing",
			func(_ *demo.Demo, c *configs.Config) { c.Slack = nil },
			"no Slack message about event",
			func(_ *demo.Demo, out, data string) bool {
				return strings.Contains(out, "certificate.unexpected  ctwatch.certificate.unexpected.example.shop") && allSent(data, 0)
			},
		},
		{
			"Slack gets everything",
			func(_ *demo.Demo, c *configs.Config) { c.Slack.Severity = "debug" },
			"a Slack message is about an expected certificate", nil,
		},
		{
			"Slack shows no updates",
			func(d *demo.Demo, _ *configs.Config) { d.RefuseSlack("chat.update") },
			"no Slack message was updated to say",
			func(_ *demo.Demo, out, _ string) bool { return strings.Contains(out, "reply in the thread") },
		},
		{
			"no rule says who may issue",
			func(_ *demo.Demo, c *configs.Config) { c.Watch[0].Issuers = nil },
			"is unreviewed, not expected", nil,
		},
		{
			"the other CA may issue",
			func(d *demo.Demo, c *configs.Config) {
				c.Watch[0].Issuers = append(c.Watch[0].Issuers, issuerPin(d.OtherCA))
			},
			"is expected, not unexpected", nil,
		},
		{
			"a log is not read",
			func(_ *demo.Demo, c *configs.Config) { c.Logs.Extra = c.Logs.Extra[:1] },
			"no certificate.logged for",
			func(d *demo.Demo, out, _ string) bool {
				return strings.Contains(out, "2. The final certificate appears") && d.RFC.Size() == 1002
			},
		},
		{
			"a log lies",
			func(d *demo.Demo, _ *configs.Config) { d.RFC.SetFault(ctlogtest.AlterEntry(500, nil)) },
			"no pin.candidate for",
			func(_ *demo.Demo, out, _ string) bool { // a key is not proposed for what is not proven
				_, act, _ := strings.Cut(out, "3. A wildcard certificate")
				return strings.Contains(act, "certificate.issued")
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out safeBuffer
			a := &app{environment: environment{Stdout: &out, Stderr: io.Discard, LookupEnv: os.LookupEnv}}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			data := t.TempDir()
			var watching sync.WaitGroup
			o := a.demoOptions()
			o.Patience = patience
			o.Configure = func(d *demo.Demo, c *configs.Config) {
				tt.sabotage(d, c)
				if tt.hopeless == nil {
					return
				}
				watching.Go(func() {
					_ = until(ctx, func() (bool, error) { return tt.hopeless(d, out.String(), data), nil })
					cancel()
				})
			}
			d := demo.New(ctx, o)
			defer d.Close()
			err := d.Play(data)
			cancel()
			watching.Wait()
			if err == nil {
				t.Fatalf("it played out:\n%s", out.String())
			}
			if !out.contains("✗") || !out.contains(tt.says) || out.contains("nothing missing") {
				t.Errorf("it does not say %q:\n%s", tt.says, out.String())
			}
		})
	}
}

// allSent reports whether the daemon has verified a log up to a size and every sender has
// every event.
func allSent(data string, size uint64) bool {
	ctx := context.Background()
	db, err := store.OpenReadOnly(ctx, filepath.Join(data, "ctwatch.db"))
	if err != nil {
		return false
	}
	defer db.Close()
	logs, err := db.Logs.List(ctx)
	if err != nil || !slices.ContainsFunc(logs, func(l ctwatch.LogStatus) bool { return l.Verified >= size }) {
		return false
	}
	senders, err := db.Senders.List(ctx)
	return err == nil && !slices.ContainsFunc(senders, func(s ctwatch.SenderStatus) bool { return s.Backlog > 0 })
}

// issuerPin is the pin of the key by which a CA issues, as the configuration has it.
func issuerPin(ca *ctlogtest.CA) string {
	c, err := x509.ParseCertificate(ca.Intermediate)
	if err != nil {
		return err.Error()
	}
	return pins.FromSPKI(c.RawSubjectPublicKeyInfo).String()
}

// TestDemoKeeps: with --keep everything is left running, and can be read, until it
// is interrupted.
func TestDemoKeeps(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, log safeBuffer
	status := make(chan int)
	go func() {
		status <- run(ctx, environment{Args: []string{"demo", "--keep", "--data", dir}, Stdout: &out, Stderr: &log, LookupEnv: os.LookupEnv})
	}()
	late, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := until(late, func() (bool, error) { return out.contains("nats --server"), nil }); err != nil {
		t.Fatalf("the demo does not come to its end:\n%s%s", out.String(), log.String())
	}
	nc, err := nats.Connect(regexp.MustCompile(`nats --server (\S+)`).FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Errorf("its NATS server is not running: %v", err)
	} else {
		nc.Close()
	}
	var certs safeBuffer
	if s := run(ctx, environment{Args: []string{"certs", "list", "--json", "--data", dir}, Stdout: &certs, Stderr: &log, LookupEnv: os.LookupEnv}); s != exitDone {
		t.Errorf("its certificates cannot be listed: %s", log.String())
	}
	if n := strings.Count(certs.String(), "\n{"); n != 8 {
		t.Errorf("%d certificates are listed, want 8", n)
	}
	cancel()
	if s := <-status; s != exitDone {
		t.Errorf("interrupted, it ends with status %d: %s", s, log.String())
	}
}
