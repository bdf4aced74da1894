package ctwatch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins"
)

// maxReason bounds a reason in a summary, in runes: what a person or a rule writes is far
// shorter.
const maxReason = 4000

// UnexpectedEvent tells that a certificate should not exist: that a person, or a
// rule, says so, and why.
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

// JudgedEvent tells that a certificate was judged anew without becoming unexpected: by
// a person, or else by rules. nth numbers the verdicts on it. What rules find out about
// one that raised no alarm is of no urgency.
func JudgedEvent(c Certificate, before Verdict, reason, by string, nth int64, at time.Time) Event {
	severity, says := Debug, "may exist"
	if by != "" || before == Unexpected {
		severity = Info
	}
	switch c.Verdict {
	case Unexpected:
		says = "should not exist, as was told"
	case Unreviewed:
		says = "is to be reviewed"
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

// WithTrustedKey adds to an event about a certificate that should not exist its key,
// which is trusted: the certificate may have been issued for a key of ours, without us.
func WithTrustedKey(e Event, k pins.Key) Event {
	e.Data.Key = &k
	if e.Type == CertificateUnexpected || e.Type == CertificateJudged {
		e.Data.Summary += " Its key is approved: if the key is yours, the certificate was issued for it without you."
	}
	return e
}

// DeployedEvent tells that a certificate is served for a host now. It is told once
// for a certificate and a host, of the endpoint that was first seen to serve it.
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

// ExpiringEvent tells that the certificate which is served for a host is near its
// end, and that no successor is known.
func ExpiringEvent(c Certificate, host, endpoint string, at time.Time) Event {
	return Event{
		ID:   NewEventID(CertificateExpiring, c.ID.String(), host),
		Type: CertificateExpiring, Time: at, Subject: servedSubject(c, host),
		Data: EventData{
			Severity: Warning,
			Summary: fmt.Sprintf("The certificate that %s serves ends on %s, and no successor is known: renew it.",
				Printable(endpoint, 300), date(c.NotAfter)),
			Certificate: &c, Host: host, Endpoint: endpoint,
		},
	}
}

// servedSubject is a watched domain that a served certificate matches, or else the
// host, which is configured.
func servedSubject(c Certificate, host string) string {
	if domains := c.Domains(); len(domains) > 0 {
		return domains[0]
	}
	return host
}

// PinMissingEvent tells that the pins of an app do not accept what is served for a
// host, or is about to be, and why: a sentence for a release manager. The
// certificate is nil where none is known; the pin is what is missing. The episode
// counts how often this came to be.
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

// PinCandidateForApp tells of a key that an app should ship for a host ahead of its
// deployment, and why. The episode counts how often this came to be.
func PinCandidateForApp(app, host, subject string, k pins.Key, why string, episode int64, at time.Time) Event {
	return Event{
		ID:   NewEventID(PinCandidate, "app", app, host, k.Pin.String(), strconv.FormatInt(episode, 10)),
		Type: PinCandidate, Time: at, Subject: subject,
		Data: EventData{Severity: Warning, Summary: sentence(Printable(why, maxReason)), Key: &k, App: app, Host: host},
	}
}

// PinDeployedEvent tells that a trusted key is served for a host now. The episode
// tells apart the times that it came to be.
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

// PinRetiredEvent tells that a key is of no use any more, or compromised. The
// episode tells apart the times that it came to be.
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

// sentence ends text with a full stop.
func sentence(s string) string {
	s = strings.TrimRight(s, " :")
	if s == "" || !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}
