package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

// TestNoSequenceTrustsOtherKeys: only keys that a person or policy approved are ever
// trusted, whatever logs and servers show, apps ship, people and policies say, and
// wherever processes end.
func TestNoSequenceTrustsOtherKeys(t *testing.T) {
	for name, ruled := range map[string]bool{"only people judge": false, "rules judge": true} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			rapid.Check(t, func(rt *rapid.T) {
				dir, err := os.MkdirTemp(root, "")
				must(t, err)
				w := trustModel{t: t, path: filepath.Join(dir, "ctwatch.db"), clock: newClock(), ruled: ruled, rules: make(map[ctwatch.Hash]ctwatch.Verdict)}
				w.db = w.open()
				defer func() { _ = w.db.Close() }()
				w.log = started(t, w.db, 1)
				for _, n := range []int{0, 1, 2, 10, 11, 12} {
					w.rules[certificate(n).ID] = drawVerdict.Draw(rt, "rule")
				}
				rt.Repeat(w.actions())
				w.check(rt)
			})
		})
	}
}

// A trustModel is a store to which all changes of keys are applied.
type trustModel struct {
	t       *testing.T
	path    string
	clock   *clock
	db      *store.DB
	log     ctwatch.Log
	entries uint64
	proven  uint64                           // how many of them
	ruled   bool                             // whether rules judge
	rules   map[ctwatch.Hash]ctwatch.Verdict // of certificates, by what they say themselves: unreviewed by default
	digests int

	trail []pins.Record // the audit trail when it was last checked

	// What the store watches, since the last check.
	watched      func(*pins.Facts) []any
	watchedFacts pins.Facts
}

func (w *trustModel) open() *store.DB {
	prepare(w.t, w.path)
	db, err := store.Open(w.t.Context(), w.path, w.options())
	must(w.t, err)
	return db
}

func (w *trustModel) options() store.Options {
	o := store.Options{Logger: discard(), Now: w.clock.Now}
	if w.ruled {
		o.Judge = w.judge
	}
	return o
}

// judge approves the names of those certificates that the rules expect.
func (w *trustModel) judge(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
	j := ctwatch.Judgment{Verdict: ctwatch.Unreviewed}
	switch v := w.rules[c.ID]; {
	case k.Compromised || v == ctwatch.Unexpected:
		j.Verdict = ctwatch.Unexpected
	case v == ctwatch.Expected:
		j.Verdict = v
		for _, m := range c.Matches {
			j.Grants = append(j.Grants, host(m.Name))
		}
	case len(k.ApprovedFor) > 0 || len(k.ServedFor) > 0:
		j.Verdict = ctwatch.Expected
	}
	return j
}

// allowed fails but for errors that say no.
func (w *trustModel) allowed(err error) {
	w.t.Helper()
	for _, no := range []error{ctwatch.ErrNotFound, pins.ErrState, pins.ErrUnexpected} {
		if errors.Is(err, no) {
			return
		}
	}
	must(w.t, err)
}

var (
	drawPin = rapid.Map(rapid.IntRange(0, 4), func(n int) pins.Pin {
		return []pins.Pin{pin("key0"), pin("key1"), pin("key2"), pin("issuer"), pin("future")}[n]
	})
	drawRole    = rapid.SampledFrom([]pins.Role{"", pins.RoleLeaf, pins.RoleIssuer})
	drawHost    = rapid.SampledFrom(hosts("w0.example.com", "*.example.com", ".example.com"))
	drawCert    = rapid.SampledFrom([]int{0, 1, 2, 10, 11, 12})
	drawVerdict = rapid.SampledFrom([]ctwatch.Verdict{ctwatch.Unreviewed, ctwatch.Expected, ctwatch.Unexpected})
	drawCerts   = rapid.SliceOfN(drawCert, 0, 2)
)

func (w *trustModel) actions() map[string]func(*rapid.T) {
	ctx := w.t.Context()
	approve := func(db *store.DB, rt *rapid.T) {
		_, err := db.Keys.Approve(ctx, pins.Approval{
			Pin: drawPin.Draw(rt, "pin"), Role: drawRole.Draw(rt, "role"), Hosts: rapid.SliceOfN(drawHost, 1, 2).Draw(rt, "hosts"),
			Declare: rapid.Bool().Draw(rt, "declare"), Actor: rapid.SampledFrom([]pins.Actor{pins.Person, pins.Policy, pins.ByLog, pins.ByPlan}).Draw(rt, "actor"),
			By: "ada", Reason: rapid.SampledFrom([]string{"", "ours"}).Draw(rt, "reason"), Despite: rapid.Bool().Draw(rt, "despite"),
		})
		w.allowed(err)
	}
	retire := func(db *store.DB, rt *rapid.T) {
		w.allowed(db.Keys.Retire(ctx, drawPin.Draw(rt, "pin"), rapid.IntRange(0, 3).Draw(rt, "compromised") == 0, "ada", ""))
	}
	log := func(rt *rapid.T) {
		f := found(w.log, drawCert.Draw(rt, "certificate"), w.entries)
		f.Certificate.Verdict = drawVerdict.Draw(rt, "verdict")
		w.entries++
		before := w.grants(true)
		recordUnproven(w.t, w.db, w.log, w.entries, f)
		w.stay(rt, before)
	}
	// strangers is what others than our people and their rules do or bring about.
	strangers := func(do func(*rapid.T)) func(*rapid.T) {
		return func(rt *rapid.T) {
			before := w.grants(false)
			do(rt)
			w.stay(rt, before)
		}
	}
	return map[string]func(*rapid.T){
		"log": log, "log more": log, "log yet more": log,
		"prove": strangers(func(*rapid.T) {
			if at := w.entries; at > w.proven {
				must(w.t, w.db.Logs.Advance(ctx, w.log.ID, tree(at), head(at)))
				w.proven = at
			}
		}),
		"approve": func(rt *rapid.T) { approve(w.db, rt) },
		"retire":  func(rt *rapid.T) { retire(w.db, rt) },
		"a command beside the daemon": func(rt *rapid.T) {
			o := w.options()
			if rapid.Bool().Draw(rt, "without rules") {
				o.Judge = nil
			}
			db, err := store.OpenShared(ctx, w.path, o)
			must(w.t, err)
			rapid.SampledFrom([]func(*store.DB, *rapid.T){approve, retire}).Draw(rt, "command")(db, rt)
			must(w.t, db.Close())
		},
		"policy": func(rt *rapid.T) {
			var want []pins.PolicyGrant
			for range rapid.IntRange(0, 3).Draw(rt, "rules") {
				want = append(want, pins.PolicyGrant{Pin: drawPin.Draw(rt, "pin"), Role: drawRole.Draw(rt, "role"), Pattern: drawHost.Draw(rt, "host")})
			}
			must(w.t, w.db.Keys.SyncPolicy(ctx, want))
			before := changes(w.t, w.db)
			must(w.t, w.db.Keys.SyncPolicy(ctx, want))
			if n := changes(w.t, w.db) - before; n != 0 {
				rt.Fatalf("the same policy again wrote %d rows", n)
			}
		},
		"probe": strangers(func(rt *rapid.T) {
			l := look("w0.example.com", fmt.Sprintf("192.0.2.%d:443", rapid.IntRange(1, 2).Draw(rt, "address")), drawCerts.Draw(rt, "certificates")...)
			l.More, l.At = rapid.IntRange(0, 1).Draw(rt, "more addresses"), w.clock.Now()
			must(w.t, w.db.Endpoints.Observe(ctx, l, describe))
		}),
		"forget": strangers(func(*rapid.T) { must(w.t, w.db.Endpoints.KeepOnly(ctx, nil)) }),
		"settle": strangers(func(rt *rapid.T) {
			shipped := make(map[pins.Pin][]pins.AppVersion)
			for _, p := range rapid.SliceOfN(drawPin, 0, 3).Draw(rt, "shipped") {
				shipped[p] = []pins.AppVersion{{Name: "shop", Version: "1"}}
			}
			about := pins.Scope{Pins: []pins.Pin{pin("key0"), pin("key1"), pin("key2"), pin("issuer"), pin("future")}}
			reader, err := store.OpenPrivate(ctx, w.path, w.options(), func(*store.DB) error { return nil })
			must(w.t, err)
			inMemory, err := reader.Plans.SettleKeys(ctx, shipped)
			must(w.t, err)
			seen, _, err := reader.Plans.Facts(ctx, about)
			must(w.t, err)
			must(w.t, reader.Close())
			moved, err := w.db.Plans.SettleKeys(ctx, shipped)
			must(w.t, err)
			now, _, err := w.db.Plans.Facts(ctx, about)
			must(w.t, err)
			if diff := cmp.Diff(now.Keys, seen.Keys); diff != "" || moved != inMemory {
				rt.Fatalf("settled in memory, %d of %d keys move (-written +in memory):\n%s", inMemory, moved, diff)
			}
			if n, err := w.db.Plans.SettleKeys(ctx, shipped); n != 0 || err != nil {
				rt.Fatalf("settled again, %d keys move: %v", n, err)
			}
			if n, err := w.db.Unsettled(ctx, shipped); n != 0 || err != nil {
				rt.Fatalf("of all keys, %d are not settled: %v", n, err)
			}
		}),
		"judge": func(rt *rapid.T) {
			v := drawVerdict.Draw(rt, "verdict")
			_, err := w.db.Certificates.SetVerdict(ctx, certificate(drawCert.Draw(rt, "certificate")).ID, v, nil, "ada", "")
			w.allowed(err)
		},
		"rules": func(rt *rapid.T) {
			for _, n := range drawCerts.Draw(rt, "certificates") {
				w.rules[certificate(n).ID] = drawVerdict.Draw(rt, "verdict")
			}
			w.digests++
			must(w.t, w.db.Issuers.RejudgeAll(ctx, fmt.Sprint(w.digests)))
		},
		"import": func(rt *rapid.T) {
			must(w.t, w.db.Apps.Import(ctx, pins.ShippedFile{App: "shop", Version: "1", Content: []byte{rapid.Byte().Draw(rt, "content")}}))
		},
		"time": func(*rapid.T) { w.clock.Add(40 * 24 * time.Hour) },
		"stop": func(*rapid.T) {
			must(w.t, w.db.Close())
			w.db = w.open()
		},
		"crash": func(*rapid.T) {
			must(w.t, w.db.Crash())
			w.db = w.open()
		},
		"": w.check,
	}
}

// check derives every key's state, and what it is approved for, from the audit trail
// alone, by the law.
func (w *trustModel) check(rt *rapid.T) {
	trail, err := w.db.Keys.History(w.t.Context(), pins.Pin{}, 0)
	must(w.t, err)
	if len(trail) < len(w.trail) || !slices.EqualFunc(w.trail, trail[:len(w.trail)], func(a, b pins.Record) bool { return reflect.DeepEqual(a, b) }) {
		rt.Fatalf("what was in the audit trail is not any more:\n%s", cmp.Diff(w.trail, trail))
	}
	name := func(p pins.Pin, r pins.Role) string { return string(r) + " " + p.String() }
	states := make(map[string]pins.State)
	approved := make(map[string]bool)          // since it was last not trusted
	granted := make(map[string]map[string]int) // a rule and the configuration may both do it
	for _, r := range trail {
		k := name(r.Pin, r.Role)
		switch r.Action {
		case "state":
			if states[k] != r.From {
				rt.Fatalf("%+v: it was %s", r, states[k])
			}
			if err := pins.CheckMove(r.From, r.To, r.Actor); err != nil {
				rt.Fatalf("%+v: %v", r, err)
			}
			states[k] = r.To
			if !r.To.Trusted() {
				approved[k] = false
			} else if r.Actor == pins.Person || r.Actor == pins.Policy {
				approved[k] = true
			}
		case "approve", "withdraw":
			if r.Actor != pins.Person && r.Actor != pins.Policy {
				rt.Fatalf("%+v: by neither a person nor a policy", r)
			}
			if granted[k] == nil {
				granted[k] = make(map[string]int)
			}
			n := 1
			if r.Action == "withdraw" {
				n = -1
			}
			for _, h := range r.Hosts {
				granted[k][h.String()] += n
			}
		}
	}

	keys, err := w.db.Keys.List(w.t.Context(), pins.PinRole{}, 0)
	must(w.t, err)
	trusted := make(map[string]bool)
	for _, k := range keys {
		id := name(k.Pin, k.Role)
		if k.State != states[id] {
			rt.Fatalf("key %s is %s, and by the audit trail %s", id, k.State, states[id])
		}
		delete(states, id)
		if k.State.Trusted() && !approved[id] {
			rt.Fatalf("key %s is %s, and nobody approved it", id, k.State)
		}
		trusted[id] = k.State.Trusted()
		if !trusted[id] && len(k.ApprovedFor) > 0 {
			rt.Fatalf("key %s is %s, and approved for %v", id, k.State, k.ApprovedFor)
		}
		if trusted[id] && len(k.ApprovedFor) == 0 {
			rt.Fatalf("key %s is %s for no host", id, k.State)
		}
		for _, h := range k.ApprovedFor {
			if granted[id][h.String()] <= 0 {
				rt.Fatalf("key %s is approved for %s, and nobody approved that", id, h)
			}
		}
	}
	if len(states) > 0 {
		rt.Fatalf("keys in the audit trail that are not known: %v", states)
	}
	w.trail = trail
	w.checkRules(rt)
	w.checkScope(rt)
}

// checkScope checks that plans by the facts within their scope are those by all facts, and
// that no change that they depend on passes for one that concerns nothing.
func (w *trustModel) checkScope(rt *rapid.T) {
	ctx := w.t.Context()
	app := pins.App{
		Name: "shop", Hosts: rapid.SliceOfNDistinct(rapid.SampledFrom(hosts("w0.example.com", "w1.example.com", "*.example.com", "other.test")), 1, 2, rapid.ID[pins.Pattern]).Draw(rt, "hosts of the app"),
		Role: rapid.SampledFrom([]pins.Role{pins.RoleLeaf, pins.RoleIssuer}).Draw(rt, "role of the app"), MinPins: 2, LeadTime: 14 * 24 * time.Hour,
	}
	shipped := rapid.SliceOfN(drawPin, 0, 3).Draw(rt, "shipped by the app")
	rules := make(map[pins.Pattern][]pins.Pin)
	for _, h := range app.Hosts {
		rules[h] = shipped
	}
	app.Versions = []pins.Version{{Name: "1.0", Rules: format.Listed(rules)}}
	all, err := w.db.AllFacts(ctx, w.clock.Now())
	must(w.t, err)
	some, in, err := w.db.Plans.Facts(ctx, pins.Scope{Apps: []pins.App{app}})
	must(w.t, err)
	answers := func(f *pins.Facts) []any {
		v := pins.NewView(f)
		set, unseen, refused := v.Recommend(&app)
		published, withheld := v.Publish(&app, pins.Published{Hosts: rules})
		out := []any{v.Plan(&app), v.Check(&app, app.Versions[0].Rules), v.Expiring(app), set, unseen, fmt.Sprint(refused), published, fmt.Sprint(withheld)}
		for _, p := range shipped {
			out = append(out, v.Doubt(p, app.Role, app.Hosts[0]))
		}
		return out
	}
	now := answers(&all)
	if diff := cmp.Diff(now, answers(&some)); diff != "" {
		rt.Fatalf("by all facts, and by those within the scope (-want +got):\n%s", diff)
	}
	if w.watched != nil {
		revision, err := w.db.Plans.Revision(ctx)
		must(w.t, err)
		then, err := w.db.AllFacts(ctx, w.watchedFacts.Now) // time alone is no change
		must(w.t, err)
		if !w.db.Plans.Concerns(revision) {
			if diff := cmp.Diff(w.watched(&w.watchedFacts), w.watched(&then)); diff != "" {
				rt.Fatalf("a change that passed for one that concerns nothing (-before +after):\n%s", diff)
			}
		}
	}
	w.db.Plans.Watch(in)
	w.watched, w.watchedFacts = answers, all
}

// grants lists what trusted keys that no person ordered to be retired are approved for:
// by persons and the configuration, or also by rules.
func (w *trustModel) grants(byRules bool) []string {
	rows, err := w.db.Reader().Query(`
		SELECT hex(k.pin) || ' ' || k.role || ' ' || g.pattern || ' ' || g.source FROM grants g JOIN keys k ON k.seq = g.key
		WHERE k.state NOT IN ('seen', 'retired', 'compromised') AND NOT k.ordered AND (g.source <> 'rule' OR ?) ORDER BY 1`, byRules)
	must(w.t, err)
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		must(w.t, rows.Scan(&s))
		out = append(out, s)
	}
	must(w.t, rows.Err())
	return out
}

// stay checks that what keys were approved for before, they are still.
func (w *trustModel) stay(rt *rapid.T, before []string) {
	now := w.grants(true)
	for _, g := range before {
		if !slices.Contains(now, g) {
			rt.Fatalf("it was taken away by strangers: %s", g)
		}
	}
}

// checkRules sees to it that what a rule grants rests on a certificate which the rules
// of now and the verdict expect, of a key for which no person contradicted them.
func (w *trustModel) checkRules(rt *rapid.T) {
	baseless, err := w.db.Reader().Query(`
		SELECT k.pin, g.pattern FROM grants g JOIN keys k ON k.seq = g.key WHERE g.source = 'rule'
			AND k.state NOT IN ('seen', 'retired', 'compromised')
			AND (k.role <> 'leaf' OR EXISTS (SELECT 1 FROM certificates WHERE key_pin = k.pin AND verdict = 'unexpected' AND vouched <> '[]')
				OR NOT EXISTS (SELECT 1 FROM certificates c, json_each(c.vouched) v
					WHERE c.key_pin = k.pin AND c.verdict = 'expected' AND v.value = g.pattern
						AND EXISTS (SELECT 1 FROM sightings WHERE certificate = c.seq AND verified)))`)
	must(w.t, err)
	defer baseless.Close()
	for baseless.Next() {
		var p pins.Pin
		var pattern string
		must(w.t, baseless.Scan(&p, &pattern))
		rt.Fatalf("key %s is approved for %s by a rule, and no certificate justifies it", p, pattern)
	}
	must(w.t, baseless.Err())
	granting, err := w.db.Reader().Query(`SELECT id FROM certificates WHERE vouched <> '[]' AND verdict <> 'unexpected'`)
	must(w.t, err)
	defer granting.Close()
	for granting.Next() {
		var id ctwatch.Hash
		must(w.t, granting.Scan(&id))
		if w.rules[id] != ctwatch.Expected {
			rt.Fatalf("rules grant by certificate %v, which they do not expect", id)
		}
	}
	must(w.t, granting.Err())
}
