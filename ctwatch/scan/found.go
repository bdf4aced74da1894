package scan

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

// found describes an entry in full, in its own memory, if it matches: the scanner may have guessed
// because of a name too unusual to be looked up.
func (s *Scanner) found(list *watchlist.List, e *ctlog.Entry, tbs []byte, leaf ctwatch.Hash) (f ctwatch.Found, ok bool) {
	cert := entry.Describe(tbs)
	if cert.Matches = matches(list, &cert, tbs); len(cert.Matches) == 0 {
		return f, false
	}
	_, without, err := entry.Identity(tbs)
	if err != nil {
		without = tbs
	}
	f = ctwatch.Found{Certificate: cert, LeafHash: leaf, TBS: bytes.Clone(without)}
	c := &f.Certificate
	c.Verdict = ctwatch.Unreviewed
	sighting := ctwatch.Sighting{
		Log: s.Log.Name, LogID: s.Log.ID, Index: e.Index, Timestamp: e.Timestamp, Kind: ctwatch.FinalCertificate,
	}
	extra, err := e.Extra()
	if err != nil {
		c.Problems = append(c.Problems, ctwatch.Printable(err.Error(), 200))
	}
	if e.Precert {
		sighting.Kind = ctwatch.Precertificate
		c.Issuer.Pin = pins.Pin(e.IssuerHash)
		setPrecertificate(&f, tbs, extra.Precert)
	} else {
		reported := slices.ContainsFunc(c.Problems, func(p string) bool { return strings.HasPrefix(p, entry.ProblemEncoding) })
		if err := entry.Encoding(e.DER); err != nil && !reported { // what is around the TBSCertificate
			c.Problems = append(c.Problems, entry.ProblemEncoding+err.Error())
		}
		f.DER = bytes.Clone(e.DER)
		sum := ctwatch.Hash(sha256.Sum256(f.DER))
		c.Fingerprints.Certificate = &sum
	}
	for _, der := range extra.Chain {
		f.Chain = append(f.Chain, bytes.Clone(der))
	}
	f.ChainFingerprints = extra.ChainFingerprints
	c.Sightings = []ctwatch.Sighting{sighting}
	c.SetPins()
	if len(f.ChainFingerprints) == 0 { // else the chain is still to be fetched
		ProveIssuer(&f, f.Chain)
	}
	return f, true
}

// problemPrecertificate is the problem of an entry with which a log serves the precertificate of
// another entry, or one that cannot be read.
const problemPrecertificate = "precertificate: what the log serves with the entry is not the entry's precertificate, and was not kept"

// setPrecertificate sets the precertificate that a log served with an entry, if it is that of the
// entry. It is not part of the Merkle leaf (RFC 6962 §4.6, c2sp.org/static-ct-api), so the log's
// signature does not cover it, and the entry is complete without it.
func setPrecertificate(f *ctwatch.Found, tbs, precert []byte) {
	if len(precert) == 0 {
		return
	}
	served, err := entry.TBS(precert)
	if err != nil || !entry.SamePrecertificate(tbs, served) {
		c := &f.Certificate
		c.Problems = append(c.Problems, problemPrecertificate)
		return
	}
	f.DER = bytes.Clone(precert)
	sum := ctwatch.Hash(sha256.Sum256(f.DER))
	f.Certificate.Fingerprints.Precertificate = &sum
}

// matches returns what the certificate matches: by its names and addresses as reported, and by
// readings of them that are too unlikely, or too many, to be reported.
func matches(list *watchlist.List, c *ctwatch.Certificate, tbs []byte) []ctwatch.Match {
	const most = 1000 // names that are not reported
	known := make(map[string]bool, len(c.Names))
	for _, name := range c.Names {
		known[name] = true
	}
	all := append(c.Names[:len(c.Names):len(c.Names)], c.IPAddresses...)
	further := len(all) + most
	var matched map[ctwatch.Match]bool // without names; filled when there are more
	add := func(name []byte) {
		if known[string(name)] || !list.MatchName(name) {
			return
		}
		if len(all) >= further { // then only one that matches something new
			if matched == nil {
				matched = make(map[ctwatch.Match]bool)
				addNew(matched, list.Matches(all))
			}
			if !addNew(matched, list.Matches([]string{string(name)})) {
				return
			}
		}
		known[string(name)] = true
		all = append(all, string(name))
	}
	var plain [entry.MaxPlain]byte
	_ = entry.Visitor{ // what cannot be read was reported before
		Name: func(name []byte) {
			if c, _, ok := entry.Plain(&plain, name); ok && known[string(c)] {
				return // like almost all names
			}
			entry.Candidates(name, add)
		},
		IP: func(b []byte) {
			if list.MatchIP(b) {
				if ip, ok := entry.IP(b); ok {
					add([]byte(ip.String()))
				}
			}
		},
	}.Visit(tbs)
	return list.Matches(all)
}

// addNew adds matches, whatever their names, and reports whether any of them is new.
func addNew(matched map[ctwatch.Match]bool, matches []ctwatch.Match) (any bool) {
	for _, m := range matches {
		m.Name = ""
		any = any || !matched[m]
		matched[m] = true
	}
	return any
}

// problemChain is the start of the problem of a chain that cannot be read in full.
const problemChain = "chain: strict parsers refuse a certificate, so nothing is learned from it about the issuer: "

// ProveIssuer looks in a chain, as a log serves it with an entry, for the CA whose signature over
// the certificate or precertificate proves that it is the issuer. The log's own signature proves
// nothing about the issuer: neither the chain nor the precertificate is in its Merkle tree (RFC
// 6962 §4.6), and a precertificate entry can have any issuer key. Without a proof a problem says
// why. Another problem reports a certificate of the chain that strict parsers refuse, from which
// policy learns nothing.
func ProveIssuer(f *ctwatch.Found, chain [][]byte) {
	c := &f.Certificate
	c.Problems = slices.DeleteFunc(c.Problems, func(p string) bool {
		return strings.HasPrefix(p, ctwatch.ProblemUnproven) || strings.HasPrefix(p, problemChain)
	})
	for i, der := range chain {
		if _, err := x509.ParseCertificate(der); err != nil {
			c.Problems = append(c.Problems, fmt.Sprintf("%scertificate %d: %s", problemChain, i+1, ctwatch.Printable(err.Error(), 200)))
			break
		}
	}
	pin, err := issuerOf(f, chain)
	if err != nil {
		if slices.Contains(c.Problems, problemPrecertificate) {
			return // reported already
		}
		c.Problems = append(c.Problems, ctwatch.ProblemUnproven+ctwatch.Printable(err.Error(), 200)+".")
		return
	}
	c.Issuer.Pin, c.Issuer.Proven = pin, true
	c.SetPins()
}

func issuerOf(f *ctwatch.Found, chain [][]byte) (pins.Pin, error) {
	if f.Certificate.Sightings[0].Kind == ctwatch.Precertificate {
		if len(f.DER) == 0 {
			return pins.Pin{}, errors.New("the log serves no precertificate with the entry")
		}
		pin := f.Certificate.Issuer.Pin
		return pin, entry.PrecertificateIssuedBy(ctwatch.Hash(pin), f.TBS, f.DER, chain)
	}
	if len(chain) == 0 {
		return pins.Pin{}, errors.New("the log serves no issuer with the entry")
	}
	spki, err := entry.SPKI(chain[0])
	if err != nil {
		return pins.Pin{}, fmt.Errorf("reading the issuer's certificate: %w", err)
	}
	return pins.FromSPKI(spki), entry.SignedBy(f.DER, spki)
}
