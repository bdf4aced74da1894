package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ctwatch/ctwatch/policy"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// A server that fails, lies or stays silent is followed by the next; alone it is an error
// that names it.
func TestLookupTriesNextServer(t *testing.T) {
	zone := map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}
	good := serve(t, zone, nil)
	for name, change := range map[string]func(string, *dns.Msg) *dns.Msg{
		"SERVFAIL": func(_ string, r *dns.Msg) *dns.Msg { r.Rcode, r.Answer = dns.RcodeServerFailure, nil; return r },
		"REFUSED":  func(_ string, r *dns.Msg) *dns.Msg { r.Rcode, r.Answer = dns.RcodeRefused, nil; return r },
		"lame": func(_ string, r *dns.Msg) *dns.Msg {
			r.RecursionAvailable, r.Answer = false, nil
			ns, _ := dns.NewRR("com. 300 IN NS a.gtld-servers.net.")
			r.Ns = []dns.RR{ns}
			return r
		},
		"silent":           func(string, *dns.Msg) *dns.Msg { return nil },
		"another question": func(_ string, r *dns.Msg) *dns.Msg { r.Question[0].Name = "example.org."; return r },
		"another type":     func(_ string, r *dns.Msg) *dns.Msg { r.Question[0].Qtype = dns.TypeA; return r },
		"no question":      func(_ string, r *dns.Msg) *dns.Msg { r.Question = nil; return r },
		"no reply":         func(_ string, r *dns.Msg) *dns.Msg { r.Response = false; return r },
		"another ID":       func(_ string, r *dns.Msg) *dns.Msg { r.Id++; return r },
		"always truncated": func(_ string, r *dns.Msg) *dns.Msg { r.Truncated = true; return r },
		"a thousand records": func(_ string, r *dns.Msg) *dns.Msg {
			for range 1000 {
				r.Answer = append(r.Answer, r.Answer[0])
			}
			return r
		},
		"two CNAMEs": func(_ string, r *dns.Msg) *dns.Msg {
			one, _ := dns.NewRR("example.com. 300 IN CNAME a.example.net.")
			two, _ := dns.NewRR("example.com. 300 IN CNAME b.example.net.")
			r.Answer = []dns.RR{one, two}
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := serve(t, zone, change)
			got, err := checker(bad, good).Lookup(t.Context(), "example.com")
			if err != nil || len(got.Issue) != 1 || got.Issue[0].CA != "letsencrypt.org" {
				t.Errorf("with a good server behind it: %+v, %v", got, err)
			}
			if got, err := checker(bad).Lookup(t.Context(), "example.com"); err == nil {
				t.Errorf("alone it is believed: %+v", got)
			} else if !strings.Contains(err.Error(), bad.addr) {
				t.Errorf("the error does not name the server: %v", err)
			}
		})
	}
}

// CNAMEs that form a loop are an error.
func TestLookupRefusesCNAMELoop(t *testing.T) {
	s := serve(t, map[string][]string{"a.example.com": {"CNAME b.example.com."}, "b.example.com": {"CNAME a.example.com."}}, func(_ string, r *dns.Msg) *dns.Msg {
		r.Answer = r.Answer[:min(2, len(r.Answer))]
		return r
	})
	if got, err := checker(s).Lookup(t.Context(), "a.example.com"); err == nil || !strings.Contains(err.Error(), "loop") {
		t.Errorf("%+v, %v", got, err)
	}
}

// Aliases that an authoritative server does not follow are followed by further questions.
func TestLookupFollowsCNAMEs(t *testing.T) {
	zone := map[string][]string{"a.example.com": {"CNAME b.example.net."}, "b.example.net": {"CNAME c.example.net."}, "c.example.net": {`CAA 0 issue "pki.goog"`}, "example.com": {`CAA 0 issue ";"`}}
	s := serve(t, zone, func(_ string, r *dns.Msg) *dns.Msg {
		r.RecursionAvailable, r.Authoritative = false, true
		r.Answer = r.Answer[:min(1, len(r.Answer))]
		return r
	})
	got, err := checker(s).Lookup(t.Context(), "a.example.com")
	if err != nil || got.Domain != "a.example.com" || len(got.Issue) != 1 || got.Issue[0].CA != "pki.goog" {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"udp a.example.com", "udp b.example.net", "udp c.example.net"}, s.questions()); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

// A chain of too many CNAMEs is an error.
func TestLookupBoundsCNAMEs(t *testing.T) {
	zone := map[string][]string{}
	for i := range 30 {
		zone[fmt.Sprintf("a%d.example.com", i)] = []string{fmt.Sprintf("CNAME a%d.example.com.", i+1)}
	}
	if got, err := checker(serve(t, zone, nil)).Lookup(t.Context(), "a0.example.com"); err == nil {
		t.Errorf("%+v", got)
	}
}

// Records of other names or classes in an answer are ignored.
func TestLookupIgnoresOtherRecords(t *testing.T) {
	s := serve(t, map[string][]string{"example.com": nil}, func(_ string, r *dns.Msg) *dns.Msg {
		other, _ := dns.NewRR(`evil.example. 300 IN CAA 0 issue "evil.example"`)
		chaos, _ := dns.NewRR(`example.com. 300 CH CAA 0 issue "evil.example"`)
		r.Answer = append(r.Answer, other, chaos)
		return r
	})
	if got, err := checker(s).Lookup(t.Context(), "example.com"); err != nil || got.Found {
		t.Errorf("%+v, %v", got, err)
	}
}

// A truncated reply is requested again over TCP.
func TestLookupFallsBackToTCP(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`CAA 0 issue "ca%d.example.net"`, i))
	}
	s := serve(t, map[string][]string{"example.com": lines}, nil)
	got, err := checker(s).Lookup(t.Context(), "example.com")
	if err != nil || len(got.Issue) != 100 {
		t.Errorf("%d permits, %v", len(got.Issue), err)
	}
	if diff := cmp.Diff([]string{"udp example.com", "tcp example.com"}, s.questions()); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
}

// A result is authenticated only if the answer of every step up the tree is.
func TestDNSSECNeedsEveryStep(t *testing.T) {
	zone := map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}
	for name, tt := range map[string]struct {
		authentic func(name string) bool
		want      bool
	}{
		"all":         {func(string) bool { return true }, true},
		"none":        {func(string) bool { return false }, false},
		"the records": {func(name string) bool { return name == "example.com." }, false},
	} {
		s := serve(t, zone, func(_ string, r *dns.Msg) *dns.Msg {
			r.AuthenticatedData = tt.authentic(r.Question[0].Name)
			return r
		})
		if got, err := checker(s).Lookup(t.Context(), "a.b.example.com"); err != nil || got.DNSSEC != tt.want {
			t.Errorf("%s: DNSSEC %v, %v", name, got.DNSSEC, err)
		}
	}
}

// Answers are cached for their TTL, from a minute to a day.
func TestLookupCachesByTTL(t *testing.T) {
	var ttl atomic.Uint32
	ttl.Store(300)
	s := serve(t, map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}, func(_ string, r *dns.Msg) *dns.Msg {
		for _, rr := range r.Answer {
			rr.Header().Ttl = ttl.Load()
		}
		return r
	})
	at := now
	c := &policy.Checker{Servers: []string{s.addr}, Timeout: time.Second, Now: func() time.Time { return at }}
	asked := 0
	look := func(after time.Duration, domain string, questions int) {
		t.Helper()
		at = at.Add(after)
		got, err := c.Lookup(t.Context(), domain)
		if err != nil || !got.Found {
			t.Fatalf("%+v, %v", got, err)
		}
		if n := len(s.questions()) - asked; n != questions {
			t.Errorf("%s after %v: %d questions, want %d", domain, after, n, questions)
		}
		asked = len(s.questions())
	}
	look(0, "a.example.com", 2)
	look(0, "a.example.com", 0)
	look(0, "b.example.com", 1)               // what is above is known
	look(119*time.Second, "a.example.com", 0) // the SOA's minimum is 120 s
	look(time.Second, "a.example.com", 1)
	look(180*time.Second, "example.com", 1) // 300 s are over
	ttl.Store(0)
	look(300*time.Second, "example.com", 1)
	look(59*time.Second, "example.com", 0) // a minute at least
	ttl.Store(1 << 30)
	look(time.Second, "example.com", 1)
	look(24*time.Hour-time.Second, "example.com", 0) // a day at most
	look(time.Second, "example.com", 1)
}

// A failed lookup is tried again by the next.
func TestLookupDoesNotCacheErrors(t *testing.T) {
	var mu sync.Mutex
	broken := true
	s := serve(t, map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}, func(_ string, r *dns.Msg) *dns.Msg {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			r.Rcode, r.Answer = dns.RcodeServerFailure, nil
		}
		return r
	})
	c := checker(s)
	if _, err := c.Lookup(t.Context(), "example.com"); err == nil {
		t.Fatal("a failure is taken for an answer")
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	if got, err := c.Lookup(t.Context(), "example.com"); err != nil || !got.Found {
		t.Errorf("%+v, %v", got, err)
	}
}

// A lookup ends with its context, whatever the timeout.
func TestLookupEndsWithContext(t *testing.T) {
	s := serve(t, nil, func(string, *dns.Msg) *dns.Msg { return nil })
	c := &policy.Checker{Servers: []string{s.addr}, Timeout: time.Minute}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Lookup(ctx, "example.com"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// No question is sent about a text that is not a domain.
func TestLookupRefusesBadDomains(t *testing.T) {
	s := serve(t, nil, nil)
	for _, domain := range []string{"", "*", "*.", "*.*.example.com", "a b", "exämple.com", strings.Repeat("a", 64) + ".com", "a\x00.com"} {
		if _, err := checker(s).Lookup(t.Context(), domain); err == nil {
			t.Errorf("%q is looked up", domain)
		}
	}
	if q := s.questions(); q != nil {
		t.Errorf("asked: %q", q)
	}
}

// Any number of goroutines may look records up.
func TestLookupIsConcurrent(t *testing.T) {
	c := checker(serve(t, map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}, nil))
	c.Timeout = 5 * time.Second
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if got, err := c.Lookup(t.Context(), fmt.Sprintf("h%d.example.com", i%7)); err != nil || !got.Found {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
}

// Cached returns what Lookup would, without a question.
func TestCachedIsWhatLookupFinds(t *testing.T) {
	s := serve(t, map[string][]string{"example.com": {`CAA 0 issue "letsencrypt.org"`}}, nil)
	c := checker(s)
	if r, ok := c.Cached("a.b.example.com"); ok {
		t.Fatalf("before any lookup: %+v", r)
	}
	for _, domain := range []string{"a.b.example.com", "example.org"} {
		want, err := c.Lookup(t.Context(), domain)
		if err != nil {
			t.Fatal(err)
		}
		asked := len(s.questions())
		got, ok := c.Cached(domain)
		got.TTL, want.TTL = 0, 0
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: remembered: %v (-found +remembered):\n%s", domain, ok, diff)
		}
		if len(s.questions()) != asked {
			t.Errorf("%s: a server was asked", domain)
		}
	}
	if r, ok := c.Cached("c.b.example.com"); ok {
		t.Errorf("a name that was not looked up: %+v", r)
	}
}
