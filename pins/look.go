package pins

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Look is what was seen of an endpoint at one time.
type Look struct {
	Endpoint Endpoint
	At       time.Time
	// Addresses are those that the name had. Those that may not be connected to have an
	// Err that says so.
	Addresses []Address
	// More counts further addresses that were left out.
	More int
	// Err is set when nothing could be tried: the endpoint makes no sense, its name was
	// not resolved, or none of its addresses may be connected to.
	Err error
}

// An Address is what was seen at one address of an endpoint.
type Address struct {
	Addr string // such as "192.0.2.1:443" or "[2001:db8::1]:443"
	// Served are the chains, one for each kind of key: one or two, the first of them
	// what a client of today is given.
	Served []Served
	// Err is why nothing was seen; nil if something was.
	Err error
	// Partial is set beside Served if the server gave no answer, one way or another,
	// when it was asked for a certificate of the other kind. It may have one.
	Partial error
}

// A Served is a certificate chain that an address of a host serves: as a look returns it,
// or as the store has it from the last look that reached the address. An address with an
// RSA and an ECDSA certificate serves two.
type Served struct {
	Host      string // the name that was asked for, in lower case
	Address   string // such as "192.0.2.1:443"
	ID        string // of the leaf's certificate, in hex
	Algorithm string // of the leaf's key, such as "ECDSA P-256", "RSA 2048" or "Ed25519"
	NotBefore time.Time
	NotAfter  time.Time

	// Chain is the keys of the path from the leaf that the roots verify, to the trust
	// anchor. Where they verify none, it is the keys of the path that can be built by
	// signature from what was sent, Open unless it ends self-signed.
	Chain Chain

	// Only the store has these.
	Since time.Time // first seen here
	At    time.Time // last seen here
	Named bool      // the certificate has Host itself among its names, not only by a wildcard

	// Only a look has these.
	Certificates [][]byte // DER, as sent, the leaf first
	CommonName   string   // made printable
	Names        []string // DNS names in lower case and IP addresses, made printable
	Version      string   // of the protocol, such as "TLS 1.3"
	// Problem is a sentence that says why clients would reject the chain; "" if they
	// would not.
	Problem string
}

// Complete reports whether the look lists every address that the endpoint has.
func (l Look) Complete() bool { return l.Err == nil && l.More == 0 }

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

// Problem returns why nothing, or not all, was seen at the address.
func (a Address) Problem() error { return errors.Join(a.Err, a.Partial) }

// MarshalJSON implements json.Marshaler. Errors become texts.
func (l Look) MarshalJSON() ([]byte, error) {
	type chain struct {
		Certificate string    `json:"certificate"` // ID
		Algorithm   string    `json:"algorithm"`
		Pins        []Pin     `json:"pins"` // the leaf's first, as far as the chain is known
		Complete    bool      `json:"complete"`
		Names       []string  `json:"names"`
		NotBefore   time.Time `json:"not_before"`
		NotAfter    time.Time `json:"not_after"`
		Version     string    `json:"tls_version"`
		Problem     string    `json:"problem,omitempty"`
	}
	type address struct {
		Address string  `json:"address"`
		Chains  []chain `json:"chains"`
		Error   string  `json:"error,omitempty"`
	}
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	addresses := []address{}
	for _, a := range l.Addresses {
		chains := []chain{}
		for _, s := range a.Served {
			chains = append(chains, chain{
				s.ID, s.Algorithm, s.Chain.Pins, !s.Chain.Open, s.Names, s.NotBefore.UTC(), s.NotAfter.UTC(), s.Version, s.Problem,
			})
		}
		addresses = append(addresses, address{a.Addr, chains, text(a.Problem())})
	}
	return json.Marshal(struct {
		Host      string    `json:"host"`
		Endpoint  string    `json:"endpoint"`
		At        time.Time `json:"at"`
		Addresses []address `json:"addresses"`
		Error     string    `json:"error,omitempty"`
	}{l.Endpoint.Host, l.Endpoint.String(), l.At.UTC(), addresses, text(l.Err)})
}
