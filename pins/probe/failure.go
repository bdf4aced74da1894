package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// A failure is an error at an address, with what to do about it. Its text is printable,
// whatever the server sent.
type failure struct {
	text  string
	cause error
	// final is set if the server would fail the same way for every other offer.
	final bool
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.cause }

// isFinal reports whether an error is a failure that is final.
func isFinal(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.final
}

// resolveFailure explains why a name has no addresses.
func resolveFailure(host string, err error) error {
	var dns *net.DNSError
	text := fmt.Sprintf("the resolver failed: %s; check this machine's DNS", printable(err.Error()))
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		text = "there is no such name; check the spelling, and that DNS has an A or AAAA record for it"
	case isTimeout(err):
		text = "the resolver did not answer in time; check this machine's DNS"
	case errors.Is(err, context.Canceled):
		text = "the probe was canceled before the name was resolved"
	}
	return &failure{text: host + ": " + text, cause: err}
}

// dialFailure explains why there is no connection. ctx is that of the look.
func (p *Prober) dialFailure(ctx context.Context, addr netip.AddrPort, err error) error {
	text := "no connection: " + printable(err.Error())
	switch {
	case ctx.Err() != nil:
		text = p.interrupted(ctx)
	case isTimeout(err):
		text = fmt.Sprintf("no answer within %s; check that the server is up, and that no firewall blocks this machine", p.cfg.DialTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "connection refused: nothing listens there; check the port"
	case errors.Is(err, syscall.ECONNRESET):
		text = "the connection was reset at once; check what listens there, and the firewalls in between"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		text = "this machine has no route to that address"
		if addr.Addr().Is6() {
			text += ": it may have no IPv6"
		}
	}
	return &failure{text: addr.String() + ": " + text, cause: err, final: true}
}

// handshakeFailure explains why a handshake failed. ctx is that of the look.
func (p *Prober) handshakeFailure(ctx context.Context, addr netip.AddrPort, err error) error {
	f := &failure{cause: err}
	text := "the TLS handshake failed: " + printable(err.Error())
	var notTLS tls.RecordHeaderError
	switch {
	case ctx.Err() != nil:
		text, f.final = p.interrupted(ctx), true
	case isTimeout(err):
		text, f.final = fmt.Sprintf("the TLS handshake did not end within %s; check what listens there", p.cfg.HandshakeTimeout), true
	case errors.Is(err, errTooMuch):
		text, f.final = fmt.Sprintf("more than %d bytes came before the end of the TLS handshake; check what listens there", p.cfg.MaxBytes), true
	case errors.As(err, &notTLS):
		text, f.final = "what listens there does not speak TLS; check the port", true
	case isAlert(err):
		text = fmt.Sprintf("the server refused the TLS handshake (%s); check that it serves the name, and speaks TLS 1.2 or 1.3", printable(err.Error()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = "the server closed the connection during the TLS handshake; check that it serves the name, and speaks TLS 1.2 or 1.3"
	case strings.Contains(err.Error(), "failed to parse certificate"):
		text = fmt.Sprintf("a certificate that the server sent cannot be parsed, and clients may fail as well; have it replaced (%s)", printable(err.Error()))
	}
	f.text = addr.String() + ": " + text
	return f
}

// interrupted returns why a look ended early.
func (p *Prober) interrupted(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("not finished: a probe of all addresses may take %s at most", p.cfg.Timeout)
	}
	return "not finished: the probe was canceled"
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// isAlert reports whether an error is an alert that the server sent (RFC 8446 §6).
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// maxText bounds text from a server, in characters.
const maxText = 250

// printable replaces characters that do not print, and bounds the length.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText]) + "…"
	}
	return s
}
