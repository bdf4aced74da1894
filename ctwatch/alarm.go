package ctwatch

import "time"

// An alarm about a certificate is cheap to cause while nothing that is hard to forge
// supports it: no entry with the certificate is proven to be in its log's tree, and no CA
// that is known by its keys is proven to have issued it. Anyone who can change what a log
// serves can cause any number of such alarms, and hide a real one among them. So people
// get a few one by one, and the others in a digest.
const (
	// MaxAlone is how many cheap alarms of one log are sent one by one within
	// AloneEvery. Those that were proven since do not count.
	MaxAlone   = 5
	AloneEvery = time.Hour
	// The others wait for DigestAfter, in which most real ones are proven, and are sent
	// together, at most once in DigestEvery.
	DigestAfter = time.Minute
	DigestEvery = 10 * time.Minute
)

// An AlarmState says how an alarm about an unproven certificate is sent.
type AlarmState string

// The states. The zero AlarmState is that of a certificate that is proven, or has no
// alarm.
const (
	AlarmNone   AlarmState = ""
	AlarmAlone  AlarmState = "alone"  // it was sent by itself
	AlarmHeld   AlarmState = "held"   // it waits for a digest
	AlarmDigest AlarmState = "digest" // it was sent in a digest
)

// InDigest reports whether events about the certificate are sent in a digest only.
func (s AlarmState) InDigest() bool { return s == AlarmHeld || s == AlarmDigest }

// NextAlarm returns how an alarm is sent, after so many cheap alarms of the log were
// sent one by one within AloneEvery.
func NextAlarm(cheap bool, alone int) AlarmState {
	switch {
	case !cheap:
		return AlarmNone
	case alone < MaxAlone:
		return AlarmAlone
	}
	return AlarmHeld
}

// RaiseProven reports whether a certificate that is proven now gets an alarm of its own:
// so far it had none, and nobody has decided about it.
func RaiseProven(s AlarmState, v Verdict, past Past) bool {
	return s.InDigest() && v == Unexpected && !past.ByPerson
}

// OnlyConflict reports whether a certificate is unexpected for the sole reason that
// entries name different issuers for it. That is cheap to claim of any certificate.
func OnlyConflict(c *Certificate, k Standing, judge Judge) bool {
	if len(k.OtherIssuers) == 0 || c.Verdict != Unexpected {
		return false
	}
	k.OtherIssuers = nil
	return judge(c, k).Verdict != Unexpected
}
