package notify

import "ctwatch/ctwatch"

// What people are not told. A person who hears of every renewal stops to listen, and
// then misses the one certificate that matters. Programs (NATS, webhooks, hooks,
// standard output) are told everything.

// isRoutine reports whether an event only says that all is as it should be.
func isRoutine(e ctwatch.Event) bool {
	expected := e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Expected
	switch e.Type {
	case ctwatch.CertificateIssued, ctwatch.CertificateLogged, ctwatch.CertificateDeployed:
		return expected
	case ctwatch.CertificateJudged:
		// Of one that raised an alarm, or that a person judged, people hear.
		return expected && e.Data.By == "" && !e.Data.Severity.AtLeast(ctwatch.Info)
	case ctwatch.PinCandidate:
		// Without a certificate it is for the people who release the app. With one, they
		// hear of the certificate already: of its key only if an app pins it.
		return e.Data.Certificate != nil && (expected || e.Data.App == "")
	case ctwatch.WatchHeartbeat:
		return true
	}
	return false
}

// alarmFollows reports whether certificate.unexpected follows at once, of the same
// certificate, and says all that this event does: both are recorded together.
func alarmFollows(e ctwatch.Event) bool {
	return e.Type == ctwatch.CertificateIssued && e.Data.Certificate != nil && e.Data.Certificate.Verdict == ctwatch.Unexpected
}

// isNews is what senders to people want. Of an event in a digest they hear by that.
func isNews(e ctwatch.Event) bool { return !isRoutine(e) && !alarmFollows(e) && !e.Data.InDigest }

// forPeople marks a sender to people, which wants what isNews says. Filtered can give
// it more.
type forPeople interface{ forPeople() }

// wantedByPeople is isNews where people have a filter: with severity debug they asked
// for what is routine as well, and who gets no alarms is told of each certificate.
func (f Filter) wantedByPeople(e ctwatch.Event) bool {
	if e.Data.InDigest {
		return false
	}
	if alarmFollows(e) {
		return !matchesAny(f.Types, string(ctwatch.CertificateUnexpected))
	}
	return f.MinSeverity == ctwatch.Debug || !isRoutine(e)
}
