package format

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"ctwatch/pins"
)

// exitCode runs a program against a server, and returns how it ends.
func exitCode(t *testing.T, name string, args ...string) int {
	t.Helper()
	_, err := program(t, nil, name, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Log(err)
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

func TestRealCurlAndWgetDecideTheSame(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	curlTo := func(srv server, value string) []string {
		return []string{
			"-q", "--silent", "--show-error", "--noproxy", "*", "--cacert", s.root, "--max-time", "20",
			"--resolve", "api.example.com:" + srv.port + ":127.0.0.1", "--pinnedpubkey", value, "https://api.example.com:" + srv.port + "/",
		}
	}
	wgetFrom := func(srv server, value string) []string {
		return []string{
			"--no-config", "--no-proxy", "--quiet", "--timeout=20", "--tries=1", "--ca-certificate=" + s.root, "--output-document=-",
			"--pinnedpubkey=" + value, "https://127.0.0.1:" + srv.port + "/",
		}
	}
	data, err := encodeCurl(oneHost(pins.RoleLeaf, testPin(0), s.right.chain.Leaf()))
	if err != nil {
		t.Fatal(err)
	}
	exported := strings.TrimSpace(string(data)) // as $(…) gives it
	hash := func(p pins.Pin) string { return curlPrefix + base64Of(p) }
	for name, tt := range map[string]struct {
		srv   server
		value string
		ok    bool
	}{
		"the right key":      {s.right, exported, true},
		"another key":        {s.wrong, exported, false},
		"the issuer's key":   {s.right, hash(s.right.chain.Issuer()), false},
		"a space":            {s.right, hash(testPin(0)) + "; " + hash(s.right.chain.Leaf()), false},
		"one slash":          {s.right, s.right.chain.Leaf().String(), false},
		"a semicolon behind": {s.right, hash(s.right.chain.Leaf()) + ";", false},
	} {
		t.Run(name, func(t *testing.T) {
			if rules, err := decodeCurl([]byte(tt.value)); tt.ok != (err == nil && pins.Accepts(rules.Requirements("any.test", asOf), tt.srv.chain)) {
				t.Errorf("our rules: %v, %v", rules, err)
			}
			wantCurl, wantWget := 90, 5
			if tt.ok {
				wantCurl, wantWget = 0, 0
			}
			if got := exitCode(t, "curl", curlTo(tt.srv, tt.value)...); got != wantCurl {
				t.Errorf("curl ends with %d, want %d", got, wantCurl)
			}
			if got := exitCode(t, "wget", wgetFrom(tt.srv, tt.value)...); got != wantWget {
				t.Errorf("wget ends with %d, want %d", got, wantWget)
			}
		})
	}
}

func TestRealOpenSSLDecidesTheSame(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		set := pins.Set{
			App: "shop", Role: role, Plan: "5f", AsOf: asOf,
			Hosts: []pins.HostSet{
				host(t, "*.example.org", []pins.Pin{testPin(0), s.right.chain.Of(role)}, "img.example.org", "www.example.org"),
				host(t, "api.example.com", []pins.Pin{s.right.chain.Of(role), testPin(1)}),
			},
		}
		data, err := encodeTLSA(set)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"api.example.com", "img.example.org", "www.example.org"} {
			args := []string{"s_client", "-brief", "-verify_return_error", "-CAfile", s.root, "-dane_tlsa_domain", host}
			records := 0
			for line := range strings.Lines(string(data)) {
				if rdata, ok := strings.CutPrefix(line, "_443._tcp."+host+". IN TLSA "); ok {
					args = append(args, "-dane_tlsa_rrdata", strings.TrimSpace(rdata))
					records++
				}
			}
			if records != 2 {
				t.Errorf("%s has %d records, want 2, in\n%s", host, records, data)
			}
			if got := exitCode(t, "openssl", append(args, "-connect", "127.0.0.1:"+s.right.port)...); got != 0 {
				t.Errorf("%s, pins of %s keys: the right chain is refused", host, role)
			}
			if got := exitCode(t, "openssl", append(args, "-connect", "127.0.0.1:"+s.wrong.port)...); got == 0 {
				t.Errorf("%s, pins of %s keys: another chain is accepted", host, role)
			}
		}
	}
}
