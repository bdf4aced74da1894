package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

// TestARotationToADeclaredKeyCutsNobodyOff plays the whole of it, with a restart in
// the middle, and an older database put back at the end.
func TestARotationToADeclaredKeyCutsNobodyOff(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	first := s.forAPI(nil)
	s.log(first)
	server := s.endpoint(first)
	p := person{s, s.pinsConfig(server)}
	d := s.start(p.config)
	hears := s.listen(d)

	// The key that is served is approved. The next one is declared, and becomes
	// approved when a log has a certificate for it; then a version ships both.
	hears.await(ctwatch.CertificateDeployed, ofCertificate(first))
	p.does(exitDone, "pins", "approve", first.LeafPin.String(), "--reason", "ours")
	nextKey, next := p.declares()
	if k := p.key(next); k.State != pins.StateDeclared {
		t.Errorf("the next key is %s", k.State)
	}
	s.log(s.forAPI(nextKey))
	p.untilState(next, pins.StateApproved)
	if k := p.key(next); k.By != string(pins.ByLog) {
		t.Errorf("the declared key was approved by %q", k.By)
	}
	p.releases("1.0", "android")
	p.untilState(next, pins.StateShipped)
	if plan := p.plan(); plan.Status != pins.StatusOK {
		t.Fatalf("before the rotation: %s: %s", plan.Status, plan.Why)
	}
	before := d.untilPublished(s, first.LeafPin, next)

	// The one after that is declared, and shipped ahead of anything that is issued.
	_, spare := p.declares()
	hears.await(ctwatch.PinCandidate, func(m message) bool { return m.Data.App == shop && m.Data.Key.Pin == spare })
	withSpare := d.untilPublished(s, first.LeafPin, next, spare)
	if withSpare.Serial <= before.Serial {
		t.Errorf("the serial went from %d to %d", before.Serial, withSpare.Serial)
	}
	p.releases("2.0", "ios")
	p.untilState(spare, pins.StateShipped)

	// The certificate to rotate to.
	second := s.forAPI(nextKey)
	s.log(second)
	hears.await(ctwatch.CertificateIssued, ofCertificate(second))
	p.does(exitDone, "pins", "gate", s.pemFile(second))
	s.untilVerified()
	d.stop()
	d = s.start(p.config)
	hears = s.listen(d)
	afterRestart := d.untilPublished(s, first.LeafPin, next, spare)
	if afterRestart.Serial <= withSpare.Serial {
		t.Errorf("over a restart the serial went from %d to %d", withSpare.Serial, afterRestart.Serial)
	}

	s.deploy(server, second)
	if m := hears.await(ctwatch.CertificateDeployed, ofCertificate(second)); m.Data.Host != apiHost || !strings.Contains(m.Data.Endpoint, server.address) {
		t.Errorf("%s: host %q at %q", m.Type, m.Data.Host, m.Data.Endpoint)
	}
	hears.await(ctwatch.PinDeployed, ofKey(next))
	p.untilState(first.LeafPin, pins.StateRetiring)
	// The old key stays for a rollback, until a person ends that.
	d.untilPublished(s, first.LeafPin, next, spare)
	if plan := p.plan(); plan.Status != pins.StatusNoBackup || !strings.Contains(plan.Why, "Version 1.0 has no backup") || len(plan.Remove) > 0 || !slices.Contains(plan.Keep, first.LeafPin) {
		t.Errorf("after the rotation: %s, remove %v, keep %v: %s", plan.Status, plan.Remove, plan.Keep, plan.Why)
	}
	p.does(exitDone, "pins", "retire", first.LeafPin.String(), "--reason", "nobody is going to roll back")
	last := d.untilPublished(s, next, spare)
	if plan := p.plan(); !slices.Contains(plan.Remove, first.LeafPin) {
		t.Errorf("after the rotation: %s, remove %v: %s", plan.Status, plan.Remove, plan.Why)
	}
	p.does(exitDone, "pins", "drop", "--app", shop, "--version", "1.0")
	if plan := p.plan(); plan.Status != pins.StatusOK {
		t.Errorf("without the old version: %s: %s", plan.Status, plan.Why)
	}
	d.expectDocuments(s, next, spare)

	reported := s.eventCounts(d)
	for _, once := range []string{
		fmt.Sprintf("%s %.8s", ctwatch.CertificateDeployed, first.ID),
		fmt.Sprintf("%s %.8s", ctwatch.CertificateDeployed, second.ID),
		fmt.Sprintf("%s %s leaf", ctwatch.PinDeployed, first.LeafPin),
		fmt.Sprintf("%s %s leaf", ctwatch.PinDeployed, next),
		fmt.Sprintf("%s %s %s leaf", ctwatch.PinCandidate, shop, spare),
	} {
		if reported[once] != 1 {
			t.Errorf("%q was reported %d times", once, reported[once])
		}
	}
	for what, n := range reported {
		kind, _, _ := strings.Cut(what, " ")
		switch ctwatch.EventType(kind) {
		case ctwatch.PinMissing, ctwatch.CertificateUnexpected, ctwatch.CertificateExpiring:
			t.Errorf("%q was reported %d times without cause", what, n)
		}
	}

	// The database of now is put aside; what is issued after that is not known when
	// it is put back, and still no serial is used again.
	d.stop()
	path := filepath.Join(s.dir, "ctwatch.db")
	old, err := os.ReadFile(path)
	s.check(err)
	d = s.start(p.config)
	_, another := p.declares()
	newer := d.untilPublished(s, next, spare, another)
	if newer.Serial <= last.Serial {
		t.Errorf("the serial went from %d to %d", last.Serial, newer.Serial)
	}
	d.stop()
	for _, left := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + left); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	s.check(os.WriteFile(path, old, 0o600))
	d = s.start(p.config)
	if restored := d.untilPublished(s, next, spare); restored.Serial <= newer.Serial {
		t.Errorf("with an older database the serial went from %d to %d", newer.Serial, restored.Serial)
	}
	d.stop()
}

// A payload is what a device reads of a signed pin document.
type payload struct {
	jwt.RegisteredClaims
	App          string
	Serial       int64
	RefreshAfter int64 `json:"refresh_after"`
	Hosts        map[string][]pins.Pin
	Revoked      []pins.Pin
	Withheld     map[string]string
}

// jws fetches the signed document, and verifies it by the published keys.
func (r *testDaemon) jws() (p payload, status int) {
	r.t.Helper()
	got := r.fetch("pins/" + shop + ".jws")
	if got.status != http.StatusOK {
		return p, got.status
	}
	keys := r.jwks()
	_, err := jwt.ParseWithClaims(got.body, &p, func(token *jwt.Token) (any, error) {
		if key := keys[fmt.Sprint(token.Header["kid"])]; key != nil {
			return key, nil
		}
		return nil, fmt.Errorf("header %v names no published key", token.Header)
	}, jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithValidMethods([]string{"ES256"}))
	if err != nil {
		r.t.Fatalf("%s: %v", got.body, err)
	}
	if p.App != shop || p.RefreshAfter <= p.IssuedAt.Unix() || p.RefreshAfter > p.ExpiresAt.Unix() {
		r.t.Errorf("the document says %+v", p)
	}
	return p, got.status
}

// jwks fetches the published keys.
func (r *testDaemon) jwks() map[string]*ecdsa.PublicKey {
	r.t.Helper()
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Y, D string }
	}
	body := r.fetch("pins/jwks.json").body
	if err := json.Unmarshal([]byte(body), &set); err != nil {
		r.t.Fatalf("%v: %s", err, body)
	}
	out := make(map[string]*ecdsa.PublicKey)
	for _, k := range set.Keys {
		if k.Kty != "EC" || k.Crv != "P-256" || k.D != "" {
			r.t.Fatalf("a published key that is none: %s", body)
		}
		point := []byte{4} // uncompressed (SEC 1 §2.3.3)
		for _, coordinate := range []string{k.X, k.Y} {
			b, err := base64.RawURLEncoding.DecodeString(coordinate)
			if err != nil {
				r.t.Fatal(err)
			}
			point = append(point, b...)
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			r.t.Fatalf("%v: %s", err, body)
		}
		out[k.Kid] = key
	}
	return out
}

// untilPublished waits until the signed document has exactly these pins, and returns
// it.
func (r *testDaemon) untilPublished(s *stage, want ...pins.Pin) (p payload) {
	r.t.Helper()
	want = sortedOf(want)
	var status int
	s.eventually(fmt.Sprintf("the document has %v", want), func() bool {
		p, status = r.jws()
		return status == http.StatusOK && slices.Equal(want, sortedOf(p.Hosts[apiHost]))
	})
	return p
}

func sortedOf(ps []pins.Pin) []pins.Pin {
	ps = slices.Clone(ps)
	slices.SortFunc(ps, func(a, b pins.Pin) int { return slices.Compare(a[:], b[:]) })
	return ps
}

// expectDocuments checks every form of the pins: that it contains them, that its bytes
// stay the same, and that a client that has it gets 304.
func (r *testDaemon) expectDocuments(s *stage, want ...pins.Pin) {
	r.t.Helper()
	want = sortedOf(want)
	for path, formatName := range map[string]string{
		".jws": "json", ".json": "json", ".xml": "android", ".plist": "ios", ".kt": "okhttp", "/wultra": "", ".approov": "approov",
	} {
		path = "pins/" + shop + path
		first, second := r.fetch(path), r.fetch(path)
		if first.status != http.StatusOK || first.body == "" {
			r.t.Errorf("/%s: %d %s", path, first.status, first.body)
			continue
		}
		if diff := cmp.Diff(first.body, second.body); diff != "" {
			r.t.Errorf("/%s: two fetches differ:\n%s", path, diff)
		}
		etag := first.header.Get("ETag")
		if again := r.fetch(path, "If-None-Match", etag); etag == "" || again.status != http.StatusNotModified || again.body != "" {
			r.t.Errorf("/%s: who has %s gets %d %q", path, etag, again.status, again.body)
		}
		if age := first.header.Get("Cache-Control"); !strings.Contains(age, "max-age=") {
			r.t.Errorf("/%s: Cache-Control: %q", path, age)
		}
		if formatName == "" {
			r.expectWultra(first.body)
			continue
		}
		body := first.body
		if strings.HasSuffix(path, ".jws") {
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(body, ".")[1])
			s.check(err)
			body = string(payload)
		}
		f, err := format.Find(formatName)
		s.check(err)
		rules, err := f.Decode([]byte(body))
		s.check(err)
		if got := sortedOf(pins.AllPins(rules.Requirements(apiHost, time.Now()))); !slices.Equal(got, want) {
			r.t.Errorf("/%s: has %v, want %v", path, got, want)
		}
	}
	if keys := r.fetch("pins/jwks.json"); r.fetch("pins/jwks.json", "If-None-Match", keys.header.Get("ETag")).status != http.StatusNotModified {
		r.t.Error("/pins/jwks.json: who has it gets it again")
	}
	for _, path := range []string{"pins/other.jws", "pins/shop.exe", "pins/shop"} {
		if got := r.fetch(path); got.status != http.StatusNotFound {
			r.t.Errorf("/%s: %d %s", path, got.status, got.body)
		}
	}
}

// expectWultra checks the signatures of Wultra's static document.
func (r *testDaemon) expectWultra(body string) {
	r.t.Helper()
	var doc struct {
		Fingerprints []struct {
			Name, Fingerprint, Signature string
			Expires                      int64
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || len(doc.Fingerprints) == 0 {
		r.t.Fatalf("%v: %s", err, body)
	}
	for _, f := range doc.Fingerprints {
		digest := sha256.Sum256(fmt.Appendf(nil, "%s&%s&%d", f.Name, f.Fingerprint, f.Expires))
		signature, err := base64.StdEncoding.DecodeString(f.Signature)
		if err != nil || f.Name != apiHost {
			r.t.Errorf("%+v: %v", f, err)
		}
		ok := false
		for _, key := range r.jwks() {
			ok = ok || ecdsa.VerifyASN1(key, digest[:], signature)
		}
		if !ok {
			r.t.Errorf("%+v is signed by no published key", f)
		}
	}
}
