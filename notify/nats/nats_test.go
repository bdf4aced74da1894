package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/notifytest"
	"ctwatch/notify/sendertest"
)

func startEmbedded(t *testing.T, listen, dir string) *embedded.Server {
	t.Helper()
	e, err := embedded.Start(embedded.Options{Listen: listen, StoreDir: dir, Logger: notifytest.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	return e
}

func newSender(t *testing.T, o Options) *Sender {
	t.Helper()
	if o.Stream == "" {
		o.Stream = "CTWATCH"
	}
	if o.SubjectPrefix == "" {
		o.SubjectPrefix = "ctwatch"
	}
	o.Logger = notifytest.Discard()
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// consume reads all messages of a stream as any consumer would.
func consume(t *testing.T, stream string, url string, opts ...nats.Option) []jetstream.Msg {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := notifytest.Within(t, notifytest.Patience)
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	n := int(s.CachedInfo().State.Msgs)
	var out []jetstream.Msg
	for range n {
		m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func TestConsumersGetEventsAsCloudEvents(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	event := notifytest.Issued()
	notifytest.MustSend(t, n, event)

	msgs := consume(t, "CTWATCH", e.ClientURL())
	if len(msgs) != 1 {
		t.Fatalf("%d messages, want 1", len(msgs))
	}
	m := msgs[0]
	if want := "ctwatch.certificate.issued.com.example"; m.Subject() != want {
		t.Errorf("subject %q, want %q", m.Subject(), want)
	}
	if got := m.Headers().Get("Nats-Msg-Id"); got != event.ID {
		t.Errorf("Nats-Msg-Id %q, want %q", got, event.ID)
	}
	if got := m.Headers().Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("Content-Type %q", got)
	}
	want, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(m.Data())); diff != "" {
		t.Error(diff)
	}
}

func TestStreamExistsBeforeFirstEvent(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	notifytest.Receive(t, n.Revived())
	if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != 0 {
		t.Errorf("%d messages in a new stream", len(msgs))
	}
	info, err := n.js.Stream(notifytest.Within(t, notifytest.Patience), "CTWATCH")
	if err != nil {
		t.Fatal(err)
	}
	c := info.CachedInfo().Config
	if c.Duplicates != 2*time.Hour || c.MaxAge != 90*24*time.Hour || c.MaxBytes != 1<<30 ||
		c.Storage != jetstream.FileStorage || c.Discard != jetstream.DiscardOld {
		t.Errorf("the stream was made as %+v", c)
	}
}

// An event that is published twice is stored once, also across a restart of the server.
func TestRepeatedEventIsStoredOnce(t *testing.T) {
	dir, addr := t.TempDir(), notifytest.FreeAddress(t)
	first := startEmbedded(t, addr, dir)
	n := newSender(t, Options{URL: "nats://" + addr})
	notifytest.MustSend(t, n, notifytest.Issued("a.example.com"))
	notifytest.MustSend(t, n, notifytest.Issued("a.example.com"))
	notifytest.Receive(t, n.Revived())

	first.Shutdown()
	ctx := notifytest.Within(t, notifytest.Patience)
	retry, err := n.Send(ctx, notifytest.Misbehaved())
	if err == nil || !retry || ctx.Err() != nil {
		t.Fatalf("Send without a server: retry %v, %v; want to retry, and not wait for an answer", retry, err)
	}
	second := startEmbedded(t, addr, dir)
	notifytest.Receive(t, n.Revived())
	notifytest.MustSend(t, n, notifytest.Issued("a.example.com"))
	notifytest.MustSend(t, n, notifytest.Misbehaved())

	if msgs := consume(t, "CTWATCH", second.ClientURL()); len(msgs) != 2 {
		t.Errorf("%d messages, want 2", len(msgs))
	}
}

func TestServerMayStartLater(t *testing.T) {
	addr := notifytest.FreeAddress(t)
	n := newSender(t, Options{URL: addr}) // as people write it
	retry, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
	if err == nil || !retry || !strings.Contains(err.Error(), addr) {
		t.Fatalf("Send without a server: retry %v, %v", retry, err)
	}
	e := startEmbedded(t, addr, t.TempDir())
	notifytest.Receive(t, n.Revived())
	notifytest.MustSend(t, n, notifytest.Issued())
	if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != 1 {
		t.Errorf("%d messages, want 1", len(msgs))
	}
}

// Events that are written while the server is away arrive once it is back.
func TestEventsWaitForServer(t *testing.T) {
	addr := notifytest.FreeAddress(t)
	events, ids := notifytest.Events(50)
	o := notifytest.NewOutbox(events...)
	n := newSender(t, Options{URL: addr})
	// With a pause of an hour, it is the new connection that ends the waiting.
	_, _ = sendertest.Start(t, notify.Config{Outbox: o, Senders: []notify.Sender{n}, BackoffMin: time.Hour, BackoffMax: time.Hour})
	notifytest.Eventually(t, "the error is recorded", func() bool { return o.Cursor("nats").Failing != "" })
	e := startEmbedded(t, addr, t.TempDir())
	notifytest.Eventually(t, "all are delivered", func() bool { return o.Cursor("nats").Seq == 50 })
	var got []string
	for _, m := range consume(t, "CTWATCH", e.ClientURL()) {
		got = append(got, m.Headers().Get("Nats-Msg-Id"))
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
}

func TestDeletedStreamIsCreatedAgain(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	notifytest.MustSend(t, n, notifytest.Issued())
	if err := n.js.DeleteStream(notifytest.Within(t, notifytest.Patience), "CTWATCH"); err != nil {
		t.Fatal(err)
	}
	// The server may still be busy with removing the files of the old one.
	notifytest.Eventually(t, "the event is stored", func() bool {
		retry, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Misbehaved())
		if err != nil && !retry {
			t.Fatal(err)
		}
		return err == nil
	})
	if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != 1 {
		t.Errorf("%d messages, want 1", len(msgs))
	}
}

func TestExistingStreamIsUsedOrRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		stream  jetstream.StreamConfig
		wantErr string // "": it is used
	}{
		"wider, in memory, short-lived": {
			stream: jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>", "more.>"}, Storage: jetstream.MemoryStorage, MaxMsgs: 5, MaxAge: time.Hour},
		},
		"exactly ours among others": {
			stream: jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"other", "ctwatch.>"}},
		},
		"only some of the types": {
			stream:  jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.certificate.>"}},
			wantErr: "do not cover ctwatch.>: add that",
		},
		"of another name": {
			stream:  jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"ctwatch.>"}},
			wantErr: "set nats.stream to its name",
		},
		"without acknowledgements": {
			stream:  jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, NoAck: true},
			wantErr: "does not acknowledge",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEmbedded(t, "", t.TempDir())
			nc, err := nats.Connect("", nats.InProcessServer(e))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			ctx := notifytest.Within(t, notifytest.Patience)
			made, err := js.CreateStream(ctx, tt.stream)
			if err != nil {
				t.Fatal(err)
			}
			n := newSender(t, Options{InProcess: e})
			retry, err := n.Send(ctx, notifytest.Issued())
			if tt.wantErr != "" {
				if err == nil || !retry || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("Send: retry %v, %v; want to retry, and %q", retry, err, tt.wantErr)
				}
			} else if err != nil {
				t.Errorf("Send: %v", err)
			}
			after, err := js.Stream(ctx, tt.stream.Name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(made.CachedInfo().Config, after.CachedInfo().Config); diff != "" {
				t.Errorf("the stream was changed: %s", diff)
			}
		})
	}
}

// An event that is too large for the server is not retried.
func TestEventTooLargeForServer(t *testing.T) {
	s := startServer(t, &server.Options{MaxPayload: 16 << 10})
	n := newSender(t, Options{InProcess: s})
	notifytest.MustSend(t, n, notifytest.Issued())
	event := notifytest.Misbehaved()
	event.Data.Evidence.Entry = &ctwatch.EvidenceEntry{Leaf: make([]byte, 16<<10)}
	retry, err := n.Send(notifytest.Within(t, notifytest.Patience), event)
	if err == nil || retry || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("Send: retry %v, %v", retry, err)
	}
}

// An event that is too large for the stream is not retried.
func TestEventTooLargeForStream(t *testing.T) {
	e := startEmbedded(t, "", t.TempDir())
	n := newSender(t, Options{InProcess: e})
	notifytest.Receive(t, n.Revived())
	ctx := notifytest.Within(t, notifytest.Patience)
	s, err := n.js.Stream(ctx, "CTWATCH")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxMsgSize = 100
	if _, err := n.js.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	retry, err := n.Send(ctx, notifytest.Issued())
	if err == nil || retry || !strings.Contains(err.Error(), "max_msg_size") {
		t.Errorf("Send: retry %v, %v", retry, err)
	}
}

// A server without JetStream, or without space, is an error that is retried.
func TestServerWithoutJetStreamOrSpace(t *testing.T) {
	for want, o := range map[string]*server.Options{
		"has no JetStream":   {MaxPayload: 1 << 20},
		"creating stream CT": {JetStream: true, JetStreamMaxStore: 1 << 20},
	} {
		o.StoreDir, o.JetStreamMaxMemory, o.DontListen, o.NoSigs = t.TempDir(), 1<<20, true, true
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		defer func() { s.Shutdown(); s.WaitForShutdown() }()
		retry, err := newSender(t, Options{InProcess: s}).Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
		if err == nil || !retry || !strings.Contains(err.Error(), want) {
			t.Errorf("Send: retry %v, %v; want %q", retry, err, want)
		}
	}
}

// startServer starts a server as another operator would run it.
func startServer(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true
	o.JetStream, o.StoreDir, o.JetStreamMaxStore, o.JetStreamMaxMemory = true, t.TempDir(), 2<<30, 1<<20
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// TestExternalServerWithCredentials runs a server as operators do: it
// requires TLS, and knows users by JWT.
func TestExternalServerWithCredentials(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	operator, accounts, creds := testCredentials(t)
	opts := &server.Options{
		TLSConfig: serverTLS, TLSTimeout: 5,
		TrustedOperators: []*jwt.OperatorClaims{operator}, AccountResolver: &server.MemAccResolver{},
		SystemAccount: operator.SystemAccount,
	}
	for id, token := range accounts {
		if err := opts.AccountResolver.Store(id, token); err != nil {
			t.Fatal(err)
		}
	}
	s := startServer(t, opts)
	url := "tls://" + s.Addr().String()

	n := newSender(t, Options{URL: url, TLS: clientTLS, CredentialsFile: creds})
	notifytest.MustSend(t, n, notifytest.Issued())
	if msgs := consume(t, "CTWATCH", url, nats.Secure(clientTLS), nats.UserCredentials(creds)); len(msgs) != 1 {
		t.Errorf("%d messages, want 1", len(msgs))
	}

	t.Run("an untrusted server gets nothing", func(t *testing.T) {
		n := newSender(t, Options{URL: url, TLS: &tls.Config{}, CredentialsFile: creds})
		retry, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
		if err == nil || !retry {
			t.Errorf("Send: retry %v, %v", retry, err)
		}
	})
	t.Run("without credentials it goes on trying", func(t *testing.T) {
		n := newSender(t, Options{URL: url, TLS: clientTLS})
		<-n.started
		notifytest.Eventually(t, "the reason is recorded", func() bool {
			retry, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
			return retry && err != nil && strings.Contains(strings.ToLower(err.Error()), "auth")
		})
	})
}

func TestNewNamesWrongSetting(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"wildcard prefix":      {Options{SubjectPrefix: "ct.*"}, "subject"},
		"empty prefix":         {Options{SubjectPrefix: ""}, "subject"},
		"system prefix":        {Options{SubjectPrefix: "$JS"}, "subject"},
		"prefix of replies":    {Options{SubjectPrefix: "_INBOX.x"}, "subject"},
		"long prefix":          {Options{SubjectPrefix: strings.Repeat("a.", 300) + "a"}, "subject"},
		"empty token":          {Options{SubjectPrefix: "ct..watch"}, "subject"},
		"stream with dots":     {Options{Stream: "a.b"}, "stream"},
		"no such credentials":  {Options{CredentialsFile: "/nonexistent.creds"}, "credentials_file"},
		"a scheme of the web":  {Options{URL: "http://127.0.0.1"}, "url"},
		"a URL that is broken": {Options{URL: "nats://user:hunter2@[::1"}, "url"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{URL: "nats://127.0.0.1:1", Stream: "CTWATCH", SubjectPrefix: "ctwatch", Logger: notifytest.Discard()}
			if tt.o.SubjectPrefix != "" || strings.HasPrefix(name, "empty prefix") {
				o.SubjectPrefix = tt.o.SubjectPrefix
			}
			if tt.o.Stream != "" {
				o.Stream = tt.o.Stream
			}
			if tt.o.URL != "" {
				o.URL = tt.o.URL
			}
			o.CredentialsFile = tt.o.CredentialsFile
			n, err := New(o)
			if err == nil {
				n.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q: want one that names %s and no password", err, tt.want)
			}
		})
	}
}

func TestErrorsHaveNoPassword(t *testing.T) {
	addr := notifytest.FreeAddress(t)
	n := newSender(t, Options{URL: "nats://user:hunter2@" + addr})
	_, err := n.Send(notifytest.Within(t, notifytest.Patience), notifytest.Issued())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v: want one without the password", err)
	}
}

func TestCoversPrefix(t *testing.T) {
	for _, tt := range []struct {
		subject, prefix string
		want            bool
	}{
		{"ctwatch.>", "ctwatch", true},
		{">", "ctwatch", true},
		{"*.>", "ctwatch", true},
		{"org.>", "org.ct", true},
		{"org.*.>", "org.ct", true},
		{"ctwatch", "ctwatch", false},
		{"ctwatch.*", "ctwatch", false},
		{"ctwatch.certificate.>", "ctwatch", false},
		{"ct.>", "ctwatch", false},
		{"org.ct.certificate.>", "org.ct", false},
	} {
		if got := coversPrefix(tt.subject, tt.prefix); got != tt.want {
			t.Errorf("coversPrefix(%q, %q) = %v", tt.subject, tt.prefix, got)
		}
	}
}

func FuzzNATSSubject(f *testing.F) {
	f.Add("certificate.issued", "example.com")
	f.Add("certificate.issued", "*.example.com")
	f.Add("log.misbehaved", "> x\r\nPUB a 0")
	f.Add("", "..")
	f.Add("a", strings.Repeat("a.", 300))
	f.Fuzz(func(t *testing.T, typ, subject string) {
		s := subjectOf("ct.watch", ctwatch.Event{Type: ctwatch.EventType(typ), Subject: subject})
		if !strings.HasPrefix(s, "ct.watch.") || len(s) > 2*maxSubject {
			t.Fatalf("subject %q", s)
		}
		for token := range strings.SplitSeq(s, ".") {
			if token == "" || strings.ContainsAny(token, " \t\r\n*>$\x00") {
				t.Fatalf("token %q in %q", token, s)
			}
		}
	})
}

// testTLS makes a CA and a server's certificate for 127.0.0.1.
func testTLS(t *testing.T) (srv, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

// testCredentials makes an operator, the JWTs of a system account and of one with
// JetStream, and the credentials file of a user of the latter.
func testCredentials(t *testing.T) (operator *jwt.OperatorClaims, accounts map[string]string, creds string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	public := func(k nkeys.KeyPair) string {
		t.Helper()
		p, err := k.PublicKey()
		check(err)
		return p
	}
	okp, err := nkeys.CreateOperator()
	check(err)
	akp, err := nkeys.CreateAccount()
	check(err)
	ukp, err := nkeys.CreateUser()
	check(err)

	skp, err := nkeys.CreateAccount()
	check(err)
	sjwt, err := jwt.NewAccountClaims(public(skp)).Encode(okp)
	check(err)

	oc := jwt.NewOperatorClaims(public(okp))
	oc.SystemAccount = public(skp)
	ojwt, err := oc.Encode(okp)
	check(err)
	oc, err = jwt.DecodeOperatorClaims(ojwt)
	check(err)

	ac := jwt.NewAccountClaims(public(akp))
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: 2 << 30, MemoryStorage: 1 << 20, Streams: 5, Consumer: 50}
	ajwt, err := ac.Encode(okp)
	check(err)
	ujwt, err := jwt.NewUserClaims(public(ukp)).Encode(akp)
	check(err)
	seed, err := ukp.Seed()
	check(err)
	text, err := jwt.FormatUserConfig(ujwt, seed)
	check(err)
	file := filepath.Join(t.TempDir(), "user.creds")
	check(os.WriteFile(file, text, 0o600))
	return oc, map[string]string{public(akp): ajwt, public(skp): sjwt}, file
}

var (
	_ notify.Sender  = (*Sender)(nil)
	_ notify.Reviver = (*Sender)(nil)
)

func TestGetsTestEvent(t *testing.T) {
	e := startEmbedded(t, "127.0.0.1:0", t.TempDir())
	notifytest.MustSend(t, newSender(t, Options{InProcess: e}), ctwatch.TestEvent("alice", notifytest.Time))
	if msgs := consume(t, "CTWATCH", e.ClientURL()); len(msgs) != 1 || msgs[0].Subject() != "ctwatch.notify.test.daemon" {
		t.Errorf("NATS got %v", msgs)
	}
	notifytest.CheckPrograms(t, (*Sender)(nil))
}

var _ interface {
	notify.Sender
	notify.Reviver
	notify.Closer
} = (*Sender)(nil)
