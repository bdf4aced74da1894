package keyfile

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/pemfile"
)

// A Subject is the key that a file, or an argument of a command, stands for, with what the
// file says about it.
type Subject struct {
	Certificate string // ID of a certificate, or the first digits of it; "" for a key
	Pin         pins.Pin
	Algorithm   string
	Names       []string // that the key is for
	What        string   // the kind of thing, for messages
	CA          bool     // it is the certificate of a CA
	Name        string   // the subject of a certificate
}

// Parse returns the one key that a file stands for: the server's own, or a CA's if issuer
// is set. What the certificates say decides which is the server's own, not their order.
// Errors begin with the file's name.
func Parse(file string, data []byte, issuer bool) (Subject, error) {
	blocks, err := readBlocks(file, data)
	if err != nil {
		return Subject{}, err
	}
	s, err := subjectOf(file, blocks, issuer)
	if err != nil {
		return Subject{}, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func subjectOf(file string, blocks []pemfile.Block, issuer bool) (Subject, error) {
	all := make([]Subject, 0, len(blocks))
	for _, b := range blocks {
		s, err := blockSubject(b)
		if err != nil {
			return Subject{}, err
		}
		all = append(all, s)
	}
	signs := issuing(certificatesOf(blocks))
	var own, others []Subject
	for _, s := range all {
		s.CA = s.CA || s.Name != "" && signs[s.Pin]
		// A request or a public key is not of a server or a CA by itself.
		if s.Name == "" || s.CA == issuer {
			own = append(own, s)
		} else {
			others = append(others, s)
		}
	}
	switch {
	case len(own) > 0:
		return onlyKey(own)
	case issuer:
		return Subject{}, fmt.Errorf("this is the certificate of a server (%s), and not of a CA: give the certificate of the CA, or leave out --issuer", others[0].Name)
	}
	ca := others[0]
	return Subject{}, fmt.Errorf("this is the certificate of a CA (%s), and not of a server. To trust its key as that of an issuer: %s. If a server serves this very certificate as its own: %s",
		ca.Name, words.Shell("ctwatch", "certs", "authorize", file, "--issuer", "--domain", "HOST", "--reason", "TEXT"),
		words.Command(pins.Action{Do: pins.Declare, Pin: ca.Pin, Host: pins.Pattern{Name: "HOST"}}))
}

// onlyKey merges subjects that have the same key, and refuses to choose among several.
func onlyKey(list []Subject) (Subject, error) {
	out := list[0]
	var keys []string
	for _, s := range list {
		if key := s.Pin.String() + s.about(); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		if s.Certificate != out.Certificate {
			out.Certificate = "" // several certificates: the key alone is meant
		}
		for _, n := range s.Names {
			if !slices.Contains(out.Names, n) {
				out.Names = append(slices.Clip(out.Names), n)
			}
		}
	}
	if slices.ContainsFunc(list, func(s Subject) bool { return s.Pin != out.Pin }) {
		return Subject{}, fmt.Errorf("there are several keys in the file: %s. Authorize the one that you mean by its pin, or each from a file of its own", strings.Join(keys, ", "))
	}
	return out, nil
}

func (s *Subject) about() string {
	if s.Name == "" {
		return ""
	}
	return " (" + s.Name + ")"
}

func blockSubject(b pemfile.Block) (Subject, error) {
	kind := b.Type
	if kind == "" {
		kind = derKind(b.Bytes)
	}
	switch kind {
	case "CERTIFICATE", "X509 CERTIFICATE":
		tbs, err := entry.TBS(b.Bytes)
		if err != nil {
			return Subject{}, fmt.Errorf("reading the certificate: %w", err)
		}
		c := entry.Describe(tbs)
		if c.Key.Pin.IsZero() {
			return Subject{}, fmt.Errorf("reading the certificate: %s", strings.Join(c.Problems, "; "))
		}
		return Subject{
			Certificate: c.ID.String(), Pin: c.Key.Pin, Algorithm: c.Key.Algorithm, Names: c.Names, What: "the certificate",
			CA: entry.IsCA(tbs), Name: cmp.Or(ctwatch.Printable(c.Subject, 200), "no subject"),
		}, nil
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return requestSubject(b.Bytes)
	case "PUBLIC KEY":
		return keySubject(b.Bytes, "the public key")
	case "":
		return Subject{}, errors.New("this is neither a certificate, nor a certificate signing request, nor a public key, in PEM or DER")
	}
	if strings.Contains(kind, "PRIVATE KEY") {
		return Subject{}, errors.New("this is a private key, which ctwatch does not need: give its public key (openssl pkey -in KEY -pubout) or a request made with it")
	}
	return Subject{}, fmt.Errorf("PEM of type %q; want a certificate, a certificate signing request or a public key", ctwatch.Printable(kind, 60))
}

// derKind says what a file in DER is, as PEM does; "" if it is unknown.
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

func keySubject(spki []byte, what string) (Subject, error) {
	algorithm, err := entry.Algorithm(spki)
	if err != nil {
		return Subject{}, fmt.Errorf("reading the public key: %w", err)
	}
	return Subject{Pin: pins.FromSPKI(spki), Algorithm: algorithm, What: what}, nil
}
