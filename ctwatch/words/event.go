package words

import (
	"fmt"
	"slices"
	"strings"

	"ctwatch/ctwatch"
)

// EventTitle says in a few words what happened.
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
		return "Certificates that nothing proves"
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

// actions says what to do about an event.
func actions(e ctwatch.Event) []string {
	c, d := e.Data.Certificate, e.Data
	switch e.Type {
	case ctwatch.CertificateUnexpected:
		switch {
		case c == nil:
			return nil
		case d.Key != nil: // of ours: to expect the certificate would be to trust who issued it
			keep := "If the key is yours, the certificate was issued for it without you: keep the pin"
			if !slices.Contains(c.Reasons, "rejected") {
				keep += ", and reject the certificate: ctwatch certs reject " + c.ID.String() + " --reason TEXT"
			}
			return append([]string{
				keep, "If the key is not yours, retire it: ctwatch pins retire " + d.Key.Pin.String() + " --reason TEXT, with --compromised to end it at once.",
			}, report(d)...)
		case d.By != "": // a person has decided already
			return append(report(d), "If it is yours after all: ctwatch certs authorize "+c.ID.String()+" --reason TEXT")
		}
		return append([]string{
			"Ask who requested it. If it is yours: ctwatch certs authorize " + c.ID.String() + " --reason TEXT",
			"If nobody did: ctwatch certs reject " + c.ID.String() + " --reason TEXT, and find out who controls the name's DNS and web server, by which the CA was convinced.",
		}, report(d)...)
	case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.CertificateJudged:
		switch {
		case c == nil:
		case c.Verdict == ctwatch.Unexpected:
			return report(d)
		case c.Verdict == ctwatch.Unreviewed && e.Type != ctwatch.CertificateLogged:
			return []string{
				"No rule says whether it should exist. To write one: ctwatch certs list --verdict unreviewed --suggest",
				"For this one alone: ctwatch certs authorize " + c.ID.String() + " --reason TEXT, or ctwatch certs reject.",
			}
		}
	case ctwatch.CertificateExpiring:
		return []string{"Renew it, or look for what keeps the renewal from happening."}
	case ctwatch.PinCandidate:
		if d.App != "" && c == nil {
			return []string{"Ship the key in the next release: ctwatch pins plan --app " + shellWord(d.App)}
		}
		if d.Key != nil {
			next := "If apps pin the name, add the key's pin to them before it is deployed."
			if d.App != "" {
				next = "Then see what the app has to ship by when: ctwatch pins plan --app " + shellWord(d.App)
			}
			return []string{"If the key is yours: ctwatch pins approve " + d.Key.Pin.String(), next}
		}
	case ctwatch.PinMissing:
		return []string{"Do not deploy before apps have the pin. What to do by when: ctwatch pins plan" + appFlag(d.App)}
	case ctwatch.LogMisbehaved:
		if d.Evidence != nil && d.Evidence.Omitted != nil {
			return []string{"Keep the evidence, of which the event has no room for all: the rest is in the table evidence of ctwatch.db. Report it to the log's operator and to browsers' CT teams."}
		}
		return []string{"Keep the evidence, which the event carries in full, and report it to the log's operator and to browsers' CT teams."}
	case ctwatch.LogUnhealthy:
		return []string{"Certificates in this log are seen late. If it lasts: ctwatch logs"}
	case ctwatch.EntryMalformed:
		return []string{"Look at the entry by hand: it may be a certificate for a watched name."}
	case ctwatch.EntryUnproven:
		if d.Log == nil || d.Unproven == nil {
			return nil
		}
		return []string{
			"List them: " + ctwatch.UnprovenCommand(*d.Log, *d.Unproven),
			"If they do not disappear from that list, the log serves entries that it never signed, or somebody on the way to it does: compare what other networks see.",
		}
	case ctwatch.WatchGap:
		return []string{"Look the watched names up elsewhere, such as crt.sh, for the time that is missing."}
	case ctwatch.LogListRefused:
		return []string{"Find out who serves that list, and to whom: reading goes on with the last good one. If it is right after all, save it, look it through, and name the file in logs.list, with list_key: \"\"."}
	case ctwatch.LogListOutdated:
		return []string{"Check that the address in logs.list serves the newest list to this machine, and look for a newer version of ctwatch."}
	case ctwatch.WatchStalled:
		return []string{"Look at the daemon's log, and at ctwatch logs: until logs are read again, nobody learns of new certificates."}
	}
	return nil
}

// report says where to report a certificate that should not exist. The Baseline
// Requirements for TLS certificates (§4.9.1.1, §4.9.5) bind CAs to react within a day.
func report(d ctwatch.EventData) []string {
	if d.ReportTo != "" {
		return []string{"Ask the CA to revoke it: " + Printable(d.ReportTo, 200) + ". It has to answer within 24 hours."}
	}
	return []string{"Ask the CA to revoke it: its problem-reporting address is in its certification practice statement, and at https://www.ccadb.org/. It has to answer within 24 hours."}
}

func appFlag(app string) string {
	if app == "" {
		return ""
	}
	return " --app " + shellWord(app)
}

// shellWord quotes the name of an app for a command that people copy.
func shellWord(s string) string {
	s = Printable(s, 100)
	if strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// reasonsText spells reasons as words: each is a code, such as "issuer_not_allowed",
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
