package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"ctwatch/files"
)

// maxTokens bounds a file of tokens, in bytes.
const maxTokens = 64 << 10

// Tokens are the tokens of clients. Only their hashes are kept.
type Tokens struct {
	hashes *reloading[[][sha256.Size]byte]
}

// ReadTokens reads a file with a token on each line: visible ASCII characters, at most 64 KiB in
// all. Blank lines are skipped, and so is what follows a "#" at the start of a line or after a
// space. The file is read again when it changes; if it cannot be used then, that is logged, and the
// old tokens stay valid. No error contains a token.
func ReadTokens(file string, logger *slog.Logger) (*Tokens, error) {
	hashes, err := newReloading(logger, func() ([][sha256.Size]byte, error) {
		b, err := files.Read(file, maxTokens)
		if err != nil {
			return nil, err
		}
		hashes, err := parseTokens(b)
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

func parseTokens(b []byte) ([][sha256.Size]byte, error) {
	b, err := files.Text(b)
	if err != nil {
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

// match reports whether a token is valid, in constant time.
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
