package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Limits of the stream that is created where there is none.
const (
	// duplicateWindow is how long the stream knows an event's ID again. It is longer
	// than a restart takes: an event that was stored but not recorded as delivered
	// is published again right after it.
	duplicateWindow = 2 * time.Hour
	streamMaxAge    = 90 * 24 * time.Hour
)

// Error codes of the JetStream API that the client has no names for.
const (
	codeStreamNotMatch      jetstream.ErrorCode = 10060 // the expected stream is not the one that took the message
	codeStreamSubjectsTaken jetstream.ErrorCode = 10065 // another stream has some of the subjects
)

// ensureStream sees to it that the stream exists and takes all our subjects. It
// asks the server once for each connection.
func (n *NATS) ensureStream(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streamOK {
		return nil
	}
	stream, err := n.js.Stream(ctx, n.o.Stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if stream, err = n.createStream(ctx); err != nil {
			return err
		}
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s has no JetStream for this user, or is still starting it: enable it there, or name another server in nats.url: %w", n.servers, err)
	case err != nil:
		return fmt.Errorf("looking up stream %s on %s: %w", n.o.Stream, n.servers, err)
	}
	if err := n.checkStream(stream.CachedInfo().Config); err != nil {
		return err
	}
	n.streamOK = true
	return nil
}

func (n *NATS) forgetStream() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.streamOK = false
}

func (n *NATS) createStream(ctx context.Context) (jetstream.Stream, error) {
	all := n.o.SubjectPrefix + ".>"
	stream, err := n.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        n.o.Stream,
		Description: "Events of ctwatch (CloudEvents 1.0)",
		Subjects:    []string{all},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      streamMaxAge,
		MaxBytes:    n.o.MaxBytes,
		Duplicates:  duplicateWindow,
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

// checkStream checks that a stream, which somebody may have made on purpose and
// which is not ours to change, takes all our subjects and acknowledges them.
func (n *NATS) checkStream(c jetstream.StreamConfig) error {
	if c.NoAck {
		return fmt.Errorf("stream %s does not acknowledge messages, so that nobody knows whether it has them: make it with acknowledgements, or name another in nats.stream", c.Name)
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
			return true // it stands at the end, for at least one token
		}
		if i == len(want) || token != "*" && token != want[i] {
			return false
		}
	}
	return false
}

func isStreamMismatch(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStreamNotMatch
}
