package ctlogtest

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// A Pipe is a listener whose connections stay within the process. A log that is served on one
// can be followed in a bubble of testing/synctest, where time passes only when nothing else
// happens: the test does not wait, and does not depend on the speed of the machine.
type Pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

// NewPipe returns a listener at log.test:80.
func NewPipe() *Pipe {
	p := &Pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

// Dial connects to the listener, and to no other address. It is for an http.Transport's
// DialContext.
func (p *Pipe) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != p.Addr().String() {
		return nil, fmt.Errorf("dialing %s: this pipe only leads to %v", address, p.Addr())
	}
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, fmt.Errorf("dialing %s: %w", address, net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("dialing %s: %w", address, ctx.Err())
	}
}

// Accept implements net.Listener.
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *Pipe) Close() error {
	p.close()
	return nil
}

// Addr implements net.Listener.
func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "log.test:80" }
