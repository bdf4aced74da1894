package main

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/store"
)

// only makes a configuration that allows the stage's CA, and no other, to issue.
func (s *stage) only() (path string) {
	s.t.Helper()
	s.watched("other.example.net") // whose issuer the rule names
	path = s.config("")
	text, err := os.ReadFile(path)
	s.check(err)
	rule := `watch: [{domain: example.com, issuers: ["` + issuerPin(s.ca) + `"], endpoints: ["127.0.0.1:1"]}]`
	s.check(os.WriteFile(path, bytes.Replace(text, []byte("watch: [example.com, example.net]"), []byte(rule), 1), 0o600))
	return path
}

// verdict returns what is known of a certificate.
func (s *stage) verdict(i *ctlogtest.Issued) (c ctwatch.Certificate) {
	s.t.Helper()
	s.read(func(db *store.DB) (err error) {
		c, err = db.Certificates.Get(s.ctx, i.ID.String())
		return err
	})
	return c
}

// TestIssuerFileFailsAtFirst: a legitimate certificate whose static log fails to serve the
// issuer's file several times is an alarm, and is expected once the file comes: also after
// restarts in between, and with the trust in its key.
func TestIssuerFileFailsAtFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.logs = []*ctlogtest.Log{s.static}
	s.fill(300)
	const failures = 3
	s.static.SetFault(ctlogtest.IssuerMissing().Times(failures))
	i, again := s.watched("api.example.com"), s.watched("api2.example.com")
	for _, i := range []*ctlogtest.Issued{i, again} {
		s.addPrecert(s.static, i)
		s.addFinal(s.static, i)
	}
	s.publish()
	config := s.only()
	for n := range failures {
		d := s.start(config)
		s.untilVerified()
		if n == 0 {
			if c := s.verdict(i); c.Verdict != ctwatch.Unexpected || !slices.Contains(c.Reasons, "issuer_unproven") {
				t.Errorf("without its issuer it is %s %q", c.Verdict, c.Reasons)
			}
		}
		s.eventually("the file is asked for once more", func() bool { return s.static.Requests(ctlogtest.Issuers) > n })
		d.stop()
	}
	d := s.start(config)
	for _, i := range []*ctlogtest.Issued{i, again} {
		s.eventually("it is expected", func() bool { return s.verdict(i).Verdict == ctwatch.Expected })
		if c := s.verdict(i); !c.Issuer.Proven || len(c.Problems) > 0 || len(c.Pins) != 2 {
			t.Errorf("with its issuer: %+v, problems %q, pins %v", c.Issuer, c.Problems, c.Pins)
		}
	}
	s.read(func(db *store.DB) error {
		keys, err := db.Keys.List(s.ctx, pins.PinRole{}, 0)
		for _, k := range keys {
			if k.Pin == i.LeafPin && (k.State != pins.StateApproved || len(k.ApprovedFor) != 1) {
				t.Errorf("its key is %s for %v", k.State, k.ApprovedFor)
			}
		}
		return err
	})
	d.stop()
}

// TestIssuerFileOfAnotherLog: a static log that never serves the issuer's file alarms nobody
// if another log did, also before a restart.
func TestIssuerFileOfAnotherLog(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	broken := s.serve(ctlogtest.Options{Name: "Without files", Kind: ctwatch.KindStatic})
	broken.SetFault(ctlogtest.IssuerMissing())
	s.logs = []*ctlogtest.Log{s.static, broken}
	s.addPrecert(s.static, s.watched("first.example.com"))
	s.fill(10)
	s.publish()
	config := s.only()
	d := s.start(config)
	s.untilVerified()
	second := s.watched("second.example.com")
	s.addPrecert(broken, second)
	s.publish()
	s.untilVerified()
	d.stop()

	third := s.watched("third.example.com")
	s.addPrecert(broken, third)
	s.publish()
	d = s.start(config)
	s.untilVerified()
	s.untilDelivered()
	for _, i := range []*ctlogtest.Issued{second, third} {
		if c := s.verdict(i); c.Verdict != ctwatch.Expected || !c.Issuer.Proven {
			t.Errorf("%v is %s %q", c.Names, c.Verdict, c.Reasons)
		}
	}
	for _, m := range s.stream(d.natsURL) {
		if m.Type == ctwatch.CertificateUnexpected {
			t.Errorf("an alarm: %s", m.Data.Summary)
		}
	}
	if n := broken.Requests(ctlogtest.Issuers); n > 0 {
		t.Errorf("the broken log was asked %d times for what is known", n)
	}
	d.stop()
}
