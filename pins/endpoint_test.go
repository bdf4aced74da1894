package pins_test

import (
	"strings"
	"testing"

	"ctwatch/pins"
)

func TestParseEndpoint(t *testing.T) {
	for s, want := range map[string]pins.Endpoint{
		"api.example.com":          {Host: "api.example.com"},
		"API.Example.com.":         {Host: "api.example.com"},
		"api.example.com:443":      {Host: "api.example.com"},
		"api.example.com:8443":     {Host: "api.example.com", Target: "api.example.com:8443"},
		"localhost:1":              {Host: "localhost", Target: "localhost:1"},
		"bücher.example:65535":     {Host: "xn--bcher-kva.example", Target: "xn--bcher-kva.example:65535"},
		"10.0.0.1":                 {Host: "10.0.0.1"},
		"10.0.0.1:8443":            {Host: "10.0.0.1", Target: "10.0.0.1:8443"},
		"[2001:DB8:0::1]":          {Host: "2001:db8::1"},
		"[2001:db8::1]:443":        {Host: "2001:db8::1"},
		"[::1]:8443":               {Host: "::1", Target: "[::1]:8443"},
		"[::ffff:10.0.0.1]:8443":   {Host: "10.0.0.1", Target: "10.0.0.1:8443"},
		"_dmarc.api-1.example.com": {Host: "_dmarc.api-1.example.com"},
	} {
		want.Configured = true
		if got, err := pins.ParseEndpoint(s); err != nil || got != want {
			t.Errorf("ParseEndpoint(%q) = %+v, %v, want %+v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"":                        "want",
		":443":                    "want",
		"api.example.com:":        "port",
		"api.example.com:0":       "port",
		"api.example.com:65536":   "port",
		"api.example.com:https":   "port",
		"api.example.com:-1":      "port",
		"api.example.com:443:1":   "port",
		"https://api.example.com": "port",
		"api.example.com/path":    "want",
		"*.example.com":           "want",
		".example.com":            "want",
		"a..example.com":          "want",
		"user@example.com":        "want",
		"2001:db8::1":             "brackets",
		"[::1":                    "want",
		"[::1]443":                "want",
		"[10.0.0.1]:443":          "want",
		"[api.example.com]:443":   "want",
		"[fe80::1%eth0]:443":      "zone",
		"a b":                     "want",
		"a\x00b\u202e":            "want",
	} {
		e, err := pins.ParseEndpoint(s)
		if err == nil {
			t.Errorf("ParseEndpoint(%q) = %+v, want an error", s, e)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == '\u202e' }) {
			t.Errorf("error %q does not print", err)
		}
	}
}

func TestEndpointString(t *testing.T) {
	for want, e := range map[string]pins.Endpoint{
		"api.example.com":                       {Host: "api.example.com"},
		"api.example.com:8443":                  {Host: "api.example.com", Target: "api.example.com:8443"},
		"[::1]":                                 {Host: "::1"},
		"api.example.com at 10.0.0.1:8443":      {Host: "api.example.com", Target: "10.0.0.1:8443"},
		"api.example.com at lb.example.net:443": {Host: "api.example.com", Target: "lb.example.net"},
		`"\x1b" at ":"`:                         {Host: "\x1b", Target: ":"},
	} {
		if got := e.String(); got != want {
			t.Errorf("String of %+v = %q, want %q", e, got, want)
		}
	}
}

// Check refuses endpoints that nobody can connect to.
func TestCheckRefusesBadEndpoints(t *testing.T) {
	for _, e := range []pins.Endpoint{
		{},
		{Host: "API.example.com"},
		{Host: "api.example.com."},
		{Host: "*.example.com"},
		{Host: "api.example.com:443"},
		{Host: "[::1]"},
		{Host: "::0:1"},
		{Host: "api.example.com", Target: "api.example.com:x"},
		{Host: "api.example.com", Target: "::1"},
	} {
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), "endpoint") {
			t.Errorf("%+v: %v, want an error that names the endpoint", e, err)
		}
	}
	for _, e := range []pins.Endpoint{
		{Host: "api.example.com"},
		{Host: "::1", Target: "[::1]:8443"},
		{Host: "api.example.com", Target: "LB.example.net"},
	} {
		if err := e.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestHostPort(t *testing.T) {
	for want, e := range map[string]pins.Endpoint{
		"api.example.com:443": {Host: "api.example.com"},
		"[::1]:443":           {Host: "::1"},
		"10.0.0.1:8443":       {Host: "api.example.com", Target: "10.0.0.1:8443"},
		"lb.example.net":      {Host: "api.example.com", Target: "lb.example.net"},
	} {
		if got := e.HostPort(); got != want {
			t.Errorf("HostPort of %+v = %q, want %q", e, got, want)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"api.example.com", "api.example.com:8443", "[::1]:8443", "10.0.0.1:1", "[::ffff:10.0.0.1]", "bücher.example.", "１.2.3.4", "https://x", "[fe80::1%a]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := pins.ParseEndpoint(s)
		if err != nil {
			return
		}
		if err := e.Check(); err != nil {
			t.Errorf("ParseEndpoint(%q) = %+v: %v", s, e, err)
		}
		if back, err := pins.ParseEndpoint(e.String()); err != nil || back != e {
			t.Errorf("%+v is written %q and read as %+v, %v", e, e, back, err)
		}
	})
}
