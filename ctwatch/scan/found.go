package scan

import (
	"bytes"
	"crypto/sha256"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
)

// found describes a matching entry in full, in memory of its own.
func (s *Scanner) found(e *ctlog.Entry, tbs []byte, leaf ctwatch.Hash) ctwatch.Found {
	_, without, err := entry.Identity(tbs)
	if err != nil {
		without = tbs
	}
	f := ctwatch.Found{Certificate: entry.Describe(tbs), LeafHash: leaf, TBS: bytes.Clone(without)}
	c := &f.Certificate
	c.Verdict = ctwatch.Unreviewed
	c.Matches = s.matches(c.Names, tbs)
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
	return f
}

// matches lists what the certificate matches. An entry is here because a name as
// it stands in the certificate matched; should its canonical form not, the name
// as it stands is what matches.
func (s *Scanner) matches(names []string, tbs []byte) []ctwatch.Match {
	if m := s.List.Matches(names); len(m) > 0 {
		return m
	}
	var raw []string
	_ = entry.Names(tbs, func(name []byte) {
		if s.List.MatchName(name) {
			raw = append(raw, string(name))
		}
	})
	return s.List.Matches(raw)
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
