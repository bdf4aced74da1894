package probe

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/chain"
)

// served describes the chain that a server sent.
func (p *Prober) served(host, address string, state tls.ConnectionState) pins.Served {
	sent := state.PeerCertificates
	extra := max(0, len(sent)-p.cfg.MaxCertificates)
	sent = sent[:len(sent)-extra]
	leaf := sent[0]

	s := pins.Served{
		Host: host, Address: address, ID: p.cfg.ID(leaf.Raw),
		Algorithm:  chain.Algorithm(leaf.PublicKey),
		NotBefore:  leaf.NotBefore,
		NotAfter:   leaf.NotAfter,
		CommonName: printable(leaf.Subject.CommonName),
		Version:    tls.VersionName(state.Version),
	}
	for _, c := range sent {
		s.Certificates = append(s.Certificates, c.Raw)
	}
	for _, name := range leaf.DNSNames {
		s.Names = append(s.Names, printable(strings.ToLower(name)))
	}
	for _, ip := range leaf.IPAddresses {
		s.Names = append(s.Names, ip.String())
	}

	path, err := p.verify(sent)
	s.Problem = p.problem(host, leaf, err)
	if err != nil {
		path = chain.BySignature(sent)
	}
	s.Chain = chain.Of(path)
	s.Chain.Open = err != nil && !chain.SelfSigned(path[len(path)-1])
	return s
}

// verify returns the shortest path from the leaf to one of the roots, since clients stop
// at the first anchor that they trust. It ignores the leaf's names.
func (p *Prober) verify(sent []*x509.Certificate) ([]*x509.Certificate, error) {
	others := x509.NewCertPool()
	for _, c := range sent[1:] {
		others.AddCert(c)
	}
	paths, err := sent[0].Verify(x509.VerifyOptions{Roots: p.cfg.Roots, Intermediates: others, CurrentTime: p.cfg.Now()})
	if err != nil {
		return nil, err
	}
	return slices.MinFunc(paths, func(a, b []*x509.Certificate) int { return cmp.Compare(len(a), len(b)) }), nil
}

// problem returns why clients would reject the leaf for a host, given the error of
// verify; "" if they would not.
func (p *Prober) problem(host string, leaf *x509.Certificate, err error) string {
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case err == nil:
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		whose := "its certificate"
		if !invalid.Cert.Equal(leaf) {
			whose = fmt.Sprintf("the certificate of its issuer %q", printable(invalid.Cert.Subject.CommonName))
		}
		if p.cfg.Now().Before(invalid.Cert.NotBefore) {
			return fmt.Sprintf("%s is not valid before %s", whose, invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("%s expired on %s", whose, invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &unknown):
		return fmt.Sprintf("its chain leads to no trusted root: the issuer %q is unknown, or an intermediate certificate is missing", printable(leaf.Issuer.CommonName))
	default:
		return "its certificate does not verify: " + printable(err.Error())
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return fmt.Sprintf("its certificate is not for %s but for %s", host, someNames(leaf))
	}
	return ""
}

// someNames lists the first names of a certificate.
func someNames(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	const enough = 5
	switch n := len(names); {
	case n == 0:
		return "no name"
	case n > enough:
		names = append(names[:enough:enough], fmt.Sprintf("%d more", n-enough))
	}
	return printable(strings.Join(names, ", "))
}
