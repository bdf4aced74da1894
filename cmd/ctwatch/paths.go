package main

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/pins"
	"ctwatch/pins/chain"
	"ctwatch/store"
)

// possibleChains lists the chains that clients may build for a certificate that is about
// to be served, by the trust anchors of this machine. Where these verify none, it is the
// one that can be built by signature from the file, and incomplete says why it ends there;
// nil if it does not.
func (d *desk) possibleChains(ctx context.Context, id ctwatch.Hash, certs [][]byte) (chains []pins.Chain, incomplete *pins.Finding, err error) {
	known, err := d.plan.Certificates(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent, err := parseAll(certs)
	if err == nil {
		chains, err = chain.Verified(sent, chain.Options{Roots: d.plan.Roots, Known: known, At: validAt(sent[0], time.Now())})
	}
	if err == nil {
		return chains, nil, nil
	}
	c := chainOf(certs)
	if c.Open {
		incomplete = &pins.Finding{Code: pins.ChainIncomplete, Detail: err.Error(), Do: []pins.Action{{Do: pins.GiveChain}}}
	}
	if len(c.Pins) == 1 {
		// A log that has the certificate tells of its issuer, too.
		known, err := d.db.Certificates.Get(ctx, id.String())
		if err == nil && !known.Issuer.Pin.IsZero() {
			c.Pins = append(c.Pins, known.Issuer.Pin)
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, nil, err
		}
	}
	return []pins.Chain{c}, incomplete, nil
}

// validAt is when a certificate that is about to be served has to be valid: now, or when
// it begins to be.
func validAt(c *x509.Certificate, now time.Time) time.Time {
	if c.NotBefore.After(now) {
		return c.NotBefore
	}
	return now
}

// parseAll parses certificates; the first has to be one, and others that are none are
// left out.
func parseAll(certs [][]byte) (out []*x509.Certificate, err error) {
	for i, der := range certs {
		c, err := x509.ParseCertificate(der)
		switch {
		case err == nil:
			out = append(out, c)
		case i == 0:
			return nil, err
		}
	}
	return out, nil
}

// chainOf builds the chain of a leaf from certificates that may be in any order,
// and among which some may not belong: by signature.
func chainOf(certs [][]byte) pins.Chain {
	c := pins.Chain{Open: true}
	current, others := certs[0], certs[1:]
	for range certs {
		key, err := entry.SPKI(current)
		if err != nil {
			return c
		}
		algorithm, _ := entry.Algorithm(key)
		c.Pins, c.Algorithms = append(c.Pins, pins.FromSPKI(key)), append(c.Algorithms, algorithm)
		if entry.SignedBy(current, key) == nil {
			c.Open = false // it signed itself: nothing follows
			return c
		}
		next := -1
		for i, o := range others {
			if issuer, err := entry.SPKI(o); err == nil && entry.SignedBy(current, issuer) == nil {
				next = i
				break
			}
		}
		if next < 0 {
			return c
		}
		current = others[next]
		others = append(others[:next:next], others[next+1:]...)
	}
	return c
}
