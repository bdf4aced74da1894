package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"ctwatch/configs"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/pins/publish"
	"ctwatch/store"
)

// SigningKey returns where the key is that signs pin documents. It is ours if the
// configuration names none.
func SigningKey(cfg *configs.Config) (path string, ours bool) {
	if cfg.Signing.KeyFile != "" {
		return cfg.Signing.KeyFile, false
	}
	return filepath.Join(cfg.DataDir, "signing.pem"), true
}

// OpenRing opens the signing keys. It makes one only if create is set, and only where
// the configuration names none.
func OpenRing(cfg *configs.Config, create bool, logger *slog.Logger) (*publish.Ring, error) {
	path, ours := SigningKey(cfg)
	ring, err := publish.OpenRing(path, ours && create, logger)
	switch {
	case err != nil && !ours:
		return nil, cfg.Errorf("signing.key_file", "cannot be used: %w", err)
	case errors.Is(err, fs.ErrNotExist) && !create:
		return nil, fmt.Errorf("there is no signing key yet: name another data directory with --data or data_dir, or start \"ctwatch run\", which makes one (%w)", err)
	}
	return ring, err
}

// SerialMark returns where the highest serials of pin documents are kept, apart from the database:
// beside the signing key, or, where this user cannot write there, in the data directory.
func SerialMark(cfg *configs.Config) *publish.Mark {
	path, ours := SigningKey(cfg)
	paths := []string{path + publish.MarkSuffix}
	if !ours {
		paths = append(paths, filepath.Join(cfg.DataDir, "signing.pem"+publish.MarkSuffix))
	}
	return publish.NewMark(paths...)
}

// IssuerOptions returns how to issue pin documents, by this machine's clock.
func IssuerOptions(db *store.DB, cfg *configs.Config, logger *slog.Logger) publish.IssuerOptions {
	return publish.IssuerOptions{
		Store: db.Documents, Logger: logger, Refresh: cfg.Signing.Refresh, Expires: cfg.Signing.Expires, Raise: SerialMark(cfg).Raise,
		Word: func(fs ...pins.Finding) string { return words.Refusals(fs) },
	}
}
