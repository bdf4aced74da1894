package configs_test

import (
	"bytes"
	"strings"
	"testing"

	"ctwatch/configs"
)

// A contact is one line that a header may carry, and that reaches somebody.
func TestCheckContact(t *testing.T) {
	for s, good := range map[string]bool{
		"ct@watchers.io":                       true,
		"mailto:ct@watchers.io":                true,
		"o'neil+ct@sub.watchers.co.uk":         true,
		"https://watchers.io/ct":               true,
		"https://watchers.io:8443/ct?team=ct":  true,
		"https://example.de/":                  true,
		"ct@notexample.com":                    true,
		"":                                     false,
		"ct":                                   false,
		"ct@":                                  false,
		"@watchers.io":                         false,
		"ct@localhost":                         false,
		"ct@192.0.2.1":                         false,
		"ct@a@watchers.io":                     false,
		"ct@watchers.io\r\nX-Injected: 1":      false,
		"ct@watchers.io\n":                     false,
		"ct@watchers.io\x00":                   false,
		"ct@watchers.io, b@watchers.io":        false,
		"Team <ct@watchers.io>":                false,
		"ct@watchers.io (team)":                false,
		"ct@watchers.io)":                      false,
		`"ct"@watchers.io`:                     false,
		`ct\\@watchers.io`:                     false,
		"ct@wätchers.io":                       false,
		"..@watchers.io":                       false,
		"http://watchers.io/":                  false,
		"ftp://watchers.io/":                   false,
		"https://":                             false,
		"https://watchers/":                    false,
		"https://me:secret@watchers.io/":       false,
		"https://watchers.io/#x":               false,
		"https://[2001:db8::1]/":               false,
		"ct@example.com":                       false,
		"ct@EXAMPLE.org":                       false,
		"ct@mail.example.net":                  false,
		"https://ct.example.com/":              false,
		"ct@watchers.example":                  false,
		"ct@watchers.test":                     false,
		"ct@watchers.invalid":                  false,
		"ct@host.localdomain":                  false,
		strings.Repeat("a", 200) + "@b.io":     false,
		"https://watchers.io/\u202e":           false,
		"https://watchers.io/ x":               false,
		"mailto:https://watchers.io/":          false,
		"https://watchers.io/%zz":              false,
		"ct@watchers.io.":                      false,
		"ct@-watchers.io":                      false,
		"https://watchers.io:port/":            false,
		"https://github.com/watchers/ct-setup": true,
	} {
		if err := configs.CheckContact(s); (err == nil) != good {
			t.Errorf("%q: %v", s, err)
		} else if err != nil && !strings.Contains(err.Error(), "want an e-mail address") {
			t.Errorf("%q: %v does not say what is wanted", s, err)
		}
	}
}

// The example that has a contact is the example in all else.
func TestExampleWith(t *testing.T) {
	for _, contact := range []string{"ct@watchers.io", "https://watchers.io/?a=b#", "o'neil+%ct@watchers.io"} {
		c := load(t, string(configs.ExampleWith(strings.TrimSuffix(contact, "#"))), nil)
		if c.Logs.Contact != strings.TrimSuffix(contact, "#") {
			t.Errorf("contact %q, want %q", c.Logs.Contact, contact)
		}
		c.Logs.Contact = ""
		if diff := compare(load(t, string(configs.Example), nil), c); diff != "" {
			t.Error(diff)
		}
	}
	if !bytes.Equal(configs.ExampleWith(""), configs.Example) {
		t.Error("without a contact the example is another")
	}
}

// Reading public logs without a contact warns about the cost, and names the setting.
func TestAnonymous(t *testing.T) {
	const local = `{name: a, kind: static, url: "http://127.0.0.1:1/", key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKqVQvzBdA9zI07qArMrqYqGn7N10jnidyOtOjX1oID5kJ0r8xSU5liWxVbkDgPcPSw4KrM6kG66Wm7TzY2NH4g=="}`
	for text, want := range map[string]string{
		"":                                 "ctwatch.yaml:1:1: logs.contact: is missing: ",
		"stdout: true\nlogs: {start: now}": "ctwatch.yaml:2:1: logs.contact: is missing: ",
		"logs: {contact: ct@watchers.io}":  "",
		`logs: {list: "", extra: [` + local + `]}`:                                                       "",
		`logs: {list: "", extra: [` + strings.Replace(local, "127.0.0.1:1", "log.watchers.io", 1) + `]}`: "logs.contact: is missing: ",
	} {
		got := load(t, text, nil).Anonymous().Error()
		if (got == "") != (want == "") || !strings.Contains(got, want) || want != "" && !strings.Contains(got, "75 requests a second") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := configs.Default().Anonymous().Error(); !strings.Contains(got, "logs.contact") {
		t.Errorf("the defaults: %q", got)
	}
}
