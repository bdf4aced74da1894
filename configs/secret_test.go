package configs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
)

const topSecret = "hunter2-Geheimnis"

// secretive has each secret once, but for slack.webhook_url, which excludes others.
const secretive = `
nats:
  url: nats://me:${NATS_PASSWORD}@localhost,tls://hunter2-Geheimnis@other.example
slack:
  token: ${SLACK_TOKEN}
  channel: "#certs"
  app_token: ${SLACK_TOKEN}
  approvers: [U024BE7LH]
email:
  host: m.example
  from: a@m.example
  to: [b@m.example]
  username: me
  password_file: smtp
webhooks:
  - url: https://me:hunter2-Geheimnis@x.example/hook/hunter2-Geheimnis?a=b
    secret_file: %[1]s/secret
services:
  - url: ntfy://me:${SLACK_TOKEN}@ntfy.example/certs
heartbeat:
  url_file: %[1]s/beat
`

const webhookOnly = "slack: {webhook_url_file: hook}\n"

func secretConfig(t *testing.T, text string) *configs.Config {
	t.Helper()
	dir := t.TempDir()
	for name, secret := range map[string]string{
		"smtp": topSecret, "secret": topSecret, "hook": "https://slack.example/" + topSecret, "beat": "https://beat.example/" + topSecret,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return load(t, strings.ReplaceAll(text, "%[1]s", dir), map[string]string{
		"NATS_PASSWORD": topSecret, "SLACK_TOKEN": topSecret, "CREDENTIALS_DIRECTORY": dir,
	})
}

func TestSecretsAreRevealedOnRequest(t *testing.T) {
	c, hook := secretConfig(t, secretive), secretConfig(t, webhookOnly)
	if err := hook.CheckSecrets(); err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSecrets(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]configs.Secret{
		"from the environment": c.Slack.Token, "from a credential": c.Email.Password, "from a file": c.Webhooks[0].Secret,
		"given": configs.NewSecret(topSecret), "app token": c.Slack.AppToken, "service": c.Services[0].URL, "heartbeat": c.Heartbeat.URL,
		"webhook": hook.Slack.WebhookURL,
	} {
		if got, err := s.Reveal(); !strings.Contains(got, topSecret) || err != nil || !s.IsSet() {
			t.Errorf("%s: Reveal() = %q, %v", name, got, err)
		}
	}
	for name, s := range map[string]configs.Secret{"unset": c.Slack.WebhookURL, "empty": configs.NewSecret("")} {
		if got, err := s.Reveal(); got != "" || err != nil || s.IsSet() {
			t.Errorf("%s: Reveal() = %q, %v", name, got, err)
		}
	}
	if got := string(c.NATS.URL); !strings.Contains(got, topSecret) {
		t.Errorf("the URL to connect to: %s", got)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c, hook := secretConfig(t, secretive), secretConfig(t, webhookOnly)
	values := map[string]any{
		"services": c.Services, "heartbeat": c.Heartbeat, "webhook": *hook.Slack, "slack value": *c.Slack,
		"config": *c, "pointer": c, "slack": c.Slack, "email": *c.Email, "webhooks": c.Webhooks, "nats": c.NATS,
		"secret": c.Slack.Token, "secret pointer": &c.Slack.Token, "url": c.NATS.URL, "given": configs.NewSecret(topSecret),
	}
	for name, v := range values {
		// Not %p and %w: they call no methods, print no values, and go vet refuses them.
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%T", "%c", "%U", "%e", "% x", "%#x"} {
			shows(t, name+" "+verb, fmt.Sprintf(verb, v))
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shows(t, name+" JSON", string(b))
		b, err = yaml.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shows(t, name+" YAML", string(b))
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		shows(t, name+" log", log.String())
	}
	shown := append(c.Show(), hook.Show()...)
	shows(t, "Show", string(shown))
	for _, want := range []string{
		`token: "${SLACK_TOKEN}"`, `app_token: "${SLACK_TOKEN}"`, `url: "ntfy://me:${SLACK_TOKEN}@ntfy.example/certs"`, "/beat\n", "webhook_url_file: ",
		"me:${NATS_PASSWORD}@localhost", "password_file: ", "xxxxx@x.example/xxxxx",
	} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("Show lacks %s:\n%s", want, shown)
		}
	}
}

// shows fails when the secret is in text, plain or in hex.
func shows(t *testing.T, name, text string) {
	t.Helper()
	for _, s := range []string{topSecret, fmt.Sprintf("%x", topSecret), fmt.Sprintf("%X", topSecret), fmt.Sprintf("% x", topSecret), fmt.Sprint([]byte(topSecret))} {
		if strings.Contains(text, strings.Trim(s, "[]")) {
			t.Errorf("%s shows the secret: %s", name, text)
		}
	}
}

func TestErrorsNeverContainSecrets(t *testing.T) {
	vars := map[string]string{"X": topSecret + "\x00 *.:"}
	for _, text := range []string{
		"nats:\n  url: nats://a:${X}@x:y\n", "nats:\n  url: nats://a:" + topSecret + "@x:y\n", "nats:\n  stream: ${X}\n  subject: ${X}\n  listen: ${X}\n",
		"watch: [\"${X}\", {domain: \"${X}\", issuers: [\"${X}\"], keys: [\"${X}\"], caa: \"${X}\", endpoints: [\"${X}\"]}]\n",
		"apps: [{name: \"${X}\", hosts: [\"${X}\"], pin: \"${X}\", min_pins: \"${X}\", lead_time: \"${X}\", shipped: [{version: \"${X}\"}]}]\n",
		"logs: {list: \"${X}\", start: \"${X}\", poll: \"${X}\", states: [\"${X}\"], contact: \"${X}\", extra: [{name: \"${X}\", kind: \"${X}\", url: \"${X}\", key: \"${X}\"}]}\n",
		"slack:\n  token: " + topSecret + "\n", "slack:\n  token_file: [" + topSecret + "]\n", "slack: {token: \"${X}\", api_url: \"${X}\", routes: [{severity: \"${X}\"}]}\n",
		"email: {host: \"${X}\", port: \"${X}\", from: \"${X}\", to: [\"${X}\"], username: \"${X}\"}\n",
		"slack: {webhook_url: " + topSecret + ", severity: \"${X}\", app_token: " + topSecret + ", approvers: [\"${X}\"], routes: [{watch: [\"${X}\"], types: [\"${X}\"]}]}\n",
		"email: {tls: \"${X}\", password: " + topSecret + "}\nservices: [{url: " + topSecret + ", name: \"${X}\", severity: \"${X}\"}]\n",
		"heartbeat: {interval: \"${X}\", url: " + topSecret + "}\ndns: {servers: [\"${X}\"]}\nhook_timeout: \"${X}\"\nhook_severity: \"${X}\"\nnotify: {storm: \"${X}\"}\n",
		"webhooks: [{url: \"ftp://" + topSecret + "@x\"}, {url: \"${X}\"}]\nhttp: {listen: \"${X}\", public_url: \"${X}\"}\nfleet: {role: \"${X}\"}\ndata_dir: \"${X}\"",
	} {
		_, err := configs.LoadBytes("f", []byte(text), env("/", vars), setup.Check)
		if err == nil {
			t.Errorf("no error: %s", text)
			continue
		}
		shows(t, text, err.Error())
	}
}

func TestUnreadableSecretsAreReportedTogether(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("empty", "\n")
	write("lines", "a\nb\n")
	write("big", strings.Repeat("x", 1<<17))
	c, err := configs.LoadBytes(filepath.Join(dir, "f"), []byte(`slack:
  webhook_url: ${HOOK}
webhooks:
  - {url: "https://1.example", secret_file: absent}
  - {url: "https://2.example", secret_file: empty}
  - {url: "https://3.example", secret_file: lines}
  - {url: "https://4.example", secret_file: big}
  - {url: "https://5.example", secret: "${UNSET}"}
`), env("/", map[string]string{"HOOK": topSecret}))
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckSecrets()
	var list configs.Errors
	if !errors.As(err, &list) || len(list) != 6 {
		t.Fatalf("CheckSecrets() = %v, want 6 mistakes", err)
	}
	for i, want := range []string{
		":2:16: slack.webhook_url: is not a URL", ":4:45: webhooks[0].secret_file: cannot be read: open ", ":5:45: webhooks[1].secret_file: cannot be read: it is empty",
		":6:45: webhooks[2].secret_file: cannot be read: it has more than one line", ":7:45: webhooks[3].secret_file: cannot be read: the file is larger",
		":8:40: webhooks[4].secret: cannot be read: the environment variable UNSET is not set",
	} {
		if !strings.Contains(list[i].Error(), want) {
			t.Errorf("mistake %d: %v, want %s", i, list[i], want)
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	shows(t, "CheckSecrets", err.Error())
}

func TestEverySecretIsChecked(t *testing.T) {
	c := load(t, strings.NewReplacer("%[1]s", "/nonexistent", "${SLACK_TOKEN}", "${UNSET}").Replace(secretive), map[string]string{"NATS_PASSWORD": "x"})
	var walk func(reflect.Type) int
	walk = func(typ reflect.Type) (n int) {
		switch {
		case typ == reflect.TypeFor[configs.Secret]():
			return 1
		case typ.Kind() == reflect.Slice, typ.Kind() == reflect.Pointer:
			return walk(typ.Elem())
		case typ.Kind() == reflect.Struct:
			for _, f := range reflect.VisibleFields(typ) {
				if f.Tag.Get("yaml") != "" {
					n += walk(f.Type)
				}
			}
		}
		return n
	}
	var list configs.Errors
	errors.As(c.CheckSecrets(), &list)
	if want := walk(reflect.TypeFor[configs.Config]()) - 1; len(list) != want { // but slack.webhook_url
		t.Errorf("%d of %d secrets are found unreadable: %v", len(list), want, list)
	}
}

func TestSecretsAreCheckedForWhatTheyAre(t *testing.T) {
	for text, want := range map[string]string{
		"slack:\n  webhook_url: ${X}\n":   "conf/ctwatch.yaml:2:16: slack.webhook_url: is not a URL",
		"services:\n  - url: ${X}\n":      "conf/ctwatch.yaml:2:10: services[0].url: is not a URL; want that of a service",
		"heartbeat:\n  url: \"${X}\"\n":   "conf/ctwatch.yaml:2:8: heartbeat.url: is not a URL",
		"heartbeat:\n  url: ftp://${X}\n": "conf/ctwatch.yaml:2:8: heartbeat.url: is a URL with another scheme",
	} {
		c := load(t, text, map[string]string{"X": topSecret})
		_, err := setup.Senders(c, setup.SenderOptions{})
		err = errors.Join(c.CheckSecrets(), err)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
			continue
		}
		shows(t, text, err.Error())
	}
}

// TestOthersCanReadSecrets: each file with a secret, and the data directory, that others
// can read or change is a mistake at its place, with what to run; credentials of systemd
// are not.
func TestOthersCanReadSecrets(t *testing.T) {
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials")
	names := []string{
		"slack", "hookurl", "app", "mail", "hook", "service", "heart", "tokens", "tls.key", "nats.creds", "nats.key", "sign", "sign.next", "sign.old",
	}
	text := fmt.Sprintf(`data_dir: %[1]s/data
slack: {token_file: %[1]s/slack, app_token_file: %[1]s/app, channel: "#x", approvers: [U024BE7LH]}
email: {host: m.example, username: u, password_file: %[1]s/mail, from: a@m.example, to: [b@m.example]}
webhooks: [{url: "https://m.example/", secret_file: %[1]s/hook}]
services: [{url_file: %[1]s/service}]
heartbeat: {url_file: %[1]s/heart}
http: {tokens_file: %[1]s/tokens, tls: {cert: %[1]s/cert, key: %[1]s/tls.key}}
nats: {url: "nats://n.example", credentials_file: %[1]s/nats.creds, tls: {cert: %[1]s/cert, key: %[1]s/nats.key}}
signing: {key_file: %[1]s/sign}
`, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	content := func(name string) string {
		switch name {
		case "service":
			return "discord://token@1"
		case "heart", "hookurl":
			return "https://m.example/x"
		}
		return name
	}
	set := func(file, mode os.FileMode) {
		t.Helper()
		must(os.Chmod(filepath.Join(dir, "data"), file))
		for _, name := range append(names, "cert") {
			path := filepath.Join(dir, name)
			must(os.WriteFile(path, []byte(content(name)), 0o600))
			must(os.Chmod(path, mode))
		}
	}
	must(os.Mkdir(filepath.Join(dir, "data"), 0o700))
	must(os.Mkdir(credentials, 0o755))

	check := func(env map[string]string) (list configs.Errors) {
		t.Helper()
		errors.As(load(t, text, env).CheckSecrets(), &list)
		return list
	}
	set(0o700, 0o600)
	if list := check(nil); list != nil {
		t.Errorf("private files: %v", list)
	}
	set(0o755, 0o644)
	list := check(nil)
	want := map[string]string{"data": "700"}
	for _, name := range names {
		if name != "hookurl" {
			want[name] = "600"
		}
	}
	if len(list) != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", len(list), len(want), list)
	}
	for name, mode := range want {
		run := "run chmod " + mode + " " + filepath.Join(dir, name)
		if !slices.ContainsFunc(list, func(e *configs.Error) bool { return strings.HasSuffix(e.Msg, run) && e.Line > 0 }) {
			t.Errorf("%s: no mistake says: %s", name, run)
		}
	}

	// The credentials are as systemd leaves them where it has no access control lists.
	set(0o700, 0o600)
	path := filepath.Join(credentials, "slack")
	must(os.WriteFile(path, []byte("x"), 0o440))
	must(os.Chmod(path, 0o440))
	text = strings.Replace(text, dir+"/slack", "slack", 1)
	if list := check(map[string]string{"CREDENTIALS_DIRECTORY": credentials}); list != nil {
		t.Errorf("credentials: %v", list)
	}
}
