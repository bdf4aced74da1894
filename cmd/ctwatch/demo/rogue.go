package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

// The acts of the demo about certificates that no rule allows.

// rogue is logged: the name of its issuer is right, and the issuer's key is not.
func (d *Demo) rogue() error {
	d.title("9. Another CA of the same name issues for an attacker: the issuer's key gives it away, and Slack gets an alarm at once")
	i, err := d.issueByOther()
	if err != nil {
		return err
	}
	message, err := d.alarmed(i)
	if err != nil {
		return err
	}
	d.say("What Slack shows:")
	d.show(message)
	return nil
}

// issueByOther has the other CA issue for the demo's host.
func (d *Demo) issueByOther() (*ctlogtest.Issued, error) {
	i, err := d.OtherCA.Issue(ctlogtest.Request{Names: []string{demoHost}})
	if err != nil {
		return nil, err
	}
	d.issued, d.alarms = append(d.issued, i), append(d.alarms, i)
	return i, nil
}

// alarmed logs a certificate that should not exist, and waits for the alarm.
func (d *Demo) alarmed(i *ctlogtest.Issued) (m slackMessage, err error) {
	begun := time.Now()
	if _, _, err := d.static.AddPrecert(i); err != nil {
		return m, err
	}
	c, err := d.reportedIssued(begun, i, ctwatch.Unexpected)
	if err != nil {
		return m, err
	}
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateUnexpected, i.ID)
	if err != nil {
		return m, err
	}
	d.arrived("NATS", begun, string(e.Type), e.NATSSubject("ctwatch"))
	if m, err = d.slack.wait(d.ctx, e.ID); err != nil {
		return m, err
	}
	d.slowest = max(d.slowest, time.Since(begun))
	d.arrived("Slack", begun, "message in "+slackChannel, m.text)
	if e.Data.Severity != ctwatch.Critical || len(c.Reasons) == 0 || m.thread != "" {
		return m, fmt.Errorf("the alarm is %s, for %d reasons; want it critical, with a reason, and as a message of its own", e.Data.Severity, len(c.Reasons))
	}
	d.say("    severity %s, reasons %s", e.Data.Severity, strings.Join(c.Reasons, ", "))
	d.say("    leaf    %v", c.Key.Pin)
	d.say("    issuer  %v, which calls itself %s", c.Issuer.Pin, c.Issuer.Name)
	return m, nil
}

// show prints a message as it is read in Slack.
func (d *Demo) show(m slackMessage) {
	for _, line := range m.words() {
		d.say("    │ %s", line)
	}
}

// refusedAsPin tries to have the attacker's key pinned, in every way there is.
func (d *Demo) refusedAsPin() error {
	d.title("10. Its key is refused as a pin: it cannot be approved, and is in no plan, no export and no pin document")
	i := d.alarms[0]
	out, err := d.command(failed, "pins", "approve", i.LeafPin.String(), "--host", demoHost, "--reason", "it was in the log")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "is unexpected") {
		return errors.New("the refusal does not say why")
	}
	if _, err := d.command(done, "pins", "plan"); err != nil {
		return err
	}
	if err := d.inNoExport(i.LeafPin); err != nil {
		return err
	}
	return d.gatesStop(i)
}

// inNoExport looks for a key in everything that an app could take pins from, where the
// key that is served must be found.
func (d *Demo) inNoExport(pin pins.Pin) error {
	var looked []string
	for _, name := range format.Names() {
		out, err := d.silently(done, "pins", "export", "--app", "shop", "--format", name)
		if err != nil {
			return err
		}
		if err := d.hasOnly(name, out, pin); err != nil {
			return err
		}
		looked = append(looked, name)
	}
	out, err := d.silently(done, "pins", "plan", "--json")
	if err != nil {
		return err
	}
	if err := d.hasOnly("the plan", out, pin); err != nil {
		return err
	}
	payload, err := d.document(d.served)
	if err != nil {
		return err
	}
	if err := d.hasOnly("the signed document", string(payload), pin); err != nil {
		return err
	}
	d.say("It is not in the plan (as JSON), in no export (%s), and not in the signed document; the key served now is in all of them.", strings.Join(looked, ", "))
	return nil
}

// hasOnly wants the key that is served in a text, and not the attacker's.
func (d *Demo) hasOnly(what, text string, attacker pins.Pin) error {
	if holdsPin(text, attacker) {
		return fmt.Errorf("%s has the attacker's key", what)
	}
	if !holdsPin(text, d.served.LeafPin) {
		return fmt.Errorf("%s lacks the key served now", what)
	}
	return nil
}

// holdsPin reports whether a text has a pin in it, in base64 or in hex.
func holdsPin(text string, pin pins.Pin) bool {
	return strings.Contains(text, bare(pin)) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", pin[:]))
}

// bare is a pin in base64.
func bare(pin pins.Pin) string { return strings.TrimPrefix(pin.String(), "sha256/") }

// gatesStop tries to ship the key of a certificate, and to serve it.
func (d *Demo) gatesStop(i *ctlogtest.Issued) error {
	d.say("A release manager who copies its pin into the next version, and an operator who deploys it, are stopped:")
	xml, err := os.ReadFile(filepath.Join(d.dir, "network_security_config.xml"))
	if err != nil {
		return err
	}
	draft := filepath.Join(d.dir, "draft.xml")
	forged := strings.ReplaceAll(string(xml), bare(d.issued[d.first].LeafPin), bare(i.LeafPin))
	if forged == string(xml) {
		return errors.New("the exported file lacks the first key's pin")
	}
	if err := os.WriteFile(draft, []byte(forged), 0o600); err != nil {
		return err
	}
	if _, err := d.command(no, "pins", "check", "--app", "shop", draft); err != nil {
		return err
	}
	chain, err := d.fullchain("attacker.pem", i)
	if err != nil {
		return err
	}
	_, err = d.command(no, "pins", "gate", chain)
	return err
}

// rejection: a person says that the attacker's certificate should not exist. What
// becomes known of it later goes into the thread of the alarm.
func (d *Demo) rejection() error {
	d.title("11. A person rejects it; what becomes known later goes into the alarm's thread, and updates the alarm")
	i := d.alarms[0]
	root, err := d.alarmOf(i)
	if err != nil {
		return err
	}
	begun := time.Now()
	if _, err := d.command(done, "certs", "reject", i.ID.String()[:12], "--reason", "nobody here asked for it"); err != nil {
		return err
	}
	if err := d.judged(begun, i, ctwatch.Unexpected, root, "Rejected by"); err != nil {
		return err
	}
	d.say("The final certificate appears, in the other log:")
	begun = time.Now()
	der, err := i.Final()
	if err != nil {
		return err
	}
	if _, _, err := d.RFC.AddFinal(i, der); err != nil {
		return err
	}
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateLogged, i.ID)
	if err != nil {
		return err
	}
	d.arrived("NATS", begun, string(e.Type), e.Data.Summary)
	if err := d.inThread(begun, e, root, "Rejected by"); err != nil {
		return err
	}
	d.say("The audit trail:")
	out, err := d.command(done, "pins", "history", i.LeafPin.String())
	if err != nil {
		return err
	}
	if !strings.Contains(out, "nobody here asked for it") {
		return errors.New("the audit trail lacks the rejection")
	}
	return nil
}

// alarmOf returns Slack's message about a certificate that raised an alarm.
func (d *Demo) alarmOf(i *ctlogtest.Issued) (slackMessage, error) {
	events := d.nats.all()
	n := slices.IndexFunc(events, func(e ctwatch.Event) bool {
		return e.Type == ctwatch.CertificateUnexpected && e.Data.Certificate.ID == i.ID
	})
	if n < 0 {
		return slackMessage{}, fmt.Errorf("there was no alarm about certificate %v", i.ID)
	}
	return d.slack.wait(d.ctx, events[n].ID)
}

// inThread waits until the thread of a message has an event, and the message was updated
// and has a text.
func (d *Demo) inThread(begun time.Time, e ctwatch.Event, root slackMessage, says string) error {
	reply, err := d.slack.wait(d.ctx, e.ID)
	if err != nil {
		return err
	}
	if reply.thread != root.ts {
		return fmt.Errorf("the message about %s is not in the thread of the alarm", e.Type)
	}
	d.arrived("Slack", begun, "reply in the thread", reply.text)
	updated, err := d.slack.waitUpdate(d.ctx, root.ts, says)
	if err != nil {
		return err
	}
	d.arrived("Slack", begun, "the alarm is updated", updated.text)
	lines := updated.words()
	if n := slices.Index(lines, "Now"); n >= 0 {
		for _, line := range lines[n:] {
			if line != "Now" && !strings.HasPrefix(line, "• ") {
				break
			}
			d.say("    │ %s", line)
		}
	}
	return nil
}

// authorization: the other CA issues for a partner, and a person authorizes it.
func (d *Demo) authorization() error {
	d.title("12. That CA issues again, this time for a partner's CDN: an alarm as well, until a person authorizes it")
	i, err := d.issueByOther()
	if err != nil {
		return err
	}
	root, err := d.alarmed(i)
	if err != nil {
		return err
	}
	begun := time.Now()
	d.authorized = begun
	if _, err := d.command(done, "certs", "authorize", i.ID.String()[:12], "--reason", "the CDN of our partner, ticket 4711"); err != nil {
		return err
	}
	return d.judged(begun, i, ctwatch.Expected, root, "✅")
}

// judged waits until NATS, and the alarm in Slack, have a person's verdict.
func (d *Demo) judged(begun time.Time, i *ctlogtest.Issued, want ctwatch.Verdict, root slackMessage, says string) error {
	e, err := d.nats.wait(d.ctx, ctwatch.CertificateJudged, i.ID)
	if err != nil {
		return err
	}
	if c := e.Data.Certificate; c.Verdict != want || e.Data.By == "" {
		return fmt.Errorf("the certificate was judged %s by %q, not %s by a person", c.Verdict, e.Data.By, want)
	}
	d.arrived("NATS", begun, string(e.Type), e.Data.Summary)
	return d.inThread(begun, e, root, says)
}

// shipsPartner: the key that was authorized may be pinned, and has to be before it is
// deployed.
func (d *Demo) shipsPartner() error {
	d.title("13. Its key may be pinned now, and must be before it is deployed: version 1.0 does not know it")
	i := d.alarms[1]
	e, err := d.nats.wait(d.ctx, ctwatch.PinMissing, i.ID)
	if err != nil {
		return err
	}
	d.arrived("NATS", d.authorized, string(e.Type), e.Data.Summary)
	message, err := d.slack.wait(d.ctx, e.ID)
	if err != nil {
		return err
	}
	d.arrived("Slack", d.authorized, "message in "+slackChannel, message.text)
	chain, err := d.fullchain("partner.pem", i)
	if err != nil {
		return err
	}
	if _, err := d.command(no, "pins", "gate", chain); err != nil {
		return err
	}
	next := filepath.Join(d.dir, "next.xml")
	for _, args := range [][]string{
		{"pins", "export", "--app", "shop", "--format", "android", "--out", next},
		{"pins", "check", "--app", "shop", next},
		{"pins", "import", "--app", "shop", "--version", "1.1", next},
		{"pins", "drop", "--app", "shop", "--version", "1.0", "--reason", "out of use"},
		{"pins", "gate", chain},
		{"pins", "plan"},
	} {
		if _, err := d.command(done, args...); err != nil {
			return err
		}
	}
	xml, err := os.ReadFile(next)
	if err != nil {
		return err
	}
	if !holdsPin(string(xml), i.LeafPin) || holdsPin(string(xml), d.alarms[0].LeafPin) {
		return errors.New("the exported file lacks the partner's key, or has the attacker's")
	}
	return nil
}
