package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
)

// Slack's limits (https://docs.slack.dev/reference/block-kit/blocks).
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
	maxFields  = 10 // in one section
	maxBlockID = 255
)

// slackMessage writes an event as blocks, and as the text that a notification shows.
func slackMessage(e ctwatch.Event) (text string, blocks []slack.Block) {
	mark := slackMark(e.Data.Severity)
	header := slack.NewHeaderBlock(plain(mark+" "+slackTitle(e.Type)+" · "+e.Subject, maxHeader))
	if len(e.ID) <= maxBlockID {
		header.BlockID = e.ID // a webhook has no metadata to carry it
	}
	blocks = []slack.Block{header, slack.NewSectionBlock(plain(e.Data.Summary, maxSection), nil, nil)}

	var f fields
	if c := e.Data.Certificate; c != nil {
		f.certificate(c)
	}
	if k := e.Data.Key; k != nil && len(k.Hosts) > 0 {
		f.add("Certified for", codeList(k.Hosts))
	}
	if l := e.Data.Log; l != nil {
		f.log(l)
	}
	f.position(e.Data)
	for len(f) > 0 {
		n := min(len(f), maxFields)
		blocks = append(blocks, slack.NewSectionBlock(nil, f[:n:n], nil))
		f = f[n:]
	}

	foot := fmt.Sprintf("%s · %s · event %s", slackCode(string(e.Data.Severity), 20),
		e.Time.UTC().Format("2006-01-02 15:04:05 UTC"), slackCode(e.ID, 100))
	if link := crtshLink(e.Data.Certificate); link != "" {
		foot = link + " · " + foot
	}
	blocks = append(blocks, slack.NewContextBlock("", markdown(foot)))
	return slackText(mark+" "+e.Data.Summary, maxSection), blocks
}

// fields are the small boxes of a message, two in a row.
type fields []*slack.TextBlockObject

// add adds a field. The value is mrkdwn in which everything that others chose is in
// code spans, each of them short enough for the field to stay below maxField.
func (f *fields) add(label, value string) {
	*f = append(*f, markdown("*"+label+"*\n"+value))
}

func (f *fields) certificate(c *ctwatch.Certificate) {
	f.add("Watched", codeList(watches(c)))
	f.add("Names", codeList(append(append([]string(nil), c.Names...), c.IPAddresses...)))
	issuer := slackCode(c.Issuer.Name, 300)
	if !c.Issuer.Pin.IsZero() {
		issuer += "\n" + slackCode(c.Issuer.Pin.String(), 80)
	}
	f.add("Issuer, and its pin", issuer)
	f.add("Valid", day(c.NotBefore)+" to "+day(c.NotAfter))
	key := slackCode(c.Key.Algorithm, 80)
	if !c.Key.Pin.IsZero() {
		key += "\n" + slackCode(c.Key.Pin.String(), 80)
	}
	f.add("Key, and its pin", key)
	if n := len(c.Sightings); n > 0 {
		s := c.Sightings[n-1]
		f.add("Seen in", fmt.Sprintf("%s\n%s %d at %s", slackCode(s.Log, 100), sightingWord(s.Kind), s.Index,
			s.Timestamp.UTC().Format("2006-01-02 15:04:05 UTC")))
	}
	f.add("Certificate ID", slackCode(c.ID.String(), 64))
	if c.Verdict != "" && c.Verdict != ctwatch.Unreviewed {
		verdict := slackCode(string(c.Verdict), 40)
		if len(c.Reasons) > 0 {
			verdict += "\n" + codeList(c.Reasons)
		}
		f.add("Verdict", verdict)
	}
	if len(c.Problems) > 0 {
		f.add("Could not be read", codeList(c.Problems))
	}
}

func (f *fields) log(l *ctwatch.LogStatus) {
	f.add("Log", fmt.Sprintf("%s\n%s", slackCode(l.Name, 200), slackCode(l.Operator, 200)))
	f.add("Log ID", slackCode(l.ID.String(), 60))
	f.add("Read and verified", fmt.Sprintf("%d and %d of %d entries", l.Position, l.Verified, l.TreeSize))
	if l.LastError != "" {
		f.add("Last error", slackCode(l.LastError, 500))
	}
}

// position tells where in a log something happened.
func (f *fields) position(d ctwatch.EventData) {
	if len(d.Indexes) > 0 {
		first := make([]string, 0, 10)
		for _, i := range d.Indexes[:min(len(d.Indexes), cap(first))] {
			first = append(first, strconv.FormatUint(i, 10))
		}
		f.add("Entries", strings.Join(first, ", ")+andMore(len(d.Indexes)-len(first)))
	} else if d.Index != nil {
		f.add("Entry", strconv.FormatUint(*d.Index, 10))
	}
	if d.Start != nil && d.End != nil && *d.End > *d.Start {
		f.add("Entries", fmt.Sprintf("%d to %d", *d.Start, *d.End-1))
	}
	if ev := d.Evidence; ev != nil {
		f.add("Cause", slackCode(ev.Cause, 60))
		if r := ev.Computed; r != nil {
			f.add("Computed root", fmt.Sprintf("%s\nat size %d", slackCode(r.Root.String(), 64), r.Size))
		}
		if n := len(ev.Heads); n > 0 && ev.Heads[n-1].Root != nil {
			f.add("Signed root", fmt.Sprintf("%s\nat size %d", slackCode(ev.Heads[n-1].Root.String(), 64), ev.Heads[n-1].Size))
		}
	}
}

// watches lists the lines of the watch list that match, each once.
func watches(c *ctwatch.Certificate) []string {
	var out []string
	seen := make(map[string]bool)
	for _, m := range c.Matches {
		if !seen[m.Watch] {
			seen[m.Watch] = true
			out = append(out, m.Watch)
		}
	}
	return out
}

// codeList writes the first ten texts as code spans, and how many there are beyond.
func codeList(all []string) string {
	first, more := firstNames(all, 10)
	if len(first) == 0 {
		return "–"
	}
	for i := range first {
		first[i] = slackCode(first[i], 190) // ten of these fit into a field
	}
	return strings.Join(first, "\n") + andMore(more)
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// crtshLink links to the certificate at crt.sh by its fingerprint, or returns "".
func crtshLink(c *ctwatch.Certificate) string {
	if c == nil {
		return ""
	}
	fp := c.Fingerprints.Certificate
	if fp == nil {
		fp = c.Fingerprints.Precertificate
	}
	if fp == nil {
		return ""
	}
	return "<https://crt.sh/?q=" + fp.String() + "|crt.sh>"
}

func sightingWord(k ctwatch.SightingKind) string {
	if k == ctwatch.Precertificate {
		return "precertificate, entry"
	}
	return "certificate, entry"
}

func day(t time.Time) string {
	if t.IsZero() {
		return "an unreadable date"
	}
	return t.UTC().Format(time.DateOnly)
}

// plain makes a plain_text object: Slack reads no formatting in it, and no emoji
// names either.
func plain(s string, limit int) *slack.TextBlockObject {
	s = slackText(s, limit)
	if s == "" {
		s = "–" // Slack refuses empty text
	}
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// markdown makes a mrkdwn object in which Slack turns nothing into links by itself.
func markdown(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, s, false, true)
}

func slackMark(s ctwatch.Severity) string {
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

func slackTitle(t ctwatch.EventType) string {
	switch t {
	case ctwatch.CertificateIssued:
		return "New certificate"
	case ctwatch.CertificateLogged:
		return "Certificate seen again"
	case ctwatch.PinCandidate:
		return "New key"
	case ctwatch.LogMisbehaved:
		return "Log misbehaved"
	case ctwatch.EntryMalformed:
		return "Unreadable entry"
	case ctwatch.WatchGap:
		return "Entries not read"
	}
	return string(t)
}
