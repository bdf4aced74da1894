// Package email sends events by SMTP (RFC 5321), as plain text and HTML.
package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/notify"
	"ctwatch/notify/outward"
)

// TLS is how a connection to a mail server is protected.
type TLS string

// The protections. None of them can be stripped by an attacker on the network.
const (
	StartTLS    TLS = "starttls" // insisted on (RFC 3207); the default
	ImplicitTLS TLS = "implicit" // from the first byte (RFC 8314)
	NoTLS       TLS = "none"     // to a server on this machine only
)

// Options configures a Sender. Each address has its own, so that a refused address does
// not affect the others.
type Options struct {
	Host string
	Port int // 1 to 65535; usual are 587, and 465 with ImplicitTLS (RFC 8314 §3.3, RFC 6409)
	TLS  TLS
	// TLSConfig has other settings of TLS, such as the CA of a private mail server.
	// Optional.
	TLSConfig *tls.Config
	Username  string        // "" to send without a login
	Password  notify.Secret // required with Username

	From string // such as "ctwatch <ctwatch@example.com>"
	To   string // one address

	Now func() time.Time // default time.Now; for the header Date
}

const (
	// sendTimeout bounds one message, and stepTimeout connecting and transmitting it:
	// mail servers let unknown clients wait.
	sendTimeout = 75 * time.Second
	stepTimeout = 30 * time.Second
	// maxReplies bounds what is read of a server in one session.
	maxReplies = 1 << 20
	// maxDigest bounds the text of a digest, in runes.
	maxDigest = 200_000
)

// A Sender sends each event in a message to one address.
//
// It never gives up an event. If a mail server refuses a message for its content, it gets
// one without the text that others chose: a certificate whose names trigger a spam filter
// must not end the alarms.
type Sender struct {
	o        Options
	from, to *mail.Address
	step     time.Duration
}

// Check returns the mistakes in the options but for To, as ctwatch.SettingErrors.
func (o Options) Check() error {
	var wrong ctwatch.Settings
	if o.Host == "" {
		wrong.Wrong("host", "", "is missing; want the name or address of a mail server")
	} else if !ctwatch.IsHost(o.Host) {
		wrong.Wrong("host", o.Host, "is not a host; want the name or address of a mail server")
	}
	if o.Port < 1 || o.Port > 65535 {
		wrong.Wrong("port", strconv.Itoa(o.Port), "is not a port; want 1 to 65535")
	}
	switch o.TLS {
	case "", StartTLS, ImplicitTLS:
	case NoTLS:
		if ip := net.ParseIP(o.Host); o.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			wrong.Wrong("tls", "", "none is only for a mail server on this machine; want starttls or implicit")
		}
	default:
		wrong.Wrong("tls", string(o.TLS), "is not known; want starttls, implicit, none")
	}
	if (o.Username == "") != (o.Password == nil) {
		wrong.Wrong("", "", "has one of username and password_file; want both, or neither")
	}
	wrong.Add("", CheckAddress("from", o.From))
	return wrong.Err()
}

// CheckAddress returns a ctwatch.SettingError for a setting that is not an address (RFC 5322
// §3.4).
func CheckAddress(setting, address string) error {
	if _, err := mail.ParseAddress(address); err != nil {
		return &ctwatch.SettingError{Setting: setting, Value: address, Wrong: "is not an e-mail address; want such as ops@example.com"}
	}
	return nil
}

// New checks the options and returns a sender. The server is not asked.
func New(o Options) (*Sender, error) {
	if err := errors.Join(o.Check(), CheckAddress("to", o.To)); err != nil {
		return nil, err
	}
	s := &Sender{o: o, step: stepTimeout}
	if s.o.TLS == "" {
		s.o.TLS = StartTLS
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	s.from, _ = mail.ParseAddress(o.From)
	s.to, _ = mail.ParseAddress(o.To)
	return s, nil
}

// Name implements Sender: it has the address.
func (s *Sender) Name() string { return "email:" + strings.ToLower(s.to.Address) }

// Wants implements Sender: all but routine events. Filtered narrows it.
func (s *Sender) Wants(e ctwatch.Event) bool { return notify.WantedByPeople(e) }

func (*Sender) ForPeople() {}

// Timeout implements Patient.
func (s *Sender) Timeout() time.Duration { return sendTimeout }

// Send implements Sender. Every error is retried.
func (s *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	n := words.NewNotice(e)
	return true, s.send(ctx, func(refusal string) (*gomail.Msg, error) {
		if refusal != "" {
			n = n.Bare(e, refusal)
		}
		return s.noticeMessage(n)
	})
}

// SendBatch implements Batcher.
func (s *Sender) SendBatch(ctx context.Context, events []ctwatch.Event) (taken int, retry bool, err error) {
	d := words.NewDigest(events, maxDigest)
	err = s.send(ctx, func(refusal string) (*gomail.Msg, error) {
		if refusal != "" {
			d = d.Bare()
		}
		return s.digestMessage(d)
	})
	if err != nil {
		return 0, true, err
	}
	return len(d.Lines), false, nil
}

// send sends the message that write returns for "", or, if the server refuses that for
// its content, the one that write returns for the refusal.
func (s *Sender) send(ctx context.Context, write func(refusal string) (*gomail.Msg, error)) error {
	password := ""
	if s.o.Password != nil {
		p, err := s.o.Password()
		if err != nil {
			return fmt.Errorf("email: reading the password: %w", err)
		}
		password = strings.TrimRight(p, "\r\n")
	}
	msg, err := write("")
	if err == nil {
		err = s.transmit(ctx, password, msg)
	}
	var refused *gomail.SendError
	if errors.As(err, &refused) && refused.Reason == gomail.ErrSMTPDataClose && refused.ErrorCode() >= 500 {
		if msg, err = write(ctwatch.Printable(outward.Redact(refused.Error(), password), 200)); err == nil {
			err = s.transmit(ctx, password, msg)
		}
	}
	return s.judge(ctx, err, password)
}

// transmit sends one message over a connection of its own.
func (s *Sender) transmit(ctx context.Context, password string, msg *gomail.Msg) error {
	d := &dialer{tls: s.tlsConfig(), implicit: s.o.TLS == ImplicitTLS}
	defer d.close() // go-mail forgets connections that fail early
	defer context.AfterFunc(ctx, d.close)()
	opts := []gomail.Option{
		gomail.WithPort(s.o.Port), gomail.WithTimeout(s.step), gomail.WithTLSConfig(d.tls),
		gomail.WithDialContextFunc(d.dial), gomail.WithoutNoop(),
	}
	switch s.o.TLS {
	case StartTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case ImplicitTLS:
		opts = append(opts, gomail.WithSSL())
	case NoTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.o.Username != "" {
		opts = append(opts, gomail.WithUsername(s.o.Username), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(s.o.Host, opts...)
	if err != nil {
		return err
	}
	session, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	err = c.SendWithSMTPClient(session, msg)
	if msg.IsDelivered() {
		d.hurry()
		_ = c.CloseWithSMTPClient(session) // whatever it says: the server has the message
		return nil
	}
	return err
}

func (s *Sender) tlsConfig() *tls.Config {
	c := &tls.Config{}
	if s.o.TLSConfig != nil {
		c = s.o.TLSConfig.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = s.o.Host
	}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// judge returns an error for a person, without the password.
func (s *Sender) judge(ctx context.Context, err error, password string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("email: %s did not answer in time: %w", s.o.Host, ctx.Err())
	}
	text, advice := err.Error(), ""
	var refused *gomail.SendError
	switch {
	case strings.Contains(text, "STARTTLS mode"):
		text, advice = "the server offers no STARTTLS", "set email.tls to implicit if it uses TLS from the start; nothing is sent without TLS"
	case strings.Contains(text, "SMTP AUTH failed"):
		advice = "check email.username and the file that email.password_file names"
	case !errors.As(err, &refused):
	case refused.Reason == gomail.ErrSMTPRcptTo:
		advice = "check email.to: " + s.to.Address
	case refused.Reason == gomail.ErrSMTPMailFrom:
		advice = "check email.from: " + s.from.Address
	}
	text = "email to " + s.to.Address + " by " + s.o.Host + ": " + ctwatch.Printable(outward.Redact(text, password), 400)
	if advice != "" {
		text += ": " + advice
	}
	return errors.New(text)
}
