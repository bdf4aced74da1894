package main

import (
	"strings"
	"testing"

	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
)

// A key whose certificates are all unexpected has no hosts of its own, and yet certificates.
func TestRefusalNamesHostFlag(t *testing.T) {
	pin := pins.FromSPKI([]byte("key"))
	for want, e := range map[string]*operator.Error{
		"no host is known for " + pin.String(): {Code: operator.NoHost, Pin: pin},
		"the certificates for " + pin.String() + " are unexpected: if the key is yours, name its hosts": {Code: operator.NoHost, Pin: pin, Err: pins.ErrUnexpected},
	} {
		if got := refusal(e).Error(); !strings.HasPrefix(got, want) || !strings.Contains(got, "--host") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
