package words

import (
	"fmt"
	"strconv"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// NotByRules says why a suggested rule cannot make a certificate expected: another reason
// stands against it, or its issuer is not known yet.
func NotByRules(c *ctwatch.Certificate, r ctwatch.Reason) string {
	if r.Code == ctwatch.ReasonIssuerUnknown || r.Code == ctwatch.ReasonIssuerUnproven {
		return "Judged again when the issuer is known: " + Reason(c, r)
	}
	return "No rule below changes this: " + Reason(c, r)
}

// IssuedWithoutYou warns of a certificate for a key of ours whose issuer, one of these CAs
// or an unknown one, no rule allows.
func IssuedWithoutYou(c *ctwatch.Certificate, cas []string) string {
	return fmt.Sprintf("Certificate %s, by %s: if its key %s is yours, it was issued for the key without you. Keep the pin, reject the certificate.",
		ShortID(c.ID.String()), issuer(c, cas), c.Key.Pin)
}

// IssuerNotSuggested says that an issuer is left out since a person rejected a certificate
// of it.
func IssuerNotSuggested(as, who string, rejected *ctwatch.Certificate) string {
	return fmt.Sprintf("Not suggested: %s (%s). A person rejected certificate %s, which this CA issued, too.", as, who, ShortID(rejected.ID.String()))
}

// KeyNotSuggested says that a key is left out since a person rejected a certificate of it.
func KeyNotSuggested(key pins.Pin, rejected *ctwatch.Certificate) string {
	return fmt.Sprintf("Not suggested: the key %s. A person rejected certificate %s, which has it, too.", key, ShortID(rejected.ID.String()))
}

// IssuerNames says who issued a certificate: the CAs that have its key, or else what the
// issuer calls itself, marked as a claim.
func IssuerNames(c *ctwatch.Certificate, cas []string) string {
	if len(cas) > 0 {
		return List(cas)
	}
	return "unknown CA, calls itself " + claimedName(c.Issuer.Name) + ": verify before trusting"
}

// claimedName quotes the organization and the common name of a distinguished name, which
// anyone can write.
func claimedName(dn string) string {
	var parts []string
	for _, a := range []struct{ name, oid string }{{"O", "2.5.4.10"}, {"CN", "2.5.4.3"}} {
		if values := ctwatch.DNValues(dn, a.name, a.oid); len(values) > 0 {
			parts = append(parts, a.name+"="+quoteClaim(values[0]))
		}
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ", ")
	case dn == "":
		return "nothing"
	}
	return quoteClaim(dn)
}

// quoteClaim quotes text that others chose: nothing in it ends the quotation.
func quoteClaim(s string) string {
	const most = 60 // characters of each part
	return strconv.Quote(ctwatch.ShownText(s, most))
}
