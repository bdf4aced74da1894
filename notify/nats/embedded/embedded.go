// Package embedded runs a NATS server with JetStream in this process, so that events
// have a stream without a server to install.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ctwatch/ctwatch"
)

// Options configures a Server.
type Options struct {
	// Listen is the address for consumers in other processes, such as
	// "127.0.0.1:4222"; port 0 takes a free one. "" listens nowhere. There is no
	// authentication: any client that reaches it may read and publish.
	Listen   string
	StoreDir string // directory of the streams; created if needed
	// MaxStore bounds the streams on disk, in bytes. Default 2 GiB. It must be at
	// least the sum of what the streams may grow to.
	MaxStore int64
	Logger   *slog.Logger
}

// A Server is a NATS server with JetStream in this process. What it acknowledges, or shows to
// a consumer, is on disk: it syncs after each message, or once for the messages of an atomic
// batch.
type Server struct {
	s      *server.Server
	listen bool
}

// Start starts a server and waits until it is ready. Fatal errors of the server do not end
// the process, as they would if it ran standalone.
func Start(o Options) (*Server, error) {
	if o.MaxStore <= 0 {
		o.MaxStore = 2 << 30
	}
	if err := os.MkdirAll(o.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the embedded NATS server: %w", err)
	}
	opts := &server.Options{
		ServerName:         "ctwatch",
		DontListen:         o.Listen == "",
		JetStream:          true,
		StoreDir:           o.StoreDir,
		SyncAlways:         true,
		JetStreamMaxStore:  o.MaxStore,
		JetStreamMaxMemory: 32 << 20,
		MaxPayload:         server.MAX_PAYLOAD_MAX_SIZE,

		NoSigs:                 true, // its signal handler would exit the process
		DisableJetStreamBanner: true,
	}
	if o.Listen != "" {
		host, addr, err := probeListen(o.Listen)
		if err != nil {
			return nil, err
		}
		opts.Host, opts.Port = host, addr.Port
		if !addr.IP.IsLoopback() {
			o.Logger.Warn("the embedded NATS server is reachable from other machines, without authentication: any client can read and publish events", "listen", o.Listen)
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded NATS server: %w", err)
	}
	log := &serverLog{log: o.Logger}
	s.SetLogger(log, false, false)
	s.Start()
	if fatal := log.fatal.Load(); fatal != nil {
		err = errors.New(*fatal)
	} else if !s.ReadyForConnections(10 * time.Second) {
		err = errors.New("it is not ready after 10 s")
	}
	if err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("starting the embedded NATS server in %s: %w", o.StoreDir, err)
	}
	return &Server{s: s, listen: o.Listen != ""}, nil
}

// probeListen checks that the server can listen on an address, since the server's own error
// says little, and returns the address.
func probeListen(listen string) (host string, addr *net.TCPAddr, err error) {
	host, _, err = net.SplitHostPort(listen)
	if err != nil || host == "" {
		return "", nil, fmt.Errorf("nats.listen %q: want an address and a port, such as 127.0.0.1:4222, or \"\" to keep the server in-process", listen)
	}
	l, err := net.Listen("tcp", listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", nil, fmt.Errorf("nats.listen: another program, maybe another ctwatch, listens on %s already: end it, or set nats.listen to another address, or to \"\" to keep the server in-process: %w", listen, err)
	} else if err != nil {
		return "", nil, fmt.Errorf("nats.listen: cannot listen on %s: set nats.listen to an address of this machine: %w", listen, err)
	}
	if err := l.Close(); err != nil {
		return "", nil, fmt.Errorf("nats.listen: %w", err)
	}
	return host, l.Addr().(*net.TCPAddr), nil
}

// ClientURL returns the URL for consumers, or "" if the server does not listen.
func (e *Server) ClientURL() string {
	if !e.listen {
		return ""
	}
	return e.s.ClientURL()
}

// InProcessConn implements nats.InProcessConnProvider.
func (e *Server) InProcessConn() (net.Conn, error) { return e.s.InProcessConn() }

// Shutdown ends the server and waits for it.
func (e *Server) Shutdown() {
	e.s.Shutdown()
	e.s.WaitForShutdown()
}

// serverLog passes the server's log on: what goes wrong as warnings, all else for
// debugging. A fatal error, after which the server would exit the process, is kept.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(logLine(format, v)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(logLine(format, v)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(logLine(format, v)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(logLine(format, v)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Warn(logLine(format, v)) }

func (l *serverLog) Fatalf(format string, v ...any) {
	text := logLine(format, v)
	l.fatal.CompareAndSwap(nil, &text)
	l.log.Warn(text)
}

func logLine(format string, v []any) string {
	return "NATS server: " + ctwatch.Printable(strings.TrimSpace(fmt.Sprintf(format, v...)), 500)
}
