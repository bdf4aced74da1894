package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

// inventoryOf reads a configuration, and watches flag.example.com besides.
func inventoryOf(t *testing.T, text string) *setup.Inventory {
	t.Helper()
	flag, err := watchlist.NewRule("flag.example.com", true)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := setup.Read(configOf(t, text), flag)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func configOf(t *testing.T, text string) *configs.Config {
	t.Helper()
	cfg, err := configs.LoadBytes("ctwatch.yaml", []byte(text), configs.Env{WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestEndpointsAndWhy: which endpoints are looked at, and what the daemon says of them.
func TestEndpointsAndWhy(t *testing.T) {
	const app = "\napps: [{name: shop, hosts: [api.example.com, \"*.cdn.example.com\"]}]"
	const off = "; to turn off, set endpoints: [] for a domain, or probe: {interval: 0}"
	for text, want := range map[string]struct{ endpoints, says string }{
		"watch: [example.com]":                                {"example.com", "probes 1 endpoint every 10m: example.com" + off},
		"watch: [{domain: example.com, endpoints: auto}]":     {"example.com", "probes 1 endpoint every 10m: example.com" + off},
		"watch: [{domain: example.com, endpoints: []}]":       {"", "probes no endpoints"},
		"watch: [192.0.2.0/24]":                               {"", "probes no endpoints"},
		"watch: [example.com]" + app:                          {"example.com api.example.com", "probes 2 endpoints every 10m: example.com, api.example.com" + off},
		"watch: [{domain: example.com, endpoints: []}]" + app: {"", "probes no endpoints"},
		"watch: [{domain: example.com, endpoints: [\"example.com:443\"]}, {domain: api.example.com, endpoints: []}]" + app: {"example.com", "probes 1 endpoint every 10m: example.com" + off},
		"watch: [{domain: example.com, endpoints: []}, {domain: api.example.com, endpoints: auto}]" + app:                  {"api.example.com", "probes 1 endpoint every 10m: api.example.com" + off},
		"watch: [example.com]\nprobe: {interval: 1h}":                                                                      {"example.com", "probes 1 endpoint every 1h: example.com" + off},
		"watch: [example.com]\nprobe: {interval: 0}":                                                                       {"example.com", "probing is off (probe.interval is 0): plans and gates do not know what hosts serve"},
	} {
		inv := inventoryOf(t, text)
		var got []string
		for _, ep := range inv.Endpoints {
			got = append(got, ep.String())
		}
		if diff := cmp.Diff(want.endpoints, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: endpoints\n%s", text, diff)
		}
		if diff := cmp.Diff(want.says, inv.Probing()); diff != "" {
			t.Errorf("%s: says\n%s", text, diff)
		}
	}
}

// TestLinesBelongTogether: what a line of the watch list says is in one Watched, whatever
// lines stand around it.
func TestLinesBelongTogether(t *testing.T) {
	const pin = "sha256/j6Oqsvqpt54KA5jaW1q9B4AUJEKlvoC5pkYI1xjLH80="
	inv := inventoryOf(t, `watch:
  - 192.0.2.0/24
  - {domain: example.com, subdomains: false, keys: ["`+pin+`"], endpoints: ["192.0.2.7:8443"]}
  - {domain: example.net, issuers: [letsencrypt.org, "`+pin+`"]}
`)
	type line struct{ Rule, Policy, Grants, Endpoints, Where string }
	var got []line
	for _, w := range inv.Watched {
		l := line{Rule: w.Rule.Domain, Where: w.Where.String()}
		for _, i := range w.Policy.Issuers {
			l.Policy += i.String() + " "
		}
		for _, g := range w.Grants {
			l.Grants += string(g.Role) + " " + g.Pattern.String() + " "
		}
		for _, ep := range w.Endpoints {
			l.Endpoints += ep.String() + " "
		}
		got = append(got, l)
	}
	want := []line{
		{Rule: "192-0-2-0_24.ip", Where: "ctwatch.yaml:2:5"},
		{"example.com", "", "leaf example.com ", "example.com at 192.0.2.7:8443 ", "ctwatch.yaml:3:5"},
		{"example.net", "letsencrypt.org " + pin + " ", "issuer .example.net ", "example.net ", "ctwatch.yaml:4:5"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if inv.List.Len() != 4 || len(inv.Policies()) != 3 || len(inv.Grants()) != 2 {
		t.Errorf("%d rules, %d policies, %d grants", inv.List.Len(), len(inv.Policies()), len(inv.Grants()))
	}
}

// TestNarrowestLineCounts: events about a host have the narrowest watched domain as their
// subject, be it from the configuration, a file or the command line.
func TestNarrowestLineCounts(t *testing.T) {
	inv := inventoryOf(t, "watch: [example.com, api.example.com, {domain: flat.example.net, subdomains: false}]")
	for host, want := range map[string]string{
		"www.example.com": "example.com", "v1.api.example.com": "api.example.com", "a.flag.example.com": "flag.example.com",
		"flat.example.net": "flat.example.net", "www.flat.example.net": "www.flat.example.net",
	} {
		if got := inv.Subject(pins.Pattern{Name: host}); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// TestReadFindsAllMistakes: a configuration is read to its end, and each mistake has its
// place.
func TestReadFindsAllMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ctwatch.yaml")
	text := `watch:
  - {domain: example.com, issuers: [no such CA]}
  - {domain: example.net, algorithms: [ROT13]}
watch_files: [missing.txt]
apps:
  - {name: shop, hosts: [example.com], shipped: [{version: "1", file: missing.xml}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(file, configs.ProcessEnv())
	if err != nil {
		t.Fatal(err)
	}
	_, err = setup.Read(cfg)
	var all configs.Errors
	if !errors.As(err, &all) {
		t.Fatalf("%v is not configs.Errors", err)
	}
	var places []string
	for _, e := range all {
		path, _, _ := strings.Cut(e.Msg, ":")
		places = append(places, path)
		if e.Line == 0 {
			t.Errorf("%v has no place", e)
		}
	}
	want := []string{"watch[0].issuers[0]", "watch[1].algorithms[0]", "watch_files[0]", "apps[0].shipped[0]"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

// TestPinnedApp: an app pins a certificate's name if either covers the other.
func TestPinnedApp(t *testing.T) {
	inv := inventoryOf(t, "watch: [example.com]\napps: [{name: shop, hosts: [api.example.com, \"*.cdn.example.com\"]}]")
	for name, want := range map[string]string{
		"api.example.com": "api.example.com", "*.example.com": "api.example.com", "a.cdn.example.com": "*.cdn.example.com", "www.example.com": "",
	} {
		if _, host, ok := inv.Pinned(name); host != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", name, host, ok, want)
		}
	}
}

// TestLargeWatchFileIsRefused: a watch file has a limit, which is checked before it is read.
func TestLargeWatchFileIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "domains.txt")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, watchlist.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	_, err := setup.Read(&configs.Config{WatchFiles: []string{name}})
	if err == nil || !strings.Contains(err.Error(), "domains.txt is larger than 268435456 bytes") {
		t.Errorf("error: %v", err)
	}
}

// TestMistakesOfAllWatchFiles: each file's mistakes have their places, also if another
// file cannot be read.
func TestMistakesOfAllWatchFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "a..example\n", "c.txt": "good.example\nc..example\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := configs.LoadBytes(filepath.Join(dir, "ctwatch.yaml"), []byte("watch: [example.com]\nwatch_files: [a.txt, b.txt, c.txt]"), configs.Env{WorkDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = setup.Read(cfg)
	for _, want := range []string{"watch_files[0]: " + dir + "/a.txt:1:1: ", "watch_files[1]: open " + dir + "/b.txt: ", "watch_files[2]: " + dir + "/c.txt:2:1: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}
