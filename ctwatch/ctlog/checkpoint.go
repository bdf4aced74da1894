package ctlog

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"golang.org/x/mod/sumdb/note"

	"ctwatch/ctwatch"
)

// A checkpoint is a signed note (c2sp.org/signed-note) whose text is a tree head
// (c2sp.org/tlog-checkpoint). A static log signs it with an RFC 6962
// TreeHeadSignature (c2sp.org/static-ct-api#checkpoints).

// noteTreeHead is the signature type of RFC 6962 TreeHeadSignatures in notes.
const noteTreeHead = 0x05

// parseCheckpoint reads a checkpoint and verifies that the log signed it. Other signature
// lines, of witnesses for example, are ignored. It also returns the checkpoint's origin,
// which only the log's key authenticates.
func parseCheckpoint(raw []byte, id ctwatch.LogID, v *verifier) (head ctwatch.Head, origin string, err error) {
	fail := func(format string, args ...any) (ctwatch.Head, string, error) {
		return ctwatch.Head{}, "", fmt.Errorf("checkpoint: "+format, args...)
	}
	lines := strings.SplitN(string(raw), "\n", 4)
	if len(lines) < 4 {
		return fail("want an origin, a size and a root, each on its line")
	}
	origin = lines[0]
	size, err := strconv.ParseUint(lines[1], 10, 53)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return fail("size %q is not a decimal number", ctwatch.Printable(lines[1], 40))
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return fail("root hash %q is not the base64 of 32 bytes", ctwatch.Printable(lines[2], 60))
	}
	head = ctwatch.Head{Size: size, Root: ctwatch.Hash(root), Raw: raw}

	nv := &noteVerifier{origin: origin, id: id, head: &head, v: v}
	n, err := note.Open(raw, note.VerifierList(nv))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return ctwatch.Head{}, "", &SignatureError{Raw: raw, Err: errors.New("no signature by the log's key")}
	case errors.As(err, &invalid):
		return ctwatch.Head{}, "", &SignatureError{Raw: raw, Err: nv.err}
	case err != nil:
		return fail("%w", err)
	case !strings.HasPrefix(n.Text, strings.Join(lines[:3], "\n")+"\n"):
		return fail("the signed text is not the tree head")
	}
	return head, origin, nil
}

// noteVerifier is the note.Verifier of one log's key under one origin. Verify sets the
// head's timestamp, which is part of the signature.
type noteVerifier struct {
	origin string
	id     ctwatch.LogID
	head   *ctwatch.Head
	v      *verifier
	err    error
}

func (n *noteVerifier) Name() string { return n.origin }

// KeyHash is the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x05 ‖ log ID).
func (n *noteVerifier) KeyHash() uint32 {
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte(n.origin), {'\n', noteTreeHead}, n.id[:]}, nil))
	return binary.BigEndian.Uint32(sum[:])
}

// Verify checks an RFC6962NoteSignature: uint64 timestamp, DigitallySigned.
func (n *noteVerifier) Verify(_, sig []byte) bool {
	if len(sig) < 8 {
		n.err = errShort
		return false
	}
	timestamp := binary.BigEndian.Uint64(sig)
	if timestamp >= 1<<53 {
		n.err = fmt.Errorf("timestamp %d is not in milliseconds since 1970", timestamp)
		return false
	}
	if n.err = n.v.verify(n.head.Size, timestamp, n.head.Root, sig[8:]); n.err != nil {
		return false
	}
	n.head.Timestamp = time.UnixMilli(int64(timestamp)).UTC()
	return true
}

// A verifier checks signatures of tree heads (RFC 6962 §3.5) under one log's key,
// ECDSA or RSA.
type verifier struct{ sv *ct.SignatureVerifier }

func newVerifier(key []byte) (*verifier, error) {
	pub, err := x509.ParsePKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	sv, err := ct.NewSignatureVerifier(pub)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return &verifier{sv}, nil
}

// verify checks a TreeHeadSignature, given as the TLS encoding of a
// DigitallySigned (RFC 5246 §4.7).
func (v *verifier) verify(size, timestamp uint64, root ctwatch.Hash, signature []byte) error {
	var ds ct.DigitallySigned
	rest, err := tls.Unmarshal(signature, &ds)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("signature: %d bytes after it", len(rest))
	}
	return v.sv.VerifySTHSignature(ct.SignedTreeHead{
		Version: ct.V1, TreeSize: size, Timestamp: timestamp,
		SHA256RootHash: ct.SHA256Hash(root), TreeHeadSignature: ds,
	})
}
