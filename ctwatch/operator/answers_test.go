package operator_test

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

func codes(fs []pins.Finding) (out []pins.Code) {
	for _, f := range fs {
		out = append(out, f.Code)
	}
	return out
}

// An app is found by its name; no name means all apps. A name that the configuration does
// not have is refused, with the names that it has.
func TestAppAndChosen(t *testing.T) {
	blog := pins.App{Name: "blog", Hosts: hosts(www)}
	for name, tt := range map[string]struct {
		apps []pins.App
		name string
		want []string
		code operator.Code
	}{
		"one":           {[]pins.App{shop(), blog}, "blog", []string{"blog"}, ""},
		"all":           {[]pins.App{shop(), blog}, "", []string{"shop", "blog"}, ""},
		"unknown":       {[]pins.App{shop(), blog}, "shopp", nil, operator.UnknownApp},
		"none, by name": {nil, "shop", nil, operator.NoApps},
		"none":          {nil, "", nil, operator.NoApps},
	} {
		l := newLab(t, tt.apps...)
		var got []string
		chosen, err := l.Chosen(tt.name)
		for _, a := range chosen {
			got = append(got, a.Name)
		}
		if !cmp.Equal(tt.want, got) {
			t.Errorf("%s: chosen %v, want %v", name, got, tt.want)
		}
		plans, planErr := l.Plan(tt.name)
		if len(plans) != len(tt.want) {
			t.Errorf("%s: %d plans", name, len(plans))
		}
		app, appErr := l.App(tt.name)
		if tt.code == "" {
			if errors.Join(err, planErr) != nil || tt.name != "" && (appErr != nil || app.Name != tt.name) {
				t.Errorf("%s: %v, %v, %v", name, err, planErr, appErr)
			}
			continue
		}
		for _, err := range []error{err, planErr, appErr} {
			var e *operator.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.App != tt.name || len(e.Others) != len(tt.apps) {
				t.Errorf("%s: %+v, want the code %s", name, err, tt.code)
			}
		}
	}
}

// A pin has a key for each role that it was seen in.
func TestKeys(t *testing.T) {
	l := newLab(t)
	l.logged(both()...)
	for name, want := range map[string][]pins.Role{"key": {pins.RoleLeaf, pins.RoleIssuer}, "other": {pins.RoleLeaf}, "CA": {pins.RoleIssuer}, "new": nil} {
		var got []pins.Role
		keys, err := l.Keys(t.Context(), pin(name))
		l.must(err)
		for _, k := range keys {
			if k.Pin != pin(name) {
				t.Errorf("%s: the key of %s", name, k.Pin)
			}
			got = append(got, k.Role)
		}
		if !cmp.Equal(want, got) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Refresh updates the states of keys by their use and shows them; Read writes nothing.
func TestRefreshAndRead(t *testing.T) {
	l := newLab(t, shop(pin("key")))
	_, err := l.db.Keys.Approve(t.Context(), pins.Approval{Pin: pin("key"), Hosts: hosts(api), Declare: true, Actor: pins.Person, By: "carol"})
	l.must(err)
	state := func() pins.State { return l.View().Key(pin("key"), pins.RoleLeaf).State }
	l.refused("Read", nil, func() error { return l.Read(t.Context()) })
	if s := state(); s != pins.StateDeclared || len(l.Apps()) != 1 {
		t.Errorf("read: the key is %s, apps %v", s, l.Apps())
	}
	l.refresh()
	if s := state(); s != pins.StateShipped {
		t.Errorf("refreshed: the key is %s", s)
	}
}

// Facts that cannot be read, or key states that cannot be written, end a Refresh.
func TestRefreshFails(t *testing.T) {
	l := newLab(t)
	for _, fails := range []string{"Facts", "SettleKeys"} {
		o := l.options
		o.Facts = &planner.FactStore{Store: brokenFacts{l.db.Plans, fails}, CAs: l.db.Issuers, Roots: x509.NewCertPool()}
		l.refused(fails, errDisk, func() error { return operator.New(o).Refresh(t.Context()) })
	}
}

// brokenFacts fails in one method.
type brokenFacts struct {
	planner.Store
	fails string
}

func (b brokenFacts) Facts(ctx context.Context, s pins.Scope) (pins.Facts, *pins.Interest, error) {
	if b.fails == "Facts" {
		return pins.Facts{}, nil, errDisk
	}
	return b.Store.Facts(ctx, s)
}

func (b brokenFacts) SettleKeys(context.Context, map[pins.Pin][]pins.AppVersion) (int, error) {
	return 0, errDisk
}

// Plan has a plan for each host of an app, with its imported versions.
func TestPlan(t *testing.T) {
	l := newLab(t, shop(pin("key"), pin("backup")))
	l.approved("key", "backup")
	l.record("shop", "2.0", "json", string(pinFile(t, "pins.json", api, "key", "backup").Content))
	l.served(certificate("key", api))
	plans, err := l.Plan("shop")
	l.must(err)
	if len(plans) != 1 || plans[0].Status != pins.StatusOK || len(plans[0].Shipped) != 2 {
		t.Errorf("plans %+v", plans)
	}
}

// Check says what is wrong with a file, also where its client would ignore it; what is
// unknown; and that it is unknown without a database.
func TestCheck(t *testing.T) {
	ours := string(pinFile(t, "pins.json", api, "key", "backup").Content)
	for name, tt := range map[string]struct {
		file       string
		noDatabase bool
		problems   []pins.Code
		unknown    []pins.Code
		place      string
		fails      bool
	}{
		"safe":                   {file: ours},
		"an undeclared key":      {file: string(pinFile(t, "pins.json", api, "key", "backup", "new").Content), problems: []pins.Code{pins.KeyUndeclared}},
		"no database":            {file: ours, noDatabase: true, unknown: []pins.Code{pins.NoDatabase}},
		"its client ignores it":  {file: `{"hosts": {}}`, problems: []pins.Code{pins.FileUnreadable}, place: "1:11"},
		"ignored, no database":   {file: `{"hosts": {}}`, noDatabase: true, problems: []pins.Code{pins.FileUnreadable}, unknown: []pins.Code{pins.NoDatabase}, place: "1:11"},
		"a pin of no key":        {file: `{"hosts": {"` + api + `": ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]}}`, problems: []pins.Code{pins.FileUnreadable}, place: "1:32"},
		"broken":                 {file: `{"hosts": `, fails: true},
		"of no known pin format": {file: "Hello, world", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, shop(pin("key"), pin("backup")))
			l.approved("key", "backup")
			l.served(certificate("key", api))
			o := l.options
			o.NoDatabase = tt.noDatabase
			l.with(o)
			_, read, err := format.ReadFile("pins.json", []byte(tt.file), "")
			got, checkErr := l.Check(t.Context(), "shop", read, err)
			if tt.fails {
				if !errors.Is(checkErr, err) {
					t.Errorf("%v, want %v", checkErr, err)
				}
				return
			}
			l.must(checkErr)
			if !cmp.Equal(tt.problems, codes(got.Problems)) || !cmp.Equal(tt.unknown, codes(got.Unknown)) {
				t.Errorf("problems %v, unknown %v", codes(got.Problems), codes(got.Unknown))
			}
			if len(got.Problems) > 0 && (got.Problems[0].App != "shop" || got.Problems[0].Place != tt.place) {
				t.Errorf("problem %+v", got.Problems[0])
			}
		})
	}
	var refusal *operator.Error
	if _, err := newLab(t, shop()).Check(t.Context(), "blog", nil, nil); !errors.As(err, &refusal) || refusal.Code != operator.UnknownApp {
		t.Errorf("of an unknown app: %v", err)
	}
}

// A gateLab is a lab with a CA, and a certificate of it for api.
type gateLab struct {
	*lab
	ca                 *ctlogtest.CA
	leaf               []byte
	id                 ctwatch.Hash
	own, issuer, root  pins.Pin
	issued             *ctlogtest.Issued
	trusted, untrusted *x509.CertPool
}

func newGateLab(t *testing.T, r ctlogtest.Request) *gateLab {
	t.Helper()
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Seed: "operator", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateLab{lab: newLab(t), ca: ca, trusted: x509.NewCertPool(), untrusted: x509.NewCertPool()}
	r.NotBefore, r.NotAfter = now.Add(day), now.Add(90*day) // not yet valid, as some are
	g.issued, err = ca.Issue(r)
	g.must(err)
	g.leaf, err = g.issued.Final()
	g.must(err)
	root, err := x509.ParseCertificate(ca.Root)
	g.must(err)
	g.trusted.AddCert(root)
	g.id, g.own, g.issuer, g.root = g.issued.ID, g.issued.LeafPin, g.issued.IssuerPin, pins.FromSPKI(root.RawSubjectPublicKeyInfo)
	return g
}

// The gate says which versions would refuse a certificate in each chain that clients may
// build: up to the roots of this machine, or else by signature as far as the file goes, or
// as a log shows. It names the certificate and its key.
func TestGate(t *testing.T) {
	for name, tt := range map[string]struct {
		ships      func(*gateLab) pins.Pin
		roots      bool // the CA is trusted
		chain      func(*gateLab) [][]byte
		logged     bool
		noDatabase bool
		problems   []pins.Code
		warnings   []pins.Code
		unknown    []pins.Code
	}{
		"its key":               {ships: func(g *gateLab) pins.Pin { return g.own }},
		"its issuer, in a file": {ships: func(g *gateLab) pins.Pin { return g.issuer }, chain: func(g *gateLab) [][]byte { return [][]byte{g.ca.Intermediate} }},
		"its issuer, in a log":  {ships: func(g *gateLab) pins.Pin { return g.issuer }, logged: true},
		"its root, trusted":     {ships: func(g *gateLab) pins.Pin { return g.root }, roots: true, chain: func(g *gateLab) [][]byte { return [][]byte{{0x30, 0}, g.ca.Intermediate} }},
		"its issuer, unknown": {
			ships: func(g *gateLab) pins.Pin { return g.issuer }, problems: []pins.Code{pins.ChainRefused}, warnings: []pins.Code{pins.ChainIncomplete},
		},
		"another key": {
			ships: func(*gateLab) pins.Pin { return pin("other") }, chain: func(g *gateLab) [][]byte { return [][]byte{g.ca.Intermediate, g.ca.Root} },
			problems: []pins.Code{pins.ChainRefused},
		},
		"no database": {ships: func(g *gateLab) pins.Pin { return g.own }, noDatabase: true, unknown: []pins.Code{pins.NoDatabase}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateLab(t, ctlogtest.Request{Names: []string{api}})
			o := g.options
			o.Configured, o.NoDatabase = []pins.App{shop(tt.ships(g))}, tt.noDatabase
			if tt.roots {
				o.Facts = &planner.FactStore{Store: g.db.Plans, CAs: g.db.Issuers, Roots: g.trusted}
			}
			g.with(o)
			if tt.logged {
				c := certificate("", api)
				c.ID, c.Key.Pin, c.Issuer.Pin = g.id, g.own, g.issuer
				c.SetPins()
				g.logged(c)
			}
			certs := [][]byte{g.leaf}
			if tt.chain != nil {
				certs = append(certs, tt.chain(g)...)
			}
			g.refused("a question", nil, func() error {
				got, err := g.Gate(t.Context(), g.Apps(), certs)
				g.must(err)
				if got.Certificate != g.id || got.Pin != g.own || got.Hosts != 1 {
					t.Errorf("certificate %s, key %s, %d hosts", got.Certificate, got.Pin, got.Hosts)
				}
				if !cmp.Equal(tt.problems, codes(got.Problems)) || !cmp.Equal(tt.warnings, codes(got.Warnings)) || !cmp.Equal(tt.unknown, codes(got.Unknown)) {
					t.Errorf("problems %v, warnings %+v, unknown %v", codes(got.Problems), got.Warnings, codes(got.Unknown))
				}
				for _, w := range got.Warnings {
					if w.App != "shop" || w.Host != hosts(api)[0] {
						t.Errorf("the warning is about %q at %s", w.App, w.Host)
					}
				}
				return nil
			})
		})
	}
}

// A certificate for other hosts than those of apps is no reason to say yes.
func TestGateOfNoApp(t *testing.T) {
	g := newGateLab(t, ctlogtest.Request{Names: []string{www}})
	got, err := g.Gate(t.Context(), []pins.App{shop(g.own)}, [][]byte{g.leaf})
	g.must(err)
	if got.Safe() || !cmp.Equal(codes(got.Unknown), []pins.Code{pins.NoHostConcerned}) {
		t.Errorf("answer %+v", got)
	}
}

// The gate refuses what it cannot read, and certificates without names.
func TestGateRefuses(t *testing.T) {
	g := newGateLab(t, ctlogtest.Request{CommonName: "a device"})
	keyless := slices.Clone(g.leaf)
	tbs, err := entry.TBS(keyless)
	g.must(err)
	key, err := entry.TBSKey(tbs)
	g.must(err)
	key[0] = asn1.TagOctetString
	for name, tt := range map[string]struct {
		cert []byte
		code operator.Code
		says string
	}{
		"no certificate":    {[]byte("hello"), operator.Unreadable, entry.NoCertificate.Error()},
		"no readable key":   {keyless, operator.Unreadable, "cannot be read: "},
		"names no host":     {g.leaf, operator.NoNames, "names no host"},
		"an empty document": {nil, operator.Unreadable, entry.NoCertificate.Error()},
	} {
		_, err := g.Gate(t.Context(), []pins.App{shop(g.own)}, [][]byte{tt.cert})
		var e *operator.Error
		if !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want the code %s", name, err, tt.code)
		}
	}
}

// A store that fails leaves the gate without an answer.
func TestGateFails(t *testing.T) {
	g := newGateLab(t, ctlogtest.Request{Names: []string{api}})
	if _, err := g.Gate(interrupted(t), []pins.App{shop(g.own)}, [][]byte{g.leaf}); !errors.Is(err, context.Canceled) {
		t.Errorf("reading certificates of CAs: %v", err)
	}
	o := g.options
	o.Certificates = noCertificates{g.db.Certificates}
	g.with(o)
	if _, err := g.Gate(t.Context(), []pins.App{shop(g.own)}, [][]byte{g.leaf}); !errors.Is(err, errDisk) {
		t.Errorf("reading the certificate: %v", err)
	}
}

// noCertificates cannot read certificates.
type noCertificates struct{ operator.Certificates }

func (noCertificates) Get(context.Context, string) (ctwatch.Certificate, error) {
	return ctwatch.Certificate{}, errDisk
}
