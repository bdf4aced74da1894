package nats

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"ctwatch/ctwatch"
)

// maxSubject bounds a subject, in bytes: a server refuses more than a few thousand, and
// closes the connection. A domain name has at most 253.
const maxSubject = 512

// subjectOf returns the subject of an event. It is Event.NATSSubject, in which tokens that
// are empty, wildcards or otherwise unsafe are written in hex, and a subject that is too
// long as a hash, so that every event has a subject.
func subjectOf(prefix string, e ctwatch.Event) string {
	below := strings.TrimPrefix(e.NATSSubject(prefix), prefix+".")
	if len(below) > maxSubject {
		return prefix + "." + hashToken(below)
	}
	tokens := strings.Split(below, ".")
	for i, t := range tokens {
		tokens[i] = safeToken(t)
	}
	subject := prefix + "." + strings.Join(tokens, ".")
	if len(subject) > len(prefix)+maxSubject {
		return prefix + "." + hashToken(below)
	}
	return subject
}

// safeToken returns t if it has only characters that NATS recommends for tokens, and
// otherwise an encoding of it.
func safeToken(t string) string {
	if t == "" {
		return "_"
	}
	if !isToken(t) {
		return "_x" + hex.EncodeToString([]byte(t))
	}
	return t
}

func isToken(t string) bool {
	for i := range len(t) {
		c := t[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return t != ""
}

func hashToken(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "_h" + hex.EncodeToString(sum[:])
}
