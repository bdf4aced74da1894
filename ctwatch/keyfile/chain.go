// Package keyfile reads the files in which people have keys: certificates with their
// chains, certificate signing requests (RFC 2986) and public keys, in PEM or DER. It says
// which key a file stands for, and refuses files that stand for several.
package keyfile

import (
	"errors"
	"fmt"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
	"ctwatch/pins/pemfile"
)

// MaxSize bounds a file with certificates, requests or keys, in bytes.
const MaxSize = 1 << 20

const (
	maxChain = 32
)

// readBlocks reads a file in PEM or DER. Errors begin with its name, and with the line
// where there is one.
func readBlocks(file string, data []byte) ([]pemfile.Block, error) {
	blocks, err := pemfile.Read(data)
	var at *pemfile.Error
	switch {
	case errors.As(err, &at):
		return nil, fmt.Errorf("%s:%d: %w", file, at.Line, at.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return blocks, nil
}

// Chain returns the certificates of a file, the server's own first. Errors begin with the
// file's name.
func Chain(file string, data []byte) ([][]byte, error) {
	blocks, err := readBlocks(file, data)
	if err != nil && !errors.Is(err, pemfile.ErrNoBlock) {
		return nil, err
	}
	for _, b := range blocks {
		if mayHoldCertificate(b) {
			return nil, fmt.Errorf("%s:%d: a block of type %s: some servers serve what is in it, and only blocks of type CERTIFICATE are checked; convert it (openssl x509, or openssl pkcs7 -print_certs)", file, b.Line, ctwatch.Printable(b.Type, 60))
		}
	}
	certs := certificatesOf(blocks)
	switch {
	case len(certs) == 0:
		return nil, fmt.Errorf("%s: there is no certificate in it: want PEM (-----BEGIN CERTIFICATE-----), or one certificate in DER", file)
	case len(certs) > maxChain:
		return nil, fmt.Errorf("%s: there are %d certificates in it, and a chain has at most %d", file, len(certs), maxChain)
	}
	if err := ownFirst(certs); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certs, nil
}

// certificatesOf returns the certificates among blocks, in their order.
func certificatesOf(blocks []pemfile.Block) [][]byte {
	var out [][]byte
	for _, b := range blocks {
		if b.Type == "CERTIFICATE" || b.Type == "X509 CERTIFICATE" || b.Type == "" && derKind(b.Bytes) == "CERTIFICATE" {
			out = append(out, b.Bytes)
		}
	}
	return out
}

// mayHoldCertificate reports whether a block that certificatesOf skips may have a
// certificate in it that a server would serve: OpenSSL's TRUSTED CERTIFICATE, or
// PKCS #7. Keys and parameters have none.
func mayHoldCertificate(b pemfile.Block) bool {
	switch {
	case b.Type == "" || b.Type == "CERTIFICATE" || b.Type == "X509 CERTIFICATE":
		return false
	case strings.HasSuffix(b.Type, "KEY"), strings.HasSuffix(b.Type, "PARAMETERS"), strings.HasSuffix(b.Type, "REQUEST"):
		return false
	}
	return true
}

// ownFirst moves the server's own certificate to the front, where servers want it. If a
// CA's is there, the server's is the only one that is not a CA's. If all are CAs', as a
// self-signed one may be, it is the first.
func ownFirst(certs [][]byte) error {
	signs := issuing(certs)
	own := -1
	for i, der := range certs {
		tbs, err := entry.TBS(der)
		if err != nil {
			continue // the caller says so if it matters
		}
		key, err := entry.TBSKey(tbs)
		if err != nil || entry.IsCA(tbs) || signs[pins.FromSPKI(key)] {
			continue
		}
		switch {
		case i == 0:
			return nil
		case own >= 0:
			return errors.New("it begins with the certificate of a CA, and has several of servers; want one server's, first")
		}
		own = i
	}
	if own > 0 {
		certs[0], certs[own] = certs[own], certs[0]
	}
	return nil
}

// issuing returns the keys that signed another certificate of a list: those of CAs,
// whatever their certificates say.
func issuing(certs [][]byte) map[pins.Pin]bool {
	out := make(map[pins.Pin]bool)
	if len(certs) > maxChain {
		return out
	}
	for _, signer := range certs {
		key, err := entry.SPKI(signer)
		if err != nil {
			continue
		}
		for _, cert := range certs {
			own, err := entry.SPKI(cert)
			if err == nil && pins.FromSPKI(own) != pins.FromSPKI(key) && entry.SignedBy(cert, key) == nil {
				out[pins.FromSPKI(key)] = true
			}
		}
	}
	return out
}

// Order returns the chain of the first of some certificates, by signature. The others may
// be in any order, and some may not belong.
func Order(certs [][]byte) pins.Chain {
	c := pins.Chain{Open: true}
	current, others := certs[0], certs[1:]
	for range certs {
		key, err := entry.SPKI(current)
		if err != nil {
			return c
		}
		algorithm, _ := entry.Algorithm(key)
		c.Pins, c.Algorithms = append(c.Pins, pins.FromSPKI(key)), append(c.Algorithms, algorithm)
		if entry.SignedBy(current, key) == nil {
			c.Open = false // it signed itself: nothing follows
			return c
		}
		next := -1
		for i, o := range others {
			if issuer, err := entry.SPKI(o); err == nil && entry.SignedBy(current, issuer) == nil {
				next = i
				break
			}
		}
		if next < 0 {
			return c
		}
		current = others[next]
		others = append(others[:next:next], others[next+1:]...)
	}
	return c
}
