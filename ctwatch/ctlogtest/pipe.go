package ctlogtest

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// A Pipe is a listener whose connections never leave the process. A log that is served
// on one can be followed within a bubble of testing/synctest, where time passes only
// when nothing else happens: such a test waits for nothing, and a busy machine changes
// nothing about it.
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

// Dial connects to the listener, and to no other address; it is for an
// http.Transport's DialContext.
func (p *Pipe) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address != p.Addr().String() {
		return nil, fmt.Errorf("dialing %s: only %v is reached through this pipe", address, p.Addr())
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
