// Package probe probes TLS servers and returns the certificate chains that they serve:
// at every address of a host, IPv4 and IPv6, with RSA and ECDSA certificates separately.
//
// Only signatures count. The handshake proves that the server has the leaf's key
// (RFC 5246 §7.4.3, RFC 8446 §4.4.3). Of the other certificates that it sends, only
// those that signed one another count as the chain. The prober also reports whether
// clients would trust that chain, but that is no condition: an expired certificate's key
// is served anyway.
//
// Servers are treated as hostile, and so is the DNS that names them. Time, bytes,
// addresses and certificates are bounded, and a host that was only seen in a log can
// never lead to a connection into a private network.
//
// There are two limits. A server that speaks only TLS 1.3 shows one certificate, even if
// it has one of each kind: crypto/tls cannot ask for a kind in TLS 1.3. And a chain with
// a certificate that crypto/x509 cannot parse ends the handshake; the address then has
// an error with this reason.
package probe
