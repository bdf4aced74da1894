package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"ctwatch/files"
)

// maxTokens bounds a file of tokens, in bytes.
const maxTokens = 64 << 10

// Tokens are those who may ask for what is guarded. What is kept of each token is
// its hash.
type Tokens struct{ hashes *fresh[[][sha256.Size]byte] }

// ReadTokens reads a file with a token on each line: visible ASCII characters, at
// most 64 KiB in all. Blank lines are left out, and so is what follows a "#" at the
// beginning of a line or after a space. The file is read again when it has changed;
// one that cannot be used then is logged, and the tokens before it still hold. No
// error contains a token.
func ReadTokens(file string, logger *slog.Logger) (*Tokens, error) {
	hashes, err := newFresh(logger, func() ([][sha256.Size]byte, error) {
		f, err := files.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		hashes, err := parseTokens(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return hashes, nil
	}, file)
	if err != nil {
		return nil, err
	}
	return &Tokens{hashes}, nil
}

func parseTokens(r io.Reader) ([][sha256.Size]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTokens+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxTokens:
		return nil, fmt.Errorf("larger than %d bytes", maxTokens)
	}
	if b, err = files.Text(b); err != nil {
		return nil, err
	}
	var hashes [][sha256.Size]byte
	for i, line := range strings.Split(string(b), "\n") {
		token, _, _ := strings.Cut(" "+strings.ReplaceAll(line, "\t", " "), " #")
		token = strings.TrimSpace(token)
		if token == "" {
			continue
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("line %d: want one token, of visible ASCII characters without spaces", i+1)
		}
		hashes = append(hashes, sha256.Sum256([]byte(token)))
	}
	if len(hashes) == 0 {
		return nil, errors.New("no token in it: want one on each line")
	}
	return hashes, nil
}

// match reports whether a token is among them. How long it takes says nothing of
// which, or of how much of it is right.
func (t *Tokens) match(token string) bool {
	if t == nil {
		return false
	}
	hash := sha256.Sum256([]byte(token))
	found := 0
	for _, h := range t.hashes.get() {
		found |= subtle.ConstantTimeCompare(h[:], hash[:])
	}
	return found == 1
}
