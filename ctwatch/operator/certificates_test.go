package operator_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/store"
)

// withoutKey is a certificate whose key cannot be read.
func withoutKey(names ...string) ctwatch.Certificate {
	c := certificate("unreadable", names...)
	c.Key, c.Pins = ctwatch.CertificateKey{}, nil
	return c
}

// twins are two certificates whose IDs begin with the same digits.
func twins() (a, b ctwatch.Certificate) {
	a, b = certificate("twin a", api), certificate("twin b", api)
	copy(b.ID[:8], a.ID[:8])
	return a, b
}

// An authorized certificate is expected, and its key is approved for the given hosts, or
// else for its names that are hosts.
func TestAuthorizeCertificate(t *testing.T) {
	for name, tt := range map[string]struct {
		c      ctwatch.Certificate
		hosts  []pins.Pattern
		want   []pins.Pattern
		pin    pins.Pin
		key    string
		audits []string
	}{
		"its names": {
			certificate("key", api, "*.example.com"), nil, hosts(api, "*.example.com"), pin("key"), "approved [api.example.com *.example.com]",
			[]string{"judge expected by alice: renewal", "seen→approved by alice: renewal", "approve [api.example.com *.example.com] by alice: renewal"},
		},
		"some hosts": {
			certificate("key", api, www), hosts(www), hosts(www), pin("key"), "approved [www.example.com]",
			[]string{"judge expected by alice: renewal", "seen→approved by alice: renewal", "approve [www.example.com] by alice: renewal"},
		},
		"no readable key": {
			withoutKey(api), nil, nil, pins.Pin{}, "unknown", []string{"judge expected by alice: renewal"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.logged(tt.c)
			got, err := l.AuthorizeCertificate(t.Context(), alice, strings.ToUpper(tt.c.ID.String()[:8]), tt.hosts, " renewal\n")
			l.must(err)
			if c := got.Certificate; c == nil || c.ID != tt.c.ID || c.Verdict != ctwatch.Expected || !cmp.Equal(c.Reasons, []string{ctwatch.ReasonAuthorized}) {
				t.Errorf("certificate %+v", c)
			}
			if got.Pin != tt.pin || got.KnownIssuer || !cmp.Equal(got.Hosts, tt.want) {
				t.Errorf("pin %s, hosts %v", got.Pin, got.Hosts)
			}
			if k := l.key(pin("key"), pins.RoleLeaf); k != tt.key {
				t.Errorf("key: %s, want %s", k, tt.key)
			}
			l.wantAudit(tt.audits...)
		})
	}
}

func TestAuthorizeCertificateRefuses(t *testing.T) {
	l := newLab(t)
	twin, other := twins()
	nameless, leaked := certificate("nameless"), certificate("leaked", api)
	l.logged(twin, other, nameless, leaked)
	l.compromised("leaked")
	for name, tt := range map[string]struct {
		by         operator.By
		id, reason string
		want       any
	}{
		"no reason":       {alice, twin.ID.String(), " ", operator.NoReason},
		"no host":         {alice, nameless.ID.String(), "ours", operator.NoHost},
		"unknown":         {alice, "0123456789", "ours", ctwatch.ErrNotFound},
		"ambiguous":       {bob, twin.ID.String()[:8], "", ctwatch.ErrAmbiguous},
		"compromised key": {alice, leaked.ID.String(), "ours", pins.ErrState},
	} {
		l.refused(name, tt.want, func() error {
			got, err := l.AuthorizeCertificate(t.Context(), tt.by, tt.id, nil, tt.reason)
			if !cmp.Equal(got, operator.Authorized{}) {
				t.Errorf("%s: refused, and returns %+v", name, got)
			}
			return err
		})
	}
}

// A button has the effect of the command: the same verdict, key state, grants and events.
// The audit trail differs in who did it and why alone.
func TestSlackAndCommandHaveOneEffect(t *testing.T) {
	c := certificate("key", api, www)
	authorize := func(l *lab, by operator.By, reason string) error {
		_, err := l.AuthorizeCertificate(l.t.Context(), by, c.ID.String(), nil, reason)
		return err
	}
	for name, tt := range map[string]struct {
		command, slack func(*lab, operator.By, string) error
		why            string
	}{
		"authorize": {
			func(l *lab, by operator.By, reason string) error {
				_, err := l.Authorize(l.t.Context(), by, keyfile.Subject{Certificate: c.ID.String()}, nil, reason, false)
				return err
			},
			authorize, "authorized in Slack",
		},
		"reject": {
			reject(c), reject(c), "rejected in Slack",
		},
		"reject what was authorized": {
			func(l *lab, by operator.By, reason string) error {
				return errors.Join(authorize(l, by, reason), reject(c)(l, by, reason))
			},
			func(l *lab, by operator.By, reason string) error {
				return errors.Join(authorize(l, by, reason), reject(c)(l, by, reason))
			},
			"rejected in Slack",
		},
	} {
		command, slack := newLab(t), newLab(t)
		command.logged(c)
		slack.logged(c)
		if err := errors.Join(tt.command(command, alice, "looked at it"), tt.slack(slack, bob, "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same := regexp.MustCompile(`alice|bob|looked at it|(authorized|rejected) in Slack`)
		leave := func(l *lab) string { return same.ReplaceAllString(l.everything(), "…") }
		if diff := cmp.Diff(leave(command), leave(slack)); diff != "" {
			t.Errorf("%s (-command +slack):\n%s", name, diff)
		}
		audit := slack.audit()
		if last := audit[len(audit)-1]; !strings.HasSuffix(last, "by bob: "+tt.why) {
			t.Errorf("%s: the audit trail ends with %q", name, last)
		}
	}
}

func reject(c ctwatch.Certificate) func(*lab, operator.By, string) error {
	return func(l *lab, by operator.By, reason string) error {
		_, err := l.Reject(l.t.Context(), by, c.ID.String(), reason)
		return err
	}
}

// Authorize takes a found certificate, or declares a key for which none was found.
func TestAuthorize(t *testing.T) {
	found := certificate("key", api)
	alarm := certificate("key", www)
	alarm.Verdict = ctwatch.Unexpected
	asIssuer := certificate("another", www)
	asIssuer.Issuer.Pin = pin("key")
	asIssuer.SetPins()
	declared := []string{"→declared by alice: ours", "approve [api.example.com] by alice: ours"}
	for name, tt := range map[string]struct {
		known   []ctwatch.Certificate
		subject keyfile.Subject
		hosts   []pins.Pattern
		despite bool
		found   bool // a certificate is expected
		issuer  bool
		key     string
		audits  []string
	}{
		"a found certificate": {
			known: []ctwatch.Certificate{found}, subject: keyfile.Subject{Certificate: strings.ToUpper(found.ID.String()[:10])},
			found: true, key: "approved [api.example.com]",
			audits: []string{"judge expected by alice: ours", "seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
		"a certificate that no log has shown": {
			subject: keyfile.Subject{Certificate: found.ID.String(), Pin: pin("key"), Names: []string{api, "not a host"}},
			key:     "declared [api.example.com]", audits: declared,
		},
		"a pin": {
			subject: keyfile.Subject{Pin: pin("key"), Names: []string{www}}, hosts: hosts(api),
			key: "declared [api.example.com]", audits: declared,
		},
		"an issuer's key": {
			known: []ctwatch.Certificate{asIssuer}, subject: keyfile.Subject{Pin: pin("key")}, hosts: hosts(api),
			issuer: true, key: "declared [api.example.com]", audits: declared,
		},
		"a key with an alarm": {
			known: []ctwatch.Certificate{alarm}, subject: keyfile.Subject{Pin: pin("key")}, hosts: hosts(api), despite: true,
			key: "approved [api.example.com]", audits: []string{"seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.logged(tt.known...)
			got, err := l.Authorize(t.Context(), alice, tt.subject, tt.hosts, "ours", tt.despite)
			l.must(err)
			if got.Pin != pin("key") || got.KnownIssuer != tt.issuer || !cmp.Equal(got.Hosts, hosts(api)) {
				t.Errorf("pin %s, hosts %v, known as an issuer's: %v", got.Pin, got.Hosts, got.KnownIssuer)
			}
			if tt.found != (got.Certificate != nil) || tt.found && got.Certificate.Verdict != ctwatch.Expected {
				t.Errorf("certificate %+v", got.Certificate)
			}
			if k := l.key(pin("key"), pins.RoleLeaf); k != tt.key {
				t.Errorf("key: %s, want %s", k, tt.key)
			}
			l.wantAudit(tt.audits...)
		})
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	l := newLab(t)
	twin, other := twins()
	nameless, leaked, alarm := certificate("nameless"), certificate("leaked", api), certificate("alarm", api)
	alarm.Verdict = ctwatch.Unexpected
	l.logged(twin, other, nameless, leaked, alarm)
	l.compromised("leaked")
	for name, tt := range map[string]struct {
		subject keyfile.Subject
		reason  string
		want    any
	}{
		"no reason":                 {keyfile.Subject{Pin: pin("new"), Names: []string{api}}, "\t", operator.NoReason},
		"a pin without hosts":       {keyfile.Subject{Pin: pin("new"), What: "the pin"}, "ours", operator.NoHost},
		"a certificate of no host":  {keyfile.Subject{Certificate: nameless.ID.String()}, "ours", operator.NoHost},
		"only an alarm is known":    {keyfile.Subject{Pin: pin("alarm"), Names: []string{api}}, "ours", operator.Alarmed},
		"an unknown ID":             {keyfile.Subject{Certificate: "0123456789"}, "ours", ctwatch.ErrNotFound},
		"an ambiguous ID":           {keyfile.Subject{Certificate: twin.ID.String()[:8], Pin: pin("new")}, "ours", ctwatch.ErrAmbiguous},
		"a compromised key":         {keyfile.Subject{Pin: pin("leaked"), Names: []string{api}}, "ours", pins.ErrState},
		"a compromised certificate": {keyfile.Subject{Certificate: leaked.ID.String()}, "ours", pins.ErrState},
	} {
		l.refused(name, tt.want, func() error {
			got, err := l.Authorize(t.Context(), alice, tt.subject, nil, tt.reason, false)
			if !cmp.Equal(got, operator.Authorized{}) {
				t.Errorf("%s: refused, and returns %+v", name, got)
			}
			return err
		})
	}
}

// A rejected certificate is unexpected. What a person approved for its key stays.
func TestReject(t *testing.T) {
	l := newLab(t)
	c := certificate("key", api)
	l.logged(c)
	l.approved("key")
	got, err := l.Reject(t.Context(), alice, strings.ToUpper(c.ID.String()[:8]), "not ours")
	l.must(err)
	if got.ID != c.ID || got.Verdict != ctwatch.Unexpected || !cmp.Equal(got.Reasons, []string{ctwatch.ReasonRejected}) {
		t.Errorf("certificate %+v", got)
	}
	if k := l.key(pin("key"), pins.RoleLeaf); k != "approved [api.example.com]" {
		t.Errorf("key: %s", k)
	}
	l.wantAudit("seen→approved by carol: ours", "approve [api.example.com] by carol: ours", "judge unexpected by alice: not ours")
}

func TestRejectRefuses(t *testing.T) {
	l := newLab(t)
	twin, other := twins()
	l.logged(twin, other)
	for name, tt := range map[string]struct {
		by         operator.By
		id, reason string
		want       any
	}{
		"no reason": {alice, twin.ID.String(), "", operator.NoReason},
		"unknown":   {bob, "0123456789", "", ctwatch.ErrNotFound},
		"ambiguous": {alice, twin.ID.String()[:8], "not ours", ctwatch.ErrAmbiguous},
	} {
		l.refused(name, tt.want, func() error {
			_, err := l.Reject(t.Context(), tt.by, tt.id, tt.reason)
			return err
		})
	}
}

// Suggest counts the certificates that rules are made from, and leaves out those that are
// expected or rejected, and the issuer of any that was rejected.
func TestSuggest(t *testing.T) {
	from := func(issuer, key string) ctwatch.Certificate {
		c := certificate(key, api)
		c.Issuer = ctwatch.Issuer{Name: "CN=" + issuer, Pin: pin(issuer), Proven: true}
		c.SetPins()
		return c
	}
	p := policy.New([]policy.Rule{{Pattern: hosts(".example.com")[0], Where: "example.com"}}, policy.NewCAs())
	l := newLab(t)
	expected, rejected := from("Expected", "a"), from("Rogue", "b")
	l.logged(expected, rejected, from("Good", "c"), from("Rogue", "d"))
	_, err := l.AuthorizeCertificate(t.Context(), alice, expected.ID.String(), nil, "ours")
	l.must(err)
	_, err = l.Reject(t.Context(), alice, rejected.ID.String(), "not ours")
	l.must(err)
	list := func(v ctwatch.Verdict) operator.List {
		return l.db.Certificates.List(t.Context(), store.Filter{Verdict: v})
	}
	l.refused("only a look", nil, func() error {
		s, n, err := l.Suggest(t.Context(), p, list(""), list(ctwatch.Unexpected))
		l.must(err)
		issuers := s.String()
		if n != 2 || !strings.Contains(issuers, pin("Good").String()) || strings.Contains(issuers, "issuers: ["+pin("Rogue").String()) || strings.Contains(issuers, pin("Expected").String()) {
			t.Errorf("from %d certificates:\n%s", n, issuers)
		}
		return nil
	})
}

// An issuer that a rule does not allow and that certified an approved key is not suggested:
// someone else may have had that certificate issued.
func TestSuggestHeedsApprovedKeys(t *testing.T) {
	allowed := policy.Issuer{Pin: pin("our CA")}
	p := policy.New([]policy.Rule{{Pattern: hosts(".example.com")[0], Where: "example.com", Issuers: []policy.Issuer{allowed}}}, policy.NewCAs())
	for key, want := range map[string]bool{"approved": false, "new": true} {
		l := newLab(t)
		l.approvedFor(www, "approved")
		c := certificate(key, api)
		l.logged(c)
		s, n, err := l.Suggest(t.Context(), p, l.db.Certificates.List(t.Context(), store.Filter{}), func(func(ctwatch.Certificate, error) bool) {})
		l.must(err)
		if got := strings.Contains(s.String(), `, "`+pin("CA").String()); n != 1 || got != want {
			t.Errorf("%s key: from %d certificates:\n%s", key, n, s)
		}
	}
}

// Suggest ends with the error of a list or of the store.
func TestSuggestFails(t *testing.T) {
	l := newLab(t)
	l.logged(certificate("key", api))
	p := policy.New(nil, policy.NewCAs())
	broken := errors.New("disk failure")
	none := func(func(ctwatch.Certificate, error) bool) {}
	fails := func(yield func(ctwatch.Certificate, error) bool) { yield(ctwatch.Certificate{}, broken) }
	strange := func(yield func(ctwatch.Certificate, error) bool) { yield(certificate("another"), nil) }
	for name, tt := range map[string]struct {
		ctx               context.Context
		found, unexpected operator.List
		want              error
	}{
		"found":      {t.Context(), fails, none, broken},
		"unexpected": {t.Context(), none, fails, broken},
		"standing":   {t.Context(), strange, none, ctwatch.ErrNotFound},
		"keys":       {interrupted(t), none, none, context.Canceled},
	} {
		if _, _, err := l.Suggest(tt.ctx, p, tt.found, tt.unexpected); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// A store that fails is no refusal, and nothing is changed.
func TestStoreFailures(t *testing.T) {
	l := newLab(t, shop())
	c, unreadable := certificate("key", api), withoutKey(api)
	l.logged(c, unreadable)
	ctx := interrupted(t)
	for name, change := range map[string]func() error{
		"AuthorizeCertificate": func() error {
			_, err := l.AuthorizeCertificate(ctx, alice, c.ID.String(), nil, "ours")
			return err
		},
		"Authorize": func() error {
			_, err := l.Authorize(ctx, alice, keyfile.Subject{Pin: pin("key")}, hosts(api), "ours", false)
			return err
		},
		"Reject": func() error { _, err := l.Reject(ctx, alice, c.ID.String(), "not ours"); return err },
		"Approve": func() error {
			_, err := l.Approve(ctx, alice, operator.Approval{Pin: pin("key")})
			return err
		},
		"DeclareIssuer": func() error {
			return l.DeclareIssuer(ctx, alice, keyfile.Subject{Pin: pin("CA")}, hosts(api), "ours")
		},
		"Retire": func() error { return l.Retire(ctx, alice, pin("key"), false, "") },
		"Import": func() error {
			_, err := l.Import(ctx, alice, "shop", "1.0", pinFile(t, "pins.json", api, "key"), false)
			return err
		},
		"Drop":    func() error { return l.Drop(ctx, alice, "shop", "1.0", "") },
		"Refresh": func() error { return l.Refresh(ctx) },
		"Read":    func() error { return l.Read(ctx) },
	} {
		l.refused(name, context.Canceled, change)
	}
	l.with(operator.Options{Certificates: noVerdicts{l.db.Certificates}, Keys: l.db.Keys, Versions: l.db.Apps, Facts: l.options.Facts})
	for _, id := range []ctwatch.Hash{c.ID, unreadable.ID} {
		l.refused(fmt.Sprint("writing the verdict on ", id), errDisk, func() error {
			_, err := l.AuthorizeCertificate(t.Context(), alice, id.String(), nil, "ours")
			return err
		})
	}
}

var errDisk = errors.New("disk full")

// noVerdicts cannot write verdicts.
type noVerdicts struct{ operator.Certificates }

func (noVerdicts) SetVerdict(context.Context, ctwatch.Hash, ctwatch.Verdict, []string, string, string) (ctwatch.Certificate, error) {
	return ctwatch.Certificate{}, errDisk
}

func (noVerdicts) Authorize(context.Context, ctwatch.Hash, []string, pins.Approval) (ctwatch.Certificate, error) {
	return ctwatch.Certificate{}, errDisk
}
