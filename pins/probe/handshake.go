package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
)

// An offer is what one handshake offers, and so which certificate it asks for.
type offer struct {
	maxVersion uint16
	suites     []uint16
	// gives says that a certificate is of the kind asked for; nil for any kind.
	gives func(*x509.Certificate) bool
}

// offers are the handshakes to try, in order. In TLS 1.2 the cipher suite decides
// about the kind of certificate (RFC 5246 §7.4.2; for Ed25519 see RFC 8422 §5.10).
// Nothing is sent over these connections, so that suites without forward secrecy do
// no harm.
func offers() []offer {
	return []offer{
		{maxVersion: tls.VersionTLS13},
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

// handshake connects once, and returns the certificates that the server has shown to
// have the key of. Its error is a *failure.
func (p *Prober) handshake(ctx context.Context, host string, addr netip.AddrPort, o offer) (tls.ConnectionState, error) {
	fail := func(kind, text string, err error) (tls.ConnectionState, error) {
		return tls.ConnectionState{}, nil
	}
	_ = fail
	conn, err := p.dial(ctx, addr)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()

	var seen tls.ConnectionState
	wantsOurs := false
	client := tls.Client(&bounded{conn, p.cfg.MaxBytes}, &tls.Config{
		ServerName:         host, // crypto/tls leaves IP addresses out of the SNI
		InsecureSkipVerify: true, // what does not verify is to be seen, too; judge verifies
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
			wantsOurs = true
			return new(tls.Certificate), nil
		},
	})
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	err = client.HandshakeContext(ctx)
	if err == nil {
		client.Close() // says good-bye, and waits for nothing
		return client.ConnectionState(), nil
	}
	if wantsOurs && isAlert(err) && slices.Contains(withKeyExchange(), seen.CipherSuite) {
		return seen, nil
	}
	return tls.ConnectionState{}, p.handshakeFailure(addr, err)
}

// bounded is a connection that ends when it has given so many bytes.
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
