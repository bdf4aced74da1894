package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/store"
)

// imports records files as versions of the app shop, as an earlier ctwatch did.
func imports(t *testing.T, dir string, versions map[string]string) {
	t.Helper()
	db, err := store.OpenShared(t.Context(), filepath.Join(dir, "ctwatch.db"), store.Options{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	for version, content := range versions {
		must(t, db.Apps.Import(t.Context(), pins.ShippedFile{App: "shop", Version: version, Format: "json", Name: "shop-" + version + ".json", Content: []byte(content), By: "ada"}))
	}
	must(t, db.Close())
}

const unreadableImport = `{"hosts": {"api.example.com": ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]}}`

// TestUnreadableImportIsToldAndRestGoesOn: what was recorded of one version and that a
// reader refuses today is unknown: plans and gates say so, judge the other versions, and
// the version can be imported again.
func TestUnreadableImportIsToldAndRestGoesOn(t *testing.T) {
	t.Parallel()
	s := newKeyShop(t)
	leaf, pin := s.cert("leaf", apiHost)
	_, otherPin := s.cert("other", apiHost)
	good := fmt.Sprintf(`{"hosts": {%q: [%q, %q]}}`, apiHost, pin, otherPin)
	config := s.file("ctwatch.yaml", fmt.Sprintf("data_dir: data\nwatch: [{domain: example.com, endpoints: [], keys: [%q, %q]}]\napps: [{name: shop, hosts: [%s]}, {name: other, hosts: [www.example.com]}]\n", pin, otherPin, apiHost))
	imports(t, filepath.Join(s.dir, "data"), map[string]string{"1.0": unreadableImport, "2.0": good})
	chain := s.file("leaf.pem", certPEM(leaf)+certPEM(s.ca.Intermediate))
	foreign, _ := s.cert("foreign", apiHost)
	wrong := s.file("foreign.pem", certPEM(foreign)+certPEM(s.ca.Intermediate))
	file := s.file("again.json", good)
	const reported = "The file imported for version 1.0"
	for _, c := range []struct {
		status int
		says   []string
		args   []string
	}{
		{exitDone, []string{`"status": "unknown"`, reported, "SHA-256 of nothing", "--replace", pin.String()}, []string{"pins", "plan", "--json"}},
		{exitNo, []string{reported, "It is unknown"}, []string{"pins", "gate", chain}},
		{exitDone, []string{reported}, []string{"pins", "gate", "--allow-unknown", chain}},
		{exitNo, []string{reported, "would break", "shop 2.0"}, []string{"pins", "gate", "--allow-unknown", wrong}},
		{exitDone, []string{"PIN"}, []string{"pins", "list"}},
		{exitDone, []string{"ok"}, []string{"config", "check"}},
		{exitUsage, []string{"cannot be read", "--replace"}, []string{"pins", "import", "--app", "shop", "--version", "1.0", file}},
		{exitDone, []string{"cannot be read", otherPin.String()}, []string{"pins", "import", "--app", "shop", "--version", "1.0", "--replace", file}},
		{exitDone, []string{"is safe to deploy"}, []string{"pins", "gate", chain}},
	} {
		status, out, errs := runCommand(t.Context(), config, c.args...)
		all := strings.Join(strings.Fields(out+errs), " ")
		for _, says := range c.says {
			if status != c.status || !strings.Contains(all, says) && !strings.Contains(out+errs, says) {
				t.Errorf("%v: status %d, want %d and %q:\n%s%s", c.args, status, c.status, says, out, errs)
			}
		}
	}
}

// TestUnreadableImportStopsNoDaemon: the daemon says once which version it cannot read,
// and plans for all apps.
func TestUnreadableImportStopsNoDaemon(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = []*ctlogtest.Log{s.rfc}
	s.fill(10)
	s.publish()
	imports(t, s.dir, map[string]string{"1.0": unreadableImport})
	d := s.start(s.config("apps: [{name: shop, hosts: [api.example.com]}, {name: web, hosts: [www.example.com]}]\n"))
	s.untilVerified()
	s.eventually("plans are made", func() bool {
		_, metrics := d.get("metrics", "")
		return strings.Contains(metrics, `host="www.example.com"`) && strings.Contains(metrics, `host="api.example.com"`)
	})
	d.stop()
	if log := d.log.String(); strings.Count(log, "the files imported for some versions cannot be read") != 1 || !strings.Contains(log, "shop 1.0") {
		t.Errorf("the log: %s", log)
	}
}

// TestUnreadableVersionIsNeverOK: whatever else is known, a plan does not say that all
// versions accept what is served, and says what is worse first.
func TestUnreadableVersionIsNeverOK(t *testing.T) {
	t.Parallel()
	facts := pins.Facts{}
	host := pins.Pattern{Name: apiHost}
	app := pins.App{Name: "shop", Hosts: []pins.Pattern{host}, Role: pins.RoleLeaf, MinPins: 1, Unreadable: []pins.Unreadable{{Name: "1.0", Why: "bad"}, {Name: "0.9", Why: "worse"}}}
	plan := pins.NewView(&facts).Plan(&app)[0]
	why := words.Why(plan)
	if plan.Status != pins.StatusUnknown || !strings.Contains(why, "version 1.0 of shop cannot be read: bad.") || !strings.Contains(why, "1 other version") {
		t.Errorf("%s: %s", plan.Status, why)
	}
}
