package configs_test

import (
	"bytes"
	"testing"

	"ctwatch/configs"
)

// A domain without endpoints, or with "auto", is looked at by its name; with an empty list
// nowhere. What is shown means the same.
func TestEndpointsAreAutoOrNone(t *testing.T) {
	for text, want := range map[string]string{
		"watch: [a.io]":                                   "auto",
		"watch: [{domain: a.io}]":                         "auto",
		"watch: [{domain: a.io, endpoints: auto}]":        "auto",
		"watch: [{domain: a.io, endpoints: \"auto\"}]":    "auto",
		"watch:\n  - domain: a.io\n    endpoints:\n":      "auto",
		"watch: [{domain: a.io, endpoints: []}]":          "none",
		"watch: [{domain: a.io, endpoints: [\"b:443\"]}]": "b:443",
	} {
		c := load(t, text, nil)
		for range 2 {
			w := c.Watch[0]
			got := "auto"
			if w.Unprobed() {
				got = "none"
			} else if w.Endpoints != nil {
				got = w.Endpoints[0].HostPort()
			}
			if got != want {
				t.Errorf("%q: endpoints are %s, want %s", text, got, want)
			}
			shown := c.Show()
			if bytes.Contains(shown, []byte("endpoints:")) != (want != "auto") {
				t.Errorf("%q is shown as:\n%s", text, shown)
			}
			c = load(t, string(shown), nil)
		}
	}
	for text, want := range map[string]string{"probe: {interval: 0}": "0s", "probe: {interval: 0s}": "0s", "": "10m0s"} {
		c := load(t, text, nil)
		if c.Probe.Interval.String() != want {
			t.Errorf("%q: %s", text, c.Probe.Interval)
		}
		shown := c.Show()
		if load(t, string(shown), nil).Probe != c.Probe {
			t.Errorf("%q is shown as:\n%s", text, shown)
		}
	}
	if configs.Default().Probe.Interval == 0 {
		t.Error("probing is off by default")
	}
}
