// Package nats publishes events to a NATS JetStream stream, as CloudEvents in structured
// mode (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md).
// It creates the stream, and checks it for changes, lost messages and messages by others.
package nats

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/files"
	"ctwatch/notify"
)

// Name is the name of the sender.
const Name = "nats"

// Options configures a Sender.
type Options struct {
	// URL is the URL of a server, or several with commas between. It is not used with
	// InProcess.
	URL string
	// InProcess is a server in this process, such as an embedded.Server.
	InProcess nats.InProcessConnProvider
	// CredentialsFile has a user's JWT and NKey seed (.creds), and is read at each
	// connection. Optional.
	CredentialsFile string
	TLS             *tls.Config // optional; makes TLS required

	Stream        string // name of the JetStream stream, such as "CTWATCH"
	SubjectPrefix string // what subjects begin with, such as "ctwatch"
	// MaxBytes bounds a stream that is created here; the oldest events are deleted
	// first. Default 1 GiB. An existing stream is not changed.
	MaxBytes int64

	// Key is a secret of at least 16 bytes, the same after each restart, for message IDs
	// and seals that others cannot compute. Default a new random key.
	Key []byte
	// CheckEvery is how often the stream is checked. Default 1 min.
	CheckEvery time.Duration
	// Warn is called with a problem although events are delivered (see WarnStream), and
	// Resolved when it is resolved. Both are optional.
	Warn     func(ctx context.Context, code, text string)
	Resolved func(ctx context.Context, code string)
	// Republish queues the events of the last hours for this sender again, and returns how
	// many: it is called when the stream is new. Optional.
	Republish func(context.Context) (int64, error)
	// Recall returns the last time that was passed to Remember, also in an earlier run;
	// zero without one. Both are optional.
	Recall   func(context.Context) (time.Time, error)
	Remember func(ctx context.Context, created time.Time) error

	Logger *slog.Logger
}

// A Sender publishes every event to a JetStream stream. It is a notify.Bulk.
type Sender struct {
	o       Options
	servers string // for messages: without passwords
	log     *slog.Logger

	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	started chan struct{} // closed when nc, js and err are set
	nc      *nats.Conn
	js      jetstream.JetStream
	err     error
	closed  chan struct{} // closed by the client when it has ended

	connected chan struct{} // has a value after each connection
	revived   chan struct{}
	lastErr   atomic.Pointer[string] // why the last try to connect failed
	reported  atomic.Bool            // that the server is not reachable

	calling   sync.Mutex
	calls     map[int]call // current requests
	lastCall  int
	noReplies *deniedError // why no reply arrives on this connection; nil if they do

	stating sync.Mutex
	states  map[string]string // by code, the text reported last

	checks     sync.WaitGroup
	transforms atomic.Bool // the stream changes subjects

	mu       sync.Mutex
	streamOK bool      // the stream was checked since the last connection
	batches  bool      // it takes batches
	created  time.Time // when the last known stream was created; zero before the first
	sequence uint64    // of its last message
	purged   uint64    // sequence when it was last found emptied
	known    known     // messages that the stream may not recognize by their IDs any more

	fullStage, fullDay string // what checkFull reported last, and when
}

// name matches the name of a stream, and a word of a subject. It is narrower than what
// NATS allows, so that people can type it anywhere.
var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check returns the mistakes in Stream and SubjectPrefix, as ctwatch.SettingErrors.
func (o Options) Check() error {
	var wrong ctwatch.Settings
	if !name.MatchString(o.Stream) {
		wrong.Wrong("stream", o.Stream, "is not a name for a stream; want 1 to 64 letters, digits, - or _")
	}
	words := strings.Split(o.SubjectPrefix, ".")
	switch {
	case slices.ContainsFunc(words, func(w string) bool { return !name.MatchString(w) }):
		wrong.Wrong("subject", o.SubjectPrefix, "is not a subject; want words of letters, digits, - or _ with dots between")
	case words[0] == "_INBOX":
		wrong.Wrong("subject", o.SubjectPrefix, "is what NATS uses for replies; want another")
	case len(o.SubjectPrefix) > maxSubject:
		wrong.Wrong("subject", o.SubjectPrefix, fmt.Sprintf("is too long; want at most %d characters", maxSubject))
	}
	return wrong.Err()
}

// New checks the options, and connects in the background, without giving up: while the
// server is not reachable, Send fails. Once connected, it creates the stream if needed, so
// that consumers can be created before the first event.
func New(o Options) (*Sender, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	servers := "the embedded NATS server"
	if o.InProcess == nil {
		var err error
		if servers, err = redactServers(o.URL); err != nil {
			return nil, err
		}
	}
	if o.CredentialsFile != "" {
		f, err := files.Open(o.CredentialsFile)
		if err != nil {
			return nil, &ctwatch.SettingError{Setting: "credentials_file", Wrong: err.Error()}
		}
		f.Close()
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 30
	}
	if o.CheckEvery <= 0 {
		o.CheckEvery = time.Minute
	}
	if o.Key == nil {
		o.Key = []byte(rand.Text())
	}
	n := &Sender{
		o: o, servers: servers, log: o.Logger,
		started: make(chan struct{}), closed: make(chan struct{}), connected: make(chan struct{}, 1), revived: make(chan struct{}, 1),
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	go n.connect()
	n.checks.Go(n.checkStreams)
	return n, nil
}

// Name implements Sender.
func (*Sender) Name() string { return Name }

// Wants implements Sender: all events.
func (*Sender) Wants(ctwatch.Event) bool { return true }

// Revived implements Reviver: the channel gets a value for each connection.
func (n *Sender) Revived() <-chan struct{} { return n.revived }

// Send implements Sender. It returns once the stream has acknowledged the event.
func (n *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	return n.whileConnected(ctx, func(ctx context.Context) (retry bool, err error) { return n.send(ctx, &ctwatch.Queued{Event: e}) })
}

// whileConnected calls send, and ends its context when the connection is lost: there is no
// acknowledgement to wait for then.
func (n *Sender) whileConnected(ctx context.Context, send func(context.Context) (retry bool, err error)) (retry bool, err error) {
	select {
	case <-n.started:
	case <-ctx.Done():
		return true, fmt.Errorf("connecting to %s: %w", n.servers, ctx.Err())
	}
	if n.err != nil {
		return true, n.err
	}
	lost := n.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer n.nc.RemoveStatusListener(lost) // closes lost
	connected, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for range lost {
			cancel()
		}
	}()
	if !n.nc.IsConnected() {
		return true, n.notConnected()
	}
	retry, err = send(connected)
	if err != nil && connected.Err() != nil && ctx.Err() == nil {
		return true, n.notConnected()
	}
	return retry, err
}

func (n *Sender) send(ctx context.Context, q *ctwatch.Queued) (retry bool, err error) {
	e := q.Event
	msg, err := n.message(q)
	if err != nil {
		return false, err
	}
	err = n.publish(ctx, e, msg)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || isStreamMismatch(err) || isSealed(err) {
		// No stream takes the subject: it was deleted or sealed since the last check.
		n.forgetStream()
		err = n.publish(ctx, e, msg)
	}
	if hasCode(err, codeStreamStore) {
		return true, fmt.Errorf("%w: the stream is full and refuses new messages: raise its limits, or have it discard old ones (nats stream edit %s)", err, n.o.Stream)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return false, fmt.Errorf("event %s has %d bytes, and %s takes messages of at most %d: raise max_payload in the server's configuration to 1MB, and then: ctwatch notify replay nats", e.ID, len(msg.Data), n.servers, n.nc.MaxPayload())
	}
	if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		return false, fmt.Errorf("event %s has %d bytes, more than max_msg_size of the stream %s", e.ID, len(msg.Data), n.o.Stream)
	}
	return err != nil, err
}

// message returns the message of an event, without an ID.
func (n *Sender) message(q *ctwatch.Queued) (msg *nats.Msg, err error) {
	body := q.JSON
	if len(body) == 0 || len(body) >= ctwatch.MaxEvent { // the limit was higher once
		if body, err = json.Marshal(q.Event); err != nil {
			return nil, fmt.Errorf("encoding event %s: %w", q.Event.ID, err)
		}
	}
	msg = nats.NewMsg(subjectOf(n.o.SubjectPrefix, q.Event))
	msg.Header.Set("Content-Type", notify.ContentType)
	msg.Header.Set(headerSeal, n.seal(q.Event.ID, body))
	msg.Data = body
	return msg, nil
}

// Close lets the client send what it has, for at most 2 s, and closes it.
func (n *Sender) Close() {
	n.stop()
	<-n.started
	n.checks.Wait()
	if n.nc == nil {
		return
	}
	if n.nc.Drain() == nil {
		select {
		case <-n.closed:
			return
		case <-time.After(2 * time.Second):
		}
	}
	n.nc.Close()
	<-n.closed
}

func (n *Sender) connect() {
	defer close(n.started)
	opts := []nats.Option{
		nats.Name("ctwatch"),
		nats.Timeout(connectTimeout),
		nats.SetCustomDialer(contextDialer{n.ctx}),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(time.Second),
		nats.ReconnectJitter(200*time.Millisecond, time.Second),
		// Nothing is buffered while there is no connection: the outbox is the buffer.
		nats.ReconnectBufSize(-1),
		// A user that the server does not know now may be added later.
		nats.IgnoreAuthErrorAbort(),
		nats.ConnectHandler(n.up),
		nats.ReconnectHandler(n.up),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.down(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { n.down(err) }),
		nats.ErrorHandler(n.asyncError),
		nats.ClosedHandler(func(*nats.Conn) { close(n.closed) }),
	}
	if n.o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(n.o.InProcess))
	}
	if n.o.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(n.o.CredentialsFile))
	}
	if n.o.TLS != nil {
		opts = append(opts, nats.Secure(n.o.TLS))
	}
	nc, err := nats.Connect(n.o.URL, opts...)
	if err != nil {
		n.err = fmt.Errorf("connecting to %s: %w", n.servers, err)
		return
	}
	if n.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		n.err = fmt.Errorf("connecting to %s: %w", n.servers, err)
		return
	}
	n.nc = nc
}

// up is called by the client for each connection, in a goroutine.
func (n *Sender) up(*nats.Conn) {
	<-n.started
	if n.js == nil || n.ctx.Err() != nil {
		return
	}
	n.reported.Store(false)
	n.lastErr.Store(nil)
	n.newConnection()
	n.log.Info("connected to NATS", "server", n.servers)
	select {
	case n.connected <- struct{}{}:
	default:
	}
}

// down is called by the client for each lost connection and each failed try.
func (n *Sender) down(err error) {
	if err == nil || n.ctx.Err() != nil {
		return
	}
	reason := ctwatch.Printable(err.Error(), 300)
	n.lastErr.Store(&reason)
	if n.reported.CompareAndSwap(false, true) {
		n.log.Warn("NATS is not reachable: events wait in the store until it is", "server", n.servers, "error", reason)
	}
}

// connectTimeout bounds each step of connecting to a server.
const connectTimeout = 3 * time.Second

// A contextDialer dials until a context ends, so that Close does not wait for a host that
// does not answer.
type contextDialer struct{ ctx context.Context }

func (d contextDialer) Dial(network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout}).DialContext(d.ctx, network, address)
}

func (n *Sender) notConnected() error {
	if reason := n.lastErr.Load(); reason != nil {
		return fmt.Errorf("not connected to %s: %s", n.servers, *reason)
	}
	return fmt.Errorf("not connected to %s", n.servers)
}

// redactServers checks the URLs of servers and returns them without passwords.
func redactServers(list string) (string, error) {
	var out []string
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" { // err holds the URL, and with it a password
			return "", &ctwatch.SettingError{Setting: "url", Wrong: "is not a URL; want such as nats://nats.example.com:4222, or several with commas between"}
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return "", &ctwatch.SettingError{Setting: "url", Wrong: "is not a URL of a NATS server; want nats://, tls://, ws:// or wss://"}
		}
		out = append(out, u.Scheme+"://"+u.Host)
	}
	return strings.Join(out, ","), nil
}
