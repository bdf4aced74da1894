package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// A CAAResult is what the CAA records of a domain say (RFC 8659).
type CAAResult struct {
	// Found reports whether there are records. Domain is where they are: at the domain
	// itself or at the nearest one above that has any (§3).
	Found  bool   `json:"found"`
	Domain string `json:"domain,omitempty"`
	// Issue and IssueWild are the properties with these tags, in any order.
	Issue     []Permit `json:"issue,omitempty"`
	IssueWild []Permit `json:"issuewild,omitempty"`
	// Critical is a tag that is marked critical and is not understood: no CA may issue
	// (§4.1).
	Critical string `json:"critical,omitempty"`

	// DNSSEC reports whether the resolver marked all answers as authenticated (the AD bit,
	// RFC 4035 §3.2.3). It can be trusted as far as the connection to the resolver.
	DNSSEC bool `json:"dnssec"`
	// TTL is how long the result may be cached, from a minute to a day.
	TTL time.Duration `json:"ttl"`
}

// A Permit is the value of an issue or issuewild property (RFC 8659 §4.2).
type Permit struct {
	// CA is the identity of the CA that may issue, in lower case; "" for none, as in ";"
	// and in values with bad syntax.
	CA string `json:"ca"`
	// Parameters are for the CA, such as accounturi (RFC 8657). They are not checked: a
	// certificate does not say which account it is for.
	Parameters []CAAParameter `json:"parameters,omitempty"`
}

// A CAAParameter is one parameter of a Permit.
type CAAParameter struct {
	Tag   string `json:"tag"` // in lower case
	Value string `json:"value"`
}

// EncodeCAA encodes the records of domains for ctwatch.Standing and ctwatch.CAARecords.
func EncodeCAA(found map[string]CAAResult) string {
	b, _ := json.Marshal(found) // texts and numbers
	return string(b)
}

// decodeCAA decodes what EncodeCAA returns; anything else has no records.
func decodeCAA(records string) (found map[string]CAAResult) {
	_ = json.Unmarshal([]byte(records), &found)
	return found
}

// Forbids reports whether the records forbid a CA with these identities, in lower case, to
// issue for a name or, with wildcard, for a wildcard (RFC 8659 §4.3). Without identities it
// reports whether there is any restriction.
func (r CAAResult) Forbids(identities []string, wildcard bool) bool {
	if !r.Found {
		return false
	}
	if r.Critical != "" {
		return true
	}
	permits := r.relevant(wildcard)
	return len(permits) > 0 && !slices.ContainsFunc(permits, func(p Permit) bool {
		return p.CA != "" && slices.Contains(identities, p.CA)
	})
}

// relevant returns the properties that apply: to a wildcard those of issuewild, if any.
func (r CAAResult) relevant(wildcard bool) []Permit {
	if wildcard && len(r.IssueWild) > 0 {
		return r.IssueWild
	}
	return r.Issue
}

// permitted returns the identities of the CAs that may issue.
func (r CAAResult) permitted(wildcard bool) (out []string) {
	if r.Critical != "" {
		return nil
	}
	for _, p := range r.relevant(wildcard) {
		if p.CA != "" && !slices.Contains(out, p.CA) {
			out = append(out, p.CA)
		}
	}
	return out
}

// limit returns which CAs may issue, as data for a reason.
func (r CAAResult) limit(wildcard bool) ctwatch.CAALimit {
	return ctwatch.CAALimit{Domain: r.Domain, DNSSEC: r.DNSSEC, Critical: r.Critical, Permitted: r.permitted(wildcard)}
}

// add adds one record of a CAA record set.
func (r *CAAResult) add(flags uint8, tag, value string) {
	const critical = 1 << 7
	r.Found = true
	switch tag := strings.ToLower(tag); tag {
	case "issue":
		r.Issue = append(r.Issue, parsePermit(value))
	case "issuewild":
		r.IssueWild = append(r.IssueWild, parsePermit(value))
	case "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
		// Known, and irrelevant for server certificates.
	default:
		if flags&critical != 0 && r.Critical == "" {
			r.Critical = tag
		}
	}
}

// maxParameters is how many parameters of a Permit are kept.
const maxParameters = 32

// parsePermit parses the value of an issue property. A value with bad syntax permits no CA
// (RFC 8659 §4.2). An empty parameter, as after a trailing semicolon, is accepted as CAs
// do.
func parsePermit(value string) Permit {
	ca, rest, _ := strings.Cut(value, ";")
	p := Permit{CA: strings.ToLower(trimSpace(ca))}
	if p.CA != "" && !isIdentity(p.CA) {
		return Permit{}
	}
	for rest != "" {
		var parameter string
		parameter, rest, _ = strings.Cut(rest, ";")
		if parameter = trimSpace(parameter); parameter == "" {
			continue
		}
		tag, v, ok := strings.Cut(parameter, "=")
		tag, v = strings.ToLower(trimSpace(tag)), trimSpace(v)
		if !ok || !isLabel(tag) || strings.ContainsFunc(v, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
			return Permit{}
		}
		if len(p.Parameters) < maxParameters {
			p.Parameters = append(p.Parameters, CAAParameter{tag, v})
		}
	}
	return p
}

// trimSpace trims the grammar's white space.
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isIdentity reports whether s is an issuer-domain-name in lower case.
func isIdentity(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s consists of letters, digits and, inside, hyphens.
func isLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
