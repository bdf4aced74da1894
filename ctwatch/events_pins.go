package ctwatch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins"
)

// maxReason is how many runes of a reason a summary has. What a person or a rule writes is
// far shorter.
const maxReason = 4000

// UnexpectedEvent reports that a certificate should not exist, according to a person or a
// rule, and why.
func UnexpectedEvent(c Certificate, reason string, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateUnexpected, c.ID.String()),
		Type: CertificateUnexpected, Time: at, Subject: subjectOf(c.Domains()),
		Data: EventData{
			Severity: Critical,
			Summary: sentence(fmt.Sprintf("A certificate for %s, issued by %s, should not exist: %s",
				c.MatchedNames(), Printable(c.Issuer.Name, 100), Printable(reason, maxReason))),
			Certificate: &c,
		},
	}
}

// JudgedEvent reports that a certificate was judged again without becoming unexpected: by a
// person, or else by rules. nth numbers the verdicts on it. A verdict by rules on a
// certificate that raised no alarm is not urgent.
func JudgedEvent(c Certificate, before Verdict, reason, by string, nth int64, at time.Time) Event {
	severity, says := Debug, "is expected"
	if by != "" || before == Unexpected {
		severity = Info
	}
	who := Printable(by, 100)
	switch {
	case c.Verdict == Unexpected && by != "":
		says = "was confirmed unauthorized by " + who
	case c.Verdict == Unexpected:
		says = "is still unexpected"
	case c.Verdict == Unreviewed:
		says = "needs review"
	case by != "":
		says = "was authorized by " + who
	}
	return Event{
		ID:   NewEventID(CertificateJudged, c.ID.String(), strconv.FormatInt(nth, 10)),
		Type: CertificateJudged, Time: at, Subject: subjectOf(c.Domains()),
		Data: EventData{
			Severity: severity,
			Summary: sentence(fmt.Sprintf("The certificate for %s, issued by %s, %s: %s",
				c.MatchedNames(), Printable(c.Issuer.Name, 100), says, Printable(reason, maxReason))),
			Certificate: &c, By: by,
		},
	}
}

// WithTrustedKey adds the key, which is trusted, to an event about an unexpected
// certificate: the certificate may have been issued for a key of ours, without us.
func WithTrustedKey(e Event, k pins.Key) Event {
	e.Data.Key = &k
	if e.Type == CertificateUnexpected || e.Type == CertificateJudged {
		e.Data.Summary += " Its key is approved: if the key is yours, the certificate was issued for it without you."
	}
	return e
}

// DeployedEvent reports that a certificate is served for a host now: once per certificate
// and host, with the endpoint that served it first.
func DeployedEvent(c Certificate, host, endpoint string, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateDeployed, c.ID.String(), host),
		Type: CertificateDeployed, Time: at, Subject: servedSubject(c, host),
		Data: EventData{
			Severity: Info,
			Summary: fmt.Sprintf("%s now serves a certificate issued by %s, valid until %s.",
				Printable(endpoint, 300), Printable(c.Issuer.Name, 100), date(c.NotAfter)),
			Certificate: &c, Host: host, Endpoint: endpoint,
		},
	}
}

// ExpiringEvent reports that the certificate that is served for a host expires soon, and
// that no successor is known.
func ExpiringEvent(c Certificate, host, endpoint string, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateExpiring, c.ID.String(), host),
		Type: CertificateExpiring, Time: at, Subject: servedSubject(c, host),
		Data: EventData{
			Severity: Warning,
			Summary: fmt.Sprintf("The certificate served by %s expires on %s, and no successor is known: renew it.",
				Printable(endpoint, 300), date(c.NotAfter)),
			Certificate: &c, Host: host, Endpoint: endpoint,
		},
	}
}

// servedSubject returns a watched domain that a served certificate matches, or else the
// host, which is configured.
func servedSubject(c Certificate, host string) string {
	if domains := c.Domains(); len(domains) > 0 {
		return domains[0]
	}
	return host
}

// PinMissingEvent reports that the pins of an app do not accept what is served for a host,
// or soon will be, and why: a sentence for a release manager. The certificate is nil if it
// is unknown; the pin is the missing one. The episode counts how often this began.
func PinMissingEvent(app, host, subject string, c *Certificate, pin pins.Pin, why string, episode int64, at time.Time) Event {
	id := ""
	if c != nil {
		id = c.ID.String()
	}
	return Event{
		ID:   NewEventID(PinMissing, app, host, pin.String(), id, strconv.FormatInt(episode, 10)),
		Type: PinMissing, Time: at, Subject: subject,
		Data: EventData{Severity: Critical, Summary: sentence(Printable(why, maxReason)), Certificate: c, App: app, Host: host},
	}
}

// PinCandidateForApp reports a key that an app should ship for a host before it is
// deployed, and why. The episode counts how often this began.
func PinCandidateForApp(app, host, subject string, k pins.Key, why string, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(PinCandidate, "app", app, host, k.Pin.String(), strconv.FormatInt(episode, 10)),
		Type: PinCandidate, Time: at, Subject: subject,
		Data: EventData{Severity: Warning, Summary: sentence(Printable(why, maxReason)), Key: &k, App: app, Host: host},
	}
}

// PinDeployedEvent reports that a trusted key is served for a host now. The episode counts
// how often this began.
func PinDeployedEvent(k pins.Key, host, endpoint, subject string, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(PinDeployed, k.Pin.String(), string(k.Role), strconv.FormatInt(episode, 10)),
		Type: PinDeployed, Time: at, Subject: subject,
		Data: EventData{
			Severity: Info,
			Summary:  fmt.Sprintf("%s now serves the %s key %s.", Printable(endpoint, 300), k.Role, k.Pin),
			Key:      &k, Host: host, Endpoint: endpoint,
		},
	}
}

// PinRetiredEvent reports that a key is no longer of use, or compromised. The episode
// counts how often this happened.
func PinRetiredEvent(k pins.Key, subject string, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(PinRetired, k.Pin.String(), string(k.Role), strconv.FormatInt(episode, 10)),
		Type: PinRetired, Time: at, Subject: subject,
		Data: EventData{
			Severity: Info,
			Summary:  sentence(fmt.Sprintf("The %s key %s is %s: %s", k.Role, k.Pin, k.State, Printable(k.Reason, maxReason))),
			Key:      &k,
		},
	}
}

// sentence adds a period unless there is one.
func sentence(s string) string {
	s = strings.TrimRight(s, " :")
	if s == "" || !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}
