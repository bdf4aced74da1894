package main

import (
	"context"
	"log/slog"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/pins"
	"ctwatch/store"
)

// A teacher has the rules know the CAs whose certificates logs show in chains. It
// implements follow.Issuers.
type teacher struct {
	cas    *policy.CAs
	db     *store.DB
	logger *slog.Logger
}

// Learn implements follow.Issuers.
func (t *teacher) Learn(ctx context.Context, c *ctwatch.Certificate, chain [][]byte) error {
	learned := t.cas.Learn(c, chain...)
	if len(learned) == 0 {
		return nil
	}
	var issuers []pins.Pin
	for _, l := range learned {
		t.logger.Info("an issuing key is now known by the signature of its CA", "key", l.Pin, "signed_by", l.Anchor)
		issuers = append(issuers, l.Pin)
	}
	if err := t.db.Issuers.AddKeys(ctx, learned...); err != nil {
		return err
	}
	return t.db.Issuers.Rejudge(ctx, issuers...)
}
