// Package service sends events to the chat and push services of shoutrrr
// (https://github.com/nicholas-fedor/shoutrrr), as plain text.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/notify"
)

// Options names a service by a URL of shoutrrr
// (https://github.com/nicholas-fedor/shoutrrr), such as
// "telegram://TOKEN@telegram?chats=@channel". The URL is a secret, and never shown.
type Options struct {
	URL notify.Secret
	// Name distinguishes it from other services: the sender is "service:" and this name.
	// Default the URL's scheme and a hash of the URL, so that another URL has another
	// cursor.
	Name string
}

const (
	// sendTimeout bounds one message. The library takes no context: a service that does
	// not answer is abandoned, and gets nothing more until the send has ended.
	sendTimeout = 30 * time.Second
	// giveUpAfter is when an abandoned message is given up, and another may be sent:
	// some services wait for a silent peer forever. At most maxLost sends are given up
	// without having ended.
	giveUpAfter = 5 * time.Minute
	maxLost     = 10
	// maxText bounds a message, in runes: what most services can show (Discord: 2000).
	maxText = 1900
	// bareAfter is how often a message is tried in full, before every other try leaves
	// out text that others chose, in case the service refuses that text.
	bareAfter = 3
)

// A Sender sends each event as a plain text message.
type Sender struct {
	url    string
	scheme string
	name   string
	limit  int

	svc    types.Service // nil until the first message, and after one was given up
	flight *flight       // the last message; nil before the first
	lost   atomic.Int32  // given up, and not ended
	tries  notify.Tries
}

// A flight is the sending of one message by the library.
type flight struct {
	began time.Time
	done  chan struct{} // closed at its end, after svc and err are set
	svc   types.Service
	err   error
}

// Check returns a ctwatch.SettingError if there is no URL, which it does not read.
func (o Options) Check() error {
	if o.URL == nil {
		return &ctwatch.SettingError{Wrong: "has no URL; want url_file, or url: ${NAME}"}
	}
	return nil
}

// New checks the URL, as far as that can be done without the service.
func New(o Options) (*Sender, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	secret, err := o.URL()
	if err != nil {
		return nil, err
	}
	secret = strings.TrimSpace(secret)
	u, err := url.Parse(secret)
	if err != nil || u.Scheme == "" { // err holds the URL
		return nil, wrongURL("is not a URL; want that of a service, such as ntfy://ntfy.sh/topic")
	}
	scheme, _, _ := strings.Cut(u.Scheme, "+")
	s := &Sender{url: secret, scheme: scheme, name: "service:" + o.Name, limit: maxText}
	switch scheme {
	case "logger":
		return nil, wrongURL("is of logger://, which notifies nobody; want stdout: true instead")
	case "pushover":
		s.limit = 1000
	}
	if o.Name == "" {
		s.name = "service:" + scheme + "-" + ctwatch.NewEventID("", secret)[:10]
	}
	if _, err := new(router.ServiceRouter).NewService(scheme); err != nil {
		return nil, wrongURL(fmt.Sprintf("names no service (%q); want one of shoutrrr's", ctwatch.Printable(scheme, 40)))
	}
	if scheme != "matrix" { // which logs in at once
		if s.svc, err = s.locate(); err != nil {
			return nil, wrongURL("is not a URL of the service " + scheme + "; want one as shoutrrr documents it")
		}
	}
	return s, nil
}

func wrongURL(wrong string) error { return &ctwatch.SettingError{Setting: "url", Wrong: wrong} }

// Name implements Sender.
func (s *Sender) Name() string { return s.name }

// Wants implements Sender: all but routine events. Filtered narrows it.
func (s *Sender) Wants(e ctwatch.Event) bool { return notify.WantedByPeople(e) }

func (*Sender) ForPeople() {}

// Timeout implements Patient.
func (s *Sender) Timeout() time.Duration { return sendTimeout }

// Send implements Sender. Every error is retried.
func (s *Sender) Send(ctx context.Context, e ctwatch.Event) (retry bool, err error) {
	n := words.NewNotice(e)
	if s.isBare(e.ID) {
		n = n.Bare(e, "")
	}
	if err := s.send(ctx, n.Chat(s.limit)); err != nil {
		s.tries.Refused(e.ID)
		return true, err
	}
	return false, nil
}

// SendBatch implements Batcher.
func (s *Sender) SendBatch(ctx context.Context, events []ctwatch.Event) (taken int, retry bool, err error) {
	d := words.NewDigest(events, s.limit)
	if s.isBare(d.ID) {
		d = d.Bare()
	}
	if err := s.send(ctx, d.Chat(s.limit)); err != nil {
		s.tries.Refused(d.ID)
		return 0, true, err
	}
	return len(d.Lines), false, nil
}

// isBare reports whether the next try of a message leaves out text that others chose.
func (s *Sender) isBare(id string) bool {
	n := s.tries.Of(id)
	return n >= bareAfter && n%2 == 1
}

// send sends one message, and returns when the service has it or ctx has ended.
func (s *Sender) send(ctx context.Context, text string) error {
	if err := s.free(); err != nil {
		return fmt.Errorf("service %s: %w", s.name, err)
	}
	f := &flight{began: time.Now(), done: make(chan struct{}), svc: s.svc}
	s.flight = f
	go func() {
		defer close(f.done)
		defer func() {
			if recover() != nil { // whose value may hold secrets
				f.err = errors.New("the library panicked")
			}
		}()
		if f.svc == nil {
			if f.svc, f.err = s.locate(); f.err != nil {
				return
			}
		}
		f.err = f.svc.Send(text, &types.Params{})
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("service %s: no answer in time: %w", s.name, ctx.Err())
	case <-f.done:
		if f.err != nil {
			return fmt.Errorf("service %s: %s", s.name, s.why(f.err))
		}
		s.svc = f.svc
		return nil
	}
}

// free returns an error while the last message is being sent.
func (s *Sender) free() error {
	f := s.flight
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return nil
	default:
	}
	if time.Since(f.began) < giveUpAfter || s.lost.Load() >= maxLost {
		return errors.New("it has not answered the last message yet")
	}
	s.lost.Add(1)
	go func() { <-f.done; s.lost.Add(-1) }()
	s.svc = nil // the lost one still has it
	return nil
}

func (s *Sender) locate() (types.Service, error) {
	return new(router.ServiceRouter).Locate(s.url) // without a logger: the library logs secrets
}

var httpStatus = regexp.MustCompile(`\b[45][0-9][0-9]\b`)

// why returns the cause of an error. It shows next to nothing of the library's text:
// services put secrets into URLs, headers and errors in many ways.
func (s *Sender) why(err error) string {
	var ue *url.Error
	var oe *net.OpError
	var de *net.DNSError
	text := err.Error()
	switch {
	case errors.As(err, &de):
		return "its host was not found"
	case errors.As(err, &oe) && oe.Err != nil:
		return "it cannot be reached: " + ctwatch.Printable(oe.Err.Error(), 100)
	case errors.As(err, &ue) && ue.Timeout():
		return "it did not answer in time"
	case strings.Contains(text, "connection refused"): // some services wrap nothing
		return "it cannot be reached: connection refused"
	case strings.Contains(text, "no such host"):
		return "its host was not found"
	case strings.Contains(text, "x509:") || strings.Contains(text, "tls:"):
		return "its certificate is not trusted, or TLS failed"
	}
	// A number in the URL may be part of a secret, and is not taken for a status.
	for _, status := range httpStatus.FindAllString(text, -1) {
		if !strings.Contains(s.url, status) {
			return "it answered with status " + status
		}
	}
	return "it refused the message, or what answered is not the service; why may hold secrets, and is not shown"
}
