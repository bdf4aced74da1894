package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ctwatch/ctwatch/policy"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
)

func TestTheTableIsSound(t *testing.T) {
	cas := policy.NewCAs()
	all := cas.All()
	if len(all) < 20 {
		t.Errorf("%d CAs, want at least 20", len(all))
	}
	names, identities := make(map[string]bool), make(map[string]string)
	reports := 0
	for _, ca := range all {
		if names[ca.Name] || len(ca.CAA) == 0 || len(ca.Organizations) == 0 {
			t.Errorf("%s is there twice, or has no identity or organisation", ca.Name)
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
		if ca.Report == "" {
			continue
		}
		reports++
		if u, err := url.Parse(ca.Report); err == nil && u.Scheme == "https" && u.Host != "" {
			continue
		}
		if _, err := mail.ParseAddress(ca.Report); err != nil {
			t.Errorf("%s: %q is neither an address nor a URL", ca.Name, ca.Report)
		}
	}
	if reports < 10 {
		t.Errorf("problems can be reported to %d CAs only", reports)
	}
	if bad := policy.BadKeys(); len(bad) > 0 {
		t.Errorf("these keys are no SHA-256, or there twice: %q", bad)
	}
}

// TestTheTableAgreesWithTheRootsOfTheSystem holds the table's keys against the roots
// that this machine trusts.
func TestTheTableAgreesWithTheRootsOfTheSystem(t *testing.T) {
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
		ca, known := cas.Of(pins.FromSPKI(cert.RawSubjectPublicKeyInfo))
		named, ok := cas.Guess(cert.Subject.String())
		switch {
		case !known || !ok:
		case ca != named && cert.Subject.CommonName == "Starfield Services Root Certificate Authority - G2":
		case ca != named:
			t.Errorf("%s is of %s by its key, and of %s by its name", cert.Subject, ca.Name, named.Name)
		default:
			agree++
		}
	}
	if agree < 50 {
		t.Errorf("only %d roots of this machine are in the table", agree)
	}
}

func TestOrganisationsAreReadFromNamesAsWritten(t *testing.T) {
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

func TestIssuersAreReadAsPeopleWriteThem(t *testing.T) {
	pin := nobody.String()
	for s, want := range map[string]policy.Issuer{
		"letsencrypt.org": {CAA: "letsencrypt.org"},
		"PKI.goog":        {CAA: "pki.goog"},
		pin:               {Pin: nobody},
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

func TestAnIssuerThatCannotBeMetIsFoundOut(t *testing.T) {
	cas := policy.NewCAs()
	for _, i := range issuers(t, "letsencrypt.org", "sectigo", nobody.String()) {
		if err := cas.Check(i); err != nil {
			t.Error(err)
		}
	}
	for _, i := range issuers(t, "ca.example.net", "Nobody Knows") {
		if cas.Check(i) == nil {
			t.Errorf("%s passes for a known CA", i)
		}
	}
}

func TestAlgorithmsAreChecked(t *testing.T) {
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

// A ca is a certification authority of a test.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (c ca) pin() pins.Pin { return pins.FromSPKI(c.cert.RawSubjectPublicKeyInfo) }

// sign issues a certificate; a root signs itself.
func sign(t *testing.T, by *ca, organization string, change func(*x509.Certificate)) ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{organization}, CommonName: "CA of " + organization},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	self := ca{template, key}
	if by == nil {
		by = &self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if self.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self
}

// knowing returns CAs that know a key of ours to be a CA's, as if it stood in the
// table.
func knowing(root ca, name string) *policy.CAs {
	cas := policy.NewCAs()
	cas.Restore(policy.Learned{Pin: root.pin(), CA: name})
	return cas
}

func TestKeysAreLearnedLinkByLinkFromAKnownRoot(t *testing.T) {
	root := sign(t, nil, "Root Operator", nil)
	middle := sign(t, &root, "Root Operator", nil)
	issuing := sign(t, &middle, "Unheard Of", nil)
	cas := knowing(root, "Sectigo")
	got := cas.Learn(issuing.cert.Raw, root.cert.Raw, middle.cert.Raw)
	want := []policy.Learned{{Pin: middle.pin(), CA: "Sectigo"}, {Pin: issuing.pin(), CA: "Sectigo"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if ca, ok := cas.Of(issuing.pin()); !ok || ca.Name != "Sectigo" {
		t.Errorf("the issuing key is of %+v", ca)
	}
	if again := cas.Learn(issuing.cert.Raw, middle.cert.Raw, root.cert.Raw); again != nil {
		t.Errorf("learned once more: %v", again)
	}
	restarted := policy.NewCAs()
	restarted.Restore(append(got, policy.Learned{Pin: nobody, CA: "No Such CA"}, policy.Learned{Pin: letsEncrypt, CA: "DigiCert"})...)
	if ca, ok := restarted.Of(issuing.pin()); !ok || ca.Name != "Sectigo" {
		t.Errorf("after a restart the issuing key is of %+v", ca)
	}
	if ca, _ := restarted.Of(letsEncrypt); ca.Name != "Let's Encrypt" {
		t.Errorf("what is restored changed the table: %s", ca.Name)
	}
	if _, ok := restarted.Of(nobody); ok {
		t.Error("a CA of no table was restored")
	}
}

func TestACAOfItsOwnBelowAnothersRootIsNotTakenForThat(t *testing.T) {
	root := sign(t, nil, "DigiCert Inc", nil)
	microsoft := sign(t, &root, "Microsoft Corporation", nil)
	cas := knowing(root, "DigiCert")
	cas.Learn(microsoft.cert.Raw, root.cert.Raw)
	if ca, ok := cas.Of(microsoft.pin()); !ok || ca.Name != "Microsoft" {
		t.Errorf("it is taken for %+v", ca)
	}
}

func TestNothingIsLearnedFromWhatProvesNothing(t *testing.T) {
	root := sign(t, nil, "Root Operator", nil)
	impostor := sign(t, nil, "Root Operator", nil)
	leaf := sign(t, &root, "A Customer", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	noSign := sign(t, &root, "Root Operator", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	forged := sign(t, &impostor, "Root Operator", nil)
	// A customer's certificate signs one for a CA: the customer is none.
	belowLeaf := sign(t, &ca{leaf.cert, leaf.key}, "Let's Encrypt", nil)
	// The known root's certificate, with a name and signature of an impostor's.
	fine := sign(t, &root, "Root Operator", nil)
	for name, chain := range map[string][][]byte{
		"a root nobody knows":                      {impostor.cert.Raw},
		"a root nobody knows with a known name":    {forged.cert.Raw, impostor.cert.Raw},
		"an intermediate whose signature is wrong": {forged.cert.Raw, root.cert.Raw},
		"a certificate that is no CA's":            {leaf.cert.Raw, root.cert.Raw},
		"a CA that must not sign certificates":     {noSign.cert.Raw, root.cert.Raw},
		"a CA signed by a customer's certificate":  {belowLeaf.cert.Raw, leaf.cert.Raw, root.cert.Raw},
		"a chain without the link to the root":     {belowLeaf.cert.Raw, root.cert.Raw},
		"an intermediate alone":                    {fine.cert.Raw},
		"nonsense":                                 {[]byte("nonsense"), nil, root.cert.Raw},
		"a certificate of a megabyte":              {append(fine.cert.Raw, make([]byte, 1<<20)...), root.cert.Raw},
		"a chain that never ends":                  append(make([][]byte, 16), fine.cert.Raw, root.cert.Raw),
	} {
		if got := knowing(root, "Sectigo").Learn(chain...); got != nil {
			t.Errorf("%s: learned %v", name, got)
		}
	}
}

func TestLearningAndJudgingAtOnce(t *testing.T) {
	root := sign(t, nil, "Root Operator", nil)
	cas := knowing(root, "Sectigo")
	r := rule(t, ".example.com", func(r *policy.Rule) { r.Issuers = issuers(t, "sectigo.com") })
	p := policy.New([]policy.Rule{r}, cas)
	var wg sync.WaitGroup
	for range 4 {
		issuing := sign(t, &root, "Root Operator", nil)
		wg.Go(func() {
			cas.Learn(issuing.cert.Raw, root.cert.Raw)
			c := from(certificate("a.example.com"), issuing.pin(), issuing.cert.Subject.String())
			if got := p.Judge(c, policy.Known{}); got.Verdict != "expected" {
				t.Errorf("judged %+v", got)
			}
		})
	}
	wg.Wait()
}

func FuzzParseIssuer(f *testing.F) {
	for _, s := range []string{"letsencrypt.org", nobody.String(), "Let's Encrypt", "sha256/", "a b", "..", "\xff"} {
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
