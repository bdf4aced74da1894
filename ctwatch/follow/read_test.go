package follow_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

// A Reader writes nothing: what it finds out about issuers is in its batches, which hold
// the whole chains and can be sent to another process.
func TestReaderHasNoSideEffects(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(300)
		issued := r.issue("a." + watched)
		r.fill(300)
		head := r.publish()

		found := 0
		next := uint64(100)
		row := make(map[uint64]uint64)
		for b, err := range r.reader(r.info()).Read(t.Context(), 100, head.Size, head.Size) {
			if err != nil {
				t.Fatal(err)
			}
			row[b.Start] = b.End
			for _, f := range b.Found {
				found++
				if f.Certificate.ID != issued.ID || !f.Certificate.Issuer.Proven || f.Incomplete || !r.isWhole(f.Chain) {
					t.Errorf("found %v, proven %v, with a chain of %d", f.Certificate.ID, f.Certificate.Issuer.Proven, len(f.Chain))
				}
			}
			var sent bytes.Buffer
			var received ctwatch.Batch
			if err := gob.NewEncoder(&sent).Encode(b); err != nil {
				t.Fatal(err)
			}
			if err := gob.NewDecoder(&sent).Decode(&received); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b, received, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("a batch differs after it was sent: %s", diff)
			}
		}
		for next < head.Size && row[next] > next {
			next = row[next]
		}
		if found != 2 || next != head.Size {
			t.Errorf("%d entries found up to %d, want 2 up to %d", found, next, head.Size)
		}
		certificates, err := r.db.Issuers.Certificates(t.Context(), 0)
		if err != nil || len(certificates) > 0 || len(r.learner.shown()) > 0 {
			t.Errorf("the store has %d certificates of CAs (%v), and %d chains were shown", len(certificates), err, len(r.learner.shown()))
		}
		if logs, err := r.db.Logs.List(t.Context()); err != nil || len(logs) > 0 {
			t.Errorf("the store has %d logs (%v)", len(logs), err)
		}
	})
}

// A caller that waits for entries learns why there are none, from the third request on.
func TestReaderReportsRetries(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		r.fill(100)
		head := r.publish()
		r.log.SetFault(ctlogtest.Status(500, 0).On(ctlogtest.Entries).Times(4))
		reader := r.reader(r.info())
		reader.Attempts, reader.Parallel = 6, 1
		var reported []string
		reader.Hooks.Retry = func(start uint64, _ time.Duration, err error) {
			reported = append(reported, fmt.Sprint(start, strings.Contains(err.Error(), "500")))
		}
		for _, err := range reader.Read(t.Context(), 0, head.Size, head.Size) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"0 true", "0 true", "0 true"}; !slices.Equal(reported, want) {
			t.Errorf("reported %q, want %q", reported, want)
		}
	})
}

// Chains in batches are bounded, whatever the log gives.
func TestReaderBoundsChains(t *testing.T) {
	kinds(t, func(t *testing.T, o ctlogtest.Options) {
		r := newRig(t, o)
		i, err := r.ca.Issue(ctlogtest.Request{Names: []string{"a." + watched}})
		if err != nil {
			t.Fatal(err)
		}
		der, err := i.Final()
		if err != nil {
			t.Fatal(err)
		}
		i.Chain = append(slices.Clone(i.Chain), make([]byte, ctwatch.MaxChainCertificate), make([]byte, ctwatch.MaxChainCertificate+1))
		for n := range ctwatch.MaxChain {
			i.Chain = append(i.Chain, []byte{byte(n)})
		}
		if _, _, err := r.log.AddFinal(i, der); err != nil {
			t.Fatal(err)
		}
		size := r.publish().Size
		for b, err := range r.reader(r.info()).Read(t.Context(), 0, size, size) {
			if err != nil || len(b.Found) != 1 {
				t.Fatalf("%d entries found, %v", len(b.Found), err)
			}
			want := slices.Concat(i.Chain[:3], i.Chain[4:ctwatch.MaxChain])
			if f := b.Found[0]; !slices.EqualFunc(f.Chain, want, bytes.Equal) || !f.Certificate.Issuer.Proven {
				t.Errorf("a chain of %d, want %d; proven: %v", len(f.Chain), len(want), f.Certificate.Issuer.Proven)
			}
		}
	})
}
