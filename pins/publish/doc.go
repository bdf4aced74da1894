// Package publish signs the pins of an app and serves them to its devices.
//
// There are two kinds of signed documents. Ours is a JSON Web Signature (RFC 7515)
// whose payload has a serial that only grows, two expiries, and the keys that are
// revoked; jws.go says what is in it. The other is what the SDKs of Wultra's dynamic
// pinning read; wultra.go says how it is signed. Both are static: they can be made
// without a network, cached by a CDN, and told apart by their ETag. Signatures are
// deterministic (RFC 6979, RFC 8032), so that the same pins signed by the same key
// are the same bytes, whoever signs them and when.
//
// A Ring is the signing key, with the one that comes after it and the one that came
// before while a key is being replaced. Handler serves the documents, the keys
// (RFC 7517), and the same pins in every form that clients read.
//
// What may be in a document is decided elsewhere: a Source hands over the pins, or
// the reasons to withhold them.
package publish
