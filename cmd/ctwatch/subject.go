package main

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
	"ctwatch/pins/pemfile"
)

// A subject is what is to be authorised: a certificate that was found, or a key
// with the names that go with it.
type subject struct {
	id        string // of a certificate, or the first digits of it; "" for a key
	pin       pins.Pin
	algorithm string
	names     []string
	what      string // for messages
	ca        bool   // it is the certificate of a CA
	subject   string // of a certificate
}

// readSubject tells an ID, a pin and the kinds of files apart. Of a file it takes the
// server's own key, or a CA's if issuer is set.
func (a *app) readSubject(arg string, issuer bool) (subject, error) {
	if strings.HasPrefix(arg, "sha256/") {
		pin, err := parsePin(arg)
		return subject{pin: pin, what: "the pin"}, err
	}
	if _, err := os.Stat(arg); err != nil && arg != "-" {
		id := strings.ToLower(arg)
		if digits := id + strings.Repeat("0", len(id)%2); len(id) >= 8 && len(id) <= 64 {
			if _, err := hex.DecodeString(digits); err == nil {
				return subject{id: id}, nil
			}
		}
		if err := namesCA(arg); err != nil {
			return subject{}, err
		}
		return subject{}, usagef("%s is neither a file, nor a pin (\"sha256/…\"), nor a certificate's ID of 8 to 64 hex digits", ctwatch.Printable(arg, 100))
	}
	blocks, err := a.readBlocks(arg)
	if err != nil {
		return subject{}, err
	}
	s, err := parseSubject(arg, blocks, issuer)
	if err != nil {
		return subject{}, fmt.Errorf("%s: %w", arg, err)
	}
	return s, nil
}

// parseSubject takes the one key of a file. Which certificate is the server's own is
// decided by what the certificates say, and not by their order.
func parseSubject(file string, blocks []pemfile.Block, issuer bool) (subject, error) {
	all := make([]subject, 0, len(blocks))
	for _, b := range blocks {
		s, err := blockSubject(b)
		if err != nil {
			return subject{}, err
		}
		all = append(all, s)
	}
	signs := issuing(certificatesOf(blocks))
	var own, others []subject
	for _, s := range all {
		s.ca = s.ca || s.subject != "" && signs[s.pin]
		// A request or a public key is not of a server or a CA by itself.
		if s.subject == "" || s.ca == issuer {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	switch {
	case len(own) > 0:
		return onlyKey(own)
	case issuer:
		return subject{}, fmt.Errorf("this is the certificate of a server (%s), and not of a CA: give the certificate of the CA, or leave out --issuer", others[0].subject)
	}
	ca := others[0]
	return subject{}, fmt.Errorf("this is the certificate of a CA (%s), and not of a server. To trust its key as that of an issuer: ctwatch certs authorize %s --issuer --domain HOST --reason TEXT. If a server serves this very certificate as its own: ctwatch certs authorize %s --domain HOST --reason TEXT",
		ca.subject, ctwatch.Printable(file, 200), ca.pin)
}

// onlyKey merges subjects that have one key, and refuses to choose among several.
func onlyKey(list []subject) (subject, error) {
	out := list[0]
	var keys []string
	for _, s := range list {
		if key := s.pin.String() + s.about(); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if s.id != out.id {
			out.id = "" // several certificates: the key alone is meant
		}
		for _, n := range s.names {
			if !slices.Contains(out.names, n) {
				out.names = append(slices.Clip(out.names), n)
			}
		}
	}
	if slices.ContainsFunc(list, func(s subject) bool { return s.pin != out.pin }) {
		return subject{}, fmt.Errorf("there are several keys in the file: %s. Authorize the one that is meant by its pin, or each from a file of its own", strings.Join(keys, ", "))
	}
	return out, nil
}

func (s *subject) about() string {
	if s.subject == "" {
		return ""
	}
	return " (" + s.subject + ")"
}

func blockSubject(b pemfile.Block) (subject, error) {
	kind := b.Type
	if kind == "" {
		kind = derKind(b.Bytes)
	}
	switch kind {
	case "CERTIFICATE", "X509 CERTIFICATE":
		tbs, err := entry.TBS(b.Bytes)
		if err != nil {
			return subject{}, fmt.Errorf("reading the certificate: %w", err)
		}
		c := entry.Describe(tbs)
		if c.Key.Pin.IsZero() {
			return subject{}, fmt.Errorf("reading the certificate: %s", strings.Join(c.Problems, "; "))
		}
		return subject{
			id: c.ID.String(), pin: c.Key.Pin, algorithm: c.Key.Algorithm, names: c.Names, what: "the certificate",
			ca: entry.IsCA(tbs), subject: orDefault(ctwatch.Printable(c.Subject, 200), "no subject"),
		}, nil
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return requestSubject(b.Bytes)
	case "PUBLIC KEY":
		return keySubject(b.Bytes, "the public key")
	case "":
		return subject{}, errors.New("this is neither a certificate, nor a certificate signing request, nor a public key, in PEM or DER")
	}
	if strings.Contains(kind, "PRIVATE KEY") {
		return subject{}, errors.New("this is a private key, which ctwatch has no need to see: give its public key (openssl pkey -in KEY -pubout) or a request made with it")
	}
	return subject{}, fmt.Errorf("PEM of type %q; want a certificate, a certificate signing request or a public key", ctwatch.Printable(kind, 60))
}

// derKind says what a file in DER is, as PEM does; "" if it is nothing that is known.
func derKind(der []byte) string {
	if _, err := parseRequest(der); err == nil {
		return "CERTIFICATE REQUEST"
	}
	if _, err := entry.Algorithm(der); err == nil {
		return "PUBLIC KEY"
	}
	_, err8 := x509.ParsePKCS8PrivateKey(der)
	_, errEC := x509.ParseECPrivateKey(der)
	if _, err1 := x509.ParsePKCS1PrivateKey(der); err8 == nil || errEC == nil || err1 == nil {
		return "PRIVATE KEY"
	}
	if _, err := entry.SPKI(der); err == nil {
		return "CERTIFICATE"
	}
	return ""
}

func keySubject(spki []byte, what string) (subject, error) {
	algorithm, err := entry.Algorithm(spki)
	if err != nil {
		return subject{}, fmt.Errorf("reading the public key: %w", err)
	}
	return subject{pin: pins.FromSPKI(spki), algorithm: algorithm, what: what}, nil
}
