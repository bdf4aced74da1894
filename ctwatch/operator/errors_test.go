package operator_test

import (
	"errors"
	"strings"
	"testing"

	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
)

// A refusal is one printable line that says what is missing, and wraps the store's error.
func TestErrors(t *testing.T) {
	const name = "sh\x1bop"
	for _, tt := range []struct {
		e    operator.Error
		says string
	}{
		{operator.Error{Code: operator.NoReason}, "needs a reason"},
		{operator.Error{Code: operator.NoHost}, "no host"},
		{operator.Error{Code: operator.NoKey}, "a CA's certificate, public key or pin"},
		{operator.Error{Code: operator.NoApps}, "names no app"},
		{operator.Error{Code: operator.UnknownApp, App: name, Others: []string{"blog", "shop"}}, "there are blog, shop"},
		{operator.Error{Code: operator.UnknownApp, App: name, Others: []string{"shop"}}, "the only app is shop"},
		{operator.Error{Code: operator.UnknownVersion, App: name, Version: "1.0"}, "1.0"},
		{operator.Error{Code: operator.UnknownKey, Pin: pin("key")}, "no key with the pin " + pin("key").String()},
		{operator.Error{Code: operator.UnknownKey, Pin: pin("key"), Role: pins.RoleIssuer}, "issuer's key with the pin " + pin("key").String()},
		{operator.Error{Code: operator.InConfig, App: name, Version: "1.0"}, "in the configuration"},
		{operator.Error{Code: operator.PinsNoHost, App: name}, "none of the hosts"},
		{operator.Error{Code: operator.Recorded, App: name, Version: "1.0"}, "already"},
		{operator.Error{Code: operator.Alarmed, Err: pins.ErrUnexpected}, pins.ErrUnexpected.Error()},
		{operator.Error{Code: operator.Unreadable, Detail: "no key\n"}, "cannot be read: no key"},
		{operator.Error{Code: operator.Unreadable, Err: errDisk}, errDisk.Error()},
		{operator.Error{Code: operator.NoNames}, "names no host"},
		{operator.Error{Code: "another"}, "another"},
	} {
		text := tt.e.Error()
		if !strings.Contains(text, tt.says) || strings.ContainsAny(text, "\n\x1b") || tt.e.App != "" && !strings.Contains(text, "op") {
			t.Errorf("%s: %q, want %q", tt.e.Code, text, tt.says)
		}
		if tt.e.Err != nil && !errors.Is(&tt.e, tt.e.Err) {
			t.Errorf("%s: does not wrap %v", tt.e.Code, tt.e.Err)
		}
	}
}
