package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins"
)

// A Rule is what a person wrote about a watched name. Every field but Pattern is
// optional, and a rule with none of them is passed over for a less specific one.
type Rule struct {
	// Pattern is whom the rule is about: one name (Exact), or a name and all below
	// it (AllBelow). The subject of a watched network (watchlist.Rule.Domain) is an
	// Exact one.
	Pattern pins.Pattern
	// Where says where the rule stands, for messages: "example.com in the
	// configuration".
	Where string

	// Issuers are the CAs that may issue; any other is unexpected.
	Issuers []Issuer
	// Keys were authorised before anything was issued for them. Without Issuers any
	// other key is unexpected, unless it is known; with them it is not, since they
	// say who may certify new ones, but it is granted nothing.
	Keys []pins.Pin
	// Algorithms are those that keys may have: a family ("ECDSA", "RSA"), one kind
	// ("ECDSA P-256", "Ed25519"), or "RSA 3072" for RSA keys of at least so many
	// bits. See CheckAlgorithm.
	Algorithms []string
	// MaxValidity is the longest time between notBefore and notAfter. Zero means any.
	MaxValidity time.Duration
	// Wildcards says whether names with a wildcard may be issued; nil means yes.
	Wildcards *bool
	// Never are names that no certificate may be usable for: in any rule they forbid
	// for all names, and for the wildcards that stand for one of them.
	Never []pins.Pattern
	// CAA compares the certificate with the CAA records of its names, as far as
	// they are known. Records only ever forbid: whoever can alter a domain's DNS
	// obtains certificates by that, and must not be able to bless them too.
	CAA bool
}

// speaks reports whether the rule demands or allows anything of the names it is
// about.
func (r *Rule) speaks() bool {
	return len(r.Issuers) > 0 || len(r.Keys) > 0 || len(r.Algorithms) > 0 || r.MaxValidity > 0 || r.Wildcards != nil || r.CAA
}

// clone copies what the caller may change later.
func (r Rule) clone() Rule {
	r.Issuers, r.Keys = slices.Clone(r.Issuers), slices.Clone(r.Keys)
	r.Algorithms, r.Never = slices.Clone(r.Algorithms), slices.Clone(r.Never)
	return r
}

// where says where the rule is written.
func (r *Rule) where() string { return cmp.Or(r.Where, "a rule of the policy") }

// allowsAlgorithm reports whether a key's algorithm, in the words of a certificate
// object, is among those of the rule. One that could not be read is not.
func (r *Rule) allowsAlgorithm(algorithm string) bool {
	if len(r.Algorithms) == 0 {
		return true
	}
	family, kind, _ := strings.Cut(algorithm, " ")
	for _, want := range r.Algorithms {
		wantFamily, wantKind, _ := strings.Cut(want, " ")
		if family == "" || !strings.EqualFold(family, wantFamily) {
			continue
		}
		if wantKind == "" || strings.EqualFold(kind, wantKind) {
			return true
		}
		if strings.EqualFold(family, "RSA") {
			bits, err := strconv.Atoi(kind)
			least, wantErr := strconv.Atoi(wantKind)
			if err == nil && wantErr == nil && bits >= least {
				return true
			}
		}
	}
	return false
}

// CheckAlgorithm returns an error unless a text is an algorithm that a rule may
// name: a misspelt one would make every certificate unexpected. Case does not matter.
func CheckAlgorithm(s string) error {
	family, kind, given := strings.Cut(strings.ToLower(s), " ")
	ok := false
	switch family {
	case "ecdsa":
		ok = !given || kind == "p-224" || kind == "p-256" || kind == "p-384" || kind == "p-521"
	case "rsa":
		bits, err := strconv.Atoi(kind)
		ok = !given || err == nil && bits >= 1024 && bits <= 16384
	case "ed25519", "ed448":
		ok = !given
	}
	if !ok {
		return fmt.Errorf("algorithm %.40q: %w", s, errAlgorithm)
	}
	return nil
}

var errAlgorithm = errors.New(`want a family ("ECDSA", "RSA", "Ed25519"), a curve ("ECDSA P-256"), or the fewest bits of an RSA key ("RSA 2048")`)
