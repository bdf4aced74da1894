package chain_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/chain"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A party has a key, and certificates for it.
type party struct {
	name string
	key  crypto.Signer
}

func newParty(t *testing.T, name string) party {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return party{name, key}
}

func (p party) pin(t *testing.T) pins.Pin {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pins.FromSPKI(spki)
}

// certified is a certificate for p by an issuer; ca says whether it may issue.
func (p party) certified(t *testing.T, by party, ca bool, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: p.name},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0), IsCA: ca, BasicConstraintsValid: true,
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.DNSNames, template.ExtKeyUsage = []string{"api.example.com"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: by.name}}, p.key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestVerifiedFindsEachChain: all chains from a leaf to a trusted root are found, whatever
// part of them is sent.
func TestVerifiedFindsEachChain(t *testing.T) {
	root, other, intermediate, sub, leaf := newParty(t, "root"), newParty(t, "other"), newParty(t, "intermediate"), newParty(t, "sub"), newParty(t, "leaf")
	rootCert, otherCert := root.certified(t, root, true), other.certified(t, other, true)
	byRoot, byOther := intermediate.certified(t, root, true), intermediate.certified(t, other, true)
	cross := root.certified(t, other, true)
	ended := root.certified(t, other, true, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	subCert := sub.certified(t, intermediate, true)
	l, deep := leaf.certified(t, intermediate, false), leaf.certified(t, sub, false)
	late := leaf.certified(t, intermediate, false, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := party{"edwards", edwards}.certified(t, intermediate, false)

	type certs = []*x509.Certificate
	for name, c := range map[string]struct {
		sent, roots, known certs
		want               []string // of each chain: names, and after + what is added
		err                string
	}{
		"the root is missing":            {certs{l, byRoot}, certs{rootCert}, nil, []string{"leaf intermediate + root"}, ""},
		"the root is sent":               {certs{l, byRoot, rootCert}, certs{rootCert}, nil, []string{"leaf intermediate root"}, ""},
		"in another order":               {certs{deep, byRoot, subCert}, certs{rootCert}, nil, []string{"leaf sub intermediate + root"}, ""},
		"an intermediate is known":       {certs{l}, certs{rootCert}, certs{byRoot}, []string{"leaf + intermediate root"}, ""},
		"an intermediate is trusted":     {certs{l}, certs{rootCert, byRoot}, nil, []string{"leaf + intermediate root"}, ""},
		"so is the one below":            {certs{deep}, certs{rootCert, byRoot, subCert}, nil, []string{"leaf + sub intermediate root"}, ""},
		"an intermediate of two roots":   {certs{l, byRoot, byOther}, certs{rootCert, otherCert}, nil, []string{"leaf intermediate + other", "leaf intermediate + root"}, ""},
		"a root by another":              {certs{l, byRoot, cross}, certs{rootCert, otherCert}, nil, []string{"leaf intermediate root + other", "leaf intermediate + root"}, ""},
		"the other is not trusted":       {certs{l, byRoot, cross}, certs{rootCert}, nil, []string{"leaf intermediate + root"}, ""},
		"only the other is trusted":      {certs{l, byRoot, cross}, certs{otherCert}, nil, []string{"leaf intermediate root + other"}, ""},
		"the other's word has ended":     {certs{l, byRoot, ended}, certs{rootCert, otherCert}, nil, []string{"leaf intermediate + root"}, ""},
		"an unknown root":                {certs{l, byRoot, rootCert}, certs{otherCert}, nil, nil, "unknown authority"},
		"there are no roots":             {certs{l, byRoot}, nil, nil, nil, "unknown authority"},
		"the leaf has ended":             {certs{late, byRoot}, certs{rootCert}, nil, nil, "expired"},
		"a leaf with an Ed25519 key":     {certs{ed, byRoot}, certs{rootCert}, nil, []string{"edwards intermediate + root"}, ""},
		"an intermediate is not to hand": {certs{deep, byRoot}, certs{rootCert}, nil, nil, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			roots := x509.NewCertPool()
			for _, r := range c.roots {
				roots.AddCert(r)
			}
			chains, err := chain.Verified(c.sent, chain.Options{Roots: roots, Known: c.known, At: now})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want an error that says %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			names := map[pins.Pin]string{pins.FromSPKI(ed.RawSubjectPublicKeyInfo): "edwards"}
			for _, p := range []party{root, other, intermediate, sub, leaf} {
				names[p.pin(t)] = p.name
			}
			var got []string
			for _, one := range chains {
				var words []string
				for i, p := range one.Pins {
					if i == len(one.Pins)-one.Added {
						words = append(words, "+")
					}
					words = append(words, names[p])
					want := "ECDSA P-256"
					if names[p] == "edwards" {
						want = "Ed25519"
					}
					if one.Algorithms[i] != want {
						t.Errorf("the algorithm of %s is %q", names[p], one.Algorithms[i])
					}
				}
				got = append(got, strings.Join(words, " "))
				if one.Open || one.Root != "CN="+names[one.Pins[len(one.Pins)-1]] {
					t.Errorf("open: %v, root %q", one.Open, one.Root)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("chains %q, want %q", got, c.want)
			}
		})
	}
}
