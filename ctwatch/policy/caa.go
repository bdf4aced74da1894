package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// A CAAResult is what CAA records say about a domain (RFC 8659).
type CAAResult struct {
	// Found says that there are records, and Domain where: at the domain itself or
	// at the nearest one above it that has any (§3).
	Found  bool   `json:"found"`
	Domain string `json:"domain,omitempty"`
	// Issue and IssueWild are the properties of these tags, in any order.
	Issue     []Permit `json:"issue,omitempty"`
	IssueWild []Permit `json:"issuewild,omitempty"`
	// Critical is a tag that is marked critical and not understood: nobody may issue
	// (§4.1).
	Critical string `json:"critical,omitempty"`

	// DNSSEC says that the resolver marked every answer as authenticated (the AD
	// bit, RFC 4035 §3.2.3). That is worth as much as the way to the resolver.
	DNSSEC bool `json:"dnssec"`
	// TTL is how long the result may be kept, from one minute to a day.
	TTL time.Duration `json:"ttl"`
}

// A Permit is the value of an issue or issuewild property (RFC 8659 §4.2).
type Permit struct {
	// CA is the identity of who may issue, in lower case; "" for nobody, as for
	// ";" and for what breaks the grammar.
	CA string `json:"ca"`
	// Parameters are for the CA to act on, such as accounturi (RFC 8657). They are
	// noted, and not looked at: a certificate does not say which account it is for.
	Parameters []CAAParameter `json:"parameters,omitempty"`
}

// A CAAParameter is one parameter of a Permit.
type CAAParameter struct {
	Tag   string `json:"tag"` // in lower case
	Value string `json:"value"`
}

// EncodeCAA writes the records found for domains as ctwatch.Standing keeps them.
func EncodeCAA(found map[string]CAAResult) string {
	b, _ := json.Marshal(found) // texts and numbers
	return string(b)
}

// decodeCAA reads what EncodeCAA writes; of anything else it knows nothing.
func decodeCAA(records string) (found map[string]CAAResult) {
	_ = json.Unmarshal([]byte(records), &found)
	return found
}

// Forbids reports whether the records forbid a CA that answers to these identities,
// in lower case, to issue for a name, or for a wildcard (RFC 8659 §4.3). Of an
// unknown CA without identities it says whether there is any restriction at all.
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

// relevant returns the properties that decide: for a wildcard those of issuewild, if
// there are any.
func (r CAAResult) relevant(wildcard bool) []Permit {
	if wildcard && len(r.IssueWild) > 0 {
		return r.IssueWild
	}
	return r.Issue
}

// permitted lists the identities of those who may issue.
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

// limit says who may issue by the records.
func (r CAAResult) limit(wildcard bool) ctwatch.CAALimit {
	return ctwatch.CAALimit{Domain: r.Domain, DNSSEC: r.DNSSEC, Critical: r.Critical, Permitted: r.permitted(wildcard)}
}

// add takes in one record of a CAA record set.
func (r *CAAResult) add(flags uint8, tag, value string) {
	const critical = 1 << 7
	r.Found = true
	switch tag := strings.ToLower(tag); tag {
	case "issue":
		r.Issue = append(r.Issue, parsePermit(value))
	case "issuewild":
		r.IssueWild = append(r.IssueWild, parsePermit(value))
	case "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
		// Understood, and no matter of certificates for servers.
	default:
		if flags&critical != 0 && r.Critical == "" {
			r.Critical = tag
		}
	}
}

// maxParameters bounds how many parameters of a Permit are noted.
const maxParameters = 32

// parsePermit reads the value of an issue property. What breaks the grammar of RFC
// 8659 §4.2 permits nobody, as it says there; an empty parameter, such as a last
// semicolon leaves behind, is let pass as CAs do.
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

// trimSpace takes the grammar's white space off a text.
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isIdentity reports whether a text is an issuer-domain-name, in lower case.
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

// isLabel reports whether a text is letters, digits and, inside, hyphens.
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
