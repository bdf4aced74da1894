package follow_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/follow"
	"ctwatch/pins"
)

// A pupil knows some issuing keys, and remembers what it is taught.
type pupil struct {
	mu     sync.Mutex
	known  map[pins.Pin]bool
	chains [][][]byte
	learns pins.Pin // by a whole chain
	bare   int      // chains of certificates that came without names or validity
}

func (p *pupil) Learn(_ context.Context, c *ctwatch.Certificate, chain [][]byte) error {
	p.mu.Lock()
	if c.NotBefore.IsZero() || len(c.Names) == 0 {
		p.bare++
	}
	defer p.mu.Unlock()
	p.chains = append(p.chains, chain)
	if len(chain) > 1 {
		p.known[p.learns] = true
	}
	return nil
}

func (p *pupil) taught() [][][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.chains)
}

// taughtBy follows a log with a pupil that knows some keys.
func (r *rig) taughtBy(known ...pins.Pin) *pupil {
	r.t.Helper()
	p := &pupil{known: make(map[pins.Pin]bool)}
	for _, k := range known {
		p.known[k] = true
	}
	reader := r.reader(r.info())
	reader.Issuers = p
	f := follow.New(follow.Options{Reader: reader, Recorder: r.db, Logger: logger(r.t), Now: time.Now, Poll: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- f.Run(ctx) }()
	return p
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

// isFor tells the requests for one certificate of a static log.
func isFor(der []byte) func(*http.Request) bool {
	name := hex.EncodeToString(sum(der))
	return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/"+name) }
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

// TestChainOfEachMatchIsLearned: also that of a known issuer, since another CA can
// have certified the same key.
func TestChainOfEachMatchIsLearned(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		i := r.issue("a." + watched)
		r.fill(300)
		p := r.taughtBy()
		p.mu.Lock()
		p.learns = i.IssuerPin
		p.mu.Unlock()
		for _, want := range []int{2, 4} { // two entries for each certificate
			r.verified(r.publish().Size)
			chains := p.taught()
			if len(chains) != want || !r.isWhole(chains[0]) || !r.isWhole(chains[want-1]) {
				t.Fatalf("%d chains were learned, want %d that are whole", len(chains), want)
			}
			r.issue("b." + watched)
		}
		r.stop()
		if p.bare > 0 {
			t.Errorf("%d chains came without what they are judged by", p.bare)
		}
	})
}

// TestNothingIsLearnedOfOthers: of what nobody watches.
func TestNothingIsLearnedOfOthers(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.issue("elsewhere.example")
		p := r.taughtBy()
		r.verified(r.publish().Size)
		r.stop()
		if n := len(p.taught()); n != 0 {
			t.Errorf("%d chains were learned", n)
		}
	})
}

// TestAChainThatAStaticLogLacksAtFirstIsLearnedLater: of the issuer, or of the root
// above it, which it names by fingerprint only.
func TestAChainThatAStaticLogLacksAtFirstIsLearnedLater(t *testing.T) {
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
				p := r.taughtBy()
				p.mu.Lock()
				p.learns = i.IssuerPin
				p.mu.Unlock()
				r.verified(r.publish().Size)
				if slices.ContainsFunc(p.taught(), r.isWhole) {
					t.Fatal("a whole chain was learned that the log does not serve")
				}
				if onlyRoot != (len(p.taught()) > 0) {
					t.Errorf("%d chains were learned before the log served all", len(p.taught()))
				}
				r.log.ClearFaults()
				r.until("the chain to be learned", func() bool { return slices.ContainsFunc(p.taught(), r.isWhole) })
				r.until("the issuer to be filled in", func() bool {
					c, err := r.db.Certificate(t.Context(), i.ID.String())
					if err != nil {
						t.Fatal(err)
					}
					return c.Issuer.Pin == i.IssuerPin && len(c.Problems) == 0
				})
				r.stop()
				whole := 0
				for _, c := range p.taught() {
					if r.isWhole(c) {
						whole++
					}
				}
				if whole > 2 || p.bare > 0 {
					t.Errorf("for two entries the whole chain was learned %d times, %d times without what it is judged by", whole, p.bare)
				}
			})
		})
	}
}
