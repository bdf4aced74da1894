package policy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"

	"github.com/google/go-cmp/cmp"
)

// A caaStore is the certificates that lack records, in memory.
type caaStore struct {
	mu      sync.Mutex
	missing []ctwatch.Certificate // newest first
	partial map[ctwatch.Hash]bool // certificates that go on lacking some
	records map[ctwatch.Hash]map[string]policy.CAAResult
	limit   int
	err     error
}

func (s *caaStore) AwaitingCAA(_ context.Context, limit int) ([]ctwatch.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	return slices.Clone(s.missing[:min(limit, len(s.missing))]), s.err
}

func (s *caaStore) SetCAA(_ context.Context, found ...ctwatch.CAARecords) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range found {
		var r map[string]policy.CAAResult
		if err := json.Unmarshal([]byte(f.Records), &r); err != nil {
			return err
		}
		s.records[f.Certificate] = r
		s.missing = slices.DeleteFunc(s.missing, func(c ctwatch.Certificate) bool { return c.ID == f.Certificate && !s.partial[c.ID] })
	}
	return nil
}

func (s *caaStore) add(c *ctwatch.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = slices.Insert(s.missing, 0, *c)
}

// A collecting is a CAACollector at work, in a bubble of synctest.
type collecting struct {
	*caaStore
	wake chan struct{}
	log  bytes.Buffer
	end  func() error // ends it, and returns Run's error

	start    time.Time
	lookups  []string                    // with the time since the start
	inFlight int                         // lookups now
	most     int                         // at once
	lookup   func(domain string) error   // optional
	wait     func(context.Context) error // optional
}

func (k *collecting) run(t *testing.T) {
	t.Helper()
	k.wake, k.start = make(chan struct{}, 1), time.Now()
	k.records = make(map[ctwatch.Hash]map[string]policy.CAAResult)
	p := policy.New([]policy.Rule{rule(t, ".example.com", func(r *policy.Rule) { r.CAA = true })}, policy.NewCAs())
	c := &policy.CAACollector{
		Store: k.caaStore, Policy: func() *policy.Policy { return p }, Wake: k.wake,
		Logger: slog.New(slog.NewTextHandler(&k.log, nil)),
		Lookup: func(ctx context.Context, domain string) (policy.CAAResult, error) {
			k.mu.Lock()
			k.lookups = append(k.lookups, fmt.Sprint(time.Since(k.start), " ", domain))
			k.inFlight++
			k.most = max(k.most, k.inFlight)
			k.mu.Unlock()
			defer func() {
				k.mu.Lock()
				k.inFlight--
				k.mu.Unlock()
			}()
			if k.wait != nil {
				if err := k.wait(ctx); err != nil {
					return policy.CAAResult{}, err
				}
			}
			if k.lookup != nil {
				if err := k.lookup(domain); err != nil {
					return policy.CAAResult{}, err
				}
			}
			return policy.CAAResult{Found: true, Domain: domain}, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	k.end = func() error {
		cancel()
		return <-done
	}
	synctest.Wait()
}

// took returns the lookups since the last time.
func (k *collecting) took() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	out, k.lookups = k.lookups, nil
	return out
}

// numbered is a certificate with an ID of its own.
func numbered(n int, names ...string) *ctwatch.Certificate {
	c := certificate(names...)
	c.ID = sha256.Sum256(fmt.Append(nil, n))
	return c
}

// The collector looks up every name that the policy needs, records what it finds with the
// certificate, and rests until it is woken.
func TestCAACollectorRecordsWhatItFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &collecting{caaStore: &caaStore{}}
		first := numbered(1, "a.example.com", "*.b.example.com", "other.example.org")
		k.add(first)
		k.run(t)
		if diff := cmp.Diff([]string{"0s a.example.com", "0s b.example.com"}, k.took()); diff != "" {
			t.Errorf("lookups (-want +got):\n%s", diff)
		}
		want := map[string]policy.CAAResult{
			"a.example.com": {Found: true, Domain: "a.example.com"}, "b.example.com": {Found: true, Domain: "b.example.com"},
		}
		if diff := cmp.Diff(want, k.records[first.ID]); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		k.add(numbered(2, "c.example.com"))
		k.wake <- struct{}{}
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"1h0m0.2s c.example.com"}, k.took()); diff != "" {
			t.Errorf("lookups after it is woken (-want +got):\n%s", diff)
		}
		if err := k.end(); err != nil {
			t.Error(err)
		}
	})
}

// A failed lookup is retried after 15 seconds, then at doubled pauses up to an hour; a
// success forgets the failures.
func TestCAACollectorRetriesWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failing.Store(true)
		k := &collecting{caaStore: &caaStore{}, lookup: func(string) error {
			if failing.Load() {
				return errors.New("no\x1b[31m answer")
			}
			return nil
		}}
		k.add(numbered(1, "a.example.com"))
		k.run(t)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		got := k.took()
		var at []time.Duration
		for _, l := range got {
			d, err := time.ParseDuration(strings.Fields(l)[0])
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, d)
		}
		pause := 15 * time.Second
		for i := range at[1:] {
			// Rounds are 5.2 s apart.
			if gap := at[i+1] - at[i]; gap < pause || gap > pause+6*time.Second {
				t.Errorf("pause %d is %v, want %v", i+1, gap, pause)
			}
			pause = min(2*pause, time.Hour)
		}
		if n := len(at); n < 12 || n > 14 {
			t.Errorf("%d lookups in six hours:\n%s", n, strings.Join(got, "\n"))
		}
		if s := k.log.String(); strings.Contains(s, "\x1b") || !strings.Contains(s, "looking up CAA records failed") {
			t.Errorf("log: %s", s)
		}
		failing.Store(false)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(k.missing) > 0 {
			t.Error("a certificate still lacks its records")
		}
		failing.Store(true)
		k.took()
		k.add(numbered(1, "a.example.com"))
		k.wake <- struct{}{}
		time.Sleep(25 * time.Second)
		if got := k.took(); len(got) != 2 {
			t.Errorf("the old failures count: %q", got)
		}
		if err := k.end(); err != nil {
			t.Error(err)
		}
	})
}

// What one name fails for does not keep the records of the others from being recorded.
func TestCAACollectorRecordsPartOfTheNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &collecting{caaStore: &caaStore{}, lookup: func(domain string) error {
			if domain == "bad.example.com" {
				return errors.New("SERVFAIL")
			}
			return nil
		}}
		c := numbered(1, "bad.example.com", "good.example.com")
		k.partial = map[ctwatch.Hash]bool{c.ID: true}
		k.add(c)
		k.run(t)
		want := map[string]policy.CAAResult{"good.example.com": {Found: true, Domain: "good.example.com"}}
		if diff := cmp.Diff(want, k.records[c.ID]); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if err := k.end(); err != nil {
			t.Error(err)
		}
	})
}

// A flood is worked off in rounds of 32, newest first, with at most 8 lookups at once.
func TestCAACollectorBoundsItsRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 70
		k := &collecting{caaStore: &caaStore{}, wait: func(context.Context) error {
			time.Sleep(time.Second)
			return nil
		}}
		for i := range n {
			k.add(numbered(i, fmt.Sprintf("h%d.example.com", i)))
		}
		k.run(t)
		time.Sleep(time.Minute)
		got := k.took()
		if len(got) != n || k.most != 8 || k.limit != 1000 {
			t.Errorf("%d lookups, %d at once, of %d candidates", len(got), k.most, k.limit)
		}
		for i, l := range got[:32] {
			var host int
			if _, err := fmt.Sscanf(strings.Fields(l)[1], "h%d.", &host); err != nil || host < n-32 {
				t.Errorf("lookup %d is %s, %v: want the newest first", i, l, err)
			}
		}
		if err := k.end(); err != nil {
			t.Error(err)
		}
	})
}

// A certificate whose lookups hang costs ten seconds, and Run ends with its context.
func TestCAACollectorGivesUpOnHangingLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &collecting{caaStore: &caaStore{}, wait: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		k.add(numbered(1, "a.example.com", "b.example.com"))
		k.run(t)
		time.Sleep(11 * time.Second)
		if diff := cmp.Diff([]string{"0s a.example.com", "10s b.example.com"}, k.took()); diff != "" {
			t.Errorf("lookups (-want +got):\n%s", diff)
		}
		time.Sleep(20 * time.Second) // into the next lookup
		if err := k.end(); err != nil {
			t.Error(err)
		}
		if len(k.records) > 0 {
			t.Errorf("recorded: %v", k.records)
		}
	})
}

// Run returns the store's error.
func TestCAACollectorFailsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("disk full")
		k := &collecting{caaStore: &caaStore{err: broken}}
		k.run(t)
		if err := k.end(); !errors.Is(err, broken) {
			t.Errorf("Run returned %v", err)
		}
	})
}
