package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// servedNow returns what is served in short: "host address serial since at".
func servedNow(t testing.TB, db *store.DB) (out []string) {
	t.Helper()
	f, _, err := db.Plans.Facts(t.Context(), pins.Scope{})
	must(t, err)
	serial := make(map[string]string)
	for i := range 10 {
		serial[certificate(i).ID.String()] = certificate(i).Serial
	}
	for _, s := range f.Served {
		out = append(out, strings.Join([]string{s.Host, s.Address, serial[s.ID], s.Since.Sub(epoch).String(), s.At.Sub(epoch).String()}, " "))
	}
	slices.Sort(out)
	return out
}

// TestObserveReplacesReachedAddresses: an address that was not reached keeps what it
// served.
func TestObserveReplacesReachedAddresses(t *testing.T) {
	const h, a1, a2 = "api.example.com", "192.0.2.1:443", "[2001:db8::1]:443"
	db := open(t)
	reached := func(a string, ns ...int) pins.Address { return look(h, a, ns...).Addresses[0] }
	failed := func(a string) pins.Address { return pins.Address{Addr: a, Err: errors.New("connection refused")} }
	step := 0
	see := func(complete bool, want []string, all ...pins.Address) {
		t.Helper()
		l := at(time.Duration(step)*time.Hour, pins.Look{Endpoint: pins.Endpoint{Host: h}, Addresses: all})
		if !complete {
			l.More = 1
		}
		observe(t, db, l)
		step++
		if diff := cmp.Diff(want, servedNow(t, db)); diff != "" {
			t.Fatalf("step %d (-want +got):\n%s", step, diff)
		}
	}
	rev := revision(t, db)
	see(true, []string{h + " " + a1 + " 2 0s 0s", h + " " + a2 + " 2 0s 0s", h + " " + a2 + " 3 0s 0s"}, reached(a1, 1), reached(a2, 2, 1, 1))
	if revision(t, db) == rev {
		t.Error("the revision did not grow")
	}
	rev = revision(t, db)
	see(true, []string{h + " " + a1 + " 2 0s 1h0m0s", h + " " + a2 + " 2 0s 1h0m0s", h + " " + a2 + " 3 0s 1h0m0s"}, reached(a1, 1), reached(a2, 1, 2))
	see(true, []string{h + " " + a1 + " 2 0s 1h0m0s", h + " " + a2 + " 2 0s 2h0m0s", h + " " + a2 + " 3 0s 2h0m0s"}, failed(a1), reached(a2, 1, 2))
	see(false, []string{h + " " + a1 + " 2 0s 1h0m0s", h + " " + a2 + " 2 0s 2h0m0s", h + " " + a2 + " 3 0s 2h0m0s"}, failed(a2))
	see(false, []string{h + " " + a1 + " 2 0s 1h0m0s", h + " " + a2 + " 2 0s 2h0m0s", h + " " + a2 + " 3 0s 2h0m0s"}, pins.Address{Addr: a2})
	if revision(t, db) != rev {
		t.Error("looks that showed what was shown before changed the revision")
	}
	see(true, []string{h + " " + a2 + " 4 5h0m0s 5h0m0s"}, reached(a2, 3))
	if revision(t, db) == rev {
		t.Error("the revision did not grow")
	}

	observe(t, db, look("other.example", a1, 4))
	keep := []pins.Endpoint{{Host: h}, {Host: "other.example", Target: "other.example:443"}}
	writesNothing(t, db, "forgetting nothing", func() { must(t, db.Endpoints.KeepOnly(t.Context(), keep)) })
	must(t, db.Endpoints.KeepOnly(t.Context(), keep[1:]))
	if diff := cmp.Diff([]string{"other.example " + a1 + " 5 0s 0s"}, servedNow(t, db)); diff != "" {
		t.Errorf("after an endpoint was forgotten (-want +got):\n%s", diff)
	}
}

// TestDeployedWhileServed: a certificate is deployed as long as any address serves it.
func TestDeployedWhileServed(t *testing.T) {
	const h, other, a1, a2 = "api.example.com", "www.example.com", "192.0.2.1:443", "192.0.2.2:443"
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	if c := get(t, db, 1); c.Deployed || c.DeployedAt != nil {
		t.Errorf("not served yet: %v, %v", c.Deployed, c.DeployedAt)
	}
	deployed := func(n int, want bool) {
		t.Helper()
		c := get(t, db, n)
		if c.Deployed != want || c.DeployedAt == nil || !c.DeployedAt.Equal(epoch) {
			t.Errorf("deployed %v at %v, want %v at %v", c.Deployed, c.DeployedAt, want, epoch)
		}
	}
	both := look(h, a1, 1)
	both.Addresses = append(both.Addresses, look(h, a2, 1).Addresses...)
	observe(t, db, both)
	deployed(1, true)
	observe(t, db, look(other, a1, 1))
	observe(t, db, look(h, a2, 2)) // a1 is gone
	deployed(1, true)
	observe(t, db, look(other, a1, 2))
	deployed(1, false)
	later := look(h, a1, 1)
	later.At = epoch.Add(time.Hour)
	observe(t, db, later)
	deployed(1, true)

	var got []string
	for _, e := range eventsOf(t, db, ctwatch.CertificateDeployed) {
		c := e.Data.Certificate
		if !c.Deployed || c.DeployedAt == nil {
			t.Errorf("reported as not deployed: %+v", c)
		}
		got = append(got, e.Subject+" "+c.Serial+" "+e.Data.Host+" "+e.Data.Endpoint)
	}
	want := []string{
		"example.com 2 " + h + " " + h + " (" + a1 + ")", "example.com 2 " + other + " " + other + " (" + a1 + ")",
		h + " 3 " + h + " " + h + " (" + a2 + ")", other + " 3 " + other + " " + other + " (" + a1 + ")",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificate.deployed events (-want +got):\n%s", diff)
	}

	must(t, db.Endpoints.KeepOnly(t.Context(), nil))
	deployed(1, false)
}

// TestLoggedAfterServedIsDeployed: a certificate that is served before a log has it is
// deployed.
func TestLoggedAfterServedIsDeployed(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	observe(t, db, look("api.example.com", "192.0.2.1:443", 1))
	record(t, db, l, 1, found(l, 1, 0))
	if c := get(t, db, 1); !c.Deployed || c.DeployedAt == nil || !c.DeployedAt.Equal(epoch) {
		t.Errorf("deployed %v at %v", c.Deployed, c.DeployedAt)
	}
	issued := eventsOf(t, db, ctwatch.CertificateIssued)
	if len(issued) != 1 || !issued[0].Data.Certificate.Deployed {
		t.Errorf("reported as %+v", issued)
	}
}

// TestServedIsNotTrusted: a key that a server serves becomes seen, and not more.
func TestServedIsNotTrusted(t *testing.T) {
	db := open(t)
	observe(t, db, look("api.example.com", "192.0.2.1:443", 1))
	keys, err := db.Keys.List(t.Context(), pins.PinRole{}, 0)
	must(t, err)
	var got []string
	for _, k := range keys {
		got = append(got, string(k.Role)+" "+string(k.State)+" "+k.By+" "+k.Reason)
	}
	const reason = " first seen at api.example.com (192.0.2.1:443)"
	if diff := cmp.Diff([]string{"leaf seen probe" + reason, "issuer seen probe" + reason}, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if n := settle(t, db, pin("key1")); n != 0 || state(t, db, pin("key1")) != pins.StateSeen {
		t.Errorf("served and shipped, a key that nobody approved is %s", state(t, db, pin("key1")))
	}
	if got := types(events(t, db)); !slices.Equal(got, []string{"certificate.deployed"}) {
		t.Errorf("events %v", got)
	}
}

func TestKeysSettle(t *testing.T) {
	const h, a = "api.example.com", "192.0.2.1:443"
	c := newClock()
	db := openAt(t, t.TempDir()+"/ctwatch.db", c)
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	k1, ca := pin("key1"), pin("issuer")
	approve(t, db, approval(k1, h))
	approve(t, db, approval(pin("key2"), h))
	issuer := approval(ca, ".example.com")
	issuer.Role = pins.RoleIssuer
	approve(t, db, issuer)
	root := declaration(pin("root"), ".example.com")
	root.Role = pins.RoleIssuer
	approve(t, db, root)
	expect := func(when string, changed int, n int, want pins.State) {
		t.Helper()
		if n != changed || state(t, db, k1) != want {
			t.Fatalf("%s: %d keys moved, and it is %s; want %d and %s", when, n, state(t, db, k1), changed, want)
		}
	}
	expect("at first", 0, settle(t, db), pins.StateApproved)
	expect("shipped", 1, settle(t, db, k1), pins.StateShipped)
	writesNothing(t, db, "settled", func() { settle(t, db, k1) })
	expect("no longer shipped", 1, settle(t, db), pins.StateApproved)
	settle(t, db, k1)
	observe(t, db, look(h, a, 1))
	expect("served, as are its issuer and the root", 3, settle(t, db, k1), pins.StateDeployed)
	for _, p := range []pins.Pin{ca, pin("root")} {
		if s := key(t, db, p, pins.RoleIssuer).State; s != pins.StateDeployed {
			t.Errorf("an issuer's key that is in the chain is %s", s)
		}
	}
	observe(t, db, look(h, a, 2))
	expect("replaced", 2, settle(t, db, k1), pins.StateRetiring)
	observe(t, db, look(h, a, 1))
	expect("served again", 2, settle(t, db, k1), pins.StateDeployed)
	observe(t, db, look(h, a, 2))
	settle(t, db)
	expect("a certificate for it has not ended", 0, settle(t, db), pins.StateRetiring)
	c.Add(365 * 24 * time.Hour)
	expect("all have, and a person approved it", 0, settle(t, db), pins.StateRetiring)
	must(t, db.Keys.Retire(t.Context(), k1, false, "ada", "rotated"))
	expect("no longer approved by the person", 1, settle(t, db), pins.StateRetired)

	var deployed []string
	for _, e := range eventsOf(t, db, ctwatch.PinDeployed) {
		deployed = append(deployed, e.Subject+" "+string(e.Data.Key.Role)+" "+e.Data.Host+" "+e.Data.Endpoint+" "+string(e.Data.Key.State))
	}
	const place = " " + h + " " + h + " (" + a + ") deployed"
	leaf, ofIssuer := "example.com leaf"+place, "example.com issuer"+place
	want := []string{leaf, ofIssuer, ofIssuer, leaf, leaf, leaf} // the first, the second, the first, the second
	if diff := cmp.Diff(want, deployed); diff != "" {
		t.Errorf("pin.deployed events (-want +got):\n%s", diff)
	}
	if n := len(eventsOf(t, db, ctwatch.PinRetired)); n != 1 {
		t.Errorf("%d pin.retired events, want 1", n)
	}
	ids := make(map[string]bool)
	all := events(t, db)
	for _, e := range all {
		ids[e.ID] = true
	}
	if len(ids) != len(all) {
		t.Errorf("%d events have %d IDs", len(all), len(ids))
	}
}
