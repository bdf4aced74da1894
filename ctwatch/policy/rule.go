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

// A Rule is what a person wrote about a watched name. All fields but Pattern are optional;
// a rule with none of them is skipped for a less specific one.
type Rule struct {
	// Pattern is what the rule is about: one name (Exact), or a name and all names below it
	// (AllBelow). A watched network has an Exact name of its own (watchlist.Rule.Domain).
	Pattern pins.Pattern
	// Where says where the rule is written, for messages: "example.com in the watch list".
	Where string

	// Issuers are the CAs that may issue; any other is unexpected.
	Issuers []Issuer
	// Keys are authorized in advance. Without Issuers, any other key is unexpected unless
	// it is known. With Issuers, it is not, since these may certify new keys, but it is
	// granted nothing.
	Keys []pins.Pin
	// Algorithms lists the allowed key algorithms: a family ("ECDSA", "RSA"), one kind
	// ("ECDSA P-256", "Ed25519"), or "RSA 3072" for RSA keys of at least 3072 bits. See
	// CheckAlgorithm.
	Algorithms []string
	// MaxValidity is the longest time between notBefore and notAfter. Zero means any.
	MaxValidity time.Duration
	// Wildcards says whether names with a wildcard may be issued; nil means yes.
	Wildcards *bool
	// Never lists names that no certificate may cover. Unlike other fields it applies to
	// all names of all certificates, and to wildcards that cover one of them.
	Never []pins.Pattern
	// CAA checks the issuer against the CAA records of the names, if they are known.
	// Records only forbid: anyone who can change a domain's DNS can obtain certificates
	// that way, and must not be able to make them expected too.
	CAA bool
}

// isSet reports whether the rule requires or allows anything of the names it is about.
func (r *Rule) isSet() bool {
	return len(r.Issuers) > 0 || len(r.Keys) > 0 || len(r.Algorithms) > 0 || r.MaxValidity > 0 || r.Wildcards != nil || r.CAA
}

// clone returns a copy that shares no slices with the rule.
func (r Rule) clone() Rule {
	r.Issuers, r.Keys = slices.Clone(r.Issuers), slices.Clone(r.Keys)
	r.Algorithms, r.Never = slices.Clone(r.Algorithms), slices.Clone(r.Never)
	return r
}

// where returns Where, or what to print without it.
func (r *Rule) where() string { return cmp.Or(r.Where, "a rule of the policy") }

// allowsAlgorithm reports whether the rule allows a key algorithm, as a certificate object
// has it. An unreadable one ("") is not allowed.
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

// CheckAlgorithm returns an error unless s is an algorithm that a rule may name, in any
// case: a misspelled one would make every certificate unexpected.
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

var errAlgorithm = errors.New(`want a family ("ECDSA", "RSA", "Ed25519"), a curve ("ECDSA P-256"), or the minimum size of an RSA key ("RSA 2048")`)
