// Package policy says whether a certificate should exist: expected, unexpected or
// unreviewed, and why.
//
// A Rule is what a person wrote about a watched name: which CAs may issue for it,
// which keys were authorised beforehand, which algorithms, validity, wildcards and
// names. A Policy judges a certificate by its rules and by what is known about its
// key (Known); it does no I/O. What has to be asked for, the CAA records of a domain
// (RFC 8659), is asked by a Checker and handed in.
//
// # How a certificate is judged
//
// Every name of the certificate is judged under the most specific rule that says
// anything about it, and a wildcard under each rule that speaks of a host it stands
// for: one for *.example.com can be used at api.example.com, so what is demanded
// there is demanded of it. A rule inherits nothing from one above it. The verdict
// is the worst of all names.
//
// A name is unexpected when anything forbids the certificate: a name never to be
// issued, a compromised key, a CA that is not among those allowed, a wildcard, an
// algorithm, a validity, a CAA record. It is expected when the rule allows the
// issuer, or a person authorised the key, or an endpoint of ours served that key
// before. Everything else is unreviewed.
//
// A known key answers who has the private key, and so stands in for an issuer where
// no rule names any. It excuses nothing else: that our own key was certified by a CA
// we did not allow means that somebody used our CSR, or our servers, without asking.
//
// # Who issued it
//
// A distinguished name, a serial number and a key identifier can be written into any
// certificate. A CA is known by its keys alone: those of a table, and those that a
// verified chain shows to be signed by one of them, see CAs.Shown. A name serves to show it to a
// person and, while the issuer's key is not known, to find that a certificate is not
// from an allowed CA; it never makes a certificate expected.
package policy
