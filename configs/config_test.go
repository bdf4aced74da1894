package configs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/configs"
	"ctwatch/pins"
)

// env has the given variables and works in dir.
func env(dir string, vars map[string]string) configs.Env {
	return configs.Env{
		WorkDir:   dir,
		SystemDir: filepath.Join(dir, "etc"),
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
	}
}

func load(t *testing.T, text string, vars map[string]string) *configs.Config {
	t.Helper()
	c, err := configs.LoadBytes("conf/ctwatch.yaml", []byte(text), env("/home/me", vars))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compare looks at what the configuration says and not at where it says it.
func compare(a, b *configs.Config) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(configs.Config{}), cmp.Comparer(func(a, b configs.Secret) bool {
		x, errX := a.Reveal()
		y, errY := b.Reveal()
		return a.IsSet() == b.IsSet() && x == y && (errX == nil) == (errY == nil)
	}), cmp.Comparer(func(a, b configs.URL) bool { return string(a) == string(b) }))
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	want := &configs.Config{
		DataDir: "ctwatch-data",
		Logs: configs.Logs{
			List:    "https://www.gstatic.com/ct/log_list/v3/log_list.json",
			ListKey: "google", Refresh: time.Hour, Poll: 30 * time.Second, MaxRate: 200,
			States: []string{"qualified", "usable", "readonly", "retired"},
		},
		NATS:    configs.NATS{Listen: "127.0.0.1:4222", Stream: "CTWATCH", Subject: "ctwatch"},
		Stdout:  true,
		HTTP:    configs.HTTP{Listen: "127.0.0.1:8780"},
		Probe:   configs.Probe{Interval: 10 * time.Minute},
		Signing: configs.Signing{Refresh: 24 * time.Hour, Expires: 720 * time.Hour},
		Fleet:   configs.Fleet{Role: "all"},
	}
	if diff := compare(want, configs.Default()); diff != "" {
		t.Error(diff)
	}
	want.DataDir = "/home/me/ctwatch-data"
	none, err := configs.Load("", env("/home/me", nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*configs.Config{
		"no file": none, "an empty file": load(t, "", nil), "only comments": load(t, "# nothing\n", nil),
		"blocks with everything commented out": load(t, "watch:\n#  - a\nslack:\nlogs:\n#  poll: 1s\n", nil),
	} {
		if diff := compare(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDataDirComesFromTheFileThenSystemd(t *testing.T) {
	vars := map[string]string{"STATE_DIRECTORY": "/var/lib/ctwatch:/var/lib/other"}
	if got := load(t, "", vars).DataDir; got != "/var/lib/ctwatch" {
		t.Errorf("with $STATE_DIRECTORY: %q", got)
	}
	if got := load(t, "data_dir: here", vars).DataDir; got != "/home/me/conf/here" {
		t.Errorf("with data_dir: %q", got)
	}
	c, err := configs.Load("", env("/", vars))
	if err != nil || c.DataDir != "/var/lib/ctwatch" {
		t.Errorf("without a file: %q, %v", c.DataDir, err)
	}
}

func TestWatchShortAndLong(t *testing.T) {
	pin := pins.FromSPKI(nil)
	got := load(t, `
watch:
  - example.com
  - bücher.example
  - domain: api.example.net
    subdomains: false
    issuers: [letsencrypt.org, "`+pin.String()+`"]
    keys: ["`+pin.String()+`"]
    caa: true
    endpoints: ["api.example.net:443", "[2001:db8::1]:8443"]
  - 192.0.2.0/24
  - 2001:db8::7
  - ::1
`, nil).Watch
	want := []configs.Watch{
		{Domain: "example.com", Subdomains: true},
		{Domain: "bücher.example", Subdomains: true},
		{
			Domain: "api.example.net", Issuers: []string{"letsencrypt.org", pin.String()}, Keys: []pins.Pin{pin}, CAA: true,
			Endpoints: []string{"api.example.net:443", "[2001:db8::1]:8443"},
		},
		{Domain: "192.0.2.0/24", Subdomains: true},
		{Domain: "2001:db8::7", Subdomains: true},
		{Domain: "::1", Subdomains: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValuesAreReadAsWritten(t *testing.T) {
	c := load(t, `
apps:
  - name: shop
    hosts: ["*.cdn.example.com"]
    lead_time: 1d12h
    shipped: [{version: 5.10, file: nsc.xml}]
logs: {start: 30d, poll: 100ms, refresh: 336h, list: list.json, list_key: key.pem, states: [usable]}
nats: {listen: ""}
hooks: [hooks.d]
watch_files: [/etc/domains, more.txt]
`, nil)
	for name, pair := range map[string][2]any{
		"lead_time":     {c.Apps[0].LeadTime, 36 * time.Hour},
		"version":       {c.Apps[0].Shipped[0].Version, "5.10"},
		"shipped file":  {c.Apps[0].Shipped[0].File, "/home/me/conf/nsc.xml"},
		"app defaults":  {fmt.Sprintf("%s %d", c.Apps[0].Pin, c.Apps[0].Min), "leaf 2"},
		"start":         {c.Logs.Start, configs.Start{Back: 720 * time.Hour}},
		"poll":          {c.Logs.Poll, 100 * time.Millisecond},
		"refresh":       {c.Logs.Refresh, 14 * 24 * time.Hour},
		"list":          {c.Logs.List, "/home/me/conf/list.json"},
		"list_key":      {c.Logs.ListKey, "/home/me/conf/key.pem"},
		"states":        {len(c.Logs.States), 1},
		"listen":        {c.NATS.Listen, ""},
		"hooks":         {c.Hooks[0], "/home/me/conf/hooks.d"},
		"watch_files":   {strings.Join(c.WatchFiles, " "), "/etc/domains /home/me/conf/more.txt"},
		"file":          {c.File(), "conf/ctwatch.yaml"},
		"beginning":     {load(t, "logs: {start: beginning}", nil).Logs.Start, configs.Start{Beginning: true}},
		"no list":       {load(t, "logs: {list: \"\", extra: [{name: a, kind: static, url: \"file:///x/\", key: "+logKey+"}]}", nil).Logs.List, ""},
		"anchor":        {load(t, "watch:\n - {domain: a.example, issuers: &i [pki.goog]}\n - {domain: b.example, issuers: *i}\n", nil).Watch[1].Issuers[0], "pki.goog"},
		"crlf and mark": {load(t, "\ufeffstdout: false\r\nwatch: [a.example]\r\n", nil).Watch[0].Domain, "a.example"},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

const logKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5D0UEoHtB/mWHILkDJIcunBf/OI/Wp3OeMMR2OEa3hC7GNvHlb4A43G9bz80ApV3McYHunVC/WyingNoyywU6w=="

func TestEnvironmentInValues(t *testing.T) {
	c := load(t, `
data_dir: ${BASE}/data
stdout: ${OUT}
watch: ["${DOMAIN}"]
logs: {poll: "${POLL}"}
nats:
  url: nats://me:${PASSWORD}@localhost
apps: [{name: "$${x} $5", hosts: [example.com], min_pins: "${MIN}"}]
`, map[string]string{"BASE": "/srv", "OUT": "false", "DOMAIN": "example.org", "POLL": "2s", "MIN": "3", "PASSWORD": "hunter2"})
	for name, pair := range map[string][2]any{
		"path": {c.DataDir, "/srv/data"}, "bool": {c.Stdout, false}, "domain": {c.Watch[0].Domain, "example.org"},
		"duration": {c.Logs.Poll, 2 * time.Second}, "int": {c.Apps[0].Min, 3}, "escape": {c.Apps[0].Name, "${x} $5"},
		"url": {string(c.NATS.URL), "nats://me:hunter2@localhost"},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFindTakesTheFirstPlace(t *testing.T) {
	dir := t.TempDir()
	e := env(dir, map[string]string{"CONFIGURATION_DIRECTORY": filepath.Join(dir, "none") + ":" + filepath.Join(dir, "systemd")})
	find := func(explicit, want string) {
		t.Helper()
		got, err := configs.Find(explicit, e)
		if err != nil || got != want {
			t.Errorf("Find(%q) = %q, %v, want %q", explicit, got, err, want)
		}
	}
	write := func(name string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("stdout: false\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	find("", "")
	write("etc/ctwatch.yaml")
	find("", filepath.Join(dir, "etc/ctwatch.yaml"))
	write("systemd/ctwatch.yaml")
	find("", filepath.Join(dir, "systemd/ctwatch.yaml"))
	write("ctwatch.yaml")
	find("", "ctwatch.yaml")
	write("other.yaml")
	find("other.yaml", "other.yaml")

	c, err := configs.Load("ctwatch.yaml", e)
	if err != nil || c.Stdout {
		t.Errorf("Load of what was found: %v", err)
	}
	_, err = configs.Find("absent.yaml", e)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "absent.yaml: cannot be read: ") {
		t.Errorf("an explicit file that is absent: %v", err)
	}
}

func TestUnreadableFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	_, err := configs.Load(dir, env("", nil))
	if err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	file := filepath.Join(dir, "ctwatch.yaml")
	if err := os.WriteFile(file, nil, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	if _, err := configs.Load(file, env("", nil)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file without permissions: %v", err)
	}
}

func TestErrorfFindsThePlace(t *testing.T) {
	c := load(t, "watch:\n  - example.com\n  - domain: example.org\n    subdomains: false\n", nil)
	for path, want := range map[string]string{
		"watch[1].domain": "conf/ctwatch.yaml:3:13: watch[1].domain: no; want yes",
		"watch[0].domain": "conf/ctwatch.yaml:2:5: watch[0].domain: no; want yes",
		"watch[1].keys":   "conf/ctwatch.yaml:3:5: watch[1].keys: no; want yes",
		"watch":           "conf/ctwatch.yaml:1:1: watch: no; want yes",
		"logs.poll":       "conf/ctwatch.yaml:1:1: logs.poll: no; want yes",
	} {
		if got := c.Errorf(path, "no; want %s", "yes").Error(); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if err := c.Errorf("watch", "cannot be used: %w", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != "conf/ctwatch.yaml:1:1: watch: cannot be used: file does not exist" {
		t.Errorf("the cause: %v", err)
	}
	const want = "built-in configuration: logs.poll: no"
	if got := configs.Default().Errorf("logs.poll", "no").Error(); got != want {
		t.Errorf("defaults: %s", got)
	}
}

func TestUnusedSettingsAreNamed(t *testing.T) {
	c := load(t, `watch:
  - domain: example.com
    caa: true
apps:
email: {host: m.example, from: a@m.example, to: [b@m.example]}
logs: {poll: 1s}
http:
  listen: ""
  public_url: https://ct.example/
`, nil)
	const tail = " is accepted but not acted upon by this version"
	want := []string{
		"conf/ctwatch.yaml:5:1: setting email" + tail,
		"conf/ctwatch.yaml:9:15: setting http.public_url" + tail,
	}
	if diff := cmp.Diff(want, c.Unused()); diff != "" {
		t.Error(diff)
	}
	if got := configs.Default().Unused(); got != nil {
		t.Errorf("defaults: %q", got)
	}
}

func TestIssuersNamedByTheirCAAIdentityAreSaidToBeUnused(t *testing.T) {
	c := load(t, `watch:
  - domain: example.com
    issuers: [ca.example, "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
`, nil)
	want := []string{"conf/ctwatch.yaml:3:15: setting watch[0].issuers[0] is accepted but not acted upon by this version"}
	if diff := cmp.Diff(want, c.Unused()); diff != "" {
		t.Error(diff)
	}
}

// uncommented is the example with every setting in it.
func uncommented() []byte {
	return regexp.MustCompile(`(?m)^#([^ #\n]|  )`).ReplaceAll(configs.Example, []byte("$1"))
}

func TestExampleLoads(t *testing.T) {
	c := load(t, string(configs.Example), nil)
	want := load(t, "", nil)
	want.Watch = []configs.Watch{{Domain: "example.com", Subdomains: true}}
	if diff := compare(want, c); diff != "" {
		t.Error("the example as it is differs from the defaults:", diff)
	}
	load(t, string(uncommented()), nil)
}

func TestExampleShowsEverySetting(t *testing.T) {
	text := string(uncommented())
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Pointer:
			walk(typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				if name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ","); name != "" {
					if !regexp.MustCompile(`\b` + name + `(_file)?:`).MatchString(text) {
						t.Errorf("%s of %s is not in the example", name, typ)
					}
					walk(typ.Field(i).Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[configs.Config]())
}

func TestExampleStatesTheDefaults(t *testing.T) {
	c, d := load(t, string(uncommented()), nil), configs.Default()
	c.Logs.Extra, c.Logs.Contact = nil, ""
	if diff := cmp.Diff(d.Logs, c.Logs, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if c.NATS.Listen != d.NATS.Listen || c.NATS.Stream != d.NATS.Stream || c.NATS.Subject != d.NATS.Subject ||
		c.HTTP.Listen != d.HTTP.Listen || c.Probe != d.Probe || c.Fleet != d.Fleet || c.Stdout != d.Stdout {
		t.Error("the example shows other values than the defaults")
	}
}

func TestShowLoadsAgain(t *testing.T) {
	vars := map[string]string{"SLACK": "xoxb-hunter2", "STAGE": "prod"}
	for name, text := range map[string]string{
		"empty":   "",
		"example": string(uncommented()),
		"environment": "data_dir: ${STAGE}/x\nwatch_files: [\"${STAGE}.txt\", \"${STAGE}\"]\nslack:\n  token: ${SLACK}\n  channel: \"#${STAGE}\"\n" +
			"watch: [\"${STAGE}.example\"]\nlogs: {start: beginning}\n",
		"awkward": `{data_dir: "/a b/ü: #\"x", watch_files: ["null", "true", "- x", "$${X}", "1e3", "~", "  y "], nats: {listen: ""}, stdout: false}`,
		"minimal": "slack: {webhook_url: \"${SLACK}\"}\nhttp: {listen: \"\"}\nwebhooks: [{url: \"https://x.example/\"}]\nnats: {url: tls://a.example, tls: {}}",
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, text, vars)
			shown, err := c.Show()
			if err != nil {
				t.Fatal(err)
			}
			again, err := configs.LoadBytes("/elsewhere/ctwatch.yaml", shown, env("/", vars))
			if err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			if diff := compare(c, again); diff != "" {
				t.Errorf("%s\n%s", diff, shown)
			}
			twice, _ := again.Show()
			if !bytes.Equal(shown, twice) {
				t.Errorf("shown again:\n%s", cmp.Diff(string(shown), string(twice)))
			}
		})
	}
}

func TestShowOfDefaults(t *testing.T) {
	got, err := configs.Default().Show()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestShowHonoursAnOverride(t *testing.T) {
	c := load(t, "data_dir: ${DIR}\n", map[string]string{"DIR": "/a"})
	c.DataDir = "/b" // as --data does
	shown, err := c.Show()
	if err != nil || !bytes.HasPrefix(shown, []byte("data_dir: /b\n")) {
		t.Errorf("%v\n%s", err, shown)
	}
}
