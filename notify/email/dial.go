package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// A dialer makes the connection of a session, and can close it from outside.
type dialer struct {
	tls      *tls.Config
	implicit bool // TLS from the first byte

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn = &boundedConn{Conn: conn, left: maxReplies}
	d.mu.Lock()
	d.conn = conn
	closed := d.closed
	d.mu.Unlock()
	if closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	if !d.implicit {
		return conn, nil
	}
	t := tls.Client(conn, d.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// close ends the session, now or as soon as it begins.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.conn != nil {
		d.conn.Close()
	}
}

// hurry leaves the server a second to say goodbye.
func (d *dialer) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.SetDeadline(time.Now().Add(time.Second))
	}
}

// A boundedConn reads at most left bytes: a line of SMTP may otherwise be endless.
type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server says more than a mail server should")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
