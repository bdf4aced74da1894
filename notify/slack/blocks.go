package slack

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
)

// Slack's limits (https://docs.slack.dev/reference/block-kit/blocks), in UTF-16 units.
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxFields  = 10 // in one section
	maxBlockID = 255

	// maxMessage bounds all text of a message, and maxAllFields that of its fields.
	// Slack answers msg_blocks_too_long to more than some 12,000, and does not document
	// how it counts.
	maxMessage   = 10000
	maxAllFields = 6000
)

// A message has blocks, the text that a notification shows, and the IDs of its events.
type message struct {
	text   string
	blocks []slack.Block
	ids    []string // the first is the event that the message is about, unless it is a digest
	digest bool
}

// eventMessage returns the message about an event. A note in a thread leaves out what the
// thread has already. The message may include earlier events about the same certificate.
func (s *Sender) eventMessage(e ctwatch.Event, including []ctwatch.Event, note bool) message {
	n := words.NewNotice(e)
	m := message{text: escape(severityMark(n.Severity)+" "+n.Summary, maxSection), ids: []string{e.ID}}
	summary := sectionBlock(plainText(n.Summary, 2*words.MaxSummary))
	if note {
		m.blocks = []slack.Block{summary, footBlock(n)}
		return m
	}
	m.blocks = append([]slack.Block{headerBlock(severityMark(n.Severity), n), summary}, s.details(e, n)...)
	if len(including) > 0 {
		var included []string
		for _, i := range including {
			m.ids = append(m.ids, i.ID)
			included = append(included, codeSpan(words.EventTitle(i.Type), 60)+", event "+codeSpan(i.ID, 40))
		}
		first, more := words.First(included, words.MaxNames)
		m.blocks = append(m.blocks, slack.NewContextBlock("", markdown("Includes: "+strings.Join(first, "; ")+andMore(more))))
	}
	m.blocks = append(m.blocks, footBlock(n))
	return m
}

// rootMessage returns the message at the head of a certificate's thread as of a later
// event, with the person who judged it; "" if not known.
func (s *Sender) rootMessage(e ctwatch.Event, by string) message {
	c := e.Data.Certificate
	root, mark, sentence := e, severityMark(ctwatch.Info), "was issued"
	root.Type = ctwatch.CertificateIssued
	switch c.Verdict {
	case ctwatch.Unexpected:
		root.Type, mark, sentence = ctwatch.CertificateUnexpected, severityMark(ctwatch.Critical), "should not exist: it was issued"
	case ctwatch.Expected:
		mark = "✅"
	}
	if e.Type != root.Type { // otherwise its own summary says more
		root.Data.Summary = fmt.Sprintf("A certificate for %s %s by %s, valid until %s.", c.MatchedNames(), sentence, ctwatch.Printable(c.Issuer.Name, 100), words.Date(c.NotAfter))
	}
	if root.Data.ReportTo == "" && c.Verdict == ctwatch.Unexpected && s.o.ReportTo != nil {
		root.Data.ReportTo = s.o.ReportTo(c)
	}
	n := words.NewNotice(root)
	m := message{text: escape(mark+" "+n.Summary, maxSection), ids: []string{e.ID}}
	m.blocks = []slack.Block{
		headerBlock(mark, n), sectionBlock(plainText(n.Summary, 2*words.MaxSummary)),
		sectionBlock(markdown("*Now*\n• " + strings.Join(statusLines(e, by), "\n• "))),
	}
	m.blocks = append(append(m.blocks, s.details(root, n)...), footBlock(n))
	return m
}

// details returns what is known about an event, what to do about it, and the buttons.
func (s *Sender) details(e ctwatch.Event, n words.Notice) (blocks []slack.Block) {
	var fields []*slack.TextBlockObject
	room := maxAllFields
	for i, f := range n.Fields {
		// Leave the other fields the space that they need at least.
		text := fieldText(f, min(maxField, room-100*(len(n.Fields)-i-1)))
		room -= utf16Len(text)
		fields = append(fields, markdown(text))
	}
	for some := range slices.Chunk(fields, maxFields) {
		blocks = append(blocks, slack.NewSectionBlock(nil, some, nil))
	}
	if len(n.Actions) > 0 {
		text := "What to do next"
		for _, a := range n.Actions {
			text += "\n• " + escape(a, 500)
		}
		blocks = append(blocks, sectionBlock(slack.NewTextBlockObject(slack.PlainTextType, text, false, false)))
	}
	if c := e.Data.Certificate; c != nil && s.o.Buttons != nil && (e.Type == ctwatch.CertificateIssued || e.Type == ctwatch.CertificateUnexpected) {
		blocks = append(blocks, verdictButtons(c, e.Data.Key != nil)...)
	}
	return blocks
}

// fieldText returns a field as mrkdwn in at most limit UTF-16 units, with its values
// as code spans. Values that do not fit are counted.
func fieldText(f words.Field, limit int) string {
	const perValue, around = 250, 30 // the count of what is left out
	text, more := "*"+f.Label+"*", f.More
	if f.Link != "" {
		text += " " + linkText(f.Link)
	}
	for i, v := range f.Values {
		line := "\n" + codeSpan(v, perValue)
		if utf16Len(text)+utf16Len(line)+around > limit {
			more += len(f.Values) - i
			break
		}
		text += line
	}
	return text + andMore(more)
}

// linkText returns a link with its host as text.
func linkText(link string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(link, "https://"), "/")
	return "<" + link + "|" + host + ">"
}

// footBlock returns the end of a message: severity, time and the event's ID.
func footBlock(n words.Notice) slack.Block {
	return slack.NewContextBlock("", markdown(fmt.Sprintf("%s · %s · event %s",
		codeSpan(string(n.Severity), 20), words.Stamp(n.Time), codeSpan(n.EventID, 100))))
}

func headerBlock(mark string, n words.Notice) slack.Block {
	h := slack.NewHeaderBlock(plainText(mark+" "+n.Title, maxHeader))
	if len(n.EventID) <= maxBlockID {
		h.BlockID = n.EventID // a webhook has no metadata to carry it
	}
	return h
}

func sectionBlock(text *slack.TextBlockObject) slack.Block {
	return slack.NewSectionBlock(text, nil, nil)
}

// statusLines returns, in mrkdwn, what became of a certificate since its first message.
func statusLines(e ctwatch.Event, judge string) (lines []string) {
	c := e.Data.Certificate
	if c.Deployed {
		line := "Deployed"
		if c.DeployedAt != nil {
			line += " since " + words.Stamp(*c.DeployedAt)
		}
		if e.Type == ctwatch.CertificateDeployed && e.Data.Endpoint != "" {
			line += " at " + codeSpan(e.Data.Endpoint, 200)
		}
		lines = append(lines, line)
	}
	by := "a person"
	if judge != "" {
		by = codeSpan(judge, 150)
	}
	switch {
	case slices.Contains(c.Reasons, ctwatch.ReasonRejected):
		lines = append(lines, "Rejected by "+by)
	case slices.Contains(c.Reasons, ctwatch.ReasonAuthorized):
		lines = append(lines, "Authorized by "+by)
	default:
		lines = append(lines, "Verdict: "+codeSpan(string(c.Verdict), 40))
	}
	final, logs := false, make(map[ctwatch.LogID]bool)
	for _, s := range c.Sightings {
		final = final || s.Kind == ctwatch.FinalCertificate
		logs[s.LogID] = true
	}
	line := "Seen in " + words.Count(len(logs), "log")
	if final {
		line += ", and as the final certificate"
	}
	return append(lines, line)
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

func severityMark(s ctwatch.Severity) string {
	switch s {
	case ctwatch.Debug:
		return "⚪"
	case ctwatch.Info:
		return "🔵"
	case ctwatch.Warning:
		return "🟠"
	}
	return "🔴"
}

// plainText returns a plain_text object, in which Slack interprets neither formatting nor
// emoji names.
func plainText(s string, limit int) *slack.TextBlockObject {
	if s = escape(s, limit); s == "" {
		s = "–" // Slack refuses empty text
	}
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// markdown returns a mrkdwn object in which Slack makes no links.
func markdown(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, s, false, true)
}

// utf16Len returns the length of a text as Slack counts it.
func utf16Len(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
