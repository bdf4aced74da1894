package store

import (
	"context"
	"fmt"

	"ctwatch/ctwatch"
)

// Standing returns what rules go by when they judge a certificate, besides what it
// says itself. It fails with ErrNotFound.
func (db *DB) Standing(ctx context.Context, id ctwatch.Hash) (ctwatch.Standing, error) {
	var s ctwatch.Standing
	err := db.write(ctx, fmt.Sprintf("reading what is known of certificate %v", id), func(t *tx) error {
		seq, known, err := t.certificateSeq(id)
		if err != nil {
			return err
		}
		if !known {
			return ErrNotFound
		}
		c, err := loadCertificate(t, seq)
		if err != nil {
			return err
		}
		s, err = t.standing(seq, &c)
		return err
	})
	return s, err
}
