package operator_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
)

// both is a certificate whose key issues certificates as well.
func both() []ctwatch.Certificate {
	issued := certificate("other", www)
	issued.Issuer.Pin = pin("key")
	issued.SetPins()
	return []ctwatch.Certificate{certificate("key", api), issued}
}

// Approve approves a key in a role or in each, for the given hosts, or else for the names
// that it was certified for in that role, without those of unexpected certificates.
func TestApprove(t *testing.T) {
	alarm := certificate("key", "alarm.example.com")
	alarm.Verdict = ctwatch.Unexpected
	const leaf, issuer = "approved [api.example.com]", "approved [www.example.com]"
	for name, tt := range map[string]struct {
		known  []ctwatch.Certificate
		a      operator.Approval
		want   []pins.Pattern
		leaf   string
		issuer string
		audits []string
	}{
		"its names": {
			[]ctwatch.Certificate{certificate("key", api, "*.example.com")},
			operator.Approval{},
			hosts("*.example.com", api), "approved [api.example.com *.example.com]", "unknown",
			[]string{"seen→approved by alice: no reason was given", "approve [api.example.com *.example.com] by alice: no reason was given"},
		},
		"a host": {
			[]ctwatch.Certificate{certificate("key", api)},
			operator.Approval{Hosts: hosts(www), Reason: " ours "},
			hosts(www), "approved [www.example.com]", "unknown",
			[]string{"seen→approved by alice: ours", "approve [www.example.com] by alice: ours"},
		},
		"a host that serves it": {
			nil,
			operator.Approval{Pin: pin("served"), Reason: "ours"},
			hosts(api), "unknown", "unknown",
			[]string{"seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
		"as a server's": {
			both(),
			operator.Approval{Role: pins.RoleLeaf, Reason: "ours"},
			hosts(api), leaf, "seen []",
			[]string{"seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
		"as an issuer's": {
			both(),
			operator.Approval{Role: pins.RoleIssuer, Reason: "ours"},
			hosts(www), "seen []", issuer,
			[]string{"seen→approved by alice: ours", "approve [www.example.com] by alice: ours"},
		},
		"an alarm of our key": {
			[]ctwatch.Certificate{certificate("key", api), alarm},
			operator.Approval{Reason: "ours"},
			hosts(api), leaf, "unknown",
			[]string{"seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
		"an alarm alone": {
			[]ctwatch.Certificate{alarm},
			operator.Approval{Hosts: hosts(api), Reason: "ours", Despite: true},
			hosts(api), leaf, "unknown",
			[]string{"seen→approved by alice: ours", "approve [api.example.com] by alice: ours"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.logged(tt.known...)
			l.served(certificate("served", api))
			if tt.a.Pin.IsZero() {
				tt.a.Pin = pin("key")
			}
			got, err := l.Approve(t.Context(), alice, tt.a)
			l.must(err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if k := l.key(pin("key"), pins.RoleLeaf); k != tt.leaf {
				t.Errorf("as a server's: %s, want %s", k, tt.leaf)
			}
			if k := l.key(pin("key"), pins.RoleIssuer); k != tt.issuer {
				t.Errorf("as an issuer's: %s, want %s", k, tt.issuer)
			}
			l.wantAudit(tt.audits...)
		})
	}
}

// Blanks are no reason.
func TestApproveRefuses(t *testing.T) {
	l := newLab(t)
	alarm := certificate("alarm", api)
	alarm.Verdict = ctwatch.Unexpected
	l.logged(alarm, certificate("key", api), certificate("leaked", api), certificate("nameless"))
	l.compromised("leaked")
	for name, tt := range map[string]struct {
		a    operator.Approval
		want any
	}{
		"unknown":                {operator.Approval{Pin: pin("new"), Hosts: hosts(api)}, operator.UnknownKey},
		"unknown in the role":    {operator.Approval{Pin: pin("key"), Role: pins.RoleIssuer, Hosts: hosts(api)}, operator.UnknownKey},
		"unknown, without hosts": {operator.Approval{Pin: pin("new")}, operator.NoHost},
		"no names":               {operator.Approval{Pin: pin("nameless")}, operator.NoHost},
		"an alarm's names":       {operator.Approval{Pin: pin("alarm"), Reason: "ours"}, operator.NoHost},
		"an alarm alone":         {operator.Approval{Pin: pin("alarm"), Hosts: hosts(api), Reason: "ours"}, operator.Alarmed},
		"an alarm, no reason":    {operator.Approval{Pin: pin("alarm"), Hosts: hosts(api), Reason: " ", Despite: true}, operator.Alarmed},
		"compromised":            {operator.Approval{Pin: pin("leaked"), Hosts: hosts(api), Reason: "ours"}, pins.ErrState},
	} {
		l.refused(name, tt.want, func() error {
			on, err := l.Approve(t.Context(), alice, tt.a)
			if tt.want == operator.NoHost && errors.Is(err, pins.ErrUnexpected) != (name == "an alarm's names") {
				t.Errorf("%s: %v", name, err)
			}
			if on != nil {
				t.Errorf("%s: refused, and returns %v", name, on)
			}
			return err
		})
	}
}

// The key of a CA is declared before one of its certificates is seen, and approved after.
func TestDeclareIssuer(t *testing.T) {
	for name, tt := range map[string]struct {
		known  []ctwatch.Certificate
		key    string
		audits []string
	}{
		"before": {nil, "declared [api.example.com]", []string{"→declared by alice: our next CA", "approve [api.example.com] by alice: our next CA"}},
		"after": {
			[]ctwatch.Certificate{certificate("key", api)},
			"approved [api.example.com]",
			[]string{"seen→approved by alice: our next CA", "approve [api.example.com] by alice: our next CA"},
		},
	} {
		l := newLab(t)
		l.logged(tt.known...)
		l.must(l.DeclareIssuer(t.Context(), alice, keyfile.Subject{Pin: pin("CA"), CA: true}, hosts(api), "our next CA"))
		if k := l.key(pin("CA"), pins.RoleIssuer); k != tt.key {
			t.Errorf("%s: %s, want %s", name, k, tt.key)
		}
		if k := l.key(pin("CA"), pins.RoleLeaf); k != "unknown" {
			t.Errorf("%s: as a server's key: %s", name, k)
		}
		l.wantAudit(tt.audits...)
	}
}

func TestDeclareIssuerRefuses(t *testing.T) {
	l := newLab(t)
	l.compromised("leaked")
	ca := keyfile.Subject{Pin: pin("CA")}
	for name, tt := range map[string]struct {
		subject keyfile.Subject
		hosts   []pins.Pattern
		reason  string
		want    any
	}{
		"no reason":   {ca, hosts(api), " ", operator.NoReason},
		"an ID":       {keyfile.Subject{Certificate: "0123456789"}, hosts(api), "ours", operator.NoKey},
		"no hosts":    {ca, nil, "ours", operator.NoHost},
		"compromised": {keyfile.Subject{Pin: pin("leaked")}, hosts(api), "ours", pins.ErrState},
	} {
		l.refused(name, tt.want, func() error { return l.DeclareIssuer(t.Context(), alice, tt.subject, tt.hosts, tt.reason) })
	}
}

// A key that is retired stays while it is served or shipped. A compromised one goes at once,
// known or not.
func TestRetire(t *testing.T) {
	for name, tt := range map[string]struct {
		key         string
		compromised bool
		reason      string
		want        string
		audit       string
	}{
		"unused":                 {"unused", false, "rotated", "retired []", "approved→retiring by alice: rotated"},
		"served":                 {"served", false, " ", "retiring [api.example.com]", "deployed→retiring by alice: retired on the command line"},
		"seen":                   {"seen", false, "not ours", "retired []", "seen→retired by alice: not ours"},
		"compromised":            {"served", true, "on a paste site", "compromised []", "deployed→compromised by alice: on a paste site"},
		"compromised, not known": {"new", true, "on a paste site", "compromised []", "→compromised by alice: on a paste site"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, shop())
			l.logged(certificate("unused", api), certificate("served", api), certificate("seen", api))
			l.approved("unused", "served")
			l.served(certificate("served", api))
			before := len(l.audit())
			l.must(l.Retire(t.Context(), alice, pin(tt.key), tt.compromised, tt.reason))
			if k := l.key(pin(tt.key), pins.RoleLeaf); k != tt.want {
				t.Errorf("%s, want %s", k, tt.want)
			}
			if diff := cmp.Diff([]string{tt.audit}, l.audit()[before:]); diff != "" {
				t.Errorf("audit trail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetireRefuses(t *testing.T) {
	l := newLab(t)
	l.approved("key")
	l.refused("compromised without a reason", operator.NoReason, func() error { return l.Retire(t.Context(), alice, pin("key"), true, "\n") })
	l.refused("unknown", operator.UnknownKey, func() error { return l.Retire(t.Context(), alice, pin("new"), false, "old") })
}

// A loss lists the roles that a key is known in, and the apps and hosts that use it, with
// the versions that ship it, newest first. To look at it changes nothing.
func TestLoss(t *testing.T) {
	app := shop(pin("key"), pin("backup"))
	app.Versions = []pins.Version{
		{Name: "1.9", Rules: app.Versions[0].Rules}, {Name: "1.10", Rules: app.Versions[0].Rules}, {Name: "1.8", Rules: rules{{Pins: []pins.Pin{pin("third")}}}},
	}
	l := newLab(t, app, pins.App{Name: "blog", Hosts: hosts(www), Role: pins.RoleLeaf, MinPins: 1})
	l.logged(both()...)
	l.approved("key", "backup")
	l.served(certificate("key", api))
	for name, tt := range map[string]struct {
		roles []pins.Role
		uses  []operator.Use
	}{
		"key":     {[]pins.Role{pins.RoleLeaf, pins.RoleIssuer}, []operator.Use{{App: "shop", Host: hosts(api)[0], Served: true, Versions: []string{"1.10", "1.9"}}}},
		"backup":  {[]pins.Role{pins.RoleLeaf}, []operator.Use{{App: "shop", Host: hosts(api)[0], Versions: []string{"1.10", "1.9"}}}},
		"third":   {nil, []operator.Use{{App: "shop", Host: hosts(api)[0], Versions: []string{"1.8"}}}},
		"unknown": {nil, nil},
	} {
		l.refused(name, nil, func() error {
			got, err := l.Loss(t.Context(), pin(name))
			l.must(err)
			var roles []pins.Role
			for _, k := range got.Keys {
				roles = append(roles, k.Role)
			}
			if got.Pin != pin(name) || !cmp.Equal(tt.roles, roles) {
				t.Errorf("%s: known as %v, want %v", name, roles, tt.roles)
			}
			if diff := cmp.Diff(tt.uses, got.Uses); diff != "" {
				t.Errorf("%s: uses (-want +got):\n%s", name, diff)
			}
			return nil
		})
	}
}
