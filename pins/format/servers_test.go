package format

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ctwatch/pins"
)

// servers are two TLS servers under one root, for the same hosts: one with the keys
// that are pinned, and one with others.
type servers struct {
	root         string // file of the root's certificate, in PEM
	right, wrong server
}

// A server sends its leaf and its issuing CA.
type server struct {
	port  string
	chain pins.Chain // the leaf's key, its issuer's, and the root's
	file  string     // of the chain, in PEM, with the root
}

// servedHosts are in the certificates of the servers.
var servedHosts = []string{
	"api.example.com", "x.api.example.com", "example.org", "www.example.org", "img.example.org", "a.b.example.org", "localhost",
}

// startServers starts both servers on the loopback interface.
func startServers(t *testing.T) servers {
	t.Helper()
	dir := t.TempDir()
	root := newCA(t, "Test root", nil)
	s := servers{root: filepath.Join(dir, "root.pem")}
	writePEM(t, s.root, root.cert)
	for name, srv := range map[string]*server{"right": &s.right, "wrong": &s.wrong} {
		issuer := newCA(t, "Test CA "+name, root)
		leaf := newCertificate(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "Test leaf"}, DNSNames: servedHosts, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, issuer)
		hs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
		hs.TLS = &tls.Config{Certificates: []tls.Certificate{{
			Certificate: [][]byte{leaf.cert.Raw, issuer.cert.Raw}, PrivateKey: leaf.key,
		}}}
		hs.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse hang up
		hs.StartTLS()
		t.Cleanup(hs.Close)
		_, srv.port, _ = strings.Cut(strings.TrimPrefix(hs.URL, "https://"), ":")
		srv.file = filepath.Join(dir, name+".pem")
		writePEM(t, srv.file, leaf.cert, issuer.cert, root.cert)
		for _, c := range []*certificate{leaf, issuer, root} {
			srv.chain.Pins = append(srv.chain.Pins, pins.FromSPKI(c.cert.RawSubjectPublicKeyInfo))
		}
	}
	return s
}

type certificate struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T, name string, issuer *certificate) *certificate {
	t.Helper()
	return newCertificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, issuer)
}

// newCertificate issues a certificate for a new key; by itself if there is no issuer.
func newCertificate(t *testing.T, template *x509.Certificate, issuer *certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{cert: template, key: key}
	if issuer == nil {
		issuer = c
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

func writePEM(t *testing.T, path string, certs ...*x509.Certificate) {
	t.Helper()
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
