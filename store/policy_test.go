package store_test

import (
	"testing"

	"ctwatch/pins"
	"ctwatch/store"
)

// TestWhatAPersonRetiresTheConfigurationDoesNotBringBack, not even one that was
// changed and changed back while the key was still served.
func TestWhatAPersonRetiresTheConfigurationDoesNotBringBack(t *testing.T) {
	db := open(t)
	policy := []store.PolicyGrant{{Pin: pin("key1"), Role: pins.RoleLeaf, Pattern: host("w1.example.com"), Reason: "line 1"}}
	sync := func(want []store.PolicyGrant) {
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
