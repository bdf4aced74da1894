package words

import (
	"fmt"
	"strings"

	"ctwatch/pins"
)

// A Step is one thing to do.
type Step struct {
	Text    string // a sentence, without its full stop
	Command string // that does it; "" if there is none
	Action  pins.Action
}

// String writes the step as a line of a list.
func (s Step) String() string {
	if s.Command == "" {
		return s.Text + "."
	}
	return s.Text + ": " + s.Command
}

// Steps words actions in their order.
func Steps(do []pins.Action) []Step {
	var out []Step
	before := pins.Action{}
	for _, a := range do {
		text := action(a)
		switch {
		case a.If == pins.Always:
		case a.If == before.If:
			text = "then " + text
		case a.If == pins.NotOurs && before.If == pins.Ours, a.If == pins.Ours && before.If == pins.NotOurs:
			text = map[pins.Condition]string{pins.Ours: "if it is, ", pins.NotOurs: "if it is not, "}[a.If] + text
		case a.If == pins.NotOurs:
			text = "if the key is not yours, " + text
		case a.Role == pins.RoleIssuer:
			text = "if it is the key of a CA that you trust, " + text
		default:
			text = "if the key is yours, " + text
		}
		out = append(out, Step{Text: capital(text), Command: Command(a), Action: a})
		before = a
	}
	return out
}

// oneOf lists the pins of an action, of which any will do.
func oneOf(a pins.Action) string {
	s := or(some(a.Pins))
	if len(a.Pins) > 1 {
		s = "one of " + s
	}
	if !a.Unpinned {
		s += ", which every supported version has"
	}
	return s
}

// action words an action, without the condition for it, as the end of a sentence.
func action(a pins.Action) string {
	switch a.Do {
	case pins.Approve:
		return "approve it"
	case pins.Declare:
		switch {
		case !a.Pin.IsZero():
			return "declare it"
		case a.Role == pins.RoleIssuer:
			return "choose the CA that you would change to, and declare its key"
		}
		return "make the next key now, and declare it"
	case pins.RetireKey:
		return "retire the key"
	case pins.AuthorizeCert:
		return "authorize the certificate"
	case pins.RejectCert:
		return "reject the certificate"
	case pins.ShowCert:
		return "find out its issuer's key first"
	case pins.ShowPlan:
		return "see what to ship by when"
	case pins.ImportVersion:
		return "record what is released"
	case pins.ReimportVersion:
		return "import it again"
	case pins.DropVersion:
		return fmt.Sprintf("drop version %s once it is no longer used", a.Version)
	case pins.ProbeHost:
		return "probe it once"
	case pins.ExportPins:
		return "export its pins, and ship them"

	case pins.ShipPins:
		if len(a.Pins) == 0 || a.If == pins.Ours {
			return "ship its pin"
		}
		return fmt.Sprintf("ship %s in the next version", few(a.Pins))
	case pins.AddPin:
		if a.If == pins.Ours {
			return "add its pin to the file"
		}
		return fmt.Sprintf("add %s to the file", a.Pin)
	case pins.OmitPins:
		return fmt.Sprintf("you can drop %s from the next version", few(a.Pins))
	case pins.LeaveOut:
		return "leave it out"
	case pins.ServeKey:
		if len(a.Pins) > 0 {
			return "serve " + oneOf(a)
		}
		return "serve another key that is shipped"
	case pins.NewKey:
		return "have a CA that is shipped issue a certificate for a new key, and serve that"
	case pins.RenewCert:
		var with []string
		if !a.Pin.IsZero() {
			with = append(with, "the same key")
			if a.Role == pins.RoleIssuer {
				with[0] = "the same issuer's key"
			}
		}
		if len(a.Pins) > 0 {
			with = append(with, oneOf(a))
		}
		if with == nil {
			with = []string{"a key that is shipped"}
		}
		return "renew it with " + strings.Join(with, ", or with ")
	case pins.DoNotDeploy:
		if len(a.Versions) > 0 {
			return fmt.Sprintf("do not deploy the certificate while %s %s in use", versions(a.Versions), Plural(len(a.Versions), "is", "are"))
		}
		return "do not deploy the certificate"
	case pins.ReleaseVersion:
		if !a.Pin.IsZero() {
			return "release a version without it, and have users update"
		}
		return "release a version whose pins end later, or never"
	case pins.UpdateUsers:
		return fmt.Sprintf("version %s has one: have users update", a.Version)
	case pins.ReleaseBy:
		if a.Past {
			return fmt.Sprintf("the time to release was %s: do it now", Day(a.Until))
		}
		return "release by " + Day(a.Until)
	case pins.ActNow:
		return "do it now"
	case pins.EnableProbing:
		return "turn probing on (probe.interval, and endpoints of its domain)"
	case pins.ListEndpoints:
		return "name its endpoints in the watch list"
	case pins.ListHosts:
		return "name the hosts individually among the hosts of the app"
	case pins.SuspectIntercept:
		return "somebody may be between you and the server"
	case pins.SendIssuer:
		return "add that certificate to the file"
	case pins.GiveChain:
		return "give the whole chain, install the public roots (ca-certificates), or name a file of roots in SSL_CERT_FILE"
	case pins.MovePin:
		if a.Role == pins.RoleIssuer {
			return "move it to where the client looks for keys of CAs, or pin the server's key"
		}
		return "move it to where the client looks for the server's key, or pin the key of a CA"
	case pins.ReplaceKey:
		return "pin a key that is " + or(a.Algorithms)
	}
	return string(a.Do)
}
