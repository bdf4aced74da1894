package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
)

// maxAhead is how many critical events of a storm are posted before each digest.
const maxAhead = 8

// SendBatch implements Batcher. Critical events have their own messages, ahead of the
// others; a digest has the others that go to the same place, as many as fit.
func (s *Sender) SendBatch(ctx context.Context, events []ctwatch.Event) (taken int, retry bool, err error) {
	if err := s.save(ctx); err != nil {
		return 0, true, err
	}
	if retry, err = s.sendAhead(ctx, events); err == nil {
		retry, err = s.sendDigest(ctx, events)
	}
	// Events that were sent out of turn are kept in mind until their turn comes.
	for taken < len(events) && s.sent[events[taken].ID] {
		delete(s.sent, events[taken].ID)
		taken++
	}
	return taken, retry, err
}

// sendAhead posts the first critical events. Earlier events about the same certificate
// that go to the same channel are included, so that nothing comes in the wrong order.
func (s *Sender) sendAhead(ctx context.Context, events []ctwatch.Event) (retry bool, err error) {
	n := 0
	for i, e := range events {
		if s.sent[e.ID] || !e.Data.Severity.AtLeast(ctwatch.Critical) {
			continue
		}
		if n++; n > maxAhead {
			break
		}
		var including []ctwatch.Event
		for _, earlier := range events[:i] {
			if !s.sent[earlier.ID] && sameCertificate(earlier, e) && s.channel(earlier) == s.channel(e) {
				including = append(including, earlier)
			}
		}
		if retry, err := s.sendEvent(ctx, e, including); err != nil {
			return retry, err
		}
	}
	return false, nil
}

// sendDigest posts the first event that is not sent yet, with all others that go to the
// same place, as many as fit into one message. It stops at a critical event.
func (s *Sender) sendDigest(ctx context.Context, events []ctwatch.Event) (retry bool, err error) {
	for i, first := range events {
		if s.sent[first.ID] {
			continue
		}
		if first.Data.Severity.AtLeast(ctwatch.Critical) {
			return false, nil
		}
		to, threads, err := s.placeInStorm(ctx, first)
		if err != nil {
			return true, err
		}
		if to.nowhere {
			s.sent[first.ID] = true
			continue
		}
		d := digestMessage{to: to}
		for _, e := range events[i:] {
			if s.sent[e.ID] || e.Data.Severity.AtLeast(ctwatch.Critical) {
				continue
			}
			there, _, err := s.placeInStorm(ctx, e)
			if err != nil {
				return true, err
			}
			if there == to && !d.add(e) {
				break
			}
		}
		return s.postDigest(ctx, &d, threads)
	}
	return false, nil
}

// placeInStorm returns where an event of a storm goes: as a note into the thread of its
// certificate, or as a line into the digest of its channel.
func (s *Sender) placeInStorm(ctx context.Context, e ctwatch.Event) (placement, []certThread, error) {
	configured := s.channel(e)
	if !s.hasThread(e) || !isLaterFact(e) || isAlarm(e) {
		return placement{configured: configured, channel: configured}, nil, nil
	}
	threads, err := s.threadsOf(ctx, e)
	return s.place(e, threads), threads, err
}

// postDigest posts a digest, and marks its events as sent.
func (s *Sender) postDigest(ctx context.Context, d *digestMessage, threads []certThread) (retry bool, err error) {
	if slices.ContainsFunc(threads, func(t certThread) bool { return t.ts == d.to.ts && !t.digest }) {
		// The thread is about one certificate, so the last event has its latest state.
		if _, retry, err = s.updateAll(ctx, threads, d.events[len(d.events)-1]); err != nil {
			return retry, err
		}
	}
	at, retry, err := s.post(ctx, d.to, d.message())
	if err != nil && (d.to.ts == "" || !threadIsGone(err)) {
		return retry, err
	}
	for _, e := range d.events {
		s.sent[e.ID] = true
		if d.to.ts == "" && s.hasThread(e) && at != (messageRef{}) {
			s.unsaved = append(s.unsaved, savedThread{digestKey(e.Data.Certificate, d.to.configured), at})
		}
	}
	return true, s.save(ctx)
}

func sameCertificate(a, b ctwatch.Event) bool {
	return a.Data.Certificate != nil && b.Data.Certificate != nil && a.Data.Certificate.ID == b.Data.Certificate.ID
}

// A digestMessage is one message about many events, with a line for each.
type digestMessage struct {
	to     placement
	events []ctwatch.Event
	lines  []string
	size   int // of the lines, in UTF-16 units
}

// add adds an event, unless it does not fit.
func (d *digestMessage) add(e ctwatch.Event) bool {
	const (
		forLines  = maxMessage - 1000 // the rest is for the text around them
		maxEvents = 100               // whose IDs fit into the metadata
	)
	line := digestLine(e)
	size := utf16Len(line) + 1
	if len(d.events) > 0 && (d.size+size > forLines || len(d.events) == maxEvents) {
		return false
	}
	d.events, d.lines, d.size = append(d.events, e), append(d.lines, line), d.size+size
	return true
}

// digestLine returns the line of an event, far shorter than maxSection.
func digestLine(e ctwatch.Event) string {
	l := words.NewDigestLine(e)
	line := severityMark(l.Severity) + " " + codeSpan(l.Head, 120) + " " + codeSpan(l.Text, 350) + " " + codeSpan(l.Foot, 150)
	for _, f := range words.NewNotice(e).Fields {
		if f.Link != "" {
			line += " " + linkText(f.Link)
		}
	}
	return line
}

func (d *digestMessage) message() message {
	worst, types := ctwatch.Debug, make(map[string]int)
	m := message{digest: true}
	for _, e := range d.events {
		if e.Data.Severity.AtLeast(worst) {
			worst = e.Data.Severity
		}
		types[words.EventTitle(e.Type)]++
		m.ids = append(m.ids, e.ID)
	}
	var kinds []string
	for title, n := range types {
		kinds = append(kinds, fmt.Sprintf("%d × %s", n, title))
	}
	slices.Sort(kinds)
	title := severityMark(worst) + " " + words.Count(len(d.events), "event") + ": " + strings.Join(kinds, ", ")
	m.text = escape(title, maxSection)
	m.blocks = []slack.Block{slack.NewHeaderBlock(plainText(title, maxHeader))}
	for lines := d.lines; len(lines) > 0; {
		section := lines[0]
		for lines = lines[1:]; len(lines) > 0 && utf16Len(section)+1+utf16Len(lines[0]) <= maxSection; lines = lines[1:] {
			section += "\n" + lines[0]
		}
		m.blocks = append(m.blocks, sectionBlock(markdown(section)))
	}
	m.blocks = append(m.blocks, slack.NewContextBlock("", markdown(
		"Grouped because many events arrived at once. Details of a certificate: `ctwatch certs show ID`")))
	return m
}
