package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
)

// A scriptCert is a key that a script has made, and its certificate.
type scriptCert struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
}

// scriptNewCert writes everything that a person may have of a key: the key itself,
// its public half, a request, and a certificate with its issuer's.
func scriptNewCert(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "newcert NAME HOST...")
	w := worldOf(ts)
	name, hosts := args[0], args[1:]
	if w.certs == nil {
		w.certs = make(map[string]scriptCert)
	}
	key := w.certs[name].key // a second certificate has the same
	var err error
	if key == nil {
		key, err = ctlogtest.SeededKey("script key " + name)
		ts.Check(err)
	}
	issued, err := w.ca.Issue(ctlogtest.Request{Names: hosts, CommonName: hosts[0], Key: key})
	ts.Check(err)
	final, err := issued.Final()
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: hosts}, key)
	ts.Check(err)
	write := func(extension, kind string, blocks ...[]byte) {
		var b []byte
		for _, der := range blocks {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		ts.Check(os.WriteFile(ts.MkAbs(name+extension), b, 0o600))
	}
	write(".key", "PRIVATE KEY", private)
	write(".pub", "PUBLIC KEY", public)
	write(".csr", "CERTIFICATE REQUEST", csr)
	write(".pem", "CERTIFICATE", final, w.ca.Intermediate)
	ts.Setenv(name+"_PIN", pins.FromSPKI(public).String())
	ts.Setenv(name+"_ID", issued.ID.String())
	ts.Setenv("ISSUER_PIN", issued.IssuerPin.String())
	w.certs[name] = scriptCert{key, [][]byte{final, w.ca.Intermediate}}
}

// scriptServe serves a certificate, or from now on another one.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "serve SERVER CERTIFICATE")
	w := worldOf(ts)
	cert, ok := w.certs[args[1]]
	if !ok {
		ts.Fatalf("there is no certificate %q", args[1])
	}
	if w.servers == nil {
		w.servers = make(map[string]*tlsServer)
	}
	server := w.servers[args[0]]
	if server == nil {
		var err error
		server, err = serveTLS()
		ts.Check(err)
		ts.Defer(server.close)
		w.servers[args[0]] = server
		ts.Setenv(args[0]+"_ADDRESS", server.address)
	}
	server.deploy(cert.key, cert.chain...)
}
