package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// TestNothingThatNobodyApprovedLeaves: whatever logs, servers, people, the
// configuration and apps do, a key that nobody approved for a host is never added for it,
// and never leaves in a file or a signed document.
func TestNothingThatNobodyApprovedLeaves(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	made := make(map[string]int)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		w := newPinModel(t, dir)
		w.made = made
		defer func() { w.check(w.db.Close()) }()
		// From where all is well there is more to go wrong.
		w.observe(apiHost, "192.0.2.1:443", true, w.chain(modelLeaves[0], w.certificate(modelLeaves[0], modelIssuers[0], []string{apiHost}), apiHost))
		w.approve(rt, modelLeaves[0], pins.RoleLeaf, apiHost)
		rt.Repeat(w.actions())
	})
	for _, what := range []string{"set", "document"} {
		if made[what] == 0 {
			t.Errorf("nothing of the kind %q was ever made: nothing was tested", what)
		}
	}
}

// A roleKey is a key in one role.
type roleKey struct {
	pin  pins.Pin
	role pins.Role
}

// A pinModel is a store and a configuration to which everything happens that changes
// what is trusted.
type pinModel struct {
	t         *testing.T
	dir       string
	config    string
	db        *store.DB    // of the daemon; commands open their own beside it
	rules     *policy.Live // of the daemon: those of the configuration when it was read last
	log       ctwatch.Log
	entries   uint64
	served    time.Time
	made      map[string]int                 // what there was to look at
	described map[string]ctwatch.Certificate // what servers serve, by DER

	// By what was asked for here, and not by what the store says:
	approvals map[roleKey]map[pins.Pattern]bool // by persons
	policy    map[roleKey]bool                  // by the configuration, for all of example.com
	issuers   []pins.Pin                        // who may issue, by the configuration
	keys      bool                              // whether it lists keys
	logged    map[pins.Pin][]ctwatch.Certificate
	judged    map[ctwatch.Hash]ctwatch.Verdict // by persons
	rejected  map[ctwatch.Hash]bool            // by persons, of what rules expected
	retired   map[roleKey]bool                 // by a person, and not approved since
	poisoned  map[pins.Pin]bool                // compromised
}

func (w *pinModel) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func modelPin(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

// The keys of the model.
var (
	modelLeaves  = []string{"leaf 0", "leaf 1", "leaf 2", "leaf 3"}
	modelIssuers = []string{"issuer 0", "issuer 1"}

	drawLeaf   = rapid.SampledFrom(modelLeaves)
	drawIssuer = rapid.SampledFrom(modelIssuers)
	drawAnyKey = rapid.SampledFrom(slices.Concat(modelLeaves, modelIssuers))
	// Hosts for which keys are approved, and hosts that certificates are for.
	drawScope  = rapid.SampledFrom([]string{apiHost, "*.cdn.example.com", "a.cdn.example.com", "other.example.com"})
	drawServed = rapid.SampledFrom([]string{apiHost, apiHost, "a.cdn.example.com", "b.cdn.example.com"})
	drawNames  = rapid.SampledFrom([][]string{{apiHost}, {apiHost, "other.example.com"}, {"*.cdn.example.com"}, {"a.cdn.example.com"}, {"*.example.com"}})
)

// configure writes the configuration, with keys and issuers that are trusted by it.
func (w *pinModel) configure(keys, issuers []string) {
	quoted := func(names []string) string {
		var out []string
		for _, n := range names {
			out = append(out, fmt.Sprintf("%q", modelPin(n)))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	text := fmt.Sprintf(`data_dir: %q
watch:
  - {domain: example.com, keys: %s, issuers: %s, endpoints: ["127.0.0.1:1"]}
apps:
  - {name: shop, hosts: [%s], min_pins: 1}
  - {name: wide, hosts: [%[4]s, "*.cdn.example.com"], min_pins: 2}
  - {name: bank, hosts: [%[4]s], pin: issuer, min_pins: 1}
`, w.dir, quoted(keys), quoted(issuers), apiHost)
	w.check(os.WriteFile(w.config, []byte(text), 0o600))
	w.policy = make(map[roleKey]bool)
	for _, k := range keys {
		w.policy[roleKey{modelPin(k), pins.RoleLeaf}] = true
	}
	w.keys, w.issuers = len(keys) > 0, nil
	for _, i := range issuers {
		w.policy[roleKey{modelPin(i), pins.RoleIssuer}] = true
		w.issuers = append(w.issuers, modelPin(i))
	}
}

func (w *pinModel) open() {
	w.rules = w.inventory().NewPolicy()
	var err error
	w.db, err = store.Open(w.t.Context(), filepath.Join(w.dir, "ctwatch.db"), store.Options{
		Logger: slog.New(slog.DiscardHandler), Now: time.Now, Judge: w.rules.Judge,
	})
	w.check(err)
}

func (w *pinModel) inventory() *setup.Inventory {
	cfg, err := configs.Load(w.config, configs.ProcessEnv())
	w.check(err)
	inv, err := setup.Read(cfg)
	w.check(err)
	return inv
}

func newPinModel(t *testing.T, dir string) *pinModel {
	w := &pinModel{
		t: t, dir: dir, config: filepath.Join(dir, "ctwatch.yaml"), served: time.Now().Add(-time.Hour),
		approvals: make(map[roleKey]map[pins.Pattern]bool), retired: make(map[roleKey]bool), poisoned: make(map[pins.Pin]bool),
		logged: make(map[pins.Pin][]ctwatch.Certificate), judged: make(map[ctwatch.Hash]ctwatch.Verdict),
		rejected: make(map[ctwatch.Hash]bool), described: make(map[string]ctwatch.Certificate),
	}
	w.configure(nil, nil)
	w.open()
	key := []byte("key of a log")
	w.log = ctwatch.Log{ID: ctwatch.LogIDOf(key), Name: "Lab", Kind: ctwatch.KindStatic, State: ctwatch.LogUsable, Key: key, URL: "https://log.example/"}
	_, err := w.db.Logs.Follow(w.t.Context(), w.log)
	w.check(err)
	w.check(w.db.Logs.Start(w.t.Context(), w.log.ID, ctwatch.Tree{}, ctwatch.Head{Timestamp: time.Now(), Raw: []byte("signed")}, ""))
	return w
}

// certificate makes one up: the same for the same keys and names.
func (w *pinModel) certificate(leaf, issuer string, names []string) ctwatch.Certificate {
	c := ctwatch.Certificate{
		ID: sha256.Sum256(fmt.Append(nil, leaf, issuer, names)), Serial: "1", Names: names,
		NotBefore: w.served.Truncate(time.Second), NotAfter: w.served.Truncate(time.Second).AddDate(0, 3, 0),
		Issuer: ctwatch.Issuer{Name: "CN=CA", Pin: modelPin(issuer), Proven: true}, Key: ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: modelPin(leaf)},
		Verdict: ctwatch.Unreviewed, FirstSeen: time.Now(),
	}
	for _, n := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: "example.com", Name: n, Domain: "example.com"})
	}
	c.SetPins()
	return c
}

// leafDER stands for the certificate of a key.
func leafDER(leaf string, id ctwatch.Hash) []byte { return fmt.Appendf(nil, "%s|%v", leaf, id) }

// record has the log show a certificate.
func (w *pinModel) record(c ctwatch.Certificate, leaf string, kind ctwatch.SightingKind) {
	der := leafDER(leaf, c.ID)
	sum := ctwatch.Hash(sha256.Sum256(der))
	if kind == ctwatch.FinalCertificate {
		c.Fingerprints.Certificate = &sum
	} else {
		c.Fingerprints.Precertificate = &sum
	}
	c.Sightings = []ctwatch.Sighting{{Log: w.log.Name, LogID: w.log.ID, Index: w.entries, Timestamp: time.Now(), Kind: kind}}
	w.entries++
	w.logged[c.Key.Pin] = append(w.logged[c.Key.Pin], c)
	w.check(w.db.Logs.Record(w.t.Context(), ctwatch.Batch{Log: w.log.ID, End: w.entries, Found: []ctwatch.Found{{
		Certificate: c, LeafHash: sha256.Sum256(fmt.Append(nil, w.entries)), TBS: []byte(c.ID.String()), DER: der,
	}}}, w.entries))
	w.prove()
}

// prove has the log's tree prove all that was recorded.
func (w *pinModel) prove() {
	tree := ctwatch.Tree{Size: w.entries, Range: make([]ctwatch.Hash, bits.OnesCount64(w.entries))}
	w.check(w.db.Logs.Advance(w.t.Context(), w.log.ID, tree, ctwatch.Head{Size: w.entries, Timestamp: time.Now(), Raw: fmt.Append(nil, "signed", w.entries)}))
}

// chain is a certificate as a server has it.
func (w *pinModel) chain(leaf string, c ctwatch.Certificate, host string) pins.Served {
	der := leafDER(leaf, c.ID)
	w.described[string(der)] = c
	return pins.Served{
		Chain: pins.Chain{Pins: []pins.Pin{c.Key.Pin, c.Issuer.Pin, modelPin("root")}}, Certificates: [][]byte{der}, CommonName: host,
		Problem: "an unknown root",
	}
}

func (w *pinModel) observe(host, address string, complete bool, served ...pins.Served) {
	w.sees(host, complete, pins.Address{Addr: address, Served: served})
}

// sees records a look, which is complete or leaves another address out.
func (w *pinModel) sees(host string, complete bool, address pins.Address) {
	l := pins.Look{Endpoint: pins.Endpoint{Host: host, Target: "127.0.0.1:1"}, At: time.Now(), Addresses: []pins.Address{address}}
	if !complete {
		l.More = 1
	}
	w.check(w.db.Endpoints.Observe(w.t.Context(), l, func(der []byte) ctwatch.Certificate { return w.described[string(der)] }))
}

func (w *pinModel) approve(rt *rapid.T, name string, role pins.Role, host string) {
	if w.tries(rt, "pins", "approve", modelPin(name).String(), "--role", string(role), "--host", host) {
		w.approved(modelPin(name), role, host)
	}
}

func (w *pinModel) drawCertificate(rt *rapid.T) (ctwatch.Certificate, string) {
	leaf := drawLeaf.Draw(rt, "leaf")
	return w.certificate(leaf, drawIssuer.Draw(rt, "issuer"), drawNames.Draw(rt, "names")), leaf
}

// tries runs a command, and reports whether it did what it was to do. It may say
// no, and may not break.
func (w *pinModel) tries(rt *rapid.T, args ...string) bool {
	status, _, errs := runCommand(w.t.Context(), w.config, args...)
	if status == exitUsage {
		rt.Fatalf("ctwatch %q: %s", args, errs)
	}
	return status == exitDone
}

// approved records that a person approved a key.
func (w *pinModel) approved(pin pins.Pin, role pins.Role, hosts ...string) {
	k := roleKey{pin, role}
	if w.approvals[k] == nil {
		w.approvals[k] = make(map[pins.Pattern]bool)
	}
	for _, h := range hosts {
		p, err := pins.ParsePattern(h)
		w.check(err)
		w.approvals[k][p] = true
	}
	delete(w.retired, k)
}

func (w *pinModel) actions() map[string]func(*rapid.T) {
	ctx := w.t.Context()
	return map[string]func(*rapid.T){
		"a log": func(rt *rapid.T) {
			c, leaf := w.drawCertificate(rt)
			w.record(c, leaf, rapid.SampledFrom([]ctwatch.SightingKind{ctwatch.Precertificate, ctwatch.FinalCertificate}).Draw(rt, "kind"))
		},
		"a look": func(rt *rapid.T) {
			host := drawServed.Draw(rt, "host")
			address := fmt.Sprintf("192.0.2.%d:443", rapid.IntRange(1, 2).Draw(rt, "address"))
			var served []pins.Served
			for range rapid.IntRange(0, 1).Draw(rt, "chains") {
				c, leaf := w.drawCertificate(rt)
				served = append(served, w.chain(leaf, c, host))
			}
			w.observe(host, address, rapid.Bool().Draw(rt, "complete"), served...)
		},
		"pins approve": func(rt *rapid.T) {
			name, host := drawAnyKey.Draw(rt, "key"), drawScope.Draw(rt, "host")
			w.approve(rt, name, rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(rt, "role"), host)
		},
		"authorize a pin": func(rt *rapid.T) {
			name, host := drawAnyKey.Draw(rt, "key"), drawScope.Draw(rt, "host")
			args := []string{"certs", "authorize", modelPin(name).String(), "--domain", host, "--reason", "r"}
			if rapid.Bool().Draw(rt, "despite an alarm") {
				args = append(args, "--despite-alarm")
			}
			if w.tries(rt, args...) {
				w.approved(modelPin(name), pins.RoleLeaf, host)
			}
		},
		"authorize an issuer": func(rt *rapid.T) {
			name, host := drawAnyKey.Draw(rt, "key"), drawScope.Draw(rt, "host")
			if w.tries(rt, "certs", "authorize", modelPin(name).String(), "--issuer", "--domain", host, "--reason", "r") {
				w.approved(modelPin(name), pins.RoleIssuer, host)
			}
		},
		"authorize a certificate": func(rt *rapid.T) {
			c, _ := w.drawCertificate(rt)
			if w.tries(rt, "certs", "authorize", c.ID.String(), "--reason", "r") {
				w.approved(c.Key.Pin, pins.RoleLeaf, c.Names...)
				w.judged[c.ID] = ctwatch.Expected
				delete(w.rejected, c.ID)
			}
		},
		"certs reject": func(rt *rapid.T) {
			c, _ := w.drawCertificate(rt)
			before, known := w.db.Certificates.Get(ctx, c.ID.String())
			if w.tries(rt, "certs", "reject", c.ID.String(), "--reason", "r") {
				w.judged[c.ID] = ctwatch.Unexpected
				if known == nil && before.Verdict == ctwatch.Expected && slices.Contains(w.issuers, c.Issuer.Pin) && !w.keys {
					w.rejected[c.ID] = true
				}
			}
		},
		"pins retire": func(rt *rapid.T) {
			pin := modelPin(drawAnyKey.Draw(rt, "key"))
			args := []string{"pins", "retire", pin.String()}
			compromised := rapid.IntRange(0, 3).Draw(rt, "compromised") == 0
			if compromised {
				args = append(args, "--compromised", "--reason", "r", "--yes")
			}
			known, err := w.db.Keys.List(ctx, pins.PinRole{}, 0)
			w.check(err)
			if w.tries(rt, args...) {
				for _, k := range known {
					if k.Pin == pin {
						w.retired[roleKey{pin, k.Role}] = true
					}
				}
				w.poisoned[pin] = w.poisoned[pin] || compromised
			}
		},
		"pins import": func(rt *rapid.T) {
			hosts := make(map[string][]pins.Pin)
			for _, h := range rapid.SliceOfN(drawScope, 1, 2).Draw(rt, "hosts") {
				for _, k := range rapid.SliceOfN(drawAnyKey, 1, 3).Draw(rt, "keys") {
					hosts[h] = append(hosts[h], modelPin(k))
				}
			}
			data, err := json.Marshal(map[string]any{"hosts": hosts})
			w.check(err)
			file := filepath.Join(w.dir, "shipped.json")
			w.check(os.WriteFile(file, data, 0o600))
			w.tries(rt, "pins", "import", "--app", w.drawApp(rt), "--version", w.drawVersion(rt), "--replace", file)
		},
		"pins drop": func(rt *rapid.T) {
			w.tries(rt, "pins", "drop", "--app", w.drawApp(rt), "--version", w.drawVersion(rt))
		},
		"the configuration": func(rt *rapid.T) {
			w.configure(rapid.SliceOfNDistinct(drawLeaf, 0, 2, rapid.ID[string]).Draw(rt, "keys"), rapid.SliceOfNDistinct(drawIssuer, 0, 1, rapid.ID[string]).Draw(rt, "issuers"))
		},
		"a restart": func(*rapid.T) {
			w.check(w.db.Close())
			w.open()
		},
		"": func(rt *rapid.T) { w.look(rt) },
	}
}

func (w *pinModel) drawApp(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"shop", "wide", "bank"}).Draw(rt, "app")
}

func (w *pinModel) drawVersion(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"1.0", "1.1"}).Draw(rt, "version")
}

// session is what commands work with, by the configuration as it is now.
func (w *pinModel) session(ctx context.Context) *session {
	s := &session{inv: w.inventory(), db: w.db}
	w.rules.Replace(s.inv.Policies())
	w.check(s.inv.Apply(ctx, w.db, w.rules))
	s.Operator = s.inv.Operator(w.db, false)
	w.check(s.Refresh(ctx))
	return s
}

// keyOf returns the key of a pin in a role; nil if it is not known.
func keyOf(t *testing.T, s *session, pin pins.Pin, role pins.Role) *pins.Key {
	t.Helper()
	keys, err := s.Keys(t.Context(), pin)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if keys[i].Role == role {
			return &keys[i]
		}
	}
	return nil
}

// look checks everything that leaves.
func (w *pinModel) look(rt *rapid.T) {
	ctx := w.t.Context()
	s := w.session(ctx)

	// Trust that ended has to be given again.
	for k := range w.approvals {
		if key := keyOf(w.t, s, k.pin, k.role); key == nil || !key.State.Trusted() {
			delete(w.approvals, k)
		}
	}
	issuer := testIssuer(w.db, s.inv.Config)
	for i := range s.Apps() {
		app := &s.Apps()[i]
		for _, p := range s.View().Plan(app) {
			for _, pin := range p.Add {
				w.made["add"]++
				if w.retired[roleKey{pin, app.Role}] {
					rt.Fatalf("%s, %s: %s is to be added, and was retired", app.Name, p.Host, pin)
				}
			}
			w.expect(rt, "to be added", s, app, p.Host, p.Add)
		}
		w.lookAtSet(rt, s, app)
		w.lookAtDocument(ctx, rt, s, app, issuer)
	}
}

func (w *pinModel) lookAtSet(rt *rapid.T, s *session, app *pins.App) {
	set, _, err := s.View().Recommend(app)
	if err != nil {
		return
	}
	w.made["set"]++
	for _, h := range set.Hosts {
		w.expect(rt, "recommended", s, app, h.Pattern, h.Pins)
	}
	for _, pin := range set.Revoked {
		if !w.poisoned[pin] {
			rt.Fatalf("%s: %s is revoked, but was not reported compromised", app.Name, pin)
		}
	}
	for _, f := range format.All() {
		data, err := f.Encode(set)
		if err != nil {
			continue
		}
		w.made[f.Name]++
		for _, name := range slices.Concat(modelLeaves, modelIssuers, []string{"root"}) {
			pin := modelPin(name)
			if slices.Contains(set.Revoked, pin) || slices.ContainsFunc(app.Hosts, func(p pins.Pattern) bool { return w.may(s, pin, app.Role, p) }) {
				continue
			}
			text := strings.ToLower(string(data))
			for _, spelled := range []string{strings.TrimPrefix(pin.String(), "sha256/"), hex.EncodeToString(pin[:])} {
				if strings.Contains(text, strings.ToLower(spelled)) {
					rt.Fatalf("%s, %s: %s was never approved:\n%s", app.Name, f.Name, pin, data)
				}
			}
		}
	}
}

// testIssuer returns an issuer that keeps no serials besides the database.
func testIssuer(db *store.DB, cfg *configs.Config) *publish.Issuer {
	o := setup.IssuerOptions(db, cfg, slog.New(slog.DiscardHandler))
	o.Raise = nil
	return publish.NewIssuer(o)
}

func (w *pinModel) lookAtDocument(ctx context.Context, rt *rapid.T, s *session, app *pins.App, issuer *publish.Issuer) {
	doc, err := issuer.Publish(ctx, s.View(), app)
	var refusals pins.Refusals
	if errors.As(err, &refusals) {
		return
	}
	w.check(err)
	w.made["document"]++
	var says struct {
		Hosts map[pins.Pattern][]pins.Pin
	}
	w.check(json.Unmarshal(doc.Payload, &says))
	for host, list := range says.Hosts {
		w.expect(rt, "published", s, app, host, list)
	}
	for _, l := range doc.Leaves {
		w.made["leaf"]++
		name, _, _ := strings.Cut(string(l.DER), "|")
		if !slices.ContainsFunc(app.Hosts, func(p pins.Pattern) bool { return w.may(s, modelPin(name), pins.RoleLeaf, p) }) {
			rt.Fatalf("%s: a fingerprint of a certificate for %s, which was never approved", app.Name, name)
		}
	}
}

// expect checks that each pin was approved for a host.
func (w *pinModel) expect(rt *rapid.T, what string, s *session, app *pins.App, host pins.Pattern, list []pins.Pin) {
	for _, pin := range list {
		if !w.may(s, pin, app.Role, host) {
			rt.Fatalf("%s, %s: %s is %s, but was never approved", app.Name, host, pin, what)
		}
	}
}

// may reports whether somebody approved a key for a host, and still does.
func (w *pinModel) may(s *session, pin pins.Pin, role pins.Role, host pins.Pattern) bool {
	k := roleKey{pin, role}
	if w.poisoned[pin] {
		return false
	}
	for p := range w.approvals[k] {
		if p.Covers(host) {
			return true
		}
	}
	if !w.policy[k] && !(role == pins.RoleLeaf && w.byRule(pin, host)) {
		return false
	}
	// A rule does not bring back what a person retired.
	key := keyOf(w.t, s, pin, role)
	return !w.retired[k] || key != nil && key.State == pins.StateRetiring
}

// byRule reports whether the rules may approve a leaf key: whether a certificate of it,
// for a host, is from one who may issue, and no person rejected what the rules expect.
func (w *pinModel) byRule(pin pins.Pin, host pins.Pattern) bool {
	if w.keys {
		return false // where there are any, others are not to be pinned
	}
	allowed := false
	for _, c := range w.logged[pin] {
		if !slices.Contains(w.issuers, c.Issuer.Pin) || w.judged[c.ID] == ctwatch.Unexpected {
			continue
		}
		for _, n := range c.Names {
			p, err := pins.ParsePattern(n)
			w.check(err)
			allowed = allowed || p.Covers(host)
		}
	}
	return allowed && !slices.ContainsFunc(w.logged[pin], func(c ctwatch.Certificate) bool { return w.rejected[c.ID] })
}
