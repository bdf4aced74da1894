package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"ctwatch/configs"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// signingKey is where the key is that signs pin documents.
func signingKey(cfg *configs.Config) (path string, ours bool) {
	if cfg.Signing.KeyFile != "" {
		return cfg.Signing.KeyFile, false
	}
	return filepath.Join(cfg.DataDir, "signing.pem"), true
}

// openRing opens the signing keys. It makes one only if create is set, and only where
// the configuration names none.
func openRing(cfg *configs.Config, create bool, logger *slog.Logger) (*publish.Ring, error) {
	path, ours := signingKey(cfg)
	ring, err := publish.OpenRing(path, ours && create, logger)
	switch {
	case err != nil && !ours:
		return nil, cfg.Errorf("signing.key_file", "cannot be used: %w", err)
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, fmt.Errorf("there is no signing key yet: name another data directory with --data or data_dir, or start \"ctwatch run\", which makes one (%w)", err)
	}
	return ring, err
}

// serialMark is where the highest serials of pin documents are kept besides the database:
// beside the signing key, or, where this user cannot write there, in the data directory.
func serialMark(cfg *configs.Config) *publish.Mark {
	path, ours := signingKey(cfg)
	paths := []string{path + publish.MarkSuffix}
	if !ours {
		paths = append(paths, filepath.Join(cfg.DataDir, "signing.pem"+publish.MarkSuffix))
	}
	return publish.NewMark(paths...)
}

// issuerOptions are those of what issues pin documents, by this machine's clock.
func issuerOptions(db *store.DB, cfg *configs.Config, logger *slog.Logger) publish.IssuerOptions {
	return publish.IssuerOptions{
		Store: db.Documents, Logger: logger, Refresh: cfg.Signing.Refresh, Expires: cfg.Signing.Expires, Raise: serialMark(cfg).Raise,
	}
}
