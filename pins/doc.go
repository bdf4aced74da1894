// Package pins decides which keys apps pin: what a pin is, the life of a key, the plan for
// an app, the pins to recommend, and the two gates. It has no I/O and no clock, and no text
// for people: it returns data (Finding, Action), which package words turns into sentences
// and commands.
//
// A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo in DER
// (RFC 7469 §2.4). It names a key, not a certificate: a precertificate, the
// certificate issued from it, its CSR and its private key all have the same pin,
// which is why a pin can be taken from a Certificate Transparency log before the
// certificate is deployed anywhere.
package pins
