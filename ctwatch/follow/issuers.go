package follow

import (
	"context"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/scan"
	"ctwatch/pins"
)

// Issuers knows issuing keys, and learns of others from the chains in which they are
// found. It decides itself what of a chain it believes.
type Issuers interface {
	Known(issuer pins.Pin) bool
	// Learn is given the certificates above one that was found, in DER, that of its
	// issuer first.
	Learn(ctx context.Context, chain [][]byte)
}

// resolve fetches the issuer that a static log names by fingerprint only. An
// alert does not wait for it: without the issuer it goes out with a problem.
func (r *Reader) resolve(ctx context.Context, f *ctwatch.Found) {
	if len(f.ChainFingerprints) == 0 || !f.Certificate.Issuer.Pin.IsZero() {
		return
	}
	issuer, err := r.Log.Issuer(ctx, f.ChainFingerprints[0])
	if err != nil {
		f.Certificate.Problems = append(f.Certificate.Problems, ctwatch.ProblemNoIssuer)
		r.Logger.Warn("issuer not fetched; its pin is left out", "log", r.Log.Info().Name, "error", err)
		return
	}
	scan.SetIssuer(f, issuer)
}

// learn tells Issuers of a chain, if it does not know the issuer. What the chain
// lacks teaches nothing.
func (r *Reader) learn(ctx context.Context, f *ctwatch.Found) {
	if !r.unknown(f.Certificate.Issuer.Pin) {
		return
	}
	chain := f.Chain
	for _, fingerprint := range f.ChainFingerprints {
		der, err := r.Log.Issuer(ctx, fingerprint)
		if err != nil {
			r.Logger.Warn("the chain of a certificate was not fetched; it may be taken for one of an unknown CA meanwhile",
				"log", r.Log.Info().Name, "error", err)
			break
		}
		chain = append(chain, der)
	}
	if len(chain) > 0 {
		r.Issuers.Learn(ctx, chain)
	}
}

func (r *Reader) unknown(issuer pins.Pin) bool {
	return r.Issuers != nil && !issuer.IsZero() && !r.Issuers.Known(issuer)
}

// Bounds of the search for issuers that a log did not serve at first.
const (
	maxMissing     = 1000 // certificates that wait for their issuer
	issuersPerStep = 4    // certificates whose issuers are asked for in one step
	triesForChain  = 10   // how often a chain is asked for
)

// A missingIssuer is an issuer that a static log named and did not serve, when a
// certificate was told of without it; or the rest of its chain, of which more is to
// be learned.
type missingIssuer struct {
	ctwatch.Found // ID, issuer, DER, and fingerprints
	tries         int
}

// miss notes which certificates of a batch were told of without their issuer, or
// under one that is not known.
func (f *Follower) miss(b ctwatch.Batch) {
	for _, found := range b.Found {
		issuer := found.Certificate.Issuer.Pin
		if len(found.ChainFingerprints) == 0 || len(f.missing) >= maxMissing || !issuer.IsZero() && !f.Reader.unknown(issuer) {
			continue
		}
		m := missingIssuer{Found: ctwatch.Found{DER: found.DER, ChainFingerprints: found.ChainFingerprints}}
		m.Certificate.ID, m.Certificate.Issuer.Pin = found.Certificate.ID, issuer
		f.missing = append(f.missing, m)
	}
}

// fillIn asks again for issuers that are missing, a few at a time. That the log
// still does not have them is no failure of the step.
func (f *Follower) fillIn(ctx context.Context) error {
	for range min(len(f.missing), issuersPerStep) {
		m := f.missing[0]
		f.missing = f.missing[1:]
		if m.Certificate.Issuer.Pin.IsZero() {
			der, err := f.log.Issuer(ctx, m.ChainFingerprints[0])
			if err != nil {
				f.missing = append(f.missing, m)
				continue
			}
			scan.SetIssuer(&m.Found, der)
			if m.Certificate.Issuer.Pin.IsZero() {
				f.Logger.Warn("what the log serves as an issuer is none", "log", f.log.Info().Name, "certificate", m.Certificate.ID, "problems", m.Certificate.Problems)
				continue
			}
			f.Reader.learn(ctx, &m.Found)
			if err := f.Recorder.SetIssuer(ctx, m.Certificate.ID, m.Certificate.Issuer); err != nil {
				return record(err)
			}
		} else {
			f.Reader.learn(ctx, &m.Found)
		}
		// A chain that the log has does not become more telling.
		if m.tries++; m.tries < triesForChain && f.Reader.unknown(m.Certificate.Issuer.Pin) && !f.has(ctx, m.ChainFingerprints) {
			f.missing = append(f.missing, m)
		}
	}
	return nil
}

// has reports whether the log serves all certificates of a chain; those that it
// served before are kept.
func (f *Follower) has(ctx context.Context, chain []ctwatch.Hash) bool {
	for _, fingerprint := range chain {
		if _, err := f.log.Issuer(ctx, fingerprint); err != nil {
			return false
		}
	}
	return true
}
