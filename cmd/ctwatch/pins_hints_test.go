package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// hint matches a command that a message advises.
var hint = regexp.MustCompile(`ctwatch ((?:certs|pins) [a-z]+(?: [^\s,;()"]+)*? (?:--reason TEXT|FILE))`)

// TestHintsForIssuersReachAGoodEnd: who follows what check, export and plan advise for an
// app that pins issuers, command by command, ends with a set that is safe to ship.
func TestHintsForIssuersReachAGoodEnd(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"check", "export", "plan"} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			s := newKeyShop(t)
			leaf, _ := s.cert("leaf", apiHost)
			server, err := serveTLS()
			s.must(err)
			t.Cleanup(server.close)
			server.deploy(s.key("leaf"), leaf, s.ca.Intermediate)
			backup, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Backup CA", Seed: "backup"})
			s.must(err)
			s.file("CA.pem", certPEM(backup.Intermediate))
			config := s.file("ctwatch.yaml", fmt.Sprintf(
				"data_dir: data\nwatch:\n  - {domain: example.com, endpoints: [%q]}\napps:\n  - {name: shop, hosts: [%s], pin: issuer, min_pins: 2, lead_time: 48h}\n",
				server.address, apiHost))
			p := follower{t: t, dir: s.dir, config: config}
			p.run("probe", "--record") // it may fail: nothing serves example.com itself
			issuers := []pins.Pin{p.issuerOf(s.ca), p.issuerOf(backup)}
			file := s.file("shop.json", fmt.Sprintf(`{"hosts": {%q: [%q, %q]}}`, apiHost, issuers[0], issuers[1]))
			ask := map[string][]string{
				"check":  {"pins", "check", "--app", "shop", file},
				"export": {"pins", "export", "--app", "shop", "--format", "android"},
				"plan":   {"pins", "plan", "--app", "shop"},
			}
			if start == "plan" {
				single := s.file("single.json", fmt.Sprintf(`{"hosts": {%q: [%q]}}`, apiHost, issuers[0]))
				p.must("pins", "import", "--app", "shop", "--version", "1", single)
			}
			p.follow(ask[start]...)
			p.follow(ask["export"]...) // the next step of each

			status, out, errs := p.run("pins", "export", "--app", "shop", "--format", "json", "--out", filepath.Join(s.dir, "exported.json"))
			if status != exitDone {
				t.Fatalf("after all hints were followed, export says %s%s", out, errs)
			}
			if start == "plan" {
				p.must("pins", "import", "--app", "shop", "--version", "2", filepath.Join(s.dir, "exported.json"))
				p.must("pins", "drop", "--app", "shop", "--version", "1")
				p.must("pins", "plan", "--app", "shop")
			}
			p.must("pins", "check", "--app", "shop", filepath.Join(s.dir, "exported.json"))
			exported, err := os.ReadFile(filepath.Join(s.dir, "exported.json"))
			s.must(err)
			for _, pin := range issuers {
				if !strings.Contains(string(exported), pin.String()) {
					t.Errorf("the set lacks %s:\n%s", pin, exported)
				}
			}
		})
	}
}

// TestApproveAndAuthorizeAdviseEachOtherOnce: where one refuses a key in a role and advises
// the other, the other takes it.
func TestApproveAndAuthorizeAdviseEachOtherOnce(t *testing.T) {
	t.Parallel()
	for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		for _, known := range []pins.Role{"", pins.RoleLeaf, pins.RoleIssuer} {
			s := newKeyShop(t)
			p := follower{t: t, dir: s.dir, config: s.config()}
			pin := pins.FromSPKI([]byte("a key")).String()
			switch known {
			case pins.RoleLeaf:
				p.must("certs", "authorize", pin, "--domain", "other.example.com", "--reason", "r")
			case pins.RoleIssuer:
				p.must("certs", "authorize", pin, "--issuer", "--domain", "other.example.com", "--reason", "r")
			}
			p.follow("pins", "approve", pin, "--role", string(role), "--host", apiHost, "--reason", "r")
			if out := p.must("pins", "list", "--json"); !strings.Contains(out, fmt.Sprintf(`"role":%q`, role)) || !strings.Contains(out, apiHost) {
				t.Errorf("known as %q, approved as %s: %s", known, role, out)
			}
		}
	}
}

// A follower does what messages advise.
type follower struct {
	t           *testing.T
	dir, config string
}

func (f follower) run(args ...string) (status int, stdout, stderr string) {
	return runCommand(f.t.Context(), f.config, args...)
}

func (f follower) must(args ...string) string {
	f.t.Helper()
	status, out, errs := f.run(args...)
	if status != exitDone {
		f.t.Fatalf("ctwatch %q: exit status %d: %s%s", args, status, out, errs)
	}
	return out
}

func (f follower) issuerOf(ca *ctlogtest.CA) pins.Pin {
	f.t.Helper()
	issued, err := ca.Issue(ctlogtest.Request{Names: []string{apiHost}})
	if err != nil {
		f.t.Fatal(err)
	}
	return issued.IssuerPin
}

// follow runs a command, and as long as it says no, the first command that it advises and
// that was not run yet.
func (f follower) follow(args ...string) {
	f.t.Helper()
	done := make(map[string]bool)
	for range 10 {
		status, out, errs := f.run(args...)
		text := strings.Join(strings.Fields(out+errs), " ")
		next := ""
		for _, m := range hint.FindAllStringSubmatch(text, -1) {
			if !done[m[1]] && !strings.HasPrefix(m[1], "certs reject") {
				next = m[1]
				break
			}
		}
		if status == exitDone && next == "" {
			return
		}
		if next == "" {
			if status == exitNo && args[1] == "plan" {
				return // nothing more to declare: ship it
			}
			f.t.Fatalf("ctwatch %q: exit status %d, and nothing to do that was not done: %s", args, status, text)
		}
		done[next] = true
		command := strings.NewReplacer("CA.pem", filepath.Join(f.dir, "CA.pem"), "TEXT", "advised").Replace(next)
		if status, out, errs := f.run(strings.Fields(command)...); status != exitDone {
			f.t.Fatalf("%s advises %q, which ends with %d: %s%s", strings.Join(args, " "), command, status, out, errs)
		}
	}
	f.t.Fatalf("ctwatch %q: the hints do not end: %v", args, done)
}
