package words

import (
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// EventTitle returns what happened, in a few words.
func EventTitle(t ctwatch.EventType) string {
	switch t {
	case ctwatch.CertificateIssued:
		return "New certificate"
	case ctwatch.CertificateLogged:
		return "Certificate seen again"
	case ctwatch.CertificateUnexpected:
		return "Unexpected certificate"
	case ctwatch.CertificateJudged:
		return "Certificate judged"
	case ctwatch.CertificateDeployed:
		return "Certificate deployed"
	case ctwatch.CertificateExpiring:
		return "Certificate expires soon"
	case ctwatch.PinCandidate:
		return "New key"
	case ctwatch.PinMissing:
		return "Pins do not match"
	case ctwatch.PinDeployed:
		return "Key deployed"
	case ctwatch.PinRetired:
		return "Key retired"
	case ctwatch.LogUnhealthy:
		return "Log unhealthy"
	case ctwatch.LogRecovered:
		return "Log recovered"
	case ctwatch.LogMisbehaved:
		return "Log misbehaved"
	case ctwatch.EntryMalformed:
		return "Unreadable entry"
	case ctwatch.EntryUnproven:
		return "Unproven certificates"
	case ctwatch.WatchGap:
		return "Entries not read"
	case ctwatch.LogListRefused:
		return "Log list refused"
	case ctwatch.LogListOutdated:
		return "Log list outdated"
	case ctwatch.WatchHeartbeat:
		return "Heartbeat"
	case ctwatch.WatchStalled:
		return "Watching stalled"
	case ctwatch.WatchResumed:
		return "Watching resumed"
	case ctwatch.NotifyTest:
		return "Test"
	}
	return string(t)
}

// actions returns what a person can do about an event, a sentence each.
func actions(e ctwatch.Event) []string {
	c, d := e.Data.Certificate, e.Data
	switch e.Type {
	case ctwatch.CertificateUnexpected:
		if c == nil {
			return nil
		}
		return unexpected(c, d)
	case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.CertificateJudged:
		switch {
		case c == nil:
		case c.Verdict == ctwatch.Unexpected:
			return []string{revoke(d.ReportTo)}
		case c.Verdict == ctwatch.Unreviewed && e.Type != ctwatch.CertificateLogged:
			return []string{
				"No rule covers it. To write one: " + Shell("ctwatch", "certs", "list", "--verdict", string(ctwatch.Unreviewed), "--suggest"),
				"For this certificate only: " + certCommand(pins.AuthorizeCert, c) + ", or ctwatch certs reject",
			}
		}
	case ctwatch.CertificateExpiring:
		return []string{"Renew it, or find out why its renewal fails."}
	case ctwatch.PinCandidate:
		plan := Command(pins.Action{Do: pins.ShowPlan, App: d.App})
		if d.App != "" && c == nil {
			return []string{"Ship the key in the next release: " + plan}
		}
		if d.Key != nil {
			next := "If apps pin the name, add the key's pin to them before you deploy it."
			if d.App != "" {
				next = "Then see which release has to ship it, and by when: " + plan
			}
			return []string{"If the key is yours: " + Command(pins.Action{Do: pins.Approve, Pin: d.Key.Pin}), next}
		}
	case ctwatch.PinMissing:
		return []string{"Do not deploy it before apps have its pin. See what to release, and by when: " + Command(pins.Action{Do: pins.ShowPlan, App: d.App})}
	case ctwatch.LogMisbehaved:
		where := "the event has all of it"
		if d.Evidence != nil && d.Evidence.Omitted != nil {
			where = "the event has a part of it, and the table evidence of ctwatch.db has all"
		}
		return []string{"Keep the evidence: " + where + ". Report it to the log's operator and to the browsers' CT teams."}
	case ctwatch.LogUnhealthy:
		return []string{"Certificates in this log are detected late. If it lasts: " + Shell("ctwatch", "logs")}
	case ctwatch.EntryMalformed:
		return []string{"Inspect the entry: it may be a certificate for a watched name."}
	case ctwatch.EntryUnproven:
		if d.Log == nil || d.Unproven == nil {
			return nil
		}
		return []string{
			"List them: " + ctwatch.UnprovenCommand(*d.Log, *d.Unproven),
			"If they stay in that list, the log serves entries that it never signed, or someone on the way to it does: compare with what other networks see.",
		}
	case ctwatch.WatchGap:
		return []string{"Look the watched names up elsewhere, such as at crt.sh, for the missing period."}
	case ctwatch.LogListRefused:
		return []string{"Find out who serves that list, and to whom; ctwatch continues with the last good one. If it is right after all, save it, review it, and name the file in logs.list, with list_key: \"\"."}
	case ctwatch.LogListOutdated:
		return []string{"Check that the address in logs.list serves the newest list to this machine, and look for a newer version of ctwatch."}
	case ctwatch.WatchStalled:
		return []string{"Check the daemon's log, and " + Shell("ctwatch", "logs") + ": until logs are read again, new certificates go unnoticed."}
	}
	return nil
}

// unexpected returns what to do about an unexpected certificate. For a trusted key it does not propose to authorize the certificate: that
// would trust the person who had it issued.
func unexpected(c *ctwatch.Certificate, d ctwatch.EventData) []string {
	authorize, reject := certCommand(pins.AuthorizeCert, c), certCommand(pins.RejectCert, c)
	switch {
	case d.Key != nil:
		keep := "If the key is yours, someone else had this certificate issued for it: keep the pin"
		if !slices.Contains(c.Reasons, ctwatch.ReasonRejected) {
			keep += ", and reject the certificate: " + reject
		}
		return []string{keep, "If the key is not yours, retire it: " + Command(pins.Action{Do: pins.RetireKey, Pin: d.Key.Pin}) + " (with --compromised, it ends at once)", revoke(d.ReportTo)}
	case d.By != "": // a person has decided already
		return []string{revoke(d.ReportTo), "If it is yours after all: " + authorize}
	}
	return []string{
		"Ask who requested it. If it is yours: " + authorize,
		"If nobody did: " + reject + ", and check who controls the name's DNS and web server: the CA accepted them as proof.",
		revoke(d.ReportTo),
	}
}

func certCommand(do pins.Verb, c *ctwatch.Certificate) string {
	return Command(pins.Action{Do: do, Certificate: c.ID.String()})
}

// revoke returns where to report a certificate. The Baseline Requirements for TLS
// certificates (§4.9.1.1, §4.9.5) bind CAs to respond within a day.
func revoke(reportTo string) string {
	where := "its problem-reporting address is in its certification practice statement, and at https://www.ccadb.org/"
	if reportTo != "" {
		where = OrDash(reportTo, 200)
	}
	return "Ask the CA to revoke it: " + where + ". It must respond within 24 hours."
}

// reasonsText writes reasons as words: each is a code, such as "issuer_not_allowed",
// which may be followed by a colon and details.
func reasonsText(reasons []string) []string {
	if len(reasons) == 0 {
		return nil
	}
	first, more := First(reasons, MaxNames)
	for i := range first {
		code, details, found := strings.Cut(first[i], ":")
		first[i] = strings.ReplaceAll(code, "_", " ")
		if found {
			first[i] += ":" + details
		}
		first[i] = ctwatch.ShownText(first[i], maxText)
	}
	text := strings.Join(first, "; ")
	if more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return []string{text}
}
