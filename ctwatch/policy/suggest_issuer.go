package policy

import (
	"slices"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// Approve takes in that a key is approved for some host, by any certificate, rule or
// person: who certifies it without an allowed issuer is not suggested. It is called before
// Add.
func (s *Suggestions) Approve(key pins.Pin) { s.approved[key] = true }

// Reject takes in a certificate that a person rejected, whose issuer is then suggested by
// no way of naming it: neither the key, nor a CA that vouches for the key. Nor is its own
// key. It is called before Add.
//
// An issuer that is not proven may be anyone: it is not held against the CA that the log
// entry names.
func (s *Suggestions) Reject(c *ctwatch.Certificate) {
	if !c.Key.Pin.IsZero() {
		s.rejected.key[c.Key.Pin] = c
	}
	if !c.Issuer.Proven {
		return
	}
	s.rejected.issuer[c.Issuer.Pin] = c
	for _, ca := range s.p.cas.Of(c) {
		s.rejected.cas[ca] = c
	}
}

// rejects returns a certificate that a person rejected, of the same issuing key as another
// one or of one of its CAs; nil if there is none.
func (s *Suggestions) rejects(c *ctwatch.Certificate, cas []*CA) *ctwatch.Certificate {
	if !c.Issuer.Proven {
		return nil
	}
	if bad := s.rejected.issuer[c.Issuer.Pin]; bad != nil {
		return bad
	}
	for _, ca := range cas {
		if bad := s.rejected.cas[ca]; bad != nil {
			return bad
		}
	}
	return nil
}

// issuerNames says who issued: the CAs by whom its key is known, or else a claim.
func (s *suggestion) issuerNames() string { return words.IssuerNames(s.c, caNames(s.issuers)) }

// name remembers who an issuer is that is suggested. One key may have many names.
func (s *Suggestions) name(i Issuer, who string) {
	const most = 3
	if list := s.names[i]; len(list) < most && !slices.Contains(list, who) {
		s.names[i] = append(list, who)
	}
}
