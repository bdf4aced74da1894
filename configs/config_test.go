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
	"ctwatch/ctwatch"
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
		NATS:   configs.NATS{Listen: "127.0.0.1:4222", Stream: "CTWATCH", Subject: "ctwatch"},
		Notify: configs.Notify{Storm: 20},

		HookTimeout: 30 * time.Second, HookSeverity: "info",
		Stdout:    true,
		Heartbeat: configs.Heartbeat{Interval: 5 * time.Minute},

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
	pin := pins.FromSPKI([]byte("key"))
	got := load(t, `
watch:
  - example.com
  - bücher.example
  - domain: api.example.net
    subdomains: false
    issuers: [letsencrypt.org, "`+pin.String()+`"]
    keys: ["`+pin.String()+`"]
    caa: true
    wildcards: false
    endpoints: ["api.example.net:443", "[2001:db8::1]:8443"]
  - 192.0.2.0/24
  - 2001:db8::7
  - ::1
`, nil).Watch
	want := []configs.Watch{
		{Domain: "example.com", Subdomains: true},
		{Domain: "bücher.example", Subdomains: true},
		{
			Domain: "api.example.net", Issuers: []string{"letsencrypt.org", pin.String()}, Keys: []pins.Pin{pin}, CAA: true, Wildcards: new(bool),
			Endpoints: []pins.Endpoint{{Host: "api.example.net", Configured: true}, {Host: "2001:db8::1", Target: "[2001:db8::1]:8443", Configured: true}},
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
		"start":         {c.Logs.Start, ctwatch.Start{Back: 720 * time.Hour}},
		"poll":          {c.Logs.Poll, 100 * time.Millisecond},
		"refresh":       {c.Logs.Refresh, 14 * 24 * time.Hour},
		"list":          {c.Logs.List, "/home/me/conf/list.json"},
		"list_key":      {c.Logs.ListKey, "/home/me/conf/key.pem"},
		"states":        {len(c.Logs.States), 1},
		"listen":        {c.NATS.Listen, ""},
		"hooks":         {c.Hooks[0], "/home/me/conf/hooks.d"},
		"watch_files":   {strings.Join(c.WatchFiles, " "), "/etc/domains /home/me/conf/more.txt"},
		"file":          {c.File(), "conf/ctwatch.yaml"},
		"beginning":     {load(t, "logs: {start: beginning}", nil).Logs.Start, ctwatch.Start{Beginning: true}},
		"no list":       {load(t, "logs: {list: \"\", extra: [{name: a, kind: static, url: \"file:///x/\", key: "+logKey+"}]}", nil).Logs.List, ""},
		"crlf and mark": {load(t, "\ufeffstdout: false\r\nwatch: [a.example]\r\n", nil).Watch[0].Domain, "a.example"},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSendersAreReadAsWritten(t *testing.T) {
	c := load(t, `
notify: {storm: -1}
slack:
  token_file: token
  channel: "#certs"
  severity: warning
  app_token_file: app
  approvers: [U024BE7LH, W12]
  routes:
    - {severity: critical, channel: "#incident"}
    - {watch: ["*.example.com"], types: ["pin.*"], channel: "#pins"}
email: {host: "::1", tls: implicit, ca_file: ca.pem, from: CT <a@m.example>, to: [b@m.example], types: ["certificate.*"]}
webhooks:
  - {url: http://10.0.0.1/, allow_private: true, watch: ["*.bücher.example"]}
services:
  - {url: "ntfy://${TOKEN}@ntfy.example/certs", name: ntfy, severity: critical}
hook_timeout: 10m
hook_severity: debug
heartbeat: {interval: 1s, url: "${BEAT}"}
dns: {servers: [192.0.2.53, "[::1]:5353", "2001:db8::53", "localhost:53"]}
`, map[string]string{"TOKEN": "t", "BEAT": "https://beat.example/x"})
	info := configs.Filter{Severity: "info"}
	for name, pair := range map[string][2]any{
		"storm":    {c.Notify.Storm, -1},
		"slack":    {c.Slack.Severity, ctwatch.Warning},
		"approver": {c.Slack.Approvers, []string{"U024BE7LH", "W12"}},
		"routes": {c.Slack.Routes, []configs.SlackRoute{
			{Severity: "critical", Channel: "#incident"},
			{Watch: []string{"*.example.com"}, Types: []string{"pin.*"}, Channel: "#pins"},
		}},
		"email": {
			fmt.Sprintf("%s %d %s %s %s", c.Email.Host, c.Email.Port, c.Email.TLS, c.Email.CAFile, c.Email.From),
			"::1 465 implicit /home/me/conf/ca.pem CT <a@m.example>",
		},
		"email filter":   {c.Email.Filter, configs.Filter{Severity: "info", Types: []string{"certificate.*"}}},
		"webhook":        {c.Webhooks[0].AllowPrivate, true},
		"webhook filter": {c.Webhooks[0].Filter, configs.Filter{Severity: "info", Watch: []string{"*.bücher.example"}}},
		"service":        {c.Services[0].Name, "ntfy"},
		"service filter": {c.Services[0].Filter, configs.Filter{Severity: "critical"}},
		"hooks":          {fmt.Sprint(c.HookTimeout, " ", c.HookSeverity), "10m0s debug"},
		"heartbeat":      {c.Heartbeat.Interval, time.Second},
		"dns":            {len(c.DNS.Servers), 4},
		"other port":     {load(t, "email: {host: a.example, port: 26, tls: implicit, from: a@a.example, to: [a@a.example]}", nil).Email.Port, 26},
		"usual port":     {load(t, "email: {host: localhost, tls: none, from: a@a.example, to: [a@a.example]}", nil).Email.Port, 587},
		"usual filter":   {load(t, "webhooks: [{url: \"https://a.example/\"}]", nil).Webhooks[0].Filter, info},
		"usual route":    {load(t, "slack: {token_file: a, channel: b}", nil).Slack.Severity, ctwatch.Info},
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

func TestDirectoryIsNoFile(t *testing.T) {
	_, err := configs.Load(t.TempDir(), env("", nil))
	if err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("Load() = %v", err)
	}
}

func TestErrorfFindsThePlace(t *testing.T) {
	c := load(t, "watch:\n  - example.com\n  - domain: example.org\n    subdomains: false\n    issuers: [a.example, b.example]\n"+
		"    algorithms:\n      - RSA\n      - \"${A}\"\n  - {domain: example.net, issuers: [Let's Encrypt]}\n", map[string]string{"A": "EC"})
	for path, want := range map[string]string{
		"watch[1].domain":        "conf/ctwatch.yaml:3:13: watch[1].domain: no; want yes",
		"watch[0].domain":        "conf/ctwatch.yaml:2:5: watch[0].domain: no; want yes",
		"watch[1].issuers[1]":    "conf/ctwatch.yaml:5:26: watch[1].issuers[1]: no; want yes",
		"watch[1].algorithms[1]": "conf/ctwatch.yaml:8:9: watch[1].algorithms[1]: no; want yes",
		"watch[2].issuers[0]":    "conf/ctwatch.yaml:9:37: watch[2].issuers[0]: no; want yes",
		"watch[1].keys":          "conf/ctwatch.yaml:3:5: watch[1].keys: no; want yes",
		"watch":                  "conf/ctwatch.yaml:1:1: watch: no; want yes",
		"logs.poll":              "conf/ctwatch.yaml:1:1: logs.poll: no; want yes",
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
    issuers: [ca.example]
    caa: true
apps:
email: {host: m.example, from: a@m.example, to: [b@m.example]}
webhooks: [{url: https://m.example/}]
hooks: [hooks.d]
fleet: {role: all}
http:
  listen: ""
  public_url: https://ct.example/
`, nil)
	const tail = " has no effect in this version"
	want := "conf/ctwatch.yaml:9:1: setting fleet" + tail
	if diff := cmp.Diff(want, c.Unused().Error()); diff != "" {
		t.Error(diff)
	}
	if got := configs.Default().Unused(); got != nil {
		t.Errorf("defaults: %q", got)
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
			for _, field := range reflect.VisibleFields(typ) {
				if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
					if !regexp.MustCompile(`\b` + name + `(_file)?:`).MatchString(text) {
						t.Errorf("%s of %s is not in the example", name, typ)
					}
					walk(field.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[configs.Config]())
}

func TestExampleStatesTheDefaults(t *testing.T) {
	c, d := load(t, string(uncommented()), nil), configs.Default()
	c.Logs.Extra = nil
	if diff := cmp.Diff(d.Logs, c.Logs, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if c.NATS.Listen != d.NATS.Listen || c.NATS.Stream != d.NATS.Stream || c.NATS.Subject != d.NATS.Subject ||
		c.Notify != d.Notify || c.HookTimeout != d.HookTimeout || c.HookSeverity != d.HookSeverity || c.Heartbeat.Interval != d.Heartbeat.Interval ||
		c.HTTP.Listen != d.HTTP.Listen || c.Probe != d.Probe || c.Fleet != d.Fleet || c.Stdout != d.Stdout {
		t.Error("the example shows other values than the defaults")
	}
}

func TestShowLoadsAgain(t *testing.T) {
	vars := map[string]string{"SLACK": "xoxb-hunter2", "STAGE": "prod", "NO": "false"}
	for name, text := range map[string]string{
		"empty":   "",
		"example": string(uncommented()),
		"environment": "data_dir: ${STAGE}/x\nwatch_files: [\"${STAGE}.txt\", \"${STAGE}\"]\nslack:\n  token: ${SLACK}\n  channel: \"#${STAGE}\"\n" +
			"watch: [\"${STAGE}.example\"]\nlogs: {start: beginning}\n",
		"awkward": `{data_dir: "/a b/ü: #\"x", watch_files: ["null", "true", "- x", "$${X}", "1e3", "~", "  y "], nats: {listen: ""}, stdout: false}`,
		"senders": "slack: {token: \"${SLACK}\", channel: c, routes: [{types: [\"*\"], channel: d}]}\nemail: {host: localhost, tls: none, port: 25, from: a@a.example, to: [A <a@a.example>]}\n" +
			"services: [{url: \"x://${SLACK}\", watch: [a.example]}]\nheartbeat: {url: \"${SLACK}\"}\nwatch: [{domain: a.example, wildcards: true}, {domain: b.example, wildcards: \"${NO}\"}]\n",
		"minimal": "slack: {webhook_url: \"${SLACK}\"}\nhttp: {listen: \"\"}\nwebhooks: [{url: \"https://x.example/\"}]\nnats: {url: tls://a.example, tls: {}}",
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, text, vars)
			shown := c.Show()
			again, err := configs.LoadBytes("/elsewhere/ctwatch.yaml", shown, env("/", vars))
			if err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			if diff := compare(c, again); diff != "" {
				t.Errorf("%s\n%s", diff, shown)
			}
			twice := again.Show()
			if !bytes.Equal(shown, twice) {
				t.Errorf("shown again:\n%s", cmp.Diff(string(shown), string(twice)))
			}
		})
	}
}

func TestShowOfDefaults(t *testing.T) {
	got := configs.Default().Show()
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
	shown := c.Show()
	if !bytes.HasPrefix(shown, []byte("data_dir: /b\n")) {
		t.Errorf("%s", shown)
	}
}
