package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// TestApproveSeenKey: a person approves a seen key for hosts.
func TestApproveSeenKey(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	got := approve(t, db, approval(pin("key1"), "w1.example.com", "*.example.com", "w1.example.com"))
	want := pins.Key{
		Pin: pin("key1"), Role: pins.RoleLeaf, Algorithm: "ECDSA P-256", State: pins.StateApproved,
		Hosts: []string{"w1.example.com"}, ApprovedFor: hosts("*.example.com", "w1.example.com"),
		Certificates: []string{certificate(1).ID.String()}, Apps: []pins.AppVersion{},
		FirstSeen: epoch, ChangedAt: epoch, By: "ada", Reason: "ours",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("key (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, key(t, db, pin("key1"), pins.RoleLeaf)); diff != "" {
		t.Errorf("key among all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"→seen by log log", "seen→approved by person ada", "approve [*.example.com w1.example.com] by person ada"}, history(t, db, pin("key1"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
	writesNothing(t, db, "the same again", func() { approve(t, db, approval(pin("key1"), "w1.example.com")) })
	rev := revision(t, db)
	approve(t, db, approval(pin("key1"), ".example.net"))
	if h := history(t, db, pin("key1")); len(h) != 4 || h[3] != "approve [.example.net] by person ada" {
		t.Errorf("audit trail %q: want one record more, of the new host alone", h)
	}
	if revision(t, db) <= rev {
		t.Error("the revision did not grow")
	}
	rs, err := db.Keys.History(t.Context(), pin("key1"), 1)
	must(t, err)
	if len(rs) != 1 || !rs[0].At.Equal(epoch) || rs[0].Reason != "ours" {
		t.Errorf("the last record alone: %+v", rs)
	}
}

// TestDeclaredKeyIsApprovedByLog: a declared key becomes approved when a log has a
// certificate for it.
func TestDeclaredKeyIsApprovedByLog(t *testing.T) {
	db := open(t)
	a := declaration(pin("key1"), "*.example.com")
	a.Algorithm = "RSA 2048"
	k := approve(t, db, a)
	if k.State != pins.StateDeclared || k.Role != pins.RoleLeaf || k.Algorithm != "RSA 2048" || !cmp.Equal(k.Hosts, []string{"*.example.com"}) {
		t.Errorf("declared: %+v", k)
	}
	writesNothing(t, db, "declared again", func() { approve(t, db, a) })

	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	k = key(t, db, pin("key1"), pins.RoleLeaf)
	if k.State != pins.StateApproved || k.By != "log" || !strings.Contains(k.Reason, "Lab 1 entry 0") || !cmp.Equal(k.Hosts, []string{"w1.example.com"}) {
		t.Errorf("logged: %+v", k)
	}
	want := []string{"→declared by person ada", "approve [*.example.com] by person ada", "declared→approved by log log"}
	if diff := cmp.Diff(want, history(t, db, pin("key1"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
}

// TestDeclaredKeyGetsAlgorithm: the algorithm of a declared pin is recorded when a
// certificate shows it.
func TestDeclaredKeyGetsAlgorithm(t *testing.T) {
	db := open(t)
	approve(t, db, declaration(pin("key1"), "*.example.com"))
	observe(t, db, look("api.example.com", "192.0.2.1:443", 1))
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.Algorithm != "ECDSA P-256" || k.State != pins.StateDeclared {
		t.Errorf("key %+v", k)
	}
}

// TestRefusedApprovals: invalid and forbidden approvals change nothing.
func TestRefusedApprovals(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	bad := found(l, 2, 1)
	bad.Certificate.Verdict = ctwatch.Unexpected
	record(t, db, l, 2, found(l, 1, 0), bad)
	must(t, db.Keys.Retire(t.Context(), pin("leaked"), true, "ada", "on a paste site"))
	must(t, db.Keys.Retire(t.Context(), pin("key1"), false, "ada", "old"))

	byLog := approval(pin("issuer"), "a.example")
	byLog.Actor = pins.ByLog
	policy := approval(pin("key1"), "a.example")
	policy.Actor = pins.Policy
	otherRole := declaration(pin("leaked"), "a.example")
	otherRole.Role = pins.RoleIssuer
	noRole := approval(pin("issuer"), "a.example")
	noRole.Role = "root"
	leafOfIssuer := approval(pin("issuer"), "a.example")
	leafOfIssuer.Role = pins.RoleLeaf
	before := changes(t, db)
	for name, tt := range map[string]struct {
		a    pins.Approval
		want error
		says string
	}{
		"no pin":                          {approval(pins.Pin{}, "a.example"), nil, "no pin"},
		"no hosts":                        {approval(pin("issuer")), nil, "at least one"},
		"by a log":                        {byLog, pins.ErrState, "only a person"},
		"no such role":                    {noRole, nil, `role "root"`},
		"unknown":                         {approval(pin("?"), "a.example"), ctwatch.ErrNotFound, pin("?").String()},
		"unknown in the role":             {leafOfIssuer, ctwatch.ErrNotFound, ""},
		"with an unexpected certificate":  {approval(pin("key2"), "a.example"), pins.ErrUnexpected, certificate(2).ID.String()},
		"declared, unexpected":            {declaration(pin("key2"), "a.example"), pins.ErrUnexpected, ""},
		"compromised":                     {declaration(pin("leaked"), "a.example"), pins.ErrState, "compromised"},
		"compromised, in another role":    {otherRole, pins.ErrState, "compromised"},
		"retired by a person, for policy": {policy, pins.ErrState, "retired"},
	} {
		_, err := db.Keys.Approve(t.Context(), tt.a)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, tt.says)
		}
	}
	if n := changes(t, db) - before; n != 0 {
		t.Errorf("refusals wrote %d rows", n)
	}
}

// TestApproveInAllRoles: an approval without a role is for every role of the key.
func TestApproveInAllRoles(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	own := found(l, 1, 0)
	own.Certificate.Key.Pin = pin("issuer") // self-signed
	record(t, db, l, 1, own)
	approve(t, db, approval(pin("issuer"), "w1.example.com"))
	for _, r := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		if k := key(t, db, pin("issuer"), r); k.State != pins.StateApproved || len(k.ApprovedFor) != 1 {
			t.Errorf("as %s: %+v", r, k)
		}
	}
}

func TestRetire(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 2, 1))
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	retire := func(p pins.Pin, compromised bool) error {
		return db.Keys.Retire(t.Context(), p, compromised, "ada", "its time has come")
	}

	must(t, retire(pin("key1"), false)) // trusted
	if s := state(t, db, pin("key1")); s != pins.StateRetiring {
		t.Errorf("a trusted key is %s", s)
	}
	must(t, retire(pin("key2"), false)) // seen
	if s := state(t, db, pin("key2")); s != pins.StateRetired {
		t.Errorf("a seen key is %s", s)
	}
	writesNothing(t, db, "again", func() {
		must(t, retire(pin("key1"), false))
		must(t, retire(pin("key2"), false))
	})
	if n := settle(t, db); n != 1 || state(t, db, pin("key1")) != pins.StateRetired {
		t.Errorf("%d keys settled, the ordered retirement is %s", n, state(t, db, pin("key1")))
	}
	if k := key(t, db, pin("key1"), pins.RoleLeaf); len(k.ApprovedFor) != 0 {
		t.Errorf("a retired key is approved for %v", k.ApprovedFor)
	}

	approve(t, db, approval(pin("key1"), "other.example"))
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateApproved || !cmp.Equal(k.ApprovedFor, hosts("other.example")) {
		t.Errorf("approved again, a key is %s for %v: earlier grants do not count", k.State, k.ApprovedFor)
	}
	must(t, retire(pin("key1"), false))
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	if k := key(t, db, pin("key1"), pins.RoleLeaf); k.State != pins.StateApproved || len(k.ApprovedFor) != 2 {
		t.Errorf("a retirement called off leaves %s for %v", k.State, k.ApprovedFor)
	}
	if n := settle(t, db); n != 0 {
		t.Errorf("after a retirement was called off %d keys moved", n)
	}

	must(t, retire(pin("key1"), true))
	must(t, retire(pin("never seen"), true))
	for _, p := range []string{"key1", "never seen"} {
		if k := key(t, db, pin(p), pins.RoleLeaf); k.State != pins.StateCompromised || len(k.ApprovedFor) != 0 || k.By != "ada" {
			t.Errorf("%s: %+v", p, k)
		}
	}
	writesNothing(t, db, "compromised again", func() {
		must(t, retire(pin("key1"), true))
		must(t, retire(pin("key1"), false))
	})
	if err := retire(pin("?"), false); !errors.Is(err, ctwatch.ErrNotFound) {
		t.Errorf("retiring an unknown key: %v", err)
	}
	if err := retire(pins.Pin{}, true); err == nil {
		t.Error("retiring no key succeeded")
	}

	var got []string
	ids := make(map[string]bool)
	for _, e := range eventsOf(t, db, ctwatch.PinRetired) {
		got = append(got, e.Subject+" "+string(e.Data.Key.State))
		ids[e.ID] = true
	}
	want := []string{"example.com retired", "example.com retired", "example.com compromised", "unknown compromised"}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != len(got) {
		t.Errorf("pin.retired events with %d IDs (-want +got):\n%s", len(ids), diff)
	}
}

func policyGrant(p, pattern string) pins.PolicyGrant {
	return pins.PolicyGrant{Pin: pin(p), Role: pins.RoleLeaf, Pattern: host(pattern), Reason: "watch: " + pattern}
}

// TestSyncPolicy: policy approves what the configuration lists, and nothing else.
func TestSyncPolicy(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	bad := found(l, 3, 2)
	bad.Certificate.Verdict = ctwatch.Unexpected
	record(t, db, l, 3, found(l, 1, 0), found(l, 2, 1), bad)
	must(t, db.Keys.Retire(t.Context(), pin("key2"), false, "ada", "old"))
	must(t, db.Keys.Retire(t.Context(), pin("leaked"), true, "ada", "leaked"))
	sync := func(want ...pins.PolicyGrant) {
		t.Helper()
		must(t, db.Keys.SyncPolicy(t.Context(), want))
		writesNothing(t, db, "the same policy", func() { must(t, db.Keys.SyncPolicy(t.Context(), want)) })
	}
	expect := func(when string, want map[string]string) {
		t.Helper()
		got := make(map[string]string)
		for p := range want {
			k := key(t, db, pin(p), pins.RoleLeaf)
			got[p] = string(k.State)
			for _, h := range k.ApprovedFor {
				got[p] += " " + h.String()
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}

	sync(policyGrant("key1", "w1.example.com"), policyGrant("key1", "*.example.com"), policyGrant("key2", "w2.example.com"),
		policyGrant("key3", "w3.example.com"), policyGrant("leaked", "w.example.com"), policyGrant("future", "w4.example.com"))
	expect("at first", map[string]string{
		"key1": "approved *.example.com w1.example.com", "key2": "retired", "key3": "approved w3.example.com", "leaked": "compromised", "future": "declared w4.example.com",
	})
	want := []string{"→seen by log log", "seen→approved by policy policy", "approve [*.example.com w1.example.com] by policy policy"}
	if diff := cmp.Diff(want, history(t, db, pin("key1"))); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}

	sync(policyGrant("key1", "renamed.example.com"))
	expect("after a change", map[string]string{"key1": "approved renamed.example.com", "future": "seen"})

	approve(t, db, approval(pin("key1"), "by-hand.example"))
	sync()
	expect("a person approves as well", map[string]string{"key1": "approved by-hand.example"})

	db2 := open(t)
	l = started(t, db2, 1)
	record(t, db2, l, 1, found(l, 1, 0))
	db = db2
	sync(policyGrant("key1", "w1.example.com"))
	sync()
	expect("no rule is left", map[string]string{"key1": "seen"})
	sync(policyGrant("key1", "w1.example.com"))
	expect("the rule is back", map[string]string{"key1": "approved w1.example.com"})
}

func TestPolicyApprovesIssuers(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	g := policyGrant("issuer", ".example.com")
	g.Role = pins.RoleIssuer
	must(t, db.Keys.SyncPolicy(t.Context(), []pins.PolicyGrant{g}))
	if k := key(t, db, pin("issuer"), pins.RoleIssuer); k.State != pins.StateApproved || k.By != "policy" {
		t.Errorf("key %+v", k)
	}
	must(t, db.Keys.SyncPolicy(t.Context(), nil))
	if k := key(t, db, pin("issuer"), pins.RoleIssuer); k.State != pins.StateSeen {
		t.Errorf("key %+v", k)
	}
}

// TestPolicyKeepsRetiredByPerson: the configuration does not approve what a person
// retired, even if it was changed and changed back while the key was still served.
func TestPolicyKeepsRetiredByPerson(t *testing.T) {
	db := open(t)
	policy := []pins.PolicyGrant{{Pin: pin("key1"), Role: pins.RoleLeaf, Pattern: host("w1.example.com"), Reason: "line 1"}}
	sync := func(want []pins.PolicyGrant) {
		t.Helper()
		must(t, db.Keys.SyncPolicy(t.Context(), want))
	}
	sync(policy)
	observe(t, db, look("w1.example.com", "192.0.2.1:443", 1))
	settle(t, db)
	must(t, db.Keys.Retire(t.Context(), pin("key1"), false, "ada", "old"))
	if got := state(t, db, pin("key1")); got != pins.StateRetiring {
		t.Fatalf("served, and to be retired, it is %s", got)
	}
	for range 2 {
		sync(nil)
		sync(policy)
		if got := state(t, db, pin("key1")); got != pins.StateRetired {
			t.Fatalf("it is %s", got)
		}
	}
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	if got := state(t, db, pin("key1")); !got.Trusted() {
		t.Errorf("by a person's word it is %s", got)
	}
}
