// Package publish signs the pins of an app and serves them to its devices.
//
// There are two kinds of signed documents. Ours is a JSON Web Signature (RFC 7515)
// whose payload has a serial that only grows, two expiry times, and the revoked keys;
// jws.go documents it. The other is what the SDKs of Wultra's dynamic pinning read;
// wultra.go documents how it is signed. Both are static: they can be made without a
// network, cached by a CDN, and compared by ETag. Signatures are deterministic
// (RFC 6979, RFC 8032): the same pins, signed by the same key, are the same bytes.
//
// A Ring is the signing key, with its next and its previous key while it is being
// replaced. NewHandler serves the documents, the keys (RFC 7517), and the same pins in
// every format that clients read.
//
// An Issuer decides when a new document is issued. Which pins may be in it, and why a
// host is withheld, is decided by package pins.
package publish
