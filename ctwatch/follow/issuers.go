package follow

import (
	"context"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/scan"
)

// Bounds of the search for issuers that a log did not serve at first.
const (
	maxMissing     = 1000 // certificates that wait for their issuer
	issuersPerStep = 4    // requests for them in one step
)

// A missingIssuer is an issuer that a static log named and did not serve, when a
// certificate was told of without it.
type missingIssuer struct {
	certificate, fingerprint ctwatch.Hash
	der                      []byte // the certificate, whose signature proves the issuer
}

// miss notes which certificates of a batch were told of without their issuer.
func (f *Follower) miss(b ctwatch.Batch) {
	for _, found := range b.Found {
		if found.IssuerFingerprint != nil && found.Certificate.Issuer.Pin.IsZero() && len(f.missing) < maxMissing {
			f.missing = append(f.missing, missingIssuer{found.Certificate.ID, *found.IssuerFingerprint, found.DER})
		}
	}
}

// fillIn asks again for issuers that are missing, a few at a time. That the log
// still does not have them is no failure of the step.
func (f *Follower) fillIn(ctx context.Context) error {
	for range min(len(f.missing), issuersPerStep) {
		m := f.missing[0]
		f.missing = f.missing[1:]
		der, err := f.log.Issuer(ctx, m.fingerprint)
		if err != nil {
			f.missing = append(f.missing, m)
			continue
		}
		found := ctwatch.Found{DER: m.der}
		scan.SetIssuer(&found, der)
		if found.Certificate.Issuer.Pin.IsZero() {
			f.Logger.Warn("what the log serves as an issuer is none", "log", f.log.Info().Name, "certificate", m.certificate, "problems", found.Certificate.Problems)
			continue
		}
		if err := f.Recorder.SetIssuer(ctx, m.certificate, found.Certificate.Issuer); err != nil {
			return record(err)
		}
	}
	return nil
}
