package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/csv"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// A ca is a CA of the test, with its own certificate.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a CA's certificate, signed by another CA or, without one, by itself.
func issue(t *testing.T, by *ca, subject pkix.Name) ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: subject, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	self := ca{template, key}
	if by == nil {
		by = &self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if self.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self
}

func (c ca) pin() string { return pins.FromSPKI(c.cert.RawSubjectPublicKeyInfo).String() }

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func bundle(cas ...ca) string {
	text := "# a comment\n"
	for _, c := range cas {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))
	}
	return text + "-----BEGIN CERTIFICATE-----\nbm9pc2U=\n-----END CERTIFICATE-----\n"
}

// New roots of a CA in the table go behind its other keys; lines that are there stay as
// they are, also one that a person left without a CA.
func TestAddsRootsOfKnownCAs(t *testing.T) {
	lets := issue(t, nil, pkix.Name{CommonName: "ISRG Root X9", Organization: []string{"Internet Security Research Group"}})
	unit := issue(t, nil, pkix.Name{OrganizationalUnit: []string{"Root of a unit"}, Organization: []string{"DigiCert Inc"}})
	known := issue(t, nil, pkix.Name{CommonName: "known", Organization: []string{"DigiCert Inc"}})
	doubtful := issue(t, nil, pkix.Name{CommonName: "doubtful", Organization: []string{"DigiCert Inc"}})
	nowhere := issue(t, nil, pkix.Name{CommonName: "nowhere", Organization: []string{"Nobody Knows"}})
	sub := issue(t, &lets, pkix.Name{CommonName: "a sub-CA", Organization: []string{"Let's Encrypt"}})

	before := "ca,pin,certificate\nLet's Encrypt,an old pin,X1\nDigiCert," + known.pin() + ",known\n," + doubtful.pin() + ",doubtful\n"
	keys := write(t, "keys.csv", before)
	var stderr bytes.Buffer
	args := []string{"-roots", write(t, "roots.pem", bundle(lets, unit, known, doubtful, nowhere, sub)), keys}
	for range 2 { // the second time it changes nothing
		if code := run(args, &stderr); code != 0 {
			t.Fatalf("exit %d: %s", code, &stderr)
		}
		got, err := os.ReadFile(keys)
		if err != nil {
			t.Fatal(err)
		}
		want := "ca,pin,certificate\nLet's Encrypt,an old pin,X1\nLet's Encrypt," + lets.pin() + ",ISRG Root X9\n" +
			"DigiCert," + known.pin() + ",known\nDigiCert," + unit.pin() + ",Root of a unit\n," + doubtful.pin() + ",doubtful\n"
		if string(got) != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if s := stderr.String(); !strings.Contains(s, "of no CA in the table: "+nowhere.pin()) || strings.Contains(s, sub.pin()) {
		t.Errorf("report:\n%s", s)
	}
}

func TestRefusesWhatItCannotRead(t *testing.T) {
	roots := write(t, "roots.pem", bundle(issue(t, nil, pkix.Name{CommonName: "x"})))
	keys := write(t, "keys.csv", "ca,pin,certificate\n")
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"no roots":         {[]string{keys}, 2},
		"no keys":          {[]string{"-roots", roots}, 2},
		"an unknown flag":  {[]string{"-x"}, 2},
		"missing roots":    {[]string{"-roots", roots + "x", keys}, 1},
		"missing keys":     {[]string{"-roots", roots, keys + "x"}, 1},
		"a bundle of none": {[]string{"-roots", keys, keys}, 1},
		"a broken table":   {[]string{"-roots", roots, write(t, "keys.csv", "a,b\nc\n")}, 1},
	} {
		var stderr bytes.Buffer
		if code := run(tt.args, &stderr); code != tt.code || stderr.Len() == 0 {
			t.Errorf("%s: exit %d, want %d: %s", name, code, tt.code, &stderr)
		}
	}
}

// The bundle of this machine is a real one: of the table's lines none is lost.
func TestReadsTheBundleOfThisMachine(t *testing.T) {
	const real = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(real); err != nil {
		t.Skip("no roots of this machine: ", err)
	}
	table, err := os.ReadFile("../cas_keys.csv")
	if err != nil {
		t.Fatal(err)
	}
	keys := write(t, "keys.csv", string(table))
	var stderr bytes.Buffer
	if code := run([]string{"-roots", real, keys}, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	f, err := os.Open(keys)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	after := make(map[string]bool)
	for _, l := range lines {
		after[strings.Join(l, ",")] = true
	}
	for line := range strings.Lines(string(table)) {
		if line = strings.TrimSuffix(line, "\n"); !after[line] {
			t.Errorf("%s is gone", line)
		}
	}
}
