package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// rogue is a certificate of an issuer that issuerRule does not allow.
func rogue(l ctwatch.Log, n int, index uint64) ctwatch.Found {
	f := found(l, n, index)
	f.Certificate.Issuer.Pin = pin("another")
	return f
}

// onlyIssuer is a rule that goes by the issuer alone.
func onlyIssuer(issuer string) ctwatch.Judge {
	return func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		return issuerRule(issuer)(c, ctwatch.Standing{Compromised: k.Compromised})
	}
}

// TestRogueTakesNoKey: even if a person approved the key, the certificate is an alarm, and the
// key stays trusted; also when a person rejects the certificate.
func TestRogueTakesNoKey(t *testing.T) {
	const h, a = "w1.example.com", "192.0.2.1:443"
	grant := []pins.PolicyGrant{policyGrant("key1", h)}
	for name, approve := range map[string]func(*store.DB, ctwatch.Log){
		"the configuration": func(db *store.DB, _ ctwatch.Log) { must(t, db.Keys.SyncPolicy(t.Context(), grant)) },
		"a person":          func(db *store.DB, _ ctwatch.Log) { approve(t, db, declaration(pin("key1"), h)) },
		"rules":             func(db *store.DB, l ctwatch.Log) { record(t, db, l, 1, found(l, 1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			db := judging(t, "", onlyIssuer("issuer"))
			l := started(t, db, 1)
			approve(db, l)
			observe(t, db, look(h, a, 1))
			settle(t, db)
			stays := func(when string) {
				t.Helper()
				settle(t, db)
				k := key(t, db, pin("key1"), pins.RoleLeaf)
				if k.State != pins.StateDeployed || !slices.Equal(k.ApprovedFor, hosts(h)) {
					t.Errorf("%s the key is %s for %v", when, k.State, k.ApprovedFor)
				}
			}
			stays("at first")
			record(t, db, l, 2, rogue(l, 11, 1))
			stays("with a rogue certificate")
			wantEqual(t, "verdict", []string{"unexpected issuer_not_allowed"}, verdicts(t, db, 11))
			e := eventsOf(t, db, ctwatch.CertificateUnexpected)
			if len(e) != 1 || e[0].Data.Key == nil || e[0].Data.Key.Pin != pin("key1") || !strings.Contains(e[0].Data.Summary, "issued for it without you") {
				t.Errorf("the alarm does not say that the key is trusted: %+v", e)
			}
			must(t, db.Issuers.RejudgeAll(t.Context(), "again"))
			stays("judged again")
			_, err := db.Certificates.SetVerdict(t.Context(), certificate(11).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
			must(t, err)
			if c := get(t, db, 11); c.Verdict != ctwatch.Unexpected {
				t.Errorf("rejected, it is %s", c.Verdict)
			}
			stays("when a person rejects it")
			must(t, db.Issuers.RejudgeAll(t.Context(), "and again"))
			stays("judged by other rules")
		})
	}
}

// TestPolicyDespiteAlarm: a line in the configuration is a person's decision.
func TestPolicyDespiteAlarm(t *testing.T) {
	db := judging(t, "", onlyIssuer("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 1, rogue(l, 1, 0))
	must(t, db.Keys.SyncPolicy(t.Context(), []pins.PolicyGrant{policyGrant("key1", "w1.example.com")}))
	if s := state(t, db, pin("key1")); s != pins.StateApproved {
		t.Errorf("it is %s", s)
	}
}

// TestApproveDespiteAlarm: it takes a reason, and, if nothing else is known of the key,
// Despite.
func TestApproveDespiteAlarm(t *testing.T) {
	const h, a = "w1.example.com", "192.0.2.1:443"
	for name, c := range map[string]struct {
		known   func(*store.DB, ctwatch.Log)
		reason  string
		despite bool
		refused bool
	}{
		"nothing else is known":              {func(*store.DB, ctwatch.Log) {}, "ours", false, true},
		"nothing else is known, knowingly":   {func(*store.DB, ctwatch.Log) {}, "ours", true, false},
		"knowingly, without a reason":        {func(*store.DB, ctwatch.Log) {}, "", true, true},
		"it was served at the first look":    {func(db *store.DB, _ ctwatch.Log) { observe(t, db, look(h, a, 1)) }, "ours", false, false},
		"it was, without a reason":           {func(db *store.DB, _ ctwatch.Log) { observe(t, db, look(h, a, 1)) }, "", false, true},
		"it came to be served":               {func(db *store.DB, _ ctwatch.Log) { observe(t, db, look(h, a, 2)); observe(t, db, look(h, a, 1)) }, "ours", false, true},
		"another certificate is no alarm":    {func(db *store.DB, l ctwatch.Log) { record(t, db, l, 2, found(l, 21, 1)) }, "ours", false, false},
		"another certificate is one as well": {func(db *store.DB, l ctwatch.Log) { record(t, db, l, 2, rogue(l, 21, 1)) }, "ours", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := judging(t, "", onlyIssuer("issuer"))
			l := started(t, db, 1)
			record(t, db, l, 1, rogue(l, 11, 0))
			c.known(db, l)
			a := approval(pin("key1"), h)
			a.Reason, a.Despite = c.reason, c.despite
			before := changes(t, db)
			_, err := db.Keys.Approve(t.Context(), a)
			if c.refused {
				if !errors.Is(err, pins.ErrUnexpected) || changes(t, db) != before {
					t.Errorf("error %v, want ErrUnexpected and nothing written", err)
				}
				return
			}
			must(t, err)
			if got := history(t, db, pin("key1")); !slices.Contains(got, "approve ["+h+"] by person ada") {
				t.Errorf("audit trail %q", got)
			}
			names, err := db.Keys.CertifiedNames(t.Context(), pin("key1"))
			must(t, err)
			if slices.Contains(names, "w11.example.com") {
				t.Errorf("it counts as certified for %q by what should not exist", names)
			}
		})
	}
}

// TestRogueFirst: rules do not approve a key that came up with an unexpected
// certificate that is proven; a forged one does not count.
func TestRogueFirst(t *testing.T) {
	for name, c := range map[string]struct {
		proven bool
		served bool // at the first look, before
		want   pins.State
	}{
		"proven":                     {true, false, pins.StateSeen},
		"forged":                     {false, false, pins.StateApproved},
		"of a key that was ours all": {true, true, pins.StateApproved},
	} {
		t.Run(name, func(t *testing.T) {
			db := judging(t, "", onlyIssuer("issuer"))
			l, other := started(t, db, 1), started(t, db, 2)
			if c.served {
				observe(t, db, look("w1.example.com", "192.0.2.1:443", 1))
			}
			if c.proven {
				record(t, db, l, 1, rogue(l, 11, 0))
			} else {
				recordUnproven(t, db, l, 1, rogue(l, 11, 0))
			}
			record(t, db, other, 1, found(other, 1, 0))
			if s := state(t, db, pin("key1")); s != c.want {
				t.Errorf("the key is %s, want %s", s, c.want)
			}
			// What rules have begun with, a proof that comes later does not end.
			if !c.proven {
				must(t, db.Logs.Advance(t.Context(), l.ID, tree(1), head(1)))
				must(t, db.Issuers.RejudgeAll(t.Context(), "again"))
				if s := state(t, db, pin("key1")); s != c.want {
					t.Errorf("with the proof the key is %s", s)
				}
			}
		})
	}
}

// TestRejectingOutlastsRules: rules never approve a key again after a person rejected
// what they expected; a person can.
func TestRejectingOutlastsRules(t *testing.T) {
	rule := issuerRule("issuer")
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment { return rule(c, k) })
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), found(l, 11, 1))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
	must(t, err)
	for _, issuer := range []string{"another", "issuer"} {
		rule = issuerRule(issuer)
		must(t, db.Issuers.RejudgeAll(t.Context(), issuer))
		if s := state(t, db, pin("key1")); s != pins.StateSeen {
			t.Errorf("with issuer %q allowed the key is %s", issuer, s)
		}
	}
	approve(t, db, approval(pin("key1"), "w1.example.com"))
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Expected, []string{"authorized"}, "ada", "ours after all")
	must(t, err)
	if k := key(t, db, pin("key1"), pins.RoleLeaf); len(k.ApprovedFor) != 2 {
		t.Errorf("once the rejection is taken back, it is approved for %v", k.ApprovedFor)
	}
}

// TestAllowingCALater: an alarm that a person confirmed says nothing about the key, also
// after its CA is allowed.
func TestAllowingCALater(t *testing.T) {
	both := false
	db := judging(t, "", func(c *ctwatch.Certificate, k ctwatch.Standing) ctwatch.Judgment {
		if both && c.Issuer.Pin == pin("another") {
			return issuerRule("another")(c, k)
		}
		return issuerRule("issuer")(c, k)
	})
	l := started(t, db, 1)
	record(t, db, l, 2, found(l, 1, 0), rogue(l, 11, 1))
	_, err := db.Certificates.SetVerdict(t.Context(), certificate(11).ID, ctwatch.Unexpected, []string{"rejected"}, "ada", "not ours")
	must(t, err)
	both = true
	must(t, db.Issuers.RejudgeAll(t.Context(), "both"))
	if k := key(t, db, pin("key1"), pins.RoleLeaf); !slices.Equal(k.ApprovedFor, hosts("w1.example.com")) {
		t.Errorf("the key is %s for %v", k.State, k.ApprovedFor)
	}
}

// TestStaleGrantsStayWithdrawn: what rules granted a key before it was retired does not
// count when it is approved again, if they do not grant it any more.
func TestStaleGrantsStayWithdrawn(t *testing.T) {
	db := judging(t, "", provenRule("issuer"))
	l := started(t, db, 1)
	record(t, db, l, 1, found(l, 1, 0))
	must(t, db.Keys.Retire(t.Context(), pin("key1"), false, "ada", "rotated"))
	_, err := db.Plans.SettleKeys(t.Context(), nil)
	must(t, err)
	_, err = db.Certificates.SetVerdict(t.Context(), certificate(1).ID, ctwatch.Unexpected, nil, "ada", "not ours")
	must(t, err)
	_, err = db.Keys.Approve(t.Context(), pins.Approval{
		Pin: pin("key1"), Hosts: hosts("other.example.com"), Actor: pins.Person, By: "ada", Reason: "ours after all", Despite: true,
	})
	must(t, err)
	if k := key(t, db, pin("key1"), pins.RoleLeaf); !slices.Equal(k.ApprovedFor, hosts("other.example.com")) {
		t.Errorf("it is approved for %v", k.ApprovedFor)
	}
}
