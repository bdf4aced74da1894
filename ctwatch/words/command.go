package words

import (
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// Shell writes a command for a POSIX shell.
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Quote quotes a word for a POSIX shell, if it needs quotes. It replaces what cannot be
// printed: a command that shows less than it does is worse than one that fails.
func Quote(word string) string {
	const (
		most  = 1000
		plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+=,"
	)
	word = ctwatch.Printable(word, most)
	if word != "" && strings.Trim(word, plain) == "" && word[0] != '=' { // zsh expands =word
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Command returns the command by which an action is done; "" if there is none. What a
// person has to fill in is in capitals: TEXT, VERSION, FILE.
func Command(a pins.Action) string {
	host := a.Host.String()
	switch a.Do {
	case pins.Approve:
		pin := "PIN"
		if !a.Pin.IsZero() {
			pin = a.Pin.String()
		}
		if a.Host.Name == "" {
			return Shell("ctwatch", "pins", "approve", pin)
		}
		words := []string{"ctwatch", "pins", "approve", pin, "--host", host, "--reason", "TEXT"}
		if a.Despite {
			words = append(words, "--despite-alarm")
		}
		return Shell(words...)
	case pins.Declare:
		key := a.Pin.String()
		switch {
		case key != "":
		case a.Role == pins.RoleIssuer: // apps that pin issuers have no use for a request
			key = "CA.pem"
		default:
			key = "KEY.csr"
		}
		if a.Role == pins.RoleIssuer {
			return Shell("ctwatch", "certs", "authorize", key, "--issuer", "--domain", host, "--reason", "TEXT")
		}
		return Shell("ctwatch", "certs", "authorize", key, "--domain", host, "--reason", "TEXT")
	case pins.RetireKey:
		return Shell("ctwatch", "pins", "retire", a.Pin.String(), "--reason", "TEXT")
	case pins.AuthorizeCert:
		return Shell("ctwatch", "certs", "authorize", ShortID(a.Certificate), "--reason", "TEXT")
	case pins.RejectCert:
		return Shell("ctwatch", "certs", "reject", ShortID(a.Certificate), "--reason", "TEXT")
	case pins.ShowCert:
		return Shell("ctwatch", "certs", "show", ShortID(a.Certificate))
	case pins.ShowPlan:
		if a.App == "" {
			return Shell("ctwatch", "pins", "plan")
		}
		return Shell("ctwatch", "pins", "plan", "--app", a.App)
	case pins.ImportVersion:
		return Shell("ctwatch", "pins", "import", "--app", a.App, "--version", "VERSION", "FILE")
	case pins.ReimportVersion:
		return Shell("ctwatch", "pins", "import", "--app", a.App, "--version", a.Version, "--replace", "FILE")
	case pins.DropVersion:
		return Shell("ctwatch", "pins", "drop", "--app", a.App, "--version", a.Version)
	case pins.ProbeHost:
		return Shell("ctwatch", "probe", "--record", host)
	case pins.ExportPins:
		return Shell("ctwatch", "pins", "export", "--app", a.App, "--format", "FORMAT")
	}
	return ""
}
