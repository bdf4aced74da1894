package words

import (
	"fmt"
	"strings"
	"time"

	"ctwatch/ctwatch"
)

// maxQuote is how many characters are quoted of what a certificate or a record says.
const maxQuote = 100

// Reasons writes the reasons for a verdict on a certificate as sentences.
func Reasons(c *ctwatch.Certificate, reasons []ctwatch.Reason) string {
	var out []string
	for _, r := range reasons {
		out = append(out, Reason(c, r))
	}
	return strings.Join(out, " ")
}

// Reason writes a reason for a verdict on a certificate as a sentence.
func Reason(c *ctwatch.Certificate, r ctwatch.Reason) string {
	names, key := reasonNames(r), certificateKey(c)
	switch r.Code {
	case ctwatch.ReasonNameNever:
		return fmt.Sprintf("%s can be used for %s, which must never be issued (%s).", names, r.Never, r.Rule)
	case ctwatch.ReasonKeyCompromised:
		return fmt.Sprintf("The key %s is compromised: anyone who has it can impersonate these names.", key)
	case ctwatch.ReasonIssuerNotAllowed:
		return fmt.Sprintf("It was issued by %s, but only these may issue for %s: %s (%s).", issuer(c, r.CAs), names, upTo(5, r.Allowed), r.Rule)
	case ctwatch.ReasonIssuerConflict:
		return fmt.Sprintf("Log entries for this certificate name different issuers: %s, and the key %s. At most one is true.", issuer(c, r.CAs), otherIssuers(r))
	case ctwatch.ReasonIssuerUnproven:
		return fmt.Sprintf("No CA's signature proves who issued it, so ctwatch cannot tell whether that CA may issue for %s (%s). The log entry %s, which anyone can write; it is read again until its issuer is proven.", names, r.Rule, claim(c, r.CAs))
	case ctwatch.ReasonKeyNotAllowed:
		return fmt.Sprintf("The key %s is neither authorized for %s (%s) nor approved by a person.", key, names, r.Rule)
	case ctwatch.ReasonCAAForbids:
		return fmt.Sprintf("The CAA records of %s do not permit %s to issue: %s.", names, issuer(c, r.CAs), caaLimit(r.CAA))
	case ctwatch.ReasonWildcardNotAllowed:
		return fmt.Sprintf("%s is a wildcard, which is not allowed (%s).", names, r.Rule)
	case ctwatch.ReasonAlgorithmNotAllowed:
		algorithm := "which could not be read"
		if c.Key.Algorithm != "" {
			algorithm = ctwatch.Printable(c.Key.Algorithm, maxQuote)
		}
		return fmt.Sprintf("Its key algorithm, %s, is not allowed for %s; allowed: %s (%s).", algorithm, names, strings.Join(r.Allowed, ", "), r.Rule)
	case ctwatch.ReasonValidityTooLong:
		return fmt.Sprintf("It is valid for %s, longer than the %s allowed for %s (%s).", validity(c), days(r.MaxValidity), names, r.Rule)
	case ctwatch.ReasonIssuerUnknown:
		if len(r.CAs) > 0 {
			return fmt.Sprintf("No chain has shown yet which CA certified the issuer's key, so ctwatch cannot tell whether it may issue for %s (%s). An earlier version of ctwatch assigned it to %s by name only. Log entries with their chains are read again to settle this.", names, r.Rule, List(r.CAs))
		}
		return fmt.Sprintf("The issuer's key is unknown, so ctwatch cannot tell whether it may issue for %s (%s). It calls itself %s, as anyone can.", names, r.Rule, issuerName(c))
	case ctwatch.ReasonNoRule:
		if r.Name == "" {
			return "No rule covers any of its names."
		}
		return fmt.Sprintf("No rule says which CA may issue for %s, or which keys it may have.", names)
	case ctwatch.ReasonKeyAuthorized:
		if r.Rule == "" {
			return fmt.Sprintf("A person approved the key %s for %s.", key, names)
		}
		return fmt.Sprintf("The key %s is authorized for %s (%s).", key, names, r.Rule)
	case ctwatch.ReasonKeyServed:
		return fmt.Sprintf("An endpoint served the key %s for %s before the certificate was seen.", key, names)
	case ctwatch.ReasonIssuerAllowed:
		return fmt.Sprintf("It was issued by %s, which may issue for %s (%s).", issuer(c, r.CAs), names, r.Rule)
	case ctwatch.ReasonCAAUnknown:
		return fmt.Sprintf("The CAA records of %s could not be looked up.", names)
	}
	return "Its verdict has the reason " + ctwatch.Printable(r.Code, maxQuote) + "."
}

// reasonNames quotes the first name that a reason concerns, and counts the others.
func reasonNames(r ctwatch.Reason) string {
	name := ctwatch.Printable(r.Name, maxQuote)
	switch {
	case r.Names > 2:
		return fmt.Sprintf("%s (and %d more)", name, r.Names-1)
	case r.Names == 2:
		return name + " (and one more)"
	}
	return name
}

func certificateKey(c *ctwatch.Certificate) string {
	if c.Key.Pin.IsZero() {
		return "(unreadable)"
	}
	return c.Key.Pin.String()
}

// issuerName quotes what the certificate says of its issuer.
func issuerName(c *ctwatch.Certificate) string {
	if c.Issuer.Name == "" {
		return "nothing"
	}
	return "“" + ctwatch.Printable(c.Issuer.Name, maxQuote) + "”"
}

// issuer says who issued, as far as the key shows.
func issuer(c *ctwatch.Certificate, cas []string) string {
	switch {
	case len(cas) > 0:
		return List(cas)
	case !c.Issuer.Proven:
		return "a CA that no signature proves, and which calls itself " + issuerName(c)
	}
	return fmt.Sprintf("the CA with the key %s, which calls itself %s", c.Issuer.Pin, issuerName(c))
}

// claim says what a log entry says of its issuer.
func claim(c *ctwatch.Certificate, cas []string) string {
	switch {
	case c.Issuer.Pin.IsZero():
		return "calls the issuer " + issuerName(c)
	case len(cas) > 0:
		return "names the key of " + List(cas)
	}
	return fmt.Sprintf("names the key %s", c.Issuer.Pin)
}

func otherIssuers(r ctwatch.Reason) string {
	var keys []string
	for _, p := range r.OtherIssuers {
		keys = append(keys, p.String())
	}
	return upTo(3, keys)
}

// upTo lists the first words, and how many more there are.
func upTo(most int, words []string) string {
	if n := len(words) - most; n > 0 {
		return fmt.Sprintf("%s, %d more", strings.Join(words[:most], ", "), n)
	}
	return strings.Join(words, ", ")
}

// caaLimit says who may issue by the records that forbid.
func caaLimit(l ctwatch.CAALimit) string {
	at := ctwatch.Printable(l.Domain, maxQuote)
	if l.DNSSEC {
		at += " (authenticated by DNSSEC)"
	}
	switch {
	case l.Critical != "":
		return fmt.Sprintf("those at %s have the critical property %q, which is unknown", at, ctwatch.Printable(l.Critical, 20))
	case len(l.Permitted) == 0:
		return fmt.Sprintf("those at %s permit no CA", at)
	}
	return fmt.Sprintf("those at %s permit %s", at, ctwatch.Printable(upTo(5, l.Permitted), 3*maxQuote))
}

func validity(c *ctwatch.Certificate) string {
	if c.NotBefore.IsZero() || c.NotAfter.IsZero() {
		return "a time that could not be read"
	}
	return days(c.NotAfter.Sub(c.NotBefore))
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
