package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

// The attacker's keys, and the owner's.
const thief, rogueCA, ourCA = "thief", "rogue CA", "issuer 0"

var ourKeys = []string{"leaf 0", "leaf 1"} // served, and declared to come

// TestAttackerMovesNoPin: whatever entries a log or someone on the way to it forges,
// whatever another CA issues and whatever hijacked looks show, in any order with the
// owner's steps, no key of the attacker's is to be added, exported or published, and no
// key of the owner's is trusted less.
func TestAttackerMovesNoPin(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		w := newPinModel(t, dir)
		w.made = make(map[string]int)
		defer func() { w.check(w.db.Close()) }()
		w.configure(nil, []string{ourCA})
		w.restart()
		a := &attack{w, w.certificate(ourKeys[0], ourCA, []string{apiHost})}
		w.record(a.ours, ourKeys[0], ctwatch.Precertificate)
		a.honestLook()
		for _, key := range ourKeys {
			a.must("certs", "authorize", modelPin(key).String(), "--domain", apiHost, "--reason", "ours")
		}
		rt.Repeat(a.actions())
		a.honestLook()
		a.checkRecovered(rt)
	})
}

// An attack is a setup with an attacker.
type attack struct {
	*pinModel
	ours ctwatch.Certificate // the one that is served
}

func (w *pinModel) restart() {
	w.check(w.db.Close())
	w.open()
}

func (a *attack) must(args ...string) {
	a.t.Helper()
	if status, _, errs := runCommand(a.t.Context(), a.config, args...); status != exitDone {
		a.t.Fatalf("ctwatch %q: exit status %d: %s", args, status, errs)
	}
}

func (a *attack) honestLook() {
	a.observe(apiHost, "192.0.2.1:443", true, a.chain(ourKeys[0], a.ours, apiHost))
}

// show has a log show an entry, which is in its tree or is not.
func (a *attack) show(rt *rapid.T, c ctwatch.Certificate, kind ctwatch.SightingKind) {
	der := sha256.Sum256(fmt.Append(nil, a.entries, c.ID))
	sum := ctwatch.Hash(sha256.Sum256(der[:]))
	if kind == ctwatch.FinalCertificate {
		c.Fingerprints.Certificate = &sum
	} else {
		c.Fingerprints.Precertificate = &sum
	}
	c.Sightings = []ctwatch.Sighting{{Log: a.log.Name, LogID: a.log.ID, Index: a.entries, Timestamp: time.Now(), Kind: kind}}
	c.SetPins()
	a.entries++
	a.check(a.db.Logs.Record(a.t.Context(), ctwatch.Batch{Log: a.log.ID, End: a.entries, Found: []ctwatch.Found{{
		Certificate: c, LeafHash: sha256.Sum256(fmt.Append(nil, a.entries)), TBS: []byte(c.ID.String()), DER: der[:],
	}}}, a.entries))
	if rapid.Bool().Draw(rt, "in the tree") {
		a.prove()
	} else {
		a.check(a.db.Logs.Rewind(a.t.Context(), a.log.ID))
	}
}

func (a *attack) actions() map[string]func(*rapid.T) {
	drawKey := rapid.SampledFrom([]string{thief, thief, ourKeys[0], ourKeys[1]})
	drawKind := rapid.SampledFrom([]ctwatch.SightingKind{ctwatch.Precertificate, ctwatch.FinalCertificate})
	return map[string]func(*rapid.T){
		"a forged entry": func(rt *rapid.T) {
			c := a.certificate(drawKey.Draw(rt, "key"), rapid.SampledFrom([]string{ourCA, rogueCA}).Draw(rt, "issuer"), drawNames.Draw(rt, "names"))
			c.Issuer.Proven = false
			if rapid.Bool().Draw(rt, "of our certificate") {
				c.ID, c.Key, c.Names, c.Matches = a.ours.ID, a.ours.Key, a.ours.Names, a.ours.Matches
			}
			a.show(rt, c, drawKind.Draw(rt, "kind"))
		},
		"a rogue certificate": func(rt *rapid.T) {
			a.show(rt, a.certificate(drawKey.Draw(rt, "key"), rogueCA, drawNames.Draw(rt, "names")), drawKind.Draw(rt, "kind"))
		},
		"a hijacked look": func(rt *rapid.T) {
			key, host := drawKey.Draw(rt, "key"), drawServed.Draw(rt, "host")
			c := a.certificate(key, rapid.SampledFrom([]string{ourCA, rogueCA}).Draw(rt, "issuer"), drawNames.Draw(rt, "names"))
			a.observe(host, fmt.Sprintf("192.0.2.%d:443", rapid.IntRange(1, 2).Draw(rt, "address")), rapid.Bool().Draw(rt, "complete"), a.chain(key, c, host))
		},
		"no answer": func(rt *rapid.T) {
			a.sees(apiHost, rapid.Bool().Draw(rt, "complete"), pins.Address{Addr: "192.0.2.9:443", Err: errors.New("refused")})
		},
		"the owner looks":    func(*rapid.T) { a.honestLook() },
		"the owner restarts": func(*rapid.T) { a.restart() },
		"the owner renews": func(*rapid.T) {
			a.record(a.ours, ourKeys[0], ctwatch.FinalCertificate)
		},
		"the owner rejects": func(rt *rapid.T) {
			c := a.certificate(drawKey.Draw(rt, "key"), rogueCA, drawNames.Draw(rt, "names"))
			a.tries(rt, "certs", "reject", c.ID.String(), "--reason", "not ours")
		},
		"": a.checkTrust,
	}
}

// checkTrust checks that nothing of the attacker's leaves, and nothing of the owner's
// went.
func (a *attack) checkTrust(rt *rapid.T) {
	s := a.session(a.t.Context())
	theirs := []pins.Pin{modelPin(thief), modelPin(rogueCA)}
	for i := range s.Apps() {
		app := &s.Apps()[i]
		for _, p := range s.View().Plan(app) {
			for _, pin := range theirs {
				if slices.Contains(p.Add, pin) {
					rt.Fatalf("%s, %s: the attacker's key is to be added: %v", app.Name, p.Host, p.Findings)
				}
			}
			for _, key := range ourKeys {
				if slices.Contains(p.Remove, modelPin(key)) {
					rt.Fatalf("%s, %s: %s of ours is to be removed: %v", app.Name, p.Host, key, p.Findings)
				}
			}
		}
		for _, text := range a.published(s, app) {
			for _, pin := range theirs {
				if strings.Contains(text, strings.TrimPrefix(pin.String(), "sha256/")) {
					rt.Fatalf("%s: the attacker's key %s leaves in:\n%s", app.Name, pin, text)
				}
			}
		}
	}
	host := pins.Pattern{Name: apiHost}
	for _, key := range ourKeys {
		k := keyOf(a.t, s, modelPin(key), pins.RoleLeaf)
		if k == nil || !k.State.Trusted() || !slices.ContainsFunc(k.ApprovedFor, func(p pins.Pattern) bool { return p.Covers(host) }) {
			rt.Fatalf("our key %s is no longer trusted: %+v", key, k)
		}
	}
}

// checkRecovered checks that, with our server seen again, what is exported and published
// has the owner's keys.
func (a *attack) checkRecovered(rt *rapid.T) {
	s := a.session(a.t.Context())
	app := &s.Apps()[slices.IndexFunc(s.Apps(), func(app pins.App) bool { return app.Name == "shop" })]
	if _, _, err := s.View().Recommend(app); err != nil {
		rt.Fatalf("with our server seen again: %v", err)
	}
	texts := a.published(s, app)
	if len(texts) < 3 {
		rt.Fatalf("only %d files and documents leave", len(texts))
	}
	for _, text := range texts {
		for _, key := range ourKeys {
			if !strings.Contains(text, strings.TrimPrefix(modelPin(key).String(), "sha256/")) {
				rt.Fatalf("our key %s is not in:\n%s", key, text)
			}
		}
	}
}

// published returns the files and the document of an app that leave now, in formats that
// spell pins in base64.
func (a *attack) published(s *session, app *pins.App) (out []string) {
	if set, _, err := s.View().Recommend(app); err == nil {
		for _, f := range format.All() {
			if data, err := f.Encode(set); err == nil && f.Name != "tlsa" && f.Name != "wultra" {
				out = append(out, string(data))
			}
		}
	}
	if doc, err := testIssuer(a.db, s.inv.Config).Publish(a.t.Context(), s.View(), app); err == nil {
		out = append(out, string(doc.Payload))
	}
	return out
}
