package probe

import (
	"fmt"
	"net/netip"
	"time"

	"ctwatch/pins"
)

// A Look is what was seen of an endpoint at one time.
type Look struct {
	Endpoint Endpoint
	At       time.Time
	// Addresses are those that the name had, IPv4 and IPv6 in turns, each family in
	// ascending order. Those that may not be connected to have an Err that says so.
	Addresses []Address
	// More counts the addresses beyond Config.MaxAddresses, which were not looked at.
	More int
	// Err is set when nothing could be tried: the endpoint makes no sense, its name
	// was not resolved, or all its addresses may not be connected to.
	Err error
}

// Failure returns nil if a chain was seen at any address; otherwise why not, at the
// first of them.
func (l Look) Failure() error {
	if l.Err != nil || len(l.Addresses) == 0 {
		return l.Err
	}
	for _, a := range l.Addresses {
		if len(a.Served) > 0 {
			return nil
		}
	}
	err := l.Addresses[0].Err
	if n := len(l.Addresses) - 1; n > 0 {
		return fmt.Errorf("%w (and nothing was seen at %d more)", err, n)
	}
	return err
}

// An Address is what was seen at one address.
type Address struct {
	Addr netip.AddrPort
	// Served are the chains, with one leaf each: one or two, the one first that a
	// client of today is given.
	Served []Served
	// Err is why nothing was seen; nil if something was.
	Err error
	// Partial is set beside Served if the server gave no answer, one way or another,
	// when it was asked for a certificate of the other kind. That Served has none
	// means nothing then.
	Partial error
}

// A Served is a chain that a server sent, having shown that it has the leaf's key.
type Served struct {
	Certificates [][]byte // DER, as sent, the leaf first; at most Config.MaxCertificates

	Algorithm  string // of the leaf's key, such as "ECDSA P-256", "RSA 2048" or "Ed25519"
	NotBefore  time.Time
	NotAfter   time.Time
	CommonName string   // made printable
	Names      []string // DNS names in lower case and IP addresses, made printable

	// Chain is the keys of the path from the leaf that the roots verify, to the
	// trust anchor. Where they do not verify one, it is the keys of the path that can
	// be built by signature from what was sent, Open unless it ends self-signed.
	Chain pins.Chain
	// Problem says in a sentence why clients would not accept the chain, by the
	// roots that the Prober has; "" if they would.
	Problem string
	// Version is that of the protocol, such as "TLS 1.3".
	Version string
}
