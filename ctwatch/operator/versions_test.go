package operator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
)

// record stores a pin file without the checks of an import.
func (l *lab) record(app, version, format, content string) {
	l.t.Helper()
	l.must(l.db.Apps.Import(l.t.Context(), pins.ShippedFile{App: app, Version: version, Format: format, Name: "pins." + format, Content: []byte(content), By: "carol"}))
}

// AllApps adds imported versions to those that the configuration names, newest first, and
// leaves the configuration as it is. A file that cannot be read is listed with the reason.
func TestAllApps(t *testing.T) {
	configured := []pins.App{shop(pin("a")), {Name: "blog", Hosts: hosts(www)}}
	l := newLab(t, configured...)
	good := string(pinFile(t, "pins.json", api, "key").Content)
	l.record("shop", "1.0", "json", good) // configured as well
	l.record("shop", "1.10", "json", good)
	l.record("shop", "1.9", "json", good)
	l.record("shop", "2.0", "json", "{")
	l.record("shop", "3.0", "lost", good)
	l.record("gone", "1.0", "json", good)
	apps, err := operator.AllApps(t.Context(), configured, l.db.Apps)
	l.must(err)
	var got []string
	for _, app := range apps {
		for _, v := range app.Versions {
			got = append(got, app.Name+" "+v.Name)
		}
		for _, u := range app.Unreadable {
			got = append(got, fmt.Sprintf("%s %s: %s", app.Name, u.Name, u.Why[:min(len(u.Why), 25)]))
		}
	}
	want := []string{"shop 1.10", "shop 1.9", "shop 1.0", "shop 2.0: pins.json: 1:1: not JSON:", "shop 3.0: pins.lost: no pin format "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if apps[0].Versions[2].Rules.Requirements(api, now)[0].Pins[0] != pin("a") {
		t.Error("an import replaces what the configuration says")
	}
	if len(configured[0].Versions) != 1 || configured[0].Unreadable != nil {
		t.Errorf("the configuration is changed: %+v", configured[0])
	}
	if _, err := operator.AllApps(interrupted(t), configured, l.db.Apps); err == nil {
		t.Error("no error from a store that fails")
	}
}

// An import records a version, and lists its pins by host, those that are not approved, and
// those that the client cannot use.
func TestImport(t *testing.T) {
	app := shop()
	app.Hosts = append(app.Hosts, hosts(www)...)
	l := newLab(t, app)
	l.logged(certificate("key", api), certificate("seen", api))
	l.approved("key")
	got, err := l.Import(t.Context(), alice, "shop", "1.0", pinFile(t, "pins.json", api, "key", "seen", "new"), false)
	l.must(err)
	want := map[string][]pins.Pin{api: {pin("key"), pin("seen"), pin("new")}, www: {}}
	if diff := cmp.Diff(want, got.Pins); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
	if got.Version != "1.0" || got.App == nil || len(got.App.Versions) != 1 || got.Changed != nil || got.Useless != nil {
		t.Errorf("imported %+v", got)
	}
	var unapproved []string
	for _, u := range got.Unapproved {
		unapproved = append(unapproved, fmt.Sprint(u.Pin == pin("seen"), u.Pin == pin("new"), " ", u.Why.Code))
	}
	if diff := cmp.Diff([]string{"true false key_unapproved", "false true key_undeclared"}, unapproved); diff != "" {
		t.Errorf("unapproved (-want +got):\n%s", diff)
	}
	if k := l.key(pin("key"), pins.RoleLeaf); k != "shipped [api.example.com]" {
		t.Errorf("key: %s", k)
	}
	l.wantAudit("seen→approved by carol: ours", "approve [api.example.com] by carol: ours", "import shop 1.0 by alice: pins.json (json)")
}

// For an app that pins issuers, an import says why a pin is not trusted as an issuer's. A
// pin that the client looks for elsewhere is useless.
func TestImportOfIssuers(t *testing.T) {
	app := shop()
	app.Role = pins.RoleIssuer
	l := newLab(t, app)
	l.logged(certificate("key", api))
	got, err := l.Import(t.Context(), alice, "shop", "1.0", pinFile(t, "pins.json", api, "key"), false)
	l.must(err)
	if len(got.Unapproved) != 1 || got.Unapproved[0].Why.Code != pins.KeyOtherRole || got.Unapproved[0].Why.Role != pins.RoleIssuer {
		t.Errorf("unapproved %+v", got.Unapproved)
	}
	curl := readFile(t, "pins.txt", "sha256//"+strings.TrimPrefix(pin("CA").String(), "sha256/")+"\n")
	got, err = l.Import(t.Context(), alice, "shop", "curl", curl, false)
	l.must(err)
	if len(got.Useless) != 1 || got.Useless[0].Code != pins.PinMisplaced {
		t.Errorf("useless %+v", got.Useless)
	}
}

// The same again changes nothing. Other pins or another format change what is recorded only
// with replace.
func TestImportAgain(t *testing.T) {
	before := pinFile(t, "pins.json", api, "a", "b")
	spaced := readFile(t, "spaced.json", " "+string(before.Content))
	curl := readFile(t, "pins.txt", "sha256//"+strings.TrimPrefix(pin("a").String(), "sha256/")+"\n")
	for name, tt := range map[string]struct {
		recorded string // instead of before
		file     operator.PinFile
		records  bool // another file
		want     *operator.Change
	}{
		"the same":        {file: before},
		"other blanks":    {file: spaced, records: true},
		"other pins":      {file: pinFile(t, "pins.json", api, "b", "c"), records: true, want: &operator.Change{Hosts: []pins.Difference{{Host: hosts(api)[0], Lost: []pins.Pin{pin("a")}, Gained: []pins.Pin{pin("c")}}}}},
		"another format":  {file: curl, records: true, want: &operator.Change{WasFormat: "ctwatch's own JSON", Hosts: []pins.Difference{{Host: hosts(api)[0], Lost: []pins.Pin{pin("b")}}}}},
		"cannot be read":  {recorded: "{", file: before, records: true, want: &operator.Change{}},
		"another comment": {recorded: `{"hosts": {"` + api + `": ["` + pin("a").String() + `"]}, "note": 1}`, file: pinFile(t, "x.json", api, "a"), records: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, shop())
			content := tt.recorded
			if content == "" {
				content = string(before.Content)
			}
			l.record("shop", "1.0", "json", content)
			l.refresh()
			check := func(c *operator.Change) {
				t.Helper()
				switch {
				case (c == nil) != (tt.want == nil):
					t.Errorf("change %+v, want %+v", c, tt.want)
				case c == nil:
				case string(c.Before.Content) != content || c.Format != tt.file.Format.Title || (c.WasFormat != "") != (tt.want.WasFormat != "") || (c.Unreadable != nil) != (tt.recorded == "{"):
					t.Errorf("change %+v, want %+v", c, tt.want)
				default:
					if diff := cmp.Diff(tt.want.Hosts, c.Hosts, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("hosts (-want +got):\n%s", diff)
					}
				}
			}
			load := func(replace bool) (operator.Imported, error) {
				return l.Import(t.Context(), alice, "shop", "1.0", tt.file, replace)
			}
			if tt.want != nil {
				l.refused("without replace", operator.Recorded, func() error {
					_, err := load(false)
					if e, ok := err.(*operator.Error); ok {
						check(e.Changed)
					}
					return err
				})
			}
			n := len(l.audit())
			got, err := load(tt.want != nil)
			l.must(err)
			check(got.Changed)
			if records := len(l.audit()) > n; records != tt.records {
				t.Errorf("recorded: %v, audit trail %q", records, l.audit())
			}
			l.refused("again", nil, func() error { _, err := load(false); return err })
		})
	}
}

func TestImportRefuses(t *testing.T) {
	l := newLab(t, shop(pin("a")))
	f := pinFile(t, "pins.json", api, "a")
	elsewhere := pinFile(t, "pins.json", www, "a")
	for name, tt := range map[string]struct {
		app, version string
		file         operator.PinFile
		want         operator.Code
	}{
		"unknown app":      {"blog", "2.0", f, operator.UnknownApp},
		"configured":       {"shop", "1.0", f, operator.InConfig},
		"pins other hosts": {"shop", "2.0", elsewhere, operator.PinsNoHost},
	} {
		l.refused(name, tt.want, func() error {
			_, err := l.Import(t.Context(), alice, tt.app, tt.version, tt.file, true)
			if e := err.(*operator.Error); e.App != tt.app || (len(e.Why) > 0) != (tt.want == operator.PinsNoHost) {
				t.Errorf("%s: %+v", name, e)
			}
			return err
		})
	}
	none := newLab(t)
	none.refused("no apps", operator.NoApps, func() error {
		_, err := none.Import(t.Context(), alice, "shop", "1.0", f, false)
		return err
	})
}

// A store that cannot write what was imported, or read it back, ends an import.
func TestImportFails(t *testing.T) {
	l := newLab(t, shop())
	for _, v := range []noVersions{{Versions: l.db.Apps, write: true}, {Versions: l.db.Apps}} {
		o := l.options
		o.Versions = &v
		l.with(o)
		v.armed = true
		l.refused("a disk failure", errDisk, func() error {
			_, err := l.Import(t.Context(), alice, "shop", "1.0", pinFile(t, "pins.json", api, "a"), false)
			return err
		})
	}
}

// noVersions writes nothing, and once armed fails to write, or to read after that.
type noVersions struct {
	operator.Versions
	armed, write, wrote bool
}

func (v *noVersions) Import(context.Context, pins.ShippedFile) error {
	v.wrote = true
	if v.armed && v.write {
		return errDisk
	}
	return nil
}

func (v *noVersions) Shipped(ctx context.Context) ([]pins.ShippedFile, error) {
	if v.wrote {
		return nil, errDisk
	}
	return v.Versions.Shipped(ctx)
}

// A dropped version no longer counts, also one whose file cannot be read.
func TestDrop(t *testing.T) {
	l := newLab(t, shop())
	l.record("shop", "1.0", "json", string(pinFile(t, "pins.json", api, "a").Content))
	l.record("shop", "2.0", "json", "{")
	l.must(l.Drop(t.Context(), alice, "shop", "1.0", "update wall"))
	l.must(l.Drop(t.Context(), alice, "shop", "2.0", ""))
	l.refresh()
	if app := l.Apps()[0]; app.Versions != nil || app.Unreadable != nil {
		t.Errorf("left: %+v", app)
	}
	l.wantAudit("import shop 1.0 by carol: pins.json (json)", "import shop 2.0 by carol: pins.json (json)",
		"drop shop 1.0 by alice: update wall", "drop shop 2.0 by alice: dropped on the command line")
	l.refused("again", operator.UnknownVersion, func() error { return l.Drop(t.Context(), alice, "shop", "1.0", "") })
}
