package words

import (
	"fmt"
	"strings"

	"ctwatch/pins"
)

// A Text says what was found, in one sentence or a few, and what to do about it.
type Text struct {
	What  string
	Steps []Step
}

// Finding words a finding.
func Finding(f pins.Finding) Text { return Text{What: what(f), Steps: Steps(f.Do)} }

// String writes the text as one paragraph, with commands in parentheses.
func (t Text) String() string {
	return t.Render(func(s string) string { return s }, func(s string) string { return "(" + s + ")" })
}

// Render writes the text as one paragraph for any medium: its words as text returns them,
// and its commands as command does.
func (t Text) Render(text, command func(string) string) string {
	var parts []string
	if t.What != "" {
		parts = append(parts, text(t.What))
	}
	for _, s := range t.Steps {
		if s.Command == "" {
			parts = append(parts, text(s.Text+"."))
		} else {
			parts = append(parts, text(s.Text)+" "+command(s.Command)+text("."))
		}
	}
	return strings.Join(parts, " ")
}

// Sentences words findings, one after the other.
func Sentences(fs ...pins.Finding) string {
	var parts []string
	for _, f := range fs {
		parts = append(parts, Finding(f).String())
	}
	return strings.Join(parts, " ")
}

// what says what was found, without what to do.
func what(f pins.Finding) string {
	var because string
	for _, b := range f.Because {
		because += " " + what(b)
	}
	host, ver := f.Host.String(), versions(f.Versions)
	at := host
	if len(f.Names) > 0 {
		at = f.Names[0]
	}
	endpoint := at + " at " + f.Address
	issued := fmt.Sprintf("certificate issued on %s (%s)", Day(f.From), ShortID(f.Certificate))
	end := "end" // goes with several pins
	if f.Past {
		end = "ended"
	}

	switch f.Code {
	// Plans.
	case pins.Accepted:
		if f.Want > 1 {
			return fmt.Sprintf("Every supported version of %s accepts what %s serves, and has a backup pin.", f.App, host)
		}
		return fmt.Sprintf("Every supported version of %s accepts what %s serves.", f.App, host)
	case pins.VersionUnreadable:
		s := fmt.Sprintf("The file imported for %s of %s cannot be read: %s.", ver, f.App, strings.TrimRight(f.Detail, "."))
		if n := f.Have - 1; n > 0 {
			s += fmt.Sprintf(" Nor can those of %s.", Count(n, "other version"))
		}
		return s
	case pins.NoVersion:
		return fmt.Sprintf("No released version of %s is recorded, so nothing was checked for it.", f.App)
	case pins.NotPinned:
		return fmt.Sprintf("No supported version of %s pins %s.", f.App, host)
	case pins.ProbingOff:
		return fmt.Sprintf("%s is not probed: probing is off.", host)
	case pins.LastProbed:
		return fmt.Sprintf("%s was last probed on %s: probing is off.", host, Day(f.From))
	case pins.NotReached:
		return fmt.Sprintf("%s could not be checked: no connection to it has succeeded yet.", host)
	case pins.NoKnownHost:
		return fmt.Sprintf("%s could not be checked: no host of it is known.", host)
	case pins.NoBackupPin:
		return fmt.Sprintf("%s has no backup %s for %s: all that it can use are in the chain served today, so the next key change breaks it.%s",
			capital(ver), pinAt(f.At), at, notCounted(f.Because))
	case pins.SinglePin:
		return fmt.Sprintf("%s ships a single %s for %s, so the next key change breaks it.", capital(ver), pinAt(f.At), at)
	case pins.PinsEnd:
		return fmt.Sprintf("The pins of %s for %s %s on %s; after that it does not pin at all.", ver, at, end, Day(f.Until))
	case pins.CertificateEnds:
		if !f.Past {
			end = "ends"
		}
		return fmt.Sprintf("The certificate of %s %s on %s, and no successor that every supported version accepts is known.", endpoint, end, Day(f.Until))
	case pins.ComingRefused:
		return fmt.Sprintf("A %s has the %s, which %s not accept. Deployed at %s, it breaks %s.%s",
			issued, key(f), do(f), host, Plural(len(f.Versions), "that version", "those versions"), because)
	case pins.ServedRefused:
		open := ""
		if f.Open {
			open = " (its chain is known only as far as the server sends it)"
		}
		return fmt.Sprintf("%s serves the %s%s, which %s not accept: connections fail.%s", endpoint, key(f), open, do(f), because)
	case pins.ServedCompromised:
		return fmt.Sprintf("%s serves the key %s, which is compromised: anyone who has it can pose as the server.", endpoint, f.Pin)
	case pins.ServedRejected:
		return fmt.Sprintf("%s serves the certificate %s, with the key %s, which is unexpected.", endpoint, ShortID(f.Certificate), f.Pin)
	case pins.ShippedCompromised:
		return fmt.Sprintf("The key %s is compromised, and %s %s it for %s: anyone who has the key can pose as the server.",
			f.Pin, ver, Plural(len(f.Versions), "accepts", "accept"), host)
	case pins.PinsUnusable:
		return fmt.Sprintf("The client of %s cannot use any %s for %s: connections fail, whatever is served.%s", ver, pinAt(f.At), at, because)
	case pins.VersionsUnpinned:
		return fmt.Sprintf("%s not pin %s.", capital(do(f)), host)
	case pins.KeyToShip:
		return fmt.Sprintf("The key %s is approved for %s, and the newest version of %s does not ship it.", f.Pin, host, f.App)
	case pins.KeepWhileUnapproved:
		if f.State == pins.StateCompromised {
			return fmt.Sprintf("Keep %s while %s serves a compromised key.", f.Pin, host)
		}
		return fmt.Sprintf("Keep %s while %s serves a key that nobody has approved.", f.Pin, host)
	case pins.KeepForRollback:
		return fmt.Sprintf("Keep %s until %s: it was served until %s, and a rollback needs it.", f.Pin, Day(f.Until), Day(f.From))
	case pins.DocumentWithheld:
		return fmt.Sprintf("Its pins are withheld from signed documents (%s).%s", f.Detail, because)
	case pins.DocumentReduced:
		return fmt.Sprintf("Signed documents have only the pins that are left (%s).%s", f.Detail, because)

	// Why no pin set is made.
	case pins.KeysDiffer:
		return fmt.Sprintf("%s serve different keys, and must not share pins.", List(f.Names))
	case pins.NotApproved:
		switch {
		case f.State != "":
			return fmt.Sprintf("The key served now, %s, is %s.", f.Pin, f.State)
		case f.Certificate != "":
			return fmt.Sprintf("The key served now, %s, is that of an unexpected certificate (%s).", f.Pin, ShortID(f.Certificate))
		}
		return fmt.Sprintf("The key served now, %s, is not approved for it.", f.Pin)
	case pins.ChainNotKnown:
		return "The chain served now does not show its issuer's key."
	case pins.KeyCompromised:
		return fmt.Sprintf("The key served now, %s, is compromised.", f.Pin)
	case pins.NoKey:
		return "No key is approved for it." + because
	case pins.BelowMinPins:
		return fmt.Sprintf("%s needs %d pins (min_pins); only %s approved for it.%s", f.App, f.Want, Count(f.Have, "key")+Plural(f.Have, " is", " are"), because)
	case pins.NoBackupKey:
		return "All keys approved for it are served now: none is a backup." + because
	case pins.NotProbed:
		return strings.TrimSpace(because) + " A signed document could break the app."
	case pins.KeysWaiting:
		return fmt.Sprintf("Certificates were issued for %s, which nobody has approved.", few(f.Pins))

	// Keys that are not trusted.
	case pins.KeyImpossible:
		return fmt.Sprintf("No key has the pin %s: it is %s. Compute the pin again.", f.Pin.Text(), f.Detail)
	case pins.KeyUndeclared:
		return fmt.Sprintf("Nobody has declared %s.", f.Pin)
	case pins.KeyUnapproved:
		return fmt.Sprintf("Nobody has approved %s for %s.", f.Pin, host)
	case pins.KeyOtherHosts:
		return fmt.Sprintf("%s is approved for %s, and not for %s.", f.Pin, few(f.Scope), host)
	case pins.KeyOtherRole:
		return fmt.Sprintf("%s is known only as the key of a %s.", f.Pin, map[pins.Role]string{pins.RoleLeaf: "CA", pins.RoleIssuer: "server"}[f.Role])
	case pins.KeyOutOfUse:
		return fmt.Sprintf("The key %s is %s.", f.Pin, f.State)
	case pins.KeyRejected:
		return fmt.Sprintf("%s is the key of an unexpected certificate (%s).", f.Pin, ShortID(f.Certificate))
	case pins.KeyUnusable:
		return fmt.Sprintf("The client cannot use %s.%s", f.Pin, because)

	// Pins that a client cannot use.
	case pins.PinMisplaced:
		if f.At == pins.AtLeaf {
			return fmt.Sprintf("%s is the key of a CA, where the client compares only the server's own key: it never matches.", f.Pin)
		}
		return fmt.Sprintf("%s is the key of a server, where the client compares only the keys of CAs: it never matches.", f.Pin)
	case pins.KeyUnhashable:
		return fmt.Sprintf("The algorithm of %s is %s: the app crashes when it meets a key that is not %s.", f.Pin, f.Algorithm, or(f.Algorithms))
	case pins.AlgorithmUnknown:
		return fmt.Sprintf("The algorithm of %s is not known: the app crashes when it meets a key that is not %s.", f.Pin, or(f.Algorithms))

	// The deployment gate.
	case pins.ChainRefused:
		s := fmt.Sprintf("%s pins the key %s; the certificate has key %s.", it(f), or(some(f.Pins)), f.Pin)
		switch f.At {
		case pins.AtLeaf:
			s = fmt.Sprintf("%s pins the leaf key %s; the certificate has key %s.", it(f), or(some(f.Pins)), f.Pin)
		case pins.AtIssuers, pins.AtSent:
			s = fmt.Sprintf("%s pins the issuer key %s; the chain does not show it.", it(f), or(some(f.Pins)))
		}
		if f.Open {
			s += " The chain is not complete: if the key of a higher CA is pinned, give the whole chain."
		}
		return s + root(f)
	case pins.IssuerNotSent:
		return fmt.Sprintf("%s pins the issuer key %s, and accepts it only if the server sends its certificate, which the file does not have.%s", it(f), or(some(f.Pins)), root(f))
	case pins.ChainCrashes:
		where := ""
		if at != "" {
			where = " at " + at
		}
		return fmt.Sprintf("The app crashes%s at the key %s of the chain: it is %s, and the client can hash only %s.%s", where, f.Pin, f.Algorithm, List(f.Algorithms), root(f))
	case pins.ChainIncomplete:
		return fmt.Sprintf("The chain was not completed, since no root that this machine trusts verifies it: %s.", f.Detail)
	case pins.CertificateEnded:
		return fmt.Sprintf("The certificate ended on %s: every client refuses it.", Day(f.Until))
	case pins.NoHostConcerned:
		return fmt.Sprintf("No name of the certificate is a host of an app (%s), so nothing was checked.", List(f.Names[:min(5, len(f.Names))]))
	case pins.NoDatabase:
		return "There is no database: what was imported, approved, reported as compromised and seen to be served is not known."

	// The release gate.
	case pins.FileUnreadable:
		return f.Detail
	case pins.FileNotPinning:
		return strings.TrimSpace(fmt.Sprintf("The file does not pin %s. %s", at, f.Detail))
	case pins.FileRefusesServed:
		return fmt.Sprintf("It refuses what %s serves now at %s.%s", at, f.Address, because)
	case pins.FileRefusesCompromised:
		return fmt.Sprintf("It refuses what %s serves now at %s, where the key %s is compromised.", at, f.Address, f.Pin)
	case pins.ChainUnmatched:
		return fmt.Sprintf("None of its pins is that of the %s.", key(f))
	case pins.FileRefusesComing:
		if f.State == "" {
			return fmt.Sprintf("It refuses the %s, whose %s nobody has approved.", issued, key(f))
		}
		return fmt.Sprintf("It refuses the %s, whose %s is %s.", issued, key(f), f.State)
	case pins.FilePinsEnd:
		return fmt.Sprintf("Its pins for %s end on %s, before a version after this one can be out (lead time %s): from then on it does not pin.", at, Day(f.Until), span(f.Lead))
	case pins.FileFewPins:
		return fmt.Sprintf("It has %d of the %d %ss for %s that %s needs (min_pins).", f.Have, f.Want, pinAt(f.At), at, f.App)
	case pins.FileNoBackup:
		return fmt.Sprintf("It has no backup %s for %s: each that the client can use is in the chain served today.", pinAt(f.At), at)
	}
	return strings.TrimSpace(string(f.Code) + because)
}

// notCounted says why each pin is no backup.
func notCounted(doubts []pins.Finding) string {
	const most = 3
	if len(doubts) == 0 {
		return ""
	}
	var list []string
	for _, d := range doubts[:min(most, len(doubts))] {
		list = append(list, d.Pin.Text()+" ("+doubt(d)+")")
	}
	if n := len(doubts) - most; n > 0 {
		list = append(list, fmt.Sprintf("%d more", n))
	}
	return " Not counted: " + List(list) + "."
}

// doubt says in a few words why a pin is no backup.
func doubt(f pins.Finding) string {
	switch f.Code {
	case pins.KeyImpossible:
		return "no key has it"
	case pins.KeyUndeclared:
		return "nobody has declared it"
	case pins.KeyUnapproved:
		return "nobody has approved it"
	case pins.KeyOutOfUse:
		return string(f.State)
	case pins.KeyRejected:
		return "its certificate is unexpected"
	case pins.KeyUnusable:
		return "the client cannot use it"
	}
	return "approved for " + few(f.Scope)
}

// key names the key of a finding in the role that the app pins.
func key(f pins.Finding) string {
	switch {
	case f.Pin.IsZero():
		return "key of an unknown issuer"
	case f.Role == pins.RoleIssuer:
		return "issuer key " + f.Pin.String()
	}
	return "key " + f.Pin.String()
}

// pinAt says which keys a pin is compared with.
func pinAt(at pins.Position) string {
	switch at {
	case pins.AtLeaf:
		return "leaf pin"
	case pins.AtIssuers, pins.AtSent:
		return "issuer pin"
	}
	return "pin"
}

// it begins a sentence about what a version pins.
func it(f pins.Finding) string {
	if len(f.Names) > 0 && f.Names[0] != f.Host.String() {
		return "At " + f.Names[0] + " it"
	}
	return "It"
}

// do begins what versions do not do.
func do(f pins.Finding) string {
	return versions(f.Versions) + Plural(len(f.Versions), " does", " do")
}

func or(list []string) string {
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " or " + list[n-1]
	}
	return strings.Join(list, "")
}

func root(f pins.Finding) string {
	if f.Root == "" {
		return ""
	}
	return fmt.Sprintf(" This chain ends at the root %s; clients may build it or another one.", f.Root)
}
