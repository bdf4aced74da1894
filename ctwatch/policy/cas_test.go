package policy_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
)

// The built-in table has enough CAs, which rules can name and people can report to.
func TestTableIsSound(t *testing.T) {
	cas := policy.NewCAs()
	all := cas.All()
	if len(all) < 20 {
		t.Errorf("%d CAs, want at least 20", len(all))
	}
	names, identities := make(map[string]bool), make(map[string]string)
	reports := 0
	for _, ca := range all {
		if names[ca.Name] || len(ca.CAA) == 0 || len(ca.Organizations) == 0 {
			t.Errorf("%s is there twice, or has no identity or organization", ca.Name)
		}
		names[ca.Name] = true
		if i, err := policy.ParseIssuer(ca.Name); err != nil || cas.Check(i) != nil {
			t.Errorf("%s cannot be named in a rule: %v", ca.Name, err)
		}
		for _, identity := range ca.CAA {
			if other := identities[identity]; other != "" {
				t.Errorf("%s is of %s and of %s", identity, other, ca.Name)
			}
			identities[identity] = ca.Name
			if i, err := policy.ParseIssuer(identity); err != nil || i.CAA != identity {
				t.Errorf("%s: identity %q is read as %+v, %v", ca.Name, identity, i, err)
			}
		}
		if ca.ReportTo == "" {
			continue
		}
		reports++
		if u, err := url.Parse(ca.ReportTo); err == nil && u.Scheme == "https" && u.Host != "" {
			continue
		}
		if _, err := mail.ParseAddress(ca.ReportTo); err != nil {
			t.Errorf("%s: %q is neither an address nor a URL", ca.Name, ca.ReportTo)
		}
	}
	if reports < 10 {
		t.Errorf("problems can be reported to %d CAs only", reports)
	}
}

// Every mistake in the data of the table is an error, so that a test finds it.
func TestReadTableIsStrict(t *testing.T) {
	const (
		ca   = `{"name": "A", "caa": ["a.example"], "organizations": ["A Inc"]}`
		head = "ca,pin,certificate\n"
		key  = "sha256/C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M="
	)
	for name, tt := range map[string]struct {
		cas, keys string
		want      string // in the error; "" for none
	}{
		"sound":              {"[" + ca + "]", head + "A," + key + ",Root\n", ""},
		"a key without a CA": {"[" + ca + "]", head + "," + key + ",Root\n", ""},
		"not JSON":           {"[", head, "table of CAs: "},
		"unknown member":     {`[{"name": "A", "key": []}]`, head, `unknown field "key"`},
		"keys of its own":    {`[{"name": "A", "caa": ["a.example"], "organizations": ["A"], "keys": []}]`, head, "without keys"},
		"more than a list":   {"[" + ca + "] []", head, "something follows"},
		"no name":            {`[{"caa": ["a.example"], "organizations": ["A"]}]`, head, `"" is not a new name`},
		"a name twice":       {"[" + ca + "," + ca + "]", head, `"A" is not a new name`},
		"no identity":        {`[{"name": "A", "organizations": ["A"]}]`, head, `"A" is not a new name with CAA identities`},
		"no organization":    {`[{"name": "A", "caa": ["a.example"]}]`, head, `"A" is not a new name with CAA identities`},
		"a bad identity":     {`[{"name": "A", "caa": ["A.example"], "organizations": ["A"]}]`, head, `"A.example" is not a new CAA identity`},
		"an identity twice":  {`[{"name": "A", "caa": ["a.example", "a.example"], "organizations": ["A"]}]`, head, `"a.example" is not a new CAA identity`},
		"no header":          {"[" + ca + "]", "A," + key + ",Root\n", "want the columns"},
		"no keys":            {"[" + ca + "]", "", "want the columns"},
		"a line too short":   {"[" + ca + "]", head + "A," + key + "\n", "wrong number of fields"},
		"a bad pin":          {"[" + ca + "]", head + "A,sha256/AAAA,Root\n", `"sha256/AAAA" is not a new pin`},
		"a pin twice":        {"[" + ca + "]", head + "A," + key + ",Root\nA," + key + ",Other\n", "Other: "},
		"an unknown CA":      {"[" + ca + "]", head + "B," + key + ",Root\n", `there is no CA "B"`},
	} {
		table, err := policy.ReadTable([]byte(tt.cas), []byte(tt.keys))
		switch {
		case (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		case err == nil && len(table) != 1:
			t.Errorf("%s: %+v", name, table)
		}
	}
}

// TestTableAgreesWithSystemRoots compares the table's keys with the roots
// that this machine trusts.
func TestTableAgreesWithSystemRoots(t *testing.T) {
	files, _ := filepath.Glob("/usr/share/ca-certificates/mozilla/*.crt")
	if len(files) == 0 {
		t.Skip("no roots in /usr/share/ca-certificates/mozilla: install ca-certificates")
	}
	cas := policy.NewCAs()
	agree := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Logf("%s: %v", f, err)
			continue
		}
		ca, known := owner(cas, pins.FromSPKI(cert.RawSubjectPublicKeyInfo))
		named, ok := cas.Guess(cert.Subject.String())
		switch {
		case !known || !ok:
		case ca != named.Name && cert.Subject.CommonName == "Starfield Services Root Certificate Authority - G2":
		case ca != named.Name:
			t.Errorf("%s is of %s by its key, and of %s by its name", cert.Subject, ca, named.Name)
		default:
			agree++
		}
	}
	if agree < 50 {
		t.Errorf("only %d roots of this machine are in the table", agree)
	}
}

// Guess finds the organization of a distinguished name, and is not fooled by escapes.
func TestGuessReadsOrganizations(t *testing.T) {
	cas := policy.NewCAs()
	for dn, want := range map[string]string{
		"CN=E7,O=Let's Encrypt,C=US":         "Let's Encrypt",
		"C=US,O=let's encrypt+OU=x,CN=E7":    "Let's Encrypt",
		`CN=x,O=DigiCert\, Inc.,C=US`:        "DigiCert",
		`CN=O=Let's Encrypt\,O=x,O=Nobody`:   "",
		`CN=x\,O=Let's Encrypt`:              "",
		"CN=Let's Encrypt":                   "",
		"OU=Let's Encrypt,O=Nobody":          "",
		"O=#0c0d4c6574277320456e6372797074":  "",
		"2.5.4.10=Let's Encrypt":             "Let's Encrypt",
		"":                                   "",
		`O=\`:                                "",
		strings.Repeat("O=x,", 5000) + "O=x": "",
	} {
		got := ""
		if ca, ok := cas.Guess(dn); ok {
			got = ca.Name
		}
		if got != want {
			t.Errorf("%.60q is taken for %q, want %q", dn, got, want)
		}
	}
}

// Issuers are CAA identities, pins or names; anything else is an error.
func TestParseIssuer(t *testing.T) {
	pin := unknownCA.String()
	for s, want := range map[string]policy.Issuer{
		"letsencrypt.org": {CAA: "letsencrypt.org"},
		"PKI.goog":        {CAA: "pki.goog"},
		pin:               {Pin: unknownCA},
		"Let's Encrypt":   {Name: "Let's Encrypt"},
		"SSL.com":         {CAA: "ssl.com"},
		"Sectigo":         {Name: "Sectigo"},
	} {
		if got, err := policy.ParseIssuer(s); err != nil || got != want {
			t.Errorf("%q is read as %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", " ", ".", "https://letsencrypt.org", "ca@example.com", "*.example.com", "CN=E7", "sha256/AAAA", "SHA256/" + pin[7:],
		"sha256/" + strings.Repeat("A", 43) + "=", "a\nb", "\u202eabc", strings.Repeat("a", 254), "letsencrypt.org; accounturi=x", "\xff",
	} {
		if got, err := policy.ParseIssuer(s); err == nil {
			t.Errorf("%q is read as %+v", s, got)
		}
	}
}

// An issuer of a rule that matches no CA is an error,
// which proposes what was probably meant, and says how any other CA is named.
func TestUnknownIssuerNamesNearest(t *testing.T) {
	cas := policy.NewCAs()
	for _, i := range issuers(t, "letsencrypt.org", "LetsEncrypt.ORG", "sectigo", "amazon trust services", unknownCA.String()) {
		if err := cas.Check(i); err != nil {
			t.Error(err)
		}
	}
	for s, want := range map[string]string{
		"Amazon":            `did you mean "Amazon Trust Services" (amazon.com, amazontrust.com)?`,
		"amazontrust.org":   `did you mean amazontrust.com (Amazon Trust Services)?`,
		"letsencrypt.com":   `did you mean "Let's Encrypt" (letsencrypt.org)?`,
		"letsencypt.org":    `did you mean letsencrypt.org (Let's Encrypt)?`,
		"Lets Encrypt":      `did you mean "Let's Encrypt" (letsencrypt.org)?`,
		"ISRG":              `did you mean "Let's Encrypt" (letsencrypt.org)?`,
		"DigiCert Inc":      `did you mean "DigiCert" (digicert.com, geotrust.com)?`,
		"Starfield":         `did you mean`,
		"pki.gooog":         `did you mean pki.goog (Google Trust Services)?`,
		"Sektigo":           `did you mean "Sectigo" (sectigo.com, comodoca.com)?`,
		"d-trust.example":   `did you mean "D-Trust" (d-trust.net, dtrust.de)?`,
		"ca.example.net":    "",
		"Nobody Knows":      "",
		"zz":                "",
		"Ελληνικά":          "",
		"com":               "",
		"a.very.odd.name.x": "",
	} {
		err := cas.Check(issuers(t, s)[0])
		if err == nil {
			t.Errorf("%s passes for a known CA", s)
			continue
		}
		text := err.Error()
		if want == "" && strings.Contains(text, "did you mean") || !strings.Contains(text, want) {
			t.Errorf("%s: %s; want %q", s, text, want)
		}
		for _, always := range []string{"ctwatch cas list", `"sha256/…"`, strconv.Quote(strings.ToLower(s))} {
			if !strings.Contains(strings.ToLower(text), always) {
				t.Errorf("%s: the error lacks %q: %s", s, always, text)
			}
		}
		if strings.Count(text, ", or ") > 4 || len(text) > 600 {
			t.Errorf("%s: %s", s, text)
		}
	}
}

// Only algorithms that a key can have pass.
func TestCheckAlgorithm(t *testing.T) {
	for _, s := range []string{"ECDSA", "ecdsa p-256", "ECDSA P-521", "RSA", "RSA 2048", "Ed25519"} {
		if err := policy.CheckAlgorithm(s); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []string{"", "EC", "ECDSA P256", "RSA 12", "RSA many", "Ed25519 1", "rsa2048", "ECDSA "} {
		if policy.CheckAlgorithm(s) == nil {
			t.Errorf("%q passes", s)
		}
	}
}

func FuzzParseIssuer(f *testing.F) {
	for _, s := range []string{"letsencrypt.org", unknownCA.String(), "Let's Encrypt", "sha256/", "a b", "..", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := policy.ParseIssuer(s)
		if err != nil {
			return
		}
		if again, err := policy.ParseIssuer(i.String()); err != nil || again != i {
			t.Errorf("%q is read as %+v, written as %q, and read as %+v, %v", s, i, i, again, err)
		}
	})
}
