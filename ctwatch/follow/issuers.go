package follow

import (
	"context"
	"slices"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/scan"
)

// Issuers knows issuing keys, and learns of others from the chains in which they are
// found. It decides itself what of a chain it believes.
type Issuers interface {
	// Known reports whether it is known who issued a certificate.
	Known(c *ctwatch.Certificate) bool
	// Learn is given the certificates above one that was found, in DER, that of its
	// issuer first; and that of a known issuer, too, since several CAs can have
	// certified one key.
	Learn(ctx context.Context, c *ctwatch.Certificate, chain [][]byte)
}

// resolve fetches the certificates by which the issuer is proven, which a static log
// names by fingerprint only: that of the issuer, and of the one above it if the first
// is a precertificate signing certificate. An alert does not wait for them: without
// them the certificate has an issuer that is not proven, and a problem.
func (r *Reader) resolve(ctx context.Context, f *ctwatch.Found) {
	for _, fingerprint := range f.ChainFingerprints[:min(2, len(f.ChainFingerprints))] {
		der, err := r.Log.Issuer(ctx, fingerprint)
		if err != nil {
			f.Incomplete = true
			f.Certificate.Problems = append(f.Certificate.Problems, ctwatch.ProblemNoIssuer)
			r.Logger.Warn("the certificate of an issuer was not fetched; the issuer is not proven until it is",
				"log", r.Log.Info().Name, "certificate", f.Certificate.ID, "error", err)
			return
		}
		f.Chain = append(f.Chain, der)
		if scan.ProveIssuer(f, f.Chain); f.Certificate.Issuer.Proven {
			return
		}
	}
}

// learn tells Issuers of the chain of a proven issuer. What the chain lacks teaches
// nothing.
func (r *Reader) learn(ctx context.Context, f *ctwatch.Found) {
	if r.Issuers == nil || !f.Certificate.Issuer.Proven {
		return
	}
	if n := len(f.Chain); n < len(f.ChainFingerprints) {
		for _, fingerprint := range f.ChainFingerprints[n:] {
			der, err := r.Log.Issuer(ctx, fingerprint)
			if err != nil {
				if !r.Issuers.Known(&f.Certificate) {
					f.Incomplete = true
					r.Logger.Warn("the chain of a certificate was not fetched; its CA is unknown until it is",
						"log", r.Log.Info().Name, "certificate", f.Certificate.ID, "error", err)
				}
				break
			}
			f.Chain = append(f.Chain, der)
		}
	}
	if len(f.Chain) > 0 {
		r.Issuers.Learn(ctx, &f.Certificate, f.Chain)
	}
}

// prove looks for who issued a certificate that was found, and whose key that is.
func (r *Reader) prove(ctx context.Context, f *ctwatch.Found) {
	r.resolve(ctx, f)
	r.learn(ctx, f)
}

// Bounds of the search for issuers that were not proven at first.
const (
	maxUnsettled   = 1000 // entries of a log that are considered, the newest first
	retriesPerStep = 4    // entries that are asked for in one step
	maxRetryPause  = 6 * time.Hour
)

// A retry is when an entry is asked for again.
type retry struct {
	next  time.Time
	pause time.Duration
}

// askAgain reads entries again whose issuer is not proven, or whose chain was not
// served whole: a few in each step, and each of them at growing intervals. The store
// remembers which they are. That the log still does not serve what is missing is no
// failure of the step.
func (f *Follower) askAgain(ctx context.Context) error {
	if !f.doubts {
		return nil
	}
	unsettled, err := f.Recorder.Unsettled(ctx, f.id, maxUnsettled)
	if err != nil {
		return record(err)
	}
	f.doubts = len(unsettled) > 0
	// Those that were never asked for, or longest ago, go first: no flood of entries
	// without proof keeps the others waiting for long.
	slices.SortStableFunc(unsettled, func(a, b ctwatch.EntryRef) int {
		return f.retries[a.Index].next.Compare(f.retries[b.Index].next)
	})
	retries := make(map[uint64]retry, len(unsettled))
	left := retriesPerStep
	for _, p := range unsettled {
		r := f.retries[p.Index]
		if left > 0 && p.Index < f.head.Size && !f.Now().Before(r.next) {
			left--
			if err := f.readAgain(ctx, p); err != nil {
				return err
			}
			r.pause = min(max(2*r.pause, f.Poll), maxRetryPause)
			r.next = f.Now().Add(r.pause)
		}
		retries[p.Index] = r
	}
	f.retries = retries
	return nil
}

// readAgain reads one entry again and notes what proves its issuer now. What is not
// the entry that was recorded is not looked at: whether it is in the tree is not
// checked here.
func (f *Follower) readAgain(ctx context.Context, p ctwatch.EntryRef) error {
	b, err := f.Reader.scan(ctx, p.Index, p.Index+1, f.head.Size)
	if err != nil {
		f.Logger.Debug("an entry whose issuer is not proven was not read again", "log", f.name, "index", p.Index, "error", err)
		return nil
	}
	for i := range b.Found {
		found := &b.Found[i]
		if found.LeafHash != p.LeafHash {
			continue
		}
		f.Reader.prove(ctx, found)
		if err := f.Recorder.AddProof(ctx, f.id, *found); err != nil {
			return record(err)
		}
	}
	return nil
}

// doubtful reports whether an entry of a batch is to be asked for again.
func doubtful(b ctwatch.Batch) bool {
	return slices.ContainsFunc(b.Found, func(f ctwatch.Found) bool { return f.Unsettled() })
}
