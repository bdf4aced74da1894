package scan

import (
	"bytes"
	"crypto/sha256"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
)

// found describes an entry in full, in memory of its own, if it matches: what
// made it a suspect may have been a guess about a name too odd to be looked up.
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
		f.DER = bytes.Clone(e.DER)
		sum := ctwatch.Hash(sha256.Sum256(f.DER))
		c.Fingerprints.Certificate = &sum
		if len(extra.Chain) > 0 {
			SetIssuer(&f, extra.Chain[0])
		}
	}
	for _, der := range extra.Chain {
		f.Chain = append(f.Chain, bytes.Clone(der))
	}
	f.ChainFingerprints = extra.ChainFingerprints
	c.Sightings = []ctwatch.Sighting{sighting}
	c.SetPins()
	return f, true
}

// setPrecertificate takes the precertificate that a log served with an entry, if
// it is that of the entry. It stands outside of the Merkle leaf (RFC 6962 §4.6,
// c2sp.org/static-ct-api), so the log's signature says nothing about it, and the
// entry speaks for itself without it.
func setPrecertificate(f *ctwatch.Found, tbs, precert []byte) {
	if len(precert) == 0 {
		return
	}
	served, err := entry.TBS(precert)
	if err != nil || !entry.SamePrecertificate(tbs, served) {
		c := &f.Certificate
		c.Problems = append(c.Problems, "precertificate: what the log served beside the entry is not what the entry was made of, and was not kept")
		return
	}
	f.DER = bytes.Clone(precert)
	sum := ctwatch.Hash(sha256.Sum256(f.DER))
	f.Certificate.Fingerprints.Precertificate = &sum
}

// matches lists what the certificate matches: by its names and addresses as they
// are told, and by those readings of them that are too unlikely, or too many, to
// be told.
func matches(list *watchlist.List, c *ctwatch.Certificate, tbs []byte) []ctwatch.Match {
	const most = 1000 // names that are not told
	told := make(map[string]bool, len(c.Names))
	for _, name := range c.Names {
		told[name] = true
	}
	all := append(c.Names[:len(c.Names):len(c.Names)], c.IPAddresses...)
	further := len(all) + most
	add := func(name []byte) {
		if len(all) < further && !told[string(name)] && list.MatchName(name) {
			told[string(name)] = true
			all = append(all, string(name))
		}
	}
	_ = entry.Visitor{ // what it could not read was reported already
		Name: func(name []byte) { entry.Candidates(name, add) },
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

// SetIssuer takes the issuer's pin from the issuer's certificate in DER, as a log
// served it beside a final certificate, whose DER is in f. That it is the issuer's
// is proven by the certificate's signature: the log's own says nothing about it.
func SetIssuer(f *ctwatch.Found, issuer []byte) {
	c := &f.Certificate
	spki, err := entry.SPKI(issuer)
	if err != nil {
		c.Problems = append(c.Problems, "The issuer's certificate cannot be read: "+ctwatch.Printable(err.Error(), 200))
		return
	}
	if err := entry.SignedBy(f.DER, spki); err != nil {
		c.Problems = append(c.Problems, "The issuer is not known: the certificate that the log serves for it does not prove to be: "+ctwatch.Printable(err.Error(), 200))
		return
	}
	c.Issuer.Pin = pins.FromSPKI(spki)
	c.SetPins()
}
