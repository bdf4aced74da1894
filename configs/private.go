package configs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ctwatch/files"
)

// checkPrivate reports the data directory, and the files besides secrets that hold a
// secret, if others can read or change them. The data directory and keys that are not
// there yet are made private.
func (c *Config) checkPrivate() (errs Errors) {
	check := func(path, file string) {
		if e := c.private(path, file); e != nil {
			errs = append(errs, e)
		}
	}
	if info, err := os.Stat(c.DataDir); err == nil && info.IsDir() { // else it cannot be used at all
		check("data_dir", c.DataDir)
	}
	check("http.tokens_file", c.HTTP.TokensFile)
	if t := c.HTTP.TLS; t != nil {
		check("http.tls.key", t.Key)
	}
	check("nats.credentials_file", c.NATS.CredentialsFile)
	if t := c.NATS.TLS; t != nil {
		check("nats.tls.key", t.Key)
	}
	if key := c.Signing.KeyFile; key != "" {
		// Whoever replaces a key has the next one and the old one beside it.
		for _, file := range []string{key, key + ".next", key + ".old"} {
			check("signing.key_file", file)
		}
	}
	return errs
}

// private returns an error about a setting whose file others can read or change; nil
// if they cannot, or if there is none. What systemd hands over as a credential is
// guarded by systemd, in its own way.
func (c *Config) private(path, file string) *Error {
	if file == "" || c.src != nil && slices.ContainsFunc(c.src.credentials, func(dir string) bool {
		return strings.HasPrefix(file, dir+string(filepath.Separator))
	}) {
		return nil
	}
	err := files.CheckPrivate(file)
	if err == nil {
		return nil
	}
	return c.src.errorf(path, "%w", err)
}
