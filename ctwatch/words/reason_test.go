package words_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// judged is a certificate of a CA that no one knows.
func judged() *ctwatch.Certificate {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return &ctwatch.Certificate{
		NotBefore: at, NotAfter: at.Add(90 * 24 * time.Hour), Names: []string{"a.example.com"},
		Issuer: ctwatch.Issuer{Name: "CN=E7,O=Lab", Pin: pins.FromSPKI([]byte("issuer")), Proven: true},
		Key:    ctwatch.CertificateKey{Algorithm: "RSA 2048", Pin: pins.FromSPKI([]byte("key"))},
	}
}

// The sentence of each code has what the reason and the certificate say.
func TestReason(t *testing.T) {
	const rule = "example.com in the watch list"
	key, issuer, other := judged().Key.Pin.String(), judged().Issuer.Pin.String(), pins.FromSPKI([]byte("other"))
	for name, tt := range map[string]struct {
		reason ctwatch.Reason
		change func(*ctwatch.Certificate)
		want   string
	}{
		"a name never to be issued": {
			ctwatch.Reason{Code: ctwatch.ReasonNameNever, Never: pins.Pattern{Name: "a.example.com"}},
			nil,
			"a.example.com can be used for a.example.com, which must never be issued (" + rule + ").",
		},
		"a compromised key": {ctwatch.Reason{Code: ctwatch.ReasonKeyCompromised}, nil, "The key " + key + " is compromised: anyone who has it can impersonate these names."},
		"another CA": {
			ctwatch.Reason{Code: ctwatch.ReasonIssuerNotAllowed, CAs: []string{"A", "B"}, Allowed: []string{"1", "2", "3", "4", "5", "6", "7"}},
			nil,
			"It was issued by A and B, but only these may issue for a.example.com: 1, 2, 3, 4, 5, 2 more (" + rule + ").",
		},
		"an unknown CA": {
			ctwatch.Reason{Code: ctwatch.ReasonIssuerNotAllowed, Allowed: []string{"ca.example"}},
			nil,
			"It was issued by the CA with the key " + issuer + ", which calls itself “CN=E7,O=Lab”, but only these may issue for a.example.com: ca.example (" + rule + ").",
		},
		"an issuer that is not proven": {
			ctwatch.Reason{Code: ctwatch.ReasonIssuerNotAllowed, Allowed: []string{"ca.example"}},
			func(c *ctwatch.Certificate) { c.Issuer.Proven = false },
			"It was issued by a CA that no signature proves, and which calls itself “CN=E7,O=Lab”, but only these may issue for a.example.com: ca.example (" + rule + ").",
		},
		"two issuers": {
			ctwatch.Reason{Code: ctwatch.ReasonIssuerConflict, CAs: []string{"A"}, OtherIssuers: []pins.Pin{other}},
			nil,
			"Log entries for this certificate name different issuers: A, and the key " + other.String() + ". At most one is true.",
		},
		"a claim of a key": {ctwatch.Reason{Code: ctwatch.ReasonIssuerUnproven}, nil, "The log entry names the key " + issuer + ", which anyone can write;"},
		"a claim of a CA":  {ctwatch.Reason{Code: ctwatch.ReasonIssuerUnproven, CAs: []string{"A"}}, nil, "The log entry names the key of A, which anyone can write;"},
		"a claim of a name": {
			ctwatch.Reason{Code: ctwatch.ReasonIssuerUnproven},
			func(c *ctwatch.Certificate) { c.Issuer = ctwatch.Issuer{} },
			"The log entry calls the issuer nothing, which anyone can write;",
		},
		"another key": {ctwatch.Reason{Code: ctwatch.ReasonKeyNotAllowed}, nil, "The key " + key + " is neither authorized for a.example.com (" + rule + ") nor approved by a person."},
		"a key that cannot be read": {
			ctwatch.Reason{Code: ctwatch.ReasonKeyNotAllowed},
			func(c *ctwatch.Certificate) { c.Key.Pin = pins.Pin{} },
			"The key (unreadable) is neither authorized",
		},
		"CAA records": {
			ctwatch.Reason{Code: ctwatch.ReasonCAAForbids, CAs: []string{"A"}, CAA: ctwatch.CAALimit{Domain: "example.com", DNSSEC: true, Permitted: []string{"b.example", "c.example"}}},
			nil,
			"The CAA records of a.example.com do not permit A to issue: those at example.com (authenticated by DNSSEC) permit b.example, c.example.",
		},
		"CAA records for no CA": {
			ctwatch.Reason{Code: ctwatch.ReasonCAAForbids, CAs: []string{"A"}, CAA: ctwatch.CAALimit{Domain: "example.com"}},
			nil,
			": those at example.com permit no CA.",
		},
		"a critical CAA property": {
			ctwatch.Reason{Code: ctwatch.ReasonCAAForbids, CAs: []string{"A"}, CAA: ctwatch.CAALimit{Domain: "example.com", Critical: "tbs"}},
			nil,
			`: those at example.com have the critical property "tbs", which is unknown.`,
		},
		"a wildcard":   {ctwatch.Reason{Code: ctwatch.ReasonWildcardNotAllowed}, nil, "a.example.com is a wildcard, which is not allowed (" + rule + ")."},
		"an algorithm": {ctwatch.Reason{Code: ctwatch.ReasonAlgorithmNotAllowed, Allowed: []string{"ECDSA"}}, nil, "Its key algorithm, RSA 2048, is not allowed for a.example.com; allowed: ECDSA (" + rule + ")."},
		"a validity":   {ctwatch.Reason{Code: ctwatch.ReasonValidityTooLong, MaxValidity: 36 * time.Hour}, nil, "It is valid for 90 days, longer than the 36h0m0s allowed for a.example.com (" + rule + ")."},
		"an uneven validity": {
			ctwatch.Reason{Code: ctwatch.ReasonValidityTooLong, MaxValidity: 48 * time.Hour},
			func(c *ctwatch.Certificate) { c.NotAfter = c.NotAfter.Add(-time.Second) },
			"It is valid for 89 days and 23h59m59s, longer than the 2 days allowed",
		},
		"no validity":       {ctwatch.Reason{Code: ctwatch.ReasonValidityTooLong}, func(c *ctwatch.Certificate) { c.NotAfter = time.Time{} }, "It is valid for a time that could not be read,"},
		"an unknown issuer": {ctwatch.Reason{Code: ctwatch.ReasonIssuerUnknown}, nil, "so ctwatch cannot tell whether it may issue for a.example.com (" + rule + "). It calls itself “CN=E7,O=Lab”, as anyone can."},
		"an old claim":      {ctwatch.Reason{Code: ctwatch.ReasonIssuerUnknown, CAs: []string{"A"}}, nil, "An earlier version of ctwatch assigned it to A by name only."},
		"no rule":           {ctwatch.Reason{Code: ctwatch.ReasonNoRule}, nil, "No rule says which CA may issue for a.example.com, or which keys it may have."},
		"a listed key":      {ctwatch.Reason{Code: ctwatch.ReasonKeyAuthorized}, nil, "The key " + key + " is authorized for a.example.com (" + rule + ")."},
		"a served key":      {ctwatch.Reason{Code: ctwatch.ReasonKeyServed}, nil, "An endpoint served the key " + key + " for a.example.com before the certificate was seen."},
		"an allowed CA":     {ctwatch.Reason{Code: ctwatch.ReasonIssuerAllowed, CAs: []string{"A"}}, nil, "It was issued by A, which may issue for a.example.com (" + rule + ")."},
		"no CAA records":    {ctwatch.Reason{Code: ctwatch.ReasonCAAUnknown}, nil, "The CAA records of a.example.com could not be looked up."},
		"an unknown code":   {ctwatch.Reason{Code: "new"}, nil, "Its verdict has the reason new."},
	} {
		c := judged()
		if tt.change != nil {
			tt.change(c)
		}
		tt.reason.Name, tt.reason.Names, tt.reason.Rule = "a.example.com", 1, rule
		if got := words.Reason(c, tt.reason); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestReasonCountsNames(t *testing.T) {
	for n, want := range map[int]string{1: "for a.example.com,", 2: "for a.example.com (and one more),", 12: "for a.example.com (and 11 more),"} {
		if got := words.Reason(judged(), ctwatch.Reason{Code: ctwatch.ReasonNoRule, Name: "a.example.com", Names: n}); !strings.Contains(got, want) {
			t.Errorf("%d names: %s", n, got)
		}
	}
	got := words.Reasons(judged(), []ctwatch.Reason{{Code: ctwatch.ReasonNoRule}, {Code: ctwatch.ReasonKeyAuthorized, Name: "a.example.com", Names: 1}})
	if want := "No rule covers any of its names. A person approved the key " + judged().Key.Pin.String() + " for a.example.com."; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// What certificates and records say is printable and bounded in every sentence.
func TestReasonIsPrintable(t *testing.T) {
	evil := "\x1b]0;x\a\u202e\n" + strings.Repeat("x", 10_000)
	c := judged()
	c.Issuer.Name, c.Key.Algorithm = evil, evil
	for _, code := range []string{
		ctwatch.ReasonNameNever, ctwatch.ReasonIssuerNotAllowed, ctwatch.ReasonIssuerConflict, ctwatch.ReasonIssuerUnproven,
		ctwatch.ReasonCAAForbids, ctwatch.ReasonWildcardNotAllowed, ctwatch.ReasonAlgorithmNotAllowed, ctwatch.ReasonIssuerUnknown, evil,
	} {
		got := words.Reason(c, ctwatch.Reason{Code: code, Name: evil, Names: 1, CAA: ctwatch.CAALimit{Domain: evil, Critical: evil, Permitted: []string{evil}}})
		if len(got) > 1000 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.30q: %q", code, got)
		}
	}
}
