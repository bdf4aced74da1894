package ctwatch_test

import (
	"strings"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A replay is recognized by its ID, and what comes
// to be a second time has another.
func TestPinEventIDsSayWhatNotWhen(t *testing.T) {
	c := certificate()
	leaf := pins.Key{Pin: pins.Pin{3}, Role: pins.RoleLeaf, State: pins.StateRetired, Reason: "of no use."}
	issuer := leaf
	issuer.Role = pins.RoleIssuer
	const host, endpoint = "api.shop.example", "api.shop.example (192.0.2.1:443)"
	all := make(map[string]string)
	for name, make := range map[string]func(at time.Time) ctwatch.Event{
		"unexpected":         func(at time.Time) ctwatch.Event { return ctwatch.UnexpectedEvent(c, "why", at) },
		"deployed":           func(at time.Time) ctwatch.Event { return ctwatch.DeployedEvent(c, host, endpoint, at) },
		"deployed elsewhere": func(at time.Time) ctwatch.Event { return ctwatch.DeployedEvent(c, "b.example", endpoint, at) },
		"expiring":           func(at time.Time) ctwatch.Event { return ctwatch.ExpiringEvent(c, host, endpoint, at) },
		"candidate": func(at time.Time) ctwatch.Event {
			return ctwatch.PinCandidateForApp("a", host, "s", leaf, "Why", 1, at)
		},
		"candidate again": func(at time.Time) ctwatch.Event {
			return ctwatch.PinCandidateForApp("a", host, "s", leaf, "Why", 2, at)
		},
		"candidate for b": func(at time.Time) ctwatch.Event {
			return ctwatch.PinCandidateForApp("b", host, "s", leaf, "Why", 1, at)
		},
		"missing": func(at time.Time) ctwatch.Event {
			return ctwatch.PinMissingEvent("a", host, "s", &c, leaf.Pin, "Why", 1, at)
		},
		"missing again": func(at time.Time) ctwatch.Event {
			return ctwatch.PinMissingEvent("a", host, "s", &c, leaf.Pin, "Why", 2, at)
		},
		"missing, no cert": func(at time.Time) ctwatch.Event {
			return ctwatch.PinMissingEvent("a", host, "s", nil, leaf.Pin, "Why", 1, at)
		},
		"pin deployed":        func(at time.Time) ctwatch.Event { return ctwatch.PinDeployedEvent(leaf, host, endpoint, "s", 1, at) },
		"pin deployed again":  func(at time.Time) ctwatch.Event { return ctwatch.PinDeployedEvent(leaf, host, endpoint, "s", 2, at) },
		"issuer pin deployed": func(at time.Time) ctwatch.Event { return ctwatch.PinDeployedEvent(issuer, host, endpoint, "s", 1, at) },
		"pin retired":         func(at time.Time) ctwatch.Event { return ctwatch.PinRetiredEvent(leaf, "s", 1, at) },
		"pin retired again":   func(at time.Time) ctwatch.Event { return ctwatch.PinRetiredEvent(leaf, "s", 2, at) },
	} {
		e := make(time.Time{})
		if again := make(time.Now()); again.ID != e.ID {
			t.Errorf("%s: another ID at another time", name)
		}
		if was, ok := all[e.ID]; ok {
			t.Errorf("%s and %s have one ID", name, was)
		}
		all[e.ID] = name
		if s := e.Data.Summary; !strings.HasSuffix(s, ".") || strings.HasSuffix(s, "..") {
			t.Errorf("%s: summary %q is not a sentence", name, s)
		}
	}
}

// Whatever a certificate says.
func TestSubjectsAreConfigured(t *testing.T) {
	c := certificate()
	if got := ctwatch.DeployedEvent(c, "api.shop.example", "", time.Time{}).Subject; got != "shop.example" {
		t.Errorf("subject %q, want the watched domain", got)
	}
	c.Matches = nil
	if got := ctwatch.ExpiringEvent(c, "host.example", "", time.Time{}).Subject; got != "host.example" {
		t.Errorf("subject %q of a certificate that matches nothing, want the host", got)
	}
}

// Reasons by people and rules are printable and bounded in summaries.
func TestHostileReasonsArePrintable(t *testing.T) {
	bad := "line\nbreak\x1b[31m" + strings.Repeat("x", 10_000)
	for _, e := range []ctwatch.Event{
		ctwatch.UnexpectedEvent(certificate(), bad, time.Time{}),
		ctwatch.PinMissingEvent("a", "h", "s", nil, pins.Pin{}, bad, 1, time.Time{}),
		ctwatch.PinCandidateForApp("a", "h", "s", pins.Key{}, bad, 1, time.Time{}),
		ctwatch.PinRetiredEvent(pins.Key{Reason: bad}, "s", 1, time.Time{}),
		ctwatch.DeployedEvent(certificate(), "h", bad, time.Time{}),
	} {
		if s := e.Data.Summary; strings.ContainsAny(s, "\n\x1b") || len(s) > 5000 {
			t.Errorf("%s: summary %.80q of %d bytes", e.Type, s, len(s))
		}
	}
}
