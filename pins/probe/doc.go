// Package probe looks at TLS servers, and tells which certificate chains they
// serve: at every address of a host, IPv4 and IPv6, and RSA and ECDSA certificates
// apart.
//
// A look believes nothing but signatures. The handshake proves that the server has
// the leaf's key (RFC 5246 §7.4.3, RFC 8446 §4.4.3); of the certificates that were
// sent besides, only those count as its chain that really signed one another.
// Whether clients would trust that chain is told too, but it is no condition: the
// keys of an expired certificate are served all the same.
//
// The servers are hostile until proven otherwise, and so is the DNS that names
// them. Time, bytes, addresses and certificates are bounded, and a host that was
// merely seen in a log can never lead a look to an address inside a private network.
//
// Two things stay unseen. A server that speaks TLS 1.3 only shows one certificate,
// even if it has one of either kind: crypto/tls cannot ask for a kind in TLS 1.3.
// And a chain with a certificate that crypto/x509 cannot parse ends the handshake;
// the address then has an error that says so.
package probe
