// Package pins holds what a pin is, and nothing else: no I/O, no clock.
//
// A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo in DER
// (RFC 7469 §2.4). It names a key, not a certificate: a precertificate, the
// certificate issued from it, its CSR and its private key all have the same pin,
// which is why a pin can be taken from a Certificate Transparency log before the
// certificate is deployed anywhere.
package pins
