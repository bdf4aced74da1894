package follow

import (
	"context"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/scan"
)

// Issuers learns issuing keys from the chains in which they are found. It decides itself
// what of a chain it believes.
type Issuers interface {
	// Learn is given the certificates above one that was found, in DER, that of its
	// issuer first; and that of a known issuer, too, since several CAs can have
	// certified one key. An error means that the store is broken.
	Learn(ctx context.Context, c *ctwatch.Certificate, chain [][]byte) error
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
// nothing; another CA may vouch for the issuer there, also for one that is known.
func (r *Reader) learn(ctx context.Context, f *ctwatch.Found) error {
	if r.Issuers == nil || !f.Certificate.Issuer.Proven {
		return nil
	}
	for len(f.Chain) < len(f.ChainFingerprints) {
		der, err := r.Log.Issuer(ctx, f.ChainFingerprints[len(f.Chain)])
		if err != nil {
			f.Incomplete = true
			r.Logger.Warn("the chain of a certificate was not fetched whole; its CA may be unknown until it is",
				"log", r.Log.Info().Name, "certificate", f.Certificate.ID, "error", err)
			break
		}
		f.Chain = append(f.Chain, der)
	}
	if len(f.Chain) == 0 {
		return nil
	}
	return record(r.Issuers.Learn(ctx, &f.Certificate, f.Chain))
}

// prove looks for who issued a certificate that was found, and whose key that is.
func (r *Reader) prove(ctx context.Context, f *ctwatch.Found) error {
	r.resolve(ctx, f)
	return r.learn(ctx, f)
}

const (
	retriesPerStep = 4 // entries that are read again in one step
	maxRetryPause  = 6 * time.Hour
)

// askAgain reads entries again whose issuer is not proven, or whose chain was not
// served whole: a few in each step, and each of them at growing intervals. The store
// remembers which they are, and since when. That the log still does not serve what is
// missing is no failure of the step.
func (f *Follower) askAgain(ctx context.Context) error {
	due, err := f.Recorder.EntriesToReread(ctx, f.id, retriesPerStep)
	if err != nil {
		return record(err)
	}
	for _, e := range due {
		// Noted before it is tried: what becomes known meanwhile makes it due again.
		if err := f.Recorder.RereadLater(ctx, f.id, e, f.Now().Add(f.retryPause(e.Asked))); err != nil {
			return record(err)
		}
		if e.Index >= f.head.Size {
			continue
		}
		if err := f.readAgain(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// retryPause is how long to wait after an entry was read again so often before.
func (f *Follower) retryPause(asked int) time.Duration {
	pause := f.Poll
	for ; asked > 0 && pause < maxRetryPause; asked-- {
		pause *= 2
	}
	return min(pause, maxRetryPause)
}

// readAgain reads one entry again and notes what proves its issuer now. What is not
// the entry that was recorded is not looked at: whether it is in the tree is not
// checked here.
func (f *Follower) readAgain(ctx context.Context, e ctwatch.EntryRef) error {
	b, err := f.Reader.scan(ctx, e.Index, e.Index+1, f.head.Size)
	if err != nil {
		f.Logger.Debug("an entry whose issuer is not proven was not read again", "log", f.name, "index", e.Index, "error", err)
		return nil
	}
	for i := range b.Found {
		found := &b.Found[i]
		if found.LeafHash != e.LeafHash {
			continue
		}
		if err := f.Reader.prove(ctx, found); err != nil {
			return err
		}
		if err := f.Recorder.AddProof(ctx, f.id, *found); err != nil {
			return record(err)
		}
	}
	return nil
}
