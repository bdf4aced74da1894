package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// An offer is what a handshake offers, which decides the certificate it asks for.
type offer struct {
	maxVersion uint16
	suites     []uint16
	// asksFor reports whether the offer asks for a certificate like this one: once one is
	// known, the handshake can be left out.
	asksFor func(*x509.Certificate) bool
}

// offers returns the handshakes to try, in order. In TLS 1.2 the cipher suite selects the
// kind of certificate (RFC 5246 §7.4.2; for Ed25519 see RFC 8422 §5.10). Nothing is sent
// over these connections, so suites without forward secrecy are harmless.
func offers() []offer {
	return []offer{
		{tls.VersionTLS13, nil, func(*x509.Certificate) bool { return true }},
		{tls.VersionTLS12, []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		}, func(c *x509.Certificate) bool { return c.PublicKeyAlgorithm != x509.RSA }},
		{tls.VersionTLS12, []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
			tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		}, func(c *x509.Certificate) bool { return c.PublicKeyAlgorithm == x509.RSA }},
	}
}

// handshake connects once and returns what a server sent that has proven to have the
// leaf's key. Its error is a *failure.
func (p *Prober) handshake(ctx context.Context, host string, addr netip.AddrPort, o offer) (tls.ConnectionState, error) {
	conn, err := p.dial(ctx, addr)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()

	var seen tls.ConnectionState
	wantsClientCert := false
	client := tls.Client(&bounded{conn, p.cfg.MaxBytes}, &tls.Config{
		ServerName:         host, // crypto/tls leaves IP addresses out of the SNI
		InsecureSkipVerify: true, // chains that do not verify are reported, too: see served
		MinVersion:         tls.VersionTLS12,
		MaxVersion:         o.maxVersion,
		CipherSuites:       o.suites,
		// Without hybrid key shares the first flight is one packet, which some
		// servers depend on. There are no secrets here that would need them.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		VerifyConnection: func(s tls.ConnectionState) error {
			seen = s
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			wantsClientCert = true
			return new(tls.Certificate), nil
		},
	})
	hctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	err = client.HandshakeContext(hctx)
	if err == nil {
		client.Close() // sends an alert, which fits into any socket buffer
		return client.ConnectionState(), nil
	}
	// A server that refuses us because we have no client certificate has already proven
	// its key: in TLS 1.2 its alert answers our Finished, and its signature was checked by
	// then (RFC 5246 §7.4.3), unless the key exchange needs no signature.
	if wantsClientCert && isAlert(err) && !strings.HasPrefix(tls.CipherSuiteName(seen.CipherSuite), "TLS_RSA_") {
		return seen, nil
	}
	return tls.ConnectionState{}, p.handshakeFailure(ctx, addr, err)
}

// dial connects to an address.
func (p *Prober) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	dctx, cancel := context.WithTimeout(ctx, p.cfg.DialTimeout)
	defer cancel()
	conn, err := p.cfg.Dial(dctx, "tcp", addr.String())
	if err != nil {
		return nil, p.dialFailure(ctx, addr, err)
	}
	return conn, nil
}

// bounded is a connection that fails after a number of bytes.
type bounded struct {
	net.Conn
	left int
}

var errTooMuch = errors.New("too many bytes")

func (b *bounded) Read(buf []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(buf[:min(len(buf), b.left)])
	b.left -= n
	return n, err
}
