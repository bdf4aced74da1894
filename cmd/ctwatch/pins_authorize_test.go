package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// TestACertificateIsAuthorizedWithItsKeyOrNotAtAll: a refused authorization
// changes nothing.
func TestACertificateIsAuthorizedWithItsKeyOrNotAtAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(w *pinModel, other ctwatch.Certificate)
		says   string          // on stderr; "" for no error
		stays  ctwatch.Verdict // what the rules say
	}{
		"all is well": {func(*pinModel, ctwatch.Certificate) {}, "", ""},
		"its key is compromised": {func(w *pinModel, _ ctwatch.Certificate) {
			w.must("pins", "retire", modelPin(modelLeaves[0]).String(), "--compromised", "--reason", "stolen", "--yes")
		}, "compromised", ctwatch.Unexpected},
		"its key has another certificate that should not exist": {func(w *pinModel, other ctwatch.Certificate) {
			w.must("certs", "reject", other.ID.String(), "--reason", "rogue")
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPinModel(t, t.TempDir())
			defer func() { w.check(w.db.Close()) }()
			cert := w.certificate(modelLeaves[0], modelIssuers[0], []string{apiHost})
			other := w.certificate(modelLeaves[0], modelIssuers[1], []string{apiHost})
			w.record(cert, modelLeaves[0], ctwatch.Precertificate)
			w.record(other, modelLeaves[0], ctwatch.Precertificate)
			c.before(w, other)
			before, was := w.must("pins", "history", "--json"), w.certified(cert)
			status, _, errs := runCommand(t.Context(), w.config, "certs", "authorize", cert.ID.String(), "--reason", "ours")
			got := w.certified(cert)
			if c.says == "" {
				if status != exitDone || got.Verdict != ctwatch.Expected || !slices.Equal(got.Reasons, []string{"authorized"}) {
					t.Errorf("status %d, %s: %s %q", status, errs, got.Verdict, got.Reasons)
				}
				keys, err := w.db.Keys.List(t.Context(), pins.PinRole{}, 0)
				w.check(err)
				if k := keys[0]; k.Pin != cert.Key.Pin || k.State != pins.StateApproved {
					t.Errorf("the key is %+v", k)
				}
				return
			}
			if status != exitFailed || !strings.Contains(errs, c.says) {
				t.Errorf("status %d: %s", status, errs)
			}
			if got.Verdict != c.stays {
				t.Errorf("it failed, and the verdict is %s, want %s", got.Verdict, c.stays)
			}
			if diff := cmp.Diff(was, got); diff != "" {
				t.Errorf("it failed, and the certificate changed (-before +after):\n%s", diff)
			}
			if after := w.must("pins", "history", "--json"); after != before {
				t.Errorf("it failed, and the audit trail grew:\n%s", after)
			}
		})
	}
}

// certified is a certificate as it is recorded now.
func (w *pinModel) certified(c ctwatch.Certificate) ctwatch.Certificate {
	w.t.Helper()
	got, err := w.db.Certificates.Get(w.t.Context(), c.ID.String())
	w.check(err)
	return got
}

// must runs a command that has to succeed.
func (w *pinModel) must(args ...string) (stdout string) {
	w.t.Helper()
	status, out, errs := runCommand(w.t.Context(), w.config, args...)
	if status != exitDone {
		w.t.Fatalf("ctwatch %q: exit status %d: %s%s", args, status, out, errs)
	}
	return out
}
