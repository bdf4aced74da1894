package planner

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

// An app that pins a root has nothing to fear from a new intermediate below it: what logs
// and servers show of CAs completes the chains of certificates that may be deployed.
func TestNewIntermediateBelowPinnedRoot(t *testing.T) {
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Root CA", Seed: "root"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Root CA", Seed: "another"})
	if err != nil {
		t.Fatal(err)
	}
	parse := func(der []byte) *x509.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	pinOf := func(der []byte) pins.Pin { return pins.FromSPKI(parse(der).RawSubjectPublicKeyInfo) }
	roots := x509.NewCertPool()
	roots.AddCert(parse(ca.Root))

	const host = "api.example.com"
	db, err := store.Open(t.Context(), t.TempDir()+"/ctwatch.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := &FactStore{Store: db.Plans, CAs: db.Issuers, Roots: roots}
	serve := func(by *ctlogtest.CA) pins.Pin {
		t.Helper()
		issued, err := by.Issue(ctlogtest.Request{Names: []string{host}})
		if err != nil {
			t.Fatal(err)
		}
		der, err := issued.Final()
		if err != nil {
			t.Fatal(err)
		}
		err = db.Endpoints.Observe(t.Context(), pins.Look{
			Endpoint: pins.Endpoint{Host: host}, At: time.Now(),
			Addresses: []pins.Address{{Addr: "192.0.2.1:443", Served: []pins.Served{{
				Chain: pins.Chain{Pins: []pins.Pin{issued.LeafPin, issued.IssuerPin}, Open: true}, Certificates: [][]byte{der, by.Intermediate},
			}}}},
		}, func([]byte) ctwatch.Certificate { return ctwatch.Certificate{ID: issued.ID, Names: []string{host}} })
		if err != nil {
			t.Fatal(err)
		}
		return issued.IssuerPin
	}
	app := pins.App{Name: "shop", Hosts: []pins.Pattern{{Name: host}}, Role: pins.RoleIssuer, MinPins: 1, Versions: []pins.Version{{
		Name: "1", Rules: format.Listed(map[pins.Pattern][]pins.Pin{{Name: host}: {pinOf(ca.Root)}}),
	}}}
	status := func() pins.Status {
		t.Helper()
		facts, _, err := s.Facts(t.Context(), pins.Scope{Apps: []pins.App{app}})
		if err != nil {
			t.Fatal(err)
		}
		return pins.NewView(&facts).Plan(&app)[0].Status
	}

	issuer := serve(ca)
	if got := status(); got == pins.StatusBroken {
		t.Errorf("below the root that is pinned: %s", got)
	}
	if above := s.above[issuer]; len(above) != 1 || !slices.Equal(above[0].Pins, []pins.Pin{pinOf(ca.Root)}) || above[0].Open {
		t.Errorf("above the intermediate: %v", above)
	}
	// A CA of the same name below no trusted root completes nothing.
	serve(foreign)
	if got := status(); got != pins.StatusBroken {
		t.Errorf("below another root: %s", got)
	}
}
