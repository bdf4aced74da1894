package operator

import (
	"fmt"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Code says why something was refused.
type Code string

// The codes.
const (
	NoReason       Code = "no_reason"           // the audit trail needs one
	NoHost         Code = "no_host"             // no host of the key is known, and none was given
	NoKey          Code = "no_key"              // an ID of a certificate was given, and a key is needed
	NoApps         Code = "no_apps"             // the configuration names no app
	UnknownApp     Code = "unknown_app"         // the configuration names Others
	UnknownVersion Code = "unknown_version"     // no such version of App was imported
	UnknownKey     Code = "unknown_key"         // no key with Pin was seen, in Role if there is one
	InConfig       Code = "in_configuration"    // the configuration names Version of App
	PinsNoHost     Code = "pins_no_host"        // the file pins none of the hosts of App: Why
	Recorded       Code = "recorded"            // Version of App is recorded with other pins: Changed
	Alarmed        Code = "unexpected_key"      // Pin has an unexpected certificate
	Unreadable     Code = "unreadable"          // the certificate's key or names cannot be read
	NoNames        Code = "certificate_no_name" // the certificate names no host
)

// An Error is a refusal: what is missing, or what forbids it.
type Error struct {
	Code    Code
	App     string
	Version string
	Others  []string
	Pin     pins.Pin
	Role    pins.Role
	Why     []pins.Finding
	Changed *Change
	Detail  string
	Err     error // optional: what the refusal follows from
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Error says in a line what was refused. Callers word refusals by Code where they can say
// more.
func (e *Error) Error() string {
	app, version := ctwatch.Printable(e.App, 100), ctwatch.Printable(e.Version, 60)
	switch e.Code {
	case NoReason:
		return "the audit trail needs a reason"
	case NoHost:
		return "no host is known that the key is for"
	case NoKey:
		return "an ID stands for a certificate; want a CA's certificate, public key or pin"
	case NoApps:
		return "the configuration names no app (apps:)"
	case UnknownApp:
		there := "there are "
		if len(e.Others) == 1 {
			there = "the only app is "
		}
		return fmt.Sprintf("there is no app %q in the configuration; %s%s", e.App, there, ctwatch.Printable(strings.Join(e.Others, ", "), 500))
	case UnknownVersion:
		return fmt.Sprintf("no version %s of %s was imported: versions that the configuration names are dropped there", version, app)
	case UnknownKey:
		if e.Role == pins.RoleIssuer {
			return fmt.Sprintf("no issuer's key with the pin %s was seen", e.Pin)
		}
		return fmt.Sprintf("no key with the pin %s was seen", e.Pin)
	case InConfig:
		return fmt.Sprintf("version %s of %s is in the configuration already: change it there, or take it out and import it", version, app)
	case PinsNoHost:
		return fmt.Sprintf("it pins none of the hosts of %s", app)
	case Recorded:
		return fmt.Sprintf("version %s of %s is recorded already, with other pins", version, app)
	case Unreadable:
		if e.Err != nil {
			return e.Err.Error()
		}
		return "the certificate's key or names cannot be read: " + ctwatch.Printable(e.Detail, 300)
	case NoNames:
		return "the certificate names no host: want the one that a server is to serve, with its chain"
	}
	if e.Err != nil {
		return e.Err.Error()
	}
	return string(e.Code)
}
