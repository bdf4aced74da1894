package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The cache holds a bounded number of domains, and drops expired ones first.
func TestCacheIsBounded(t *testing.T) {
	var c cache
	now := time.Unix(1e9, 0)
	for i := range 3 * maxCached {
		ttl := time.Hour
		if i%2 == 0 {
			ttl = minTTL
		}
		c.put(fmt.Sprint(i), CAAResult{TTL: ttl}, now)
		if len(c.entries) > maxCached {
			t.Fatalf("%d entries", len(c.entries))
		}
	}
	now = now.Add(2 * minTTL)
	c.shrink(now)
	for domain, e := range c.entries {
		if !now.Before(e.expires) {
			t.Fatalf("%s has expired and is still there", domain)
		}
	}
	if n := len(c.entries); n == 0 || n > maxCached/2 {
		t.Errorf("%d entries are left", n)
	}
}

// Servers without a port are asked on port 53, and at most four are.
func TestServersDefaultToPort53(t *testing.T) {
	c := Checker{Servers: []string{"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "192.0.2.9"}}
	got, err := c.servers()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"192.0.2.1:53", "192.0.2.1:5353", "[2001:db8::1]:53", "[2001:db8::1]:5353"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of more than four the first are asked (-want +got):\n%s", diff)
	}
}
