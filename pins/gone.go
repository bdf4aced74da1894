package pins

import (
	"crypto/sha256"
	"strings"
)

// A LeafAt is a leaf certificate at an address.
type LeafAt struct {
	Address   string            // as Address.Addr
	Leaf      [sha256.Size]byte // SHA-256 of the certificate
	Algorithm string            // of its key
}

// Gone returns which of the leaf certificates that an endpoint served before it serves
// no longer, by a look that shows now.
//
// An address that was not reached is taken to serve what it did, and so is one that the
// look does not list, unless it lists all. Where a look is partial, a certificate stays
// if its key is of a kind that the server gave no answer for: RSA beside ECDSA.
func (l Look) Gone(before, now []LeafAt) (gone []LeafAt) {
	type leafAt struct {
		address string
		leaf    [sha256.Size]byte
	}
	type kindAt struct{ address, kind string }
	served, kinds := make(map[leafAt]bool), make(map[kindAt]bool)
	for _, s := range now {
		served[leafAt{s.Address, s.Leaf}] = true
		kinds[kindAt{s.Address, keyKind(s.Algorithm)}] = true
	}
	looked := make(map[string]Address)
	for _, a := range l.Addresses {
		looked[a.Addr] = a
	}
	for _, s := range before {
		a, ok := looked[s.Address]
		switch {
		case !ok && l.Complete():
		case !ok, a.Err != nil, len(a.Served) == 0, served[leafAt{s.Address, s.Leaf}]:
			continue
		case a.Partial != nil && s.Algorithm != "" && !kinds[kindAt{s.Address, keyKind(s.Algorithm)}]:
			continue
		}
		gone = append(gone, s)
	}
	return gone
}

// keyKind returns the kind of a key without its size, such as "RSA".
func keyKind(algorithm string) string {
	kind, _, _ := strings.Cut(algorithm, " ")
	return kind
}
