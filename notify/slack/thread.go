package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/notify"
)

// Threads keeps, across restarts, where the message with a key is. Keys hold only a
// certificate's ID and a configured channel; channel and ts are Slack's.
type Threads interface {
	// Thread returns the last values of SetThread for the key; ok is false if there are
	// none, or they are old.
	Thread(ctx context.Context, key string) (channel, ts string, ok bool, err error)
	SetThread(ctx context.Context, key, channel, ts string) error
}

// A messageRef identifies a message in Slack: the ID of its channel, and its timestamp.
type messageRef struct{ channel, ts string }

// checked returns the reference, or zero if it is not valid.
func (p messageRef) checked() messageRef {
	if p.channel == "" || p.ts == "" || len(p.channel) > 100 || len(p.ts) > 40 || strings.Trim(p.ts, "0123456789.") != "" {
		return messageRef{}
	}
	return p
}

// A certThread is where facts about a certificate go in one channel.
type certThread struct {
	messageRef
	configured string // the channel, as configured
	digest     bool   // it belongs to a digest, in which the certificate is one of many
}

// A savedThread waits to be saved in Threads.
type savedThread struct {
	key string
	messageRef
}

// A placement is where an event is posted.
type placement struct {
	configured string // the channel, as configured
	channel    string // to post to
	ts         string // of the thread; "" for a message of its own
	broadcast  bool   // shown in the channel as well as in its thread
	nowhere    bool   // it is not posted
}

// maxNoted is how many sightings of a certificate are noted in its thread.
const maxNoted = 20

// isNote reports whether an event of any severity is wanted for the thread of its
// certificate. Most certificates are expected from the start and have no thread: their
// facts would make a storm of events that are never posted. One that becomes expected, or
// that a person authorized, may have had a message with another verdict.
func (s *Sender) isNote(e ctwatch.Event) bool {
	if s.o.Threads == nil || !isLaterFact(e) || e.Type == ctwatch.PinCandidate {
		return false
	}
	c := e.Data.Certificate
	if e.Type == ctwatch.CertificateLogged && len(c.Sightings) > maxNoted {
		return false // a log can repeat an entry as often as it likes
	}
	return c.Verdict != ctwatch.Expected || e.Type == ctwatch.CertificateJudged || slices.Contains(c.Reasons, ctwatch.ReasonAuthorized)
}

// isLaterFact reports whether an event only adds to the first one about a certificate.
func isLaterFact(e ctwatch.Event) bool {
	return e.Data.Certificate != nil && e.Type != ctwatch.CertificateIssued &&
		(e.Type == ctwatch.PinCandidate || strings.HasPrefix(string(e.Type), "certificate."))
}

// hasThread reports whether an event belongs to the thread of a certificate. Events about
// an app's pins or about logs are messages of their own.
func (s *Sender) hasThread(e ctwatch.Event) bool {
	return s.o.Threads != nil && (e.Type == ctwatch.CertificateIssued && e.Data.Certificate != nil || isLaterFact(e))
}

func threadKey(c *ctwatch.Certificate, configured string) string {
	return "certificate/" + c.ID.String() + "/" + configured
}

func digestKey(c *ctwatch.Certificate, configured string) string {
	return "digest/" + c.ID.String() + "/" + configured
}

// threadsOf returns the threads of an event's certificate: at most one in each channel.
func (s *Sender) threadsOf(ctx context.Context, e ctwatch.Event) (threads []certThread, err error) {
	if !s.hasThread(e) {
		return nil, nil
	}
	for _, configured := range s.channels {
		for _, key := range []string{threadKey(e.Data.Certificate, configured), digestKey(e.Data.Certificate, configured)} {
			channel, ts, ok, err := s.o.Threads.Thread(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("slack: looking for the thread of a certificate: %w", err)
			}
			if at := (messageRef{channel, ts}).checked(); ok && at != (messageRef{}) {
				threads = append(threads, certThread{at, configured, strings.HasPrefix(key, "digest/")})
				break
			}
		}
	}
	return threads, nil
}

// maxUpdates is how often messages are tried to be updated before an event is posted
// without.
const maxUpdates = 3

// updateAll updates the messages that are only about the event's certificate, and returns
// the threads that still exist. It is idempotent, so it comes before the post, which does
// not wait for it for long.
func (s *Sender) updateAll(ctx context.Context, threads []certThread, e ctwatch.Event) (rest []certThread, retry bool, err error) {
	if e.Type == ctwatch.PinCandidate {
		return threads, false, nil // it has nothing new about the certificate
	}
	by := s.judgedBy(ctx, e, threads)
	for _, t := range threads {
		if !t.digest {
			there, retry, err := s.update(ctx, t.messageRef, s.rootMessage(e, by))
			if err != nil {
				if retry && s.updateLater(e) {
					return nil, true, err
				}
				s.log.WarnContext(ctx, "a message in Slack is not updated", "event", e.ID, "error", err)
			}
			if !there {
				continue
			}
		}
		rest = append(rest, t)
	}
	return rest, false, nil
}

// judgedBy returns the person who judged the certificate of an event, or "".
func (s *Sender) judgedBy(ctx context.Context, e ctwatch.Event, threads []certThread) string {
	if e.Data.By != "" || len(threads) == 0 || s.o.JudgedBy == nil {
		return e.Data.By
	}
	if c := e.Data.Certificate; slices.Contains(c.Reasons, ctwatch.ReasonRejected) || slices.Contains(c.Reasons, ctwatch.ReasonAuthorized) {
		return s.o.JudgedBy(ctx, c.ID)
	}
	return ""
}

// updateLater reports whether an event waits for messages to be updated, after another
// failure to do so. An alarm does not.
func (s *Sender) updateLater(e ctwatch.Event) bool {
	s.updates.Refused(e.ID)
	return !isAlarm(e) && s.updates.Of(e.ID) < maxUpdates
}

// place returns where an event is posted, given the threads of its certificate.
func (s *Sender) place(e ctwatch.Event, threads []certThread) placement {
	configured := s.channel(e)
	own := placement{configured: configured, channel: configured}
	if !s.hasThread(e) {
		return own
	}
	here := slices.IndexFunc(threads, func(t certThread) bool { return t.configured == configured })
	switch {
	case e.Type == ctwatch.CertificateIssued && here >= 0 && !threads[here].digest:
		own.nowhere = true // posted before: the message was updated
	case e.Type == ctwatch.CertificateIssued:
	case len(threads) == 0:
		// Nothing was posted about the certificate, or it is forgotten. That rules find
		// nothing wrong is then of no interest; what a person decided is.
		own.nowhere = e.Type == ctwatch.CertificateLogged || !e.Data.Severity.AtLeast(s.o.MinSeverity) ||
			e.Type == ctwatch.CertificateJudged && e.Data.By == "" || notify.IsRoutine(e) && !s.wantsRoutine()
	case isAlarm(e) && (here < 0 || threads[here].digest):
		// Its readers are in another channel than the thread, or saw one line among
		// many.
	default:
		t := threads[max(here, 0)]
		// The certificate's message is in the channel: its key is not a second one.
		broadcast := isAlarm(e) && e.Type != ctwatch.PinCandidate
		return placement{configured: configured, channel: t.channel, ts: t.ts, broadcast: broadcast}
	}
	return own
}

// isAlarm reports whether an event must be visible outside of threads.
func isAlarm(e ctwatch.Event) bool { return e.Data.Severity.AtLeast(ctwatch.Warning) }

// remember keeps that a message is about an event's certificate.
func (s *Sender) remember(e ctwatch.Event, configured string, at messageRef) {
	if s.hasThread(e) && at != (messageRef{}) {
		s.unsaved = append(s.unsaved, savedThread{threadKey(e.Data.Certificate, configured), at})
	}
}

// save saves in Threads what it does not have yet.
func (s *Sender) save(ctx context.Context) error {
	for len(s.unsaved) > 0 {
		t := s.unsaved[0]
		if err := s.o.Threads.SetThread(ctx, t.key, t.channel, t.ts); err != nil {
			return fmt.Errorf("slack: remembering the thread of a certificate: %w", err)
		}
		s.unsaved = s.unsaved[1:]
	}
	return nil
}
