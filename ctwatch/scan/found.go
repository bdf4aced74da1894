package scan

import (
	"bytes"
	"crypto/sha256"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// found describes an entry in full, in memory of its own, if it matches: what
// made it a suspect may have been a guess about a name too odd to be looked up.
func (s *Scanner) found(e *ctlog.Entry, tbs []byte, leaf ctwatch.Hash) (f ctwatch.Found, ok bool) {
	cert := entry.Describe(tbs)
	if cert.Matches = s.matches(cert.Names, tbs); len(cert.Matches) == 0 {
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
		if extra.Precert != nil {
			f.DER = bytes.Clone(extra.Precert)
			sum := ctwatch.Hash(sha256.Sum256(f.DER))
			c.Fingerprints.Precertificate = &sum
		}
	} else {
		f.DER = bytes.Clone(e.DER)
		sum := ctwatch.Hash(sha256.Sum256(f.DER))
		c.Fingerprints.Certificate = &sum
		f.IssuerFingerprint = extra.IssuerFingerprint
		if extra.Issuer != nil {
			SetIssuer(&f, extra.Issuer)
		}
	}
	c.Sightings = []ctwatch.Sighting{sighting}
	c.SetPins()
	return f, true
}

// matches lists what the certificate matches: by its names as they are told, or
// else, where those leave something out, by every name that stands in it.
func (s *Scanner) matches(names []string, tbs []byte) []ctwatch.Match {
	if m := s.List.Matches(names); len(m) > 0 {
		return m
	}
	var all []string
	_ = entry.Names(tbs, func(name []byte) { // what it could not read was reported already
		entry.Candidates(name, func(c []byte) { all = append(all, string(c)) })
	})
	return s.List.Matches(all)
}

// SetIssuer takes the issuer's pin from the issuer's certificate in DER.
func SetIssuer(f *ctwatch.Found, issuer []byte) {
	c := &f.Certificate
	spki, err := entry.SPKI(issuer)
	if err != nil {
		c.Problems = append(c.Problems, "The issuer's certificate cannot be read: "+ctwatch.Printable(err.Error(), 200))
		return
	}
	c.Issuer.Pin = pins.FromSPKI(spki)
	c.SetPins()
}
