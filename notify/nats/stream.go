package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// description is that of a stream that is created here.
const description = "Events of ctwatch (CloudEvents 1.0)"

// Limits of a stream that is created here.
const (
	// duplicateWindow is how long the stream recognizes an event's ID. It is longer than
	// a restart: an event that was stored but not recorded as delivered is published
	// again right after it.
	duplicateWindow = 2 * time.Hour
	streamMaxAge    = 90 * 24 * time.Hour
)

// Error codes of the JetStream API that the client does not name.
const (
	codeStreamNotMatch      jetstream.ErrorCode = 10060 // the expected stream is not the one that took the message
	codeStreamSubjectsTaken jetstream.ErrorCode = 10065 // another stream has some of the subjects
	codeStreamStore         jetstream.ErrorCode = 10077 // the stream is full, and keeps old messages
	codeStreamSealed        jetstream.ErrorCode = 10109 // it accepts no messages
)

// ensureStream makes sure that the stream exists and takes all our subjects. It asks the
// server once for each connection, and for each check of the stream.
func (n *Sender) ensureStream(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streamOK {
		return nil
	}
	var stream jetstream.Stream
	err := n.ask(ctx, "$JS.API.STREAM.INFO."+n.o.Stream, func(ctx context.Context) (err error) {
		stream, err = n.js.Stream(ctx, n.o.Stream)
		return err
	})
	absent := errors.Is(err, jetstream.ErrStreamNotFound)
	switch {
	case absent:
		if stream, err = n.createStream(ctx); err != nil {
			return err
		}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s has no JetStream for this user, or is still starting it: enable it there, or name another server in nats.url: %w", n.servers, err)
	case err != nil:
		return fmt.Errorf("looking up stream %s on %s: %w", n.o.Stream, n.servers, err)
	}
	stream = n.allowBatches(ctx, stream)
	info := stream.CachedInfo()
	if err := n.checkStream(info.Config); err != nil {
		return err
	}
	if err := n.recognize(ctx, info, absent); err != nil {
		return err
	}
	if err := n.readKnown(ctx, info); err != nil {
		return err
	}
	n.checkLimits(info.Config)
	n.checkFull(info, time.Now())
	n.batches = info.Config.AllowAtomicPublish
	n.streamOK = true
	return nil
}

// takesBatches reports whether the stream takes batches of messages.
func (n *Sender) takesBatches() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.batches
}

// allowBatches lets a stream of the embedded server take batches, if an older ctwatch created
// it. It returns the stream as it is then.
func (n *Sender) allowBatches(ctx context.Context, stream jetstream.Stream) jetstream.Stream {
	c := stream.CachedInfo().Config
	if n.o.InProcess == nil || c.AllowAtomicPublish || c.Description != description {
		return stream
	}
	c.AllowAtomicPublish = true
	updated, err := n.js.UpdateStream(ctx, c)
	if err != nil { // it takes events individually, as before
		n.log.Warn("the stream cannot be changed to take many events at once", "stream", n.o.Stream, "error", ctwatch.Printable(err.Error(), 300))
		return stream
	}
	return updated
}

// recognize checks whether the stream is the same as before, with the messages that it had.
// If not, the events of the last hours are published again.
func (n *Sender) recognize(ctx context.Context, info *jetstream.StreamInfo, absent bool) (err error) {
	before := n.created
	if before.IsZero() && n.o.Recall != nil {
		if before, err = n.o.Recall(ctx); err != nil {
			return fmt.Errorf("reading when stream %s was created before: %w", n.o.Stream, err)
		}
	}
	what := ""
	switch last := info.State.LastSeq; {
	case before.IsZero() && last > 0: // unknown since when
	case before.IsZero():
		what = "is new"
	case absent:
		what = "was deleted, and is created again"
	case !info.Created.Equal(before):
		what = "was deleted, and someone created it again"
	case wasPurged(info, time.Now()) && last != n.purged:
		what, n.purged = "was emptied", last
	case last < n.sequence:
		what = fmt.Sprintf("has lost its messages (the last was %d, and is %d)", n.sequence, last)
	}
	if what != "" {
		n.known = known{}
	}
	var again int64
	if what != "" && n.o.Republish != nil {
		if again, err = n.o.Republish(ctx); err != nil {
			return fmt.Errorf("stream %s %s, and the events of the last hours cannot be published again: %w", n.o.Stream, what, err)
		}
	}
	if !info.Created.Equal(before) && n.o.Remember != nil {
		if err := n.o.Remember(ctx, info.Created); err != nil {
			return fmt.Errorf("recording when stream %s was created: %w", n.o.Stream, err)
		}
	}
	n.created, n.sequence = info.Created, info.State.LastSeq
	if what == "" || before.IsZero() && again == 0 { // the first start
		return nil
	}
	text := fmt.Sprintf("Stream %s on %s %s: %d events of the last hours are published again. Consumers of a deleted stream have to be created again.", n.o.Stream, n.servers, what, again)
	n.log.Error(text)
	n.warn(WarnLost, text)
	return nil
}

// wasPurged reports whether a stream is empty although its limits would have kept the last
// message until now.
func wasPurged(info *jetstream.StreamInfo, now time.Time) bool {
	c, s := info.Config, info.State
	return s.Msgs == 0 && s.LastSeq > 0 && c.Retention == jetstream.LimitsPolicy &&
		(c.MaxAge == 0 || now.Sub(s.LastTime) < c.MaxAge)
}

func (n *Sender) forgetStream() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streamOK = false
}

func (n *Sender) createStream(ctx context.Context) (jetstream.Stream, error) {
	all := n.o.SubjectPrefix + ".>"
	var stream jetstream.Stream
	err := n.ask(ctx, "$JS.API.STREAM.CREATE."+n.o.Stream, func(ctx context.Context) (err error) {
		stream, err = n.js.CreateStream(ctx, jetstream.StreamConfig{
			Name:        n.o.Stream,
			Description: description,
			Subjects:    []string{all},
			Storage:     jetstream.FileStorage,
			Retention:   jetstream.LimitsPolicy,
			Discard:     jetstream.DiscardOld,
			MaxAge:      streamMaxAge,
			MaxBytes:    n.o.MaxBytes,
			Duplicates:  duplicateWindow,

			AllowAtomicPublish: true, // NATS servers before 2.12 ignore it
		})
		return err
	})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStreamSubjectsTaken {
		return nil, fmt.Errorf("another stream already takes some of the subjects %s: set nats.stream to its name, or nats.subject to another prefix: %w", all, err)
	}
	if err != nil {
		return nil, fmt.Errorf("creating stream %s of up to %d bytes on %s: %w", n.o.Stream, n.o.MaxBytes, n.servers, err)
	}
	n.log.Info("created the stream for events", "stream", n.o.Stream, "subjects", all)
	return stream, nil
}

// checkStream checks that a stream takes all our subjects and acknowledges messages. It does
// not change the stream, which someone may have created on purpose.
func (n *Sender) checkStream(c jetstream.StreamConfig) error {
	switch {
	case c.Sealed:
		return fmt.Errorf("stream %s is sealed and accepts no messages: delete it, or name another in nats.stream", c.Name)
	case c.Mirror != nil:
		return fmt.Errorf("stream %s is a mirror of %s, and takes no messages of its own: name another in nats.stream", c.Name, ctwatch.Printable(c.Mirror.Name, 100))
	case c.NoAck:
		return fmt.Errorf("stream %s does not acknowledge messages, so ctwatch cannot know whether it has them: enable acknowledgements, or name another in nats.stream", c.Name)
	}
	for _, subject := range c.Subjects {
		if coversPrefix(subject, n.o.SubjectPrefix) {
			return nil
		}
	}
	return fmt.Errorf("stream %s exists, but its subjects %q do not cover %s.>: add that to them (nats stream edit %s), or name another stream in nats.stream, or set nats.subject to a prefix that it covers",
		c.Name, c.Subjects, n.o.SubjectPrefix, c.Name)
}

// coversPrefix reports whether a stream's subject takes everything below prefix.
func coversPrefix(subject, prefix string) bool {
	want := strings.Split(prefix, ".")
	for i, token := range strings.Split(subject, ".") {
		if token == ">" {
			return true // it is the last token, and matches at least one
		}
		if i == len(want) || token != "*" && token != want[i] {
			return false
		}
	}
	return false
}

func isStreamMismatch(err error) bool { return hasCode(err, codeStreamNotMatch) }
func isSealed(err error) bool         { return hasCode(err, codeStreamSealed) }

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}
