package main

import (
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// TestACertificateIsAuthorizedWithItsKeyOrNotAtAll: a person who is told no finds
// everything as it was.
func TestACertificateIsAuthorizedWithItsKeyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(w *pinWorld, other ctwatch.Certificate)
		says   string // on stderr; "" for no error
	}{
		"all is well": {func(*pinWorld, ctwatch.Certificate) {}, ""},
		"its key is compromised": {func(w *pinWorld, _ ctwatch.Certificate) {
			w.must("pins", "retire", worldPin(worldLeaves[0]).String(), "--compromised")
		}, "compromised"},
		"its key has another certificate that should not exist": {func(w *pinWorld, other ctwatch.Certificate) {
			w.must("certs", "reject", other.ID.String(), "--reason", "rogue")
		}, "should not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPinWorld(t, t.TempDir())
			defer func() { w.check(w.db.Close()) }()
			cert := w.certificate(worldLeaves[0], worldIssuers[0], []string{apiHost})
			other := w.certificate(worldLeaves[0], worldIssuers[1], []string{apiHost})
			w.record(cert, worldLeaves[0], ctwatch.Precertificate)
			w.record(other, worldLeaves[0], ctwatch.Precertificate)
			c.before(w, other)
			before := w.must("pins", "history", "--json")

			status, _, errs := runCommand(t.Context(), w.config, "certs", "authorize", cert.ID.String(), "--reason", "ours")
			got, err := w.db.Certificate(t.Context(), cert.ID.String())
			w.check(err)
			if c.says == "" {
				if status != exitDone || got.Verdict != ctwatch.Expected || !slices.Equal(got.Reasons, []string{"authorized"}) {
					t.Errorf("status %d, %s: %s %q", status, errs, got.Verdict, got.Reasons)
				}
				keys, err := w.db.Keys(t.Context())
				w.check(err)
				if k := keys[0]; k.Pin != cert.Key.Pin || k.State != pins.StateApproved {
					t.Errorf("the key is %+v", k)
				}
				return
			}
			if status != exitFailed || !strings.Contains(errs, c.says) {
				t.Errorf("status %d: %s", status, errs)
			}
			if got.Verdict != ctwatch.Unreviewed {
				t.Errorf("it failed, and the verdict is %s", got.Verdict)
			}
			if after := w.must("pins", "history", "--json"); after != before {
				t.Errorf("it failed, and the audit trail grew:\n%s", after)
			}
		})
	}
}

// must runs a command that has to succeed.
func (w *pinWorld) must(args ...string) (stdout string) {
	w.t.Helper()
	status, out, errs := runCommand(w.t.Context(), w.config, args...)
	if status != exitDone {
		w.t.Fatalf("ctwatch %q: exit status %d: %s%s", args, status, out, errs)
	}
	return out
}
