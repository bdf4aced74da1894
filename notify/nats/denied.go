package nats

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nats-io/nats.go"

	"ctwatch/ctwatch"
)

// A deniedError is a permission that our user lacks. A server reports a refused request only
// by an error outside of the request, which would otherwise wait for a reply until its
// time-out.
type deniedError struct {
	verb    string // "publish" or "subscribe"
	subject string
	allow   string // what to permit: subject, or a pattern that has it
	url     string
}

func (e *deniedError) Error() string {
	return fmt.Sprintf("%s does not permit this user to %s to %s: add %s to the %s permissions of the user there (docs/events.md lists all that are needed)",
		e.url, e.verb, e.subject, e.allow, e.verb)
}

var permissionViolation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// denied returns the missing permission that a client reports as err; nil for other
// errors.
func (n *Sender) denied(err error) *deniedError {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	d := &deniedError{verb: "use", subject: ctwatch.Printable(err.Error(), 300), url: n.servers}
	if m := permissionViolation.FindStringSubmatch(err.Error()); m != nil {
		d.verb, d.subject = "publish", ctwatch.Printable(m[2], 2*maxSubject)
		if strings.EqualFold(m[1], "subscription") {
			d.verb = "subscribe"
		}
	}
	switch d.allow = d.subject; {
	case strings.HasPrefix(d.subject, "_INBOX."):
		d.allow = "_INBOX.>"
	case strings.HasPrefix(d.subject, n.o.SubjectPrefix+"."):
		d.allow = n.o.SubjectPrefix + ".>"
	}
	return d
}

// asyncError is called by the client for errors that the server sends outside of replies.
func (n *Sender) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	n.log.Debug("the NATS client reports an error", "error", ctwatch.Printable(err.Error(), 300))
	d := n.denied(err)
	if d == nil {
		return
	}
	n.calling.Lock()
	defer n.calling.Unlock()
	if d.verb == "subscribe" {
		n.noReplies = d
	}
	for _, c := range n.calls {
		if d.verb != "publish" || d.subject == c.subject {
			c.cancel(d)
		}
	}
}

// A call is a current request, and how to end it.
type call struct {
	subject string
	cancel  context.CancelCauseFunc
}

// ask runs a request to the server, and ends it when the server reports a missing permission
// that it needs. If replies are not permitted, it does not run the request.
func (n *Sender) ask(ctx context.Context, subject string, request func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n.calling.Lock()
	denied := n.noReplies
	n.lastCall++
	this := n.lastCall
	if n.calls == nil {
		n.calls = make(map[int]call)
	}
	n.calls[this] = call{subject, cancel}
	n.calling.Unlock()
	defer func() {
		n.calling.Lock()
		delete(n.calls, this)
		n.calling.Unlock()
	}()
	if denied != nil {
		return denied
	}
	err := request(ctx)
	var d *deniedError
	if err != nil && errors.As(context.Cause(ctx), &d) {
		return d
	}
	return err
}

// repliesDenied reports whether this connection may not get replies.
func (n *Sender) repliesDenied() bool {
	n.calling.Lock()
	defer n.calling.Unlock()
	return n.noReplies != nil
}

// newConnection forgets missing permissions of the last connection.
func (n *Sender) newConnection() {
	n.calling.Lock()
	defer n.calling.Unlock()
	n.noReplies = nil
}
