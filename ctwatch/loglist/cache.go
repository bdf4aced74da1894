package loglist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ctwatch/files"
)

const cacheName = "log-list-cache.json"

// maxCache bounds the cache file: list and signature in base64, and the rest.
const maxCache = 2 * MaxSize

// cached is the last good list in one file, so that list, signature and ETag always belong
// together, also after a crash.
type cached struct {
	Location     string `json:"location"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	List         []byte `json:"list"` // as published, byte for byte
	Signature    []byte `json:"signature,omitempty"`
}

// loadCache uses the cached list. It is checked like one from the network: write access to
// the file must not be enough to choose the logs.
func (s *Source) loadCache() error {
	if s.config.CacheDir == "" {
		return nil
	}
	path := filepath.Join(s.config.CacheDir, cacheName)
	data, err := files.Read(path, maxCache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var in cached
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if in.Location != s.config.Location {
		return nil // another list was configured then
	}
	p := published{data: in.List, sig: in.Signature, etag: in.ETag, lastModified: in.LastModified}
	if err := s.verify(p); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	c, problems, err := s.parse(p, OriginCache)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := s.checkReplacement(c.list); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	s.current = c
	s.logProblems(problems)
	return nil
}

// writeCache replaces the cached list. After an error the old one is still there.
func (s *Source) writeCache(p published) (err error) {
	if s.config.CacheDir == "" {
		return nil
	}
	data, err := json.Marshal(cached{
		Location: s.config.Location, ETag: p.etag, LastModified: p.lastModified, List: p.data, Signature: p.sig,
	})
	if err != nil {
		return err
	}
	// The name is fixed, so that the file is overwritten after a crash.
	path := filepath.Join(s.config.CacheDir, cacheName)
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
