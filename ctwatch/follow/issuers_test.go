package follow_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlog"
	"ctwatch/ctwatch/ctlogtest"
)

// learner implements ctwatch.IssuerLearner: it collects the chains that it is shown.
type learner struct {
	mu     sync.Mutex
	chains [][][]byte
	bare   int // chains of certificates without names or validity
}

func (l *learner) Shown(c *ctwatch.Certificate, chain [][]byte) []ctwatch.IssuerKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.NotBefore.IsZero() || len(c.Names) == 0 {
		l.bare++
	}
	l.chains = append(l.chains, chain)
	return nil
}

func (l *learner) Add(...ctwatch.IssuerKey) []ctwatch.IssuerKey { return nil }

func (l *learner) shown() [][][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.chains)
}

// issue adds one certificate in both forms.
func (r *rig) issue(name string) *ctlogtest.Issued {
	r.t.Helper()
	i, err := r.ca.Issue(ctlogtest.Request{Names: []string{name}})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := r.log.AddPrecert(i); err != nil {
		r.t.Fatal(err)
	}
	der, err := i.Final()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := r.log.AddFinal(i, der); err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *rig) isWhole(chain [][]byte) bool {
	return slices.EqualFunc(chain, [][]byte{r.ca.Intermediate, r.ca.Root}, bytes.Equal)
}

// isFor matches the requests for one certificate of a static log.
func isFor(der []byte) func(*http.Request) bool {
	name := hex.EncodeToString(sum(der))
	return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/"+name) }
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// The chain of each match is learned from, also if its issuer is known: another CA may
// have certified the same key.
func TestLearnsChainOfEachMatch(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.issue("a." + watched)
		r.fill(300)
		r.follow(beginning)
		for _, want := range []int{2, 4} { // two entries for each certificate
			r.verified(r.publish().Size)
			chains := r.learner.shown()
			if len(chains) != want || !r.isWhole(chains[0]) || !r.isWhole(chains[want-1]) {
				t.Fatalf("%d chains were learned, want %d that are whole", len(chains), want)
			}
			r.issue("b." + watched)
		}
		r.stop()
		if r.learner.bare > 0 {
			t.Errorf("%d chains came without what they are judged by", r.learner.bare)
		}
	})
}

// Nothing is learned from the chains of certificates that do not match.
func TestLearnsNothingFromOthers(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.issue("elsewhere.example")
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.stop()
		if n := len(r.learner.shown()); n != 0 {
			t.Errorf("%d chains were learned", n)
		}
	})
}

// The issuer and the root above it, which a static log names by fingerprint only, are
// learned when the log serves them later.
func TestLearnsChainServedLater(t *testing.T) {
	for name, onlyRoot := range map[string]bool{"all of it": false, "the root": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
				i := r.issue("a." + watched)
				fault := ctlogtest.IssuerMissing()
				if onlyRoot {
					fault = fault.When(isFor(r.ca.Root))
				}
				r.log.SetFault(fault)
				r.follow(beginning)
				r.verified(r.publish().Size)
				if slices.ContainsFunc(r.learner.shown(), r.isWhole) {
					t.Fatal("a whole chain was learned that the log does not serve")
				}
				if onlyRoot != (len(r.learner.shown()) > 0) {
					t.Errorf("%d chains were learned before the log served all", len(r.learner.shown()))
				}
				r.log.ClearFaults()
				r.until("the chain to be learned", func() bool { return slices.ContainsFunc(r.learner.shown(), r.isWhole) })
				r.until("the issuer to be filled in", func() bool {
					c, err := r.db.Certificates.Get(t.Context(), i.ID.String())
					if err != nil {
						t.Fatal(err)
					}
					return c.Issuer.Pin == i.IssuerPin && len(c.Problems) == 0
				})
				r.stop()
				whole := 0
				for _, c := range r.learner.shown() {
					if r.isWhole(c) {
						whole++
					}
				}
				if whole > 2 || r.learner.bare > 0 {
					t.Errorf("for two entries the whole chain was learned %d times, %d times without what it is judged by", whole, r.learner.bare)
				}
			})
		})
	}
}

// proven reports whether the issuer of a certificate is proven and its chain complete.
func (r *rig) proven(id ctwatch.Hash) bool {
	r.t.Helper()
	c, err := r.db.Certificates.Get(context.Background(), id.String())
	return err == nil && c.Issuer.Proven && len(c.Problems) == 0
}

// However the file of an issuer fails at first, it is requested until it is served, across
// restarts, and once for all entries that name it.
func TestIssuerIsRequestedUntilServed(t *testing.T) {
	for name, tt := range map[string]struct {
		fault ctlogtest.Fault
		times []int
	}{
		"missing":     {ctlogtest.IssuerMissing(), []int{1, 3}},
		"overloaded":  {ctlogtest.Status(http.StatusServiceUnavailable, 0).On(ctlogtest.Issuers), []int{1}},
		"another one": {rewrite("/issuer/", flip(100)), []int{1}},
		"no answer":   {ctlogtest.Hang(nil).On(ctlogtest.Issuers), []int{2}},
	} {
		for _, times := range tt.times {
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, MaxAge: time.Second})
					var issued []*ctlogtest.Issued
					for _, n := range []string{"a.", "b."} {
						issued = append(issued, r.issue(n+watched))
						r.fill(300)
					}
					r.log.SetFault(tt.fault.Times(times))
					r.publish()
					begun := time.Now()
					r.follow(beginning)
					for n := 0; r.log.Requests(ctlogtest.Issuers) < times; n++ {
						time.Sleep(3 * time.Second)
						if n%2 == 1 {
							r.stop()
							r.follow(beginning)
						}
						if n > 1000 {
							t.Fatal("nothing is requested any more")
						}
					}
					r.until("all issuers to be proven", func() bool { return r.proven(issued[0].ID) && r.proven(issued[1].ID) })
					if took := time.Since(begun); took > 10*time.Minute {
						t.Errorf("it took %v", took)
					}
					r.until("nothing to be left", func() bool {
						left, err := r.db.Logs.EntriesToReread(t.Context(), r.log.Info().ID, 10)
						return err == nil && len(left) == 0
					})
				})
			})
		}
	}
}

// A log that does not answer a request for an issuer delays alerts by seconds, and all of
// them together by no more.
func TestAlertDoesNotWaitForIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, MaxAge: time.Second})
		for n := range 50 {
			r.issue(fmt.Sprintf("n%d.%s", n, watched))
		}
		r.log.SetFault(ctlogtest.Hang(nil).On(ctlogtest.Issuers))
		size := r.publish().Size
		begun := time.Now()
		r.follow(beginning)
		r.verified(size)
		if took := time.Since(begun); took > 10*time.Second || len(r.issued()) != 50 {
			t.Errorf("%d certificates were reported after %v", len(r.issued()), took)
		}
	})
}

// Issuers are requested also after a final log was read to its end.
func TestIssuerOfFinalLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		i := r.issue("a." + watched)
		head := r.publish()
		r.final = &head
		r.log.SetFault(ctlogtest.IssuerMissing())
		r.follow(beginning)
		r.verified(head.Size)
		time.Sleep(time.Minute)
		r.log.ClearFaults()
		r.until("the issuer to be proven", func() bool { return r.proven(i.ID) })
	})
}

// Issuers are requested also while entries of the log cannot be read.
func TestIssuerDespiteReadErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic})
		i := r.issue("a." + watched)
		r.log.SetFault(ctlogtest.IssuerMissing().Times(3))
		r.follow(beginning)
		r.verified(r.publish().Size)
		r.log.SetFault(ctlogtest.MissingTile(ctlogtest.DataTile, 1))
		r.fill(1000)
		r.publish()
		r.until("the issuer to be proven", func() bool { return r.proven(i.ID) })
		if s := r.status(); s.Position == s.TreeSize {
			t.Error("there was no trouble")
		}
	})
}

// If a log does not serve an issuer, another log's copy is used, from before or after the
// failure.
func TestIssuerOfAnotherLog(t *testing.T) {
	for name, missed := range map[string]bool{"known before": false, "known later": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, Name: "a"}), newRig(t, ctlogtest.Options{Kind: ctwatch.KindStatic, Name: "b"})
				// Each log has the same CA, and a store of its own would not do.
				if err := b.db.Close(); err != nil {
					t.Fatal(err)
				}
				b.ca, b.db, b.dir = a.ca, a.db, a.dir
				a.issuers = &ctlog.Issuers{Stored: a.db.Issuers.Certificate}
				b.issuers = a.issuers
				a.log.SetFault(ctlogtest.IssuerMissing())
				i := a.issue("a." + watched)
				if missed {
					a.follow(beginning)
					a.verified(a.publish().Size)
					time.Sleep(20 * time.Second) // it is requested rarely
				}
				b.issue("b." + watched)
				b.follow(beginning)
				b.verified(b.publish().Size)
				if !missed {
					a.issuers = &ctlog.Issuers{Stored: a.db.Issuers.Certificate} // after a restart
					a.follow(beginning)
					a.verified(a.publish().Size)
					if !a.proven(i.ID) || a.log.Requests(ctlogtest.Issuers) > 0 {
						t.Errorf("proven: %v, after %d requests", a.proven(i.ID), a.log.Requests(ctlogtest.Issuers))
					}
				}
				begun := time.Now()
				a.until("the issuer to be proven", func() bool { return a.proven(i.ID) })
				if took := time.Since(begun); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				b.stop()
			})
		})
	}
}
