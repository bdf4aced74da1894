package probe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/pins"
	"ctwatch/pins/probe"
)

// A record of TLS (RFC 8446 §5.1).
func record(kind byte, body ...byte) []byte {
	return append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// A message of the handshake (RFC 8446 §4).
func message(kind byte, body ...byte) []byte {
	return append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// forever writes the same bytes until the client leaves.
func forever(b []byte) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
}

// answer reads what comes first, and answers by bytes.
func answer(b []byte) func(net.Conn) {
	return func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write(b)
		io.Copy(io.Discard, c)
	}
}

// TestHostileServersAreBounded: no server can hold a look up beyond its time limits, or
// send more than its bytes.
func TestHostileServersAreBounded(t *testing.T) {
	serverHello := message(2, slices.Concat([]byte{3, 3}, make([]byte, 32), []byte{0, 0xc0, 0x2b, 0})...)
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closes at once":          {func(net.Conn) {}, "closed the connection"},
		"resets":                  {func(c net.Conn) { c.Read(make([]byte, 1)); c.(*net.TCPConn).SetLinger(0) }, "closed the connection"},
		"speaks SSH":              {answer([]byte("SSH-2.0-OpenSSH_9.9\r\n")), "does not speak TLS"},
		"speaks HTTP":             {answer([]byte("HTTP/1.0 400 Bad Request\r\n\r\n\x1b[2J")), "does not speak TLS"},
		"refuses":                 {answer(record(21, 2, 40)), "refused the TLS handshake (remote error: tls: handshake failure)"},
		"warns forever":           {forever(record(21, 1, 90)), "handshake failed"},
		"empty records forever":   {forever(record(22)), "handshake failed"},
		"zeros forever":           {forever(make([]byte, 1<<14)), "does not speak TLS"},
		"a message without end":   {answer(bytes.Repeat(record(22, append([]byte{2, 0, 255, 255}, make([]byte, 1<<13)...)...), 100)), "handshake failed"},
		"a message of 16 MiB":     {answer(record(22, 2, 255, 255, 255)), "handshake failed"},
		"certificates of 16 MiB":  {answer(slices.Concat(record(22, serverHello...), record(22, 11, 255, 255, 255))), "handshake failed"},
		"certificates of 250 KiB": {answer(slices.Concat(record(22, serverHello...), record(22, 11, 3, 255, 255), bytes.Repeat(record(22, make([]byte, 1<<14)...), 15))), "more than 131072 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			at := listen(t, "127.0.0.1:0", c.serve)
			a := look(t, probe.Config{}, at).Addresses[0]
			mustFail(t, a.Err, at.String(), c.want)
			if a.Partial != nil || len(a.Served) != 0 {
				t.Errorf("%+v", a)
			}
		})
	}
	for name, serve := range map[string]func(net.Conn){
		"says nothing": func(c net.Conn) { io.Copy(io.Discard, c) },
		"one byte at a time": func(c net.Conn) {
			go io.Copy(io.Discard, c)
			for _, b := range bytes.Repeat(record(22, serverHello...), 10_000) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := netip.MustParseAddrPort("192.0.2.1:443")
				started := time.Now()
				a := look(t, probe.Config{Dial: piped(t, serve), HandshakeTimeout: 300 * time.Millisecond}, at).Addresses[0]
				mustFail(t, a.Err, at.String(), "did not end within 300ms")
				if took := time.Since(started); a.Partial != nil || len(a.Served) != 0 || took > time.Second {
					t.Errorf("after %s: %+v", took, a)
				}
			})
		})
	}
}

func TestLongChainsAreBounded(t *testing.T) {
	f := newFamily(t)
	long := []identity{f.leaf, f.intermediate}
	for range 98 {
		long = append(long, f.root)
	}
	s := served(t, probe.Config{Roots: f.roots()}, serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(long...)}}))
	if len(s.Certificates) != 16 || len(s.Chain.Pins) != 3 || s.Chain.Open {
		t.Errorf("%d certificates, chain %+v", len(s.Certificates), s.Chain)
	}

	for range 3000 {
		long = append(long, f.root)
	}
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(long...)}})
	mustFail(t, look(t, probe.Config{}, at).Failure(), at.String(), "handshake failed")
}

// TestUnparsableCertificate: a certificate that cannot be parsed is an error of its
// address.
func TestUnparsableCertificate(t *testing.T) {
	f := newFamily(t)
	unreadable := chain(f.leaf, f.intermediate)
	unreadable.Certificate = append(unreadable.Certificate, []byte("\x30\x03\x02\x01\x00"))
	at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{unreadable}})
	mustFail(t, look(t, probe.Config{}, at).Failure(), at.String(), "cannot be parsed", "have it replaced")
}

// TestCertificateWithoutKeyIsNotServed: a server that does not have the key of the
// certificate that it sends serves nothing.
func TestCertificateWithoutKeyIsNotServed(t *testing.T) {
	f := newFamily(t)
	der := f.leaf.cert.Raw
	list := append([]byte{byte(len(der) >> 16), byte(len(der) >> 8), byte(len(der))}, der...)
	flight := slices.Concat(
		record(22, message(2, slices.Concat([]byte{3, 3}, make([]byte, 32), []byte{0, 0xc0, 0x2b, 0})...)...), // ServerHello: TLS 1.2, ECDHE-ECDSA
		record(22, message(11, append([]byte{byte(len(list) >> 16), byte(len(list) >> 8), byte(len(list))}, list...)...)...),
		record(22, message(13, 1, 64, 0, 2, 4, 3, 0, 0)...), // CertificateRequest
		record(22, message(14)...), // ServerHelloDone, and no ServerKeyExchange
		record(21, 2, 42),          // bad_certificate
	)
	at := listen(t, "127.0.0.1:0", answer(flight))
	a := look(t, probe.Config{Roots: f.roots()}, at).Addresses[0]
	mustFail(t, a.Err, "missing ServerKeyExchange")
	if len(a.Served) != 0 {
		t.Errorf("served: %+v", a.Served)
	}

	stolen := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ecdsaKey(t)}
	at = serveTLS(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &stolen, nil }})
	mustFail(t, look(t, probe.Config{Roots: f.roots()}, at).Failure(), "handshake")
}

// TestPartialAnswer: an address that answers some handshakes and not others is marked as
// partial.
func TestPartialAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t)
		config := &tls.Config{Certificates: []tls.Certificate{chain(f.leaf, f.intermediate)}}
		first := make(chan bool, 1)
		first <- true
		dial := piped(t, func(c net.Conn) {
			select {
			case <-first:
				shakeHands(config)(c)
			default:
				io.Copy(io.Discard, c)
			}
		})
		at := netip.MustParseAddrPort("192.0.2.1:443")
		a := look(t, probe.Config{Dial: dial, Roots: f.roots(), HandshakeTimeout: 300 * time.Millisecond}, at).Addresses[0]
		if len(a.Served) != 1 || a.Err != nil {
			t.Errorf("%+v", a)
		}
		mustFail(t, a.Partial, at.String(), "did not end within 300ms")
	})
}

func TestFailedConnectionsSayWhy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	mustFail(t, look(t, probe.Config{}, at).Failure(), at.String(), "refused", "check the port")

	hangs := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	at = netip.MustParseAddrPort("192.0.2.1:443")
	mustFail(t, look(t, probe.Config{Dial: hangs, DialTimeout: 10 * time.Millisecond}, at).Failure(), at.String(), "no answer within 10ms", "firewall")
	mustFail(t, look(t, probe.Config{Dial: hangs, Timeout: 10 * time.Millisecond}, at).Failure(), at.String(), "10ms at most")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := pins.Endpoint{Host: host, Target: at.String(), Configured: true}
	mustFail(t, probe.New(probe.Config{Dial: hangs}).Look(ctx, e).Failure(), at.String(), "was canceled")
}

// TestManyNamesAreFast: a certificate with very many names does not slow a look down.
func TestManyNamesAreFast(t *testing.T) {
	f := newFamily(t)
	var many []string
	for i := range 3000 {
		many = append(many, strings.Repeat("a", 1+i%20)+".example.test")
	}
	constrained := issue(t, f.root, ecdsaKey(t), func(c *x509.Certificate) {
		ca("Constrained")(c)
		c.PermittedDNSDomains = many[:1500]
	})
	leaf := issue(t, constrained, ecdsaKey(t), func(c *x509.Certificate) { c.DNSNames = many })
	started := cpu(t)
	s := served(t, probe.Config{Roots: f.roots()}, serveTLS(t, &tls.Config{Certificates: []tls.Certificate{chain(leaf, constrained)}}))
	if took := cpu(t) - started; took > 10*time.Second {
		t.Errorf("it took %s of processor time", took)
	}
	if len(s.Names) != 3000 {
		t.Errorf("%d names", len(s.Names))
	}
}

// cpu returns the processor time that this process has used, which does not pass faster
// on a busy machine.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
