package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"

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
	w := environmentOf(ts)
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
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Root})
	ts.Check(os.WriteFile(ts.MkAbs("root.pem"), root, 0o600))
	rootCert, err := x509.ParseCertificate(w.ca.Root)
	ts.Check(err)
	rootPin := pins.FromSPKI(rootCert.RawSubjectPublicKeyInfo).String()
	ts.Setenv("ROOT_PIN", rootPin)
	ts.Setenv("ROOT_BASE64", strings.TrimPrefix(rootPin, "sha256/"))
	ts.Setenv(name+"_PIN", pins.FromSPKI(public).String())
	ts.Setenv(name+"_ID", issued.ID.String())
	ts.Setenv("ISSUER_PIN", issued.IssuerPin.String())
	w.certs[name] = scriptCert{key, [][]byte{final, w.ca.Intermediate}}
}

// scriptNewKey writes the public half of a key of a kind, and a request made with it.
func scriptNewKey(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 3, "newkey NAME P-384|P-521|Ed25519 HOST...")
	var key crypto.Signer
	var err error
	switch args[1] {
	case "P-384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "P-521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		ts.Fatalf("there is no kind %q", args[1])
	}
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	ts.Check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: args[2:]}, key)
	ts.Check(err)
	for extension, block := range map[string]*pem.Block{".pub": {Type: "PUBLIC KEY", Bytes: public}, ".csr": {Type: "CERTIFICATE REQUEST", Bytes: csr}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+extension), pem.EncodeToMemory(block), 0o600))
	}
	ts.Setenv(args[0]+"_PIN", pins.FromSPKI(public).String())
	ts.Setenv(args[0]+"_BASE64", strings.TrimPrefix(pins.FromSPKI(public).String(), "sha256/"))
}

// scriptFill replaces the variables in files.
func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 1, "fill FILE...")
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// scriptServe serves a certificate, or from now on another one.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	scriptArgs(ts, neg, args, 2, "serve SERVER CERTIFICATE")
	w := environmentOf(ts)
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
