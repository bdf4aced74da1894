package policy

import (
	"fmt"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// maxText is how many characters are quoted of what a certificate says.
const maxText = 100

// detail writes a reason as a sentence for a person.
func (j *judging) detail(c code, f *finding) string {
	name := ctwatch.Printable(f.name, maxText) + f.others()
	rule := rule(f.where)
	switch c {
	case nameNever:
		return fmt.Sprintf("%s can be used for %s, which is never to be issued (%s).", name, f.more, rule)
	case keyCompromised:
		return fmt.Sprintf("The key %s is compromised: whoever took it can pose as these names.", j.key())
	case issuerNotAllowed:
		return fmt.Sprintf("It was issued by %s, which is not among those that may issue for %s: %s (%s).", j.issuerWords(), name, f.rule.issuerList(), rule)
	case issuerConflict:
		return fmt.Sprintf("Log entries with this same certificate name different issuers: %s, and %s. At most one of them can be true.", j.issuerWords(), j.otherIssuers())
	case issuerUnproven:
		return fmt.Sprintf("No CA's signature proves who issued it, so it is not known whether that CA may issue for %s (%s). The log entry %s, which anyone can write; the entry is read again until its issuer is proven.", name, rule, j.claimed())
	case keyNotAllowed:
		return fmt.Sprintf("The key %s is not among those authorised for %s (%s), and nobody approved it.", j.key(), name, rule)
	case caaForbids:
		return fmt.Sprintf("The CAA records of %s do not permit %s to issue: %s.", name, j.issuerWords(), f.more)
	case wildcardNotAllowed:
		return fmt.Sprintf("%s has a wildcard, which is not allowed (%s).", name, rule)
	case algorithmNotAllowed:
		return fmt.Sprintf("The key's algorithm, %s, is not allowed for %s: %s (%s).", orUnread(j.c.Key.Algorithm), name, strings.Join(f.rule.Algorithms, ", "), rule)
	case validityTooLong:
		return fmt.Sprintf("It is valid for %s, longer than the %s allowed for %s (%s).", j.validity(), days(f.rule.MaxValidity), name, rule)
	case issuerUnknown:
		if ca, ok := j.guess(); ok && j.c.Issuer.Proven {
			return fmt.Sprintf("No chain has shown yet who certified the issuer's key, so nobody can say whether it may issue for %s (%s). An earlier version of ctwatch took it for %s's by name only. Log entries with their chains are read again to settle this.", name, rule, ca.Name)
		}
		return fmt.Sprintf("The issuer's key is not known, so it cannot be told whether it may issue for %s (%s). It calls itself %s, as anybody can.", name, rule, j.issuerName())
	case noRule:
		if f.name == "" {
			return "No rule is about any of its names."
		}
		return fmt.Sprintf("No rule says which CA may issue for %s, or which keys it may have.", name)
	case keyAuthorized:
		if f.rule != nil {
			return fmt.Sprintf("The key %s is authorised for %s (%s).", j.key(), name, rule)
		}
		return fmt.Sprintf("A person approved the key %s for %s.", j.key(), name)
	case keyServed:
		return fmt.Sprintf("An endpoint served the key %[2]s for %[1]s before the certificate was seen.", name, j.key())
	case issuerAllowed:
		return fmt.Sprintf("It was issued by %s, which may issue for %s (%s).", j.issuerWords(), name, rule)
	case caaUnknown:
		return fmt.Sprintf("The CAA records of %s could not be asked for.", name)
	}
	return ""
}

// rule says where a rule stands.
func rule(where string) string {
	if where == "" {
		return "a rule of the policy"
	}
	return where
}

func (j *judging) key() string {
	if j.c.Key.Pin.IsZero() {
		return "(unreadable)"
	}
	return j.c.Key.Pin.String()
}

// issuerName quotes what the certificate says of its issuer.
func (j *judging) issuerName() string {
	if j.c.Issuer.Name == "" {
		return "nothing"
	}
	return "“" + ctwatch.Printable(j.c.Issuer.Name, maxText) + "”"
}

// issuerWords says who issued, as far as the key tells.
func (j *judging) issuerWords() string {
	if len(j.issuers) > 0 {
		return caNames(j.issuers)
	}
	if !j.c.Issuer.Proven {
		return "a CA that no signature proves, and which calls itself " + j.issuerName()
	}
	return fmt.Sprintf("the CA with the key %s, which calls itself %s", j.c.Issuer.Pin, j.issuerName())
}

// claimed says what an entry says of its issuer.
func (j *judging) claimed() string {
	if j.c.Issuer.Pin.IsZero() {
		return "calls the issuer " + j.issuerName()
	}
	if len(j.owners) > 0 {
		return "names the key of " + caNames(j.owners)
	}
	return fmt.Sprintf("names the key %s", j.c.Issuer.Pin)
}

// otherIssuers lists the other keys that are named.
func (j *judging) otherIssuers() string {
	const most = 3
	var out []string
	for _, p := range j.known.OtherIssuers[:min(most, len(j.known.OtherIssuers))] {
		out = append(out, "the key "+p.String())
	}
	if n := len(j.known.OtherIssuers) - most; n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	return strings.Join(out, ", ")
}

// caNames lists the CAs that vouch for a key; "" if there are none.
func caNames(cas []*CA) string {
	var names []string
	for _, ca := range cas {
		names = append(names, ca.Name)
	}
	return strings.Join(names, " and ")
}

func (j *judging) validity() string {
	if j.c.NotBefore.IsZero() || j.c.NotAfter.IsZero() {
		return "a time that could not be read"
	}
	return days(j.c.NotAfter.Sub(j.c.NotBefore))
}

func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.String()
	}
	whole := fmt.Sprintf("%d days", d/day)
	if rest := d % day; rest != 0 {
		return fmt.Sprintf("%s and %s", whole, rest)
	}
	return whole
}

func orUnread(s string) string {
	if s == "" {
		return "which could not be read"
	}
	return ctwatch.Printable(s, maxText)
}
