package ctlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"ctwatch/ctwatch"
)

// rfc6962Log reads a log through the API of RFC 6962 §4.
type rfc6962Log struct {
	info     ctwatch.Log
	get      *getter
	verifier *verifier
	span     *spanLearner
	last     lastHead
}

func newRFC6962(l ctwatch.Log, g *getter, v *verifier) *rfc6962Log {
	return &rfc6962Log{info: l, get: g, verifier: v, span: newSpanLearner()}
}

func (l *rfc6962Log) Info() ctwatch.Log { return l.info }

func (l *rfc6962Log) Span() uint64 { return l.span.entries() }

// Head implements Log with get-sth (§4.3).
func (l *rfc6962Log) Head(ctx context.Context) (ctwatch.Head, error) {
	raw, err := l.get.get(ctx, "ct/v1/get-sth", maxHead)
	if err != nil {
		return ctwatch.Head{}, fmt.Errorf("tree head: %w", err)
	}
	return l.last.or(raw, func() (ctwatch.Head, error) { return parseSTH(raw, l.verifier) })
}

// parseSTH reads the reply of get-sth and verifies its signature.
func parseSTH(raw []byte, v *verifier) (ctwatch.Head, error) {
	var sth ct.GetSTHResponse
	if err := json.Unmarshal(raw, &sth); err != nil {
		return ctwatch.Head{}, fmt.Errorf("tree head: %w", err)
	}
	if len(sth.SHA256RootHash) != len(ctwatch.Hash{}) || sth.Timestamp >= 1<<53 || sth.TreeSize >= 1<<53 {
		return ctwatch.Head{}, errors.New("tree head: not an RFC 6962 signed tree head")
	}
	root := ctwatch.Hash(sth.SHA256RootHash)
	if err := v.verify(sth.TreeSize, sth.Timestamp, root, sth.TreeHeadSignature); err != nil {
		return ctwatch.Head{}, &SignatureError{Raw: raw, Err: err}
	}
	return ctwatch.Head{Size: sth.TreeSize, Root: root, Timestamp: time.UnixMilli(int64(sth.Timestamp)).UTC(), Raw: raw}, nil
}

// Fetch implements Log with get-entries (§4.6).
func (l *rfc6962Log) Fetch(ctx context.Context, start, end, size uint64) (*Chunk, error) {
	if start >= end || end > size {
		return nil, fmt.Errorf("entries [%d, %d) of a tree of size %d: no such range", start, end, size)
	}
	buf := &buffer{free: l.get.budget.free}
	path := query("get-entries", "start", start, "end", end-1)
	if err := l.get.getInto(ctx, path, maxEntries, buf); err != nil {
		buf.release()
		return nil, fmt.Errorf("entries from %d: %w", start, err)
	}
	c, n, err := parseEntries(buf, path, start, end-start)
	if err != nil {
		buf.release()
		return nil, fmt.Errorf("entries from %d: %w", start, err)
	}
	l.span.learn(start, end-start, n, c.Bytes)
	return c, nil
}

// parseEntries parses the reply of get-entries in buf. It has between 1 and most entries, and
// their number is returned.
func parseEntries(buf *buffer, path string, start, most uint64) (*Chunk, uint64, error) {
	src := source{path: path, want: "a MerkleTreeLeaf in base64 for each entry", body: buf.body}
	spans, err := findEntries(buf.body, buf.spans, most)
	if err == nil && len(spans) == 0 {
		err = errors.New("the log gave no entries, although its tree head has them")
	}
	if err != nil && bytes.Contains(buf.body, []byte(`"entries"`)) {
		src.end = start + most
		return nil, 0, src.wrong(start, err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: a front end may have answered instead of the log", err)
	}
	buf.spans = spans
	i := 0
	decode := func(e *Entry) (bool, error) {
		if i == len(spans) {
			return false, nil
		}
		s := spans[i]
		i++
		b64, err := plain(buf.body[s.leafStart:s.leafEnd])
		if err != nil {
			return false, err
		}
		buf.scratch, err = base64.StdEncoding.AppendDecode(buf.scratch[:0], b64)
		if err != nil {
			return false, fmt.Errorf("leaf_input: %w", err)
		}
		leaf := buf.scratch
		if len(leaf) < 2 {
			return false, fmt.Errorf("leaf_input of %d bytes", len(leaf))
		}
		e.Header, e.Leaf, e.rfc6962 = [2]byte(leaf), leaf[2:], []byte{}
		if s.extraStart >= 0 {
			e.rfc6962 = buf.body[s.extraStart:s.extraEnd]
		}
		if e.Header != [2]byte{} {
			e.Err = fmt.Errorf("leaf: %w", errLeafType)
		} else if _, rest, err := e.parseTimestamped(e.Leaf); err != nil {
			e.Err = fmt.Errorf("leaf: %w", err)
		} else if len(rest) > 0 {
			e.Err = fmt.Errorf("leaf: %w", errTrailing)
		}
		return true, nil
	}
	return &Chunk{Start: start, Bytes: int64(len(buf.body)), source: src, buf: buf, decode: decode}, uint64(len(spans)), nil
}

// decodeExtraData decodes extra_data (§4.6): the chain of a certificate, or a
// PrecertChainEntry.
func decodeExtraData(b64 []byte, precert bool) (Extra, error) {
	var x Extra
	b64, err := plain(b64)
	if err != nil {
		return x, fmt.Errorf("extra_data: %w", err)
	}
	b, err := base64.StdEncoding.AppendDecode(nil, b64)
	if err != nil {
		return x, fmt.Errorf("extra_data: %w", err)
	}
	ok := true
	if precert {
		if x.Precert, b, ok = vector(b, 3); !ok {
			return Extra{}, fmt.Errorf("extra_data: precertificate %w", errShort)
		}
	}
	chain, rest, ok := vector(b, 3)
	if !ok || len(rest) > 0 {
		return x, errors.New("extra_data: the chain's length is wrong")
	}
	for len(chain) > 0 && len(x.Chain) < ctwatch.MaxChain {
		var certificate []byte
		if certificate, chain, ok = vector(chain, 3); !ok {
			return x, fmt.Errorf("extra_data: chain %w", errShort)
		}
		x.Chain = append(x.Chain, certificate)
	}
	return x, nil
}

// Prefix implements Log with an audit proof of entry n-1 in the tree of size n: the siblings
// on the path from the last leaf are the compact range of all leaves before it.
func (l *rfc6962Log) Prefix(ctx context.Context, n uint64, head ctwatch.Head) (ctwatch.Tree, error) {
	if n == 0 {
		return ctwatch.Tree{}, nil
	}
	fail := func(err error) (ctwatch.Tree, error) {
		return ctwatch.Tree{}, fmt.Errorf("tree of the first %d entries: %w", n, err)
	}
	c, err := l.Fetch(ctx, n-1, n, head.Size)
	if err != nil {
		return fail(err)
	}
	defer c.Close()
	c.Lenient = true
	var e Entry
	if !c.Next(&e) {
		return fail(c.Err())
	}
	leaf := e.LeafHash()
	path, reply, err := l.auditPath(ctx, n, leaf)
	if err != nil {
		return fail(err)
	}
	if err := checkHashes(path); err != nil {
		return fail(reply.wrongProof(err))
	}
	slices.Reverse(path)
	r, err := ranges().NewRange(0, n-1, path)
	if err != nil {
		return fail(reply.wrongProof(fmt.Errorf("audit proof: %w", err)))
	}
	if err := r.Append(leaf[:], nil); err != nil {
		return fail(fmt.Errorf("audit proof: %w", err))
	}
	t := ctwatch.Tree{Size: n, Range: asHashes(r.Hashes())}
	root, err := Root(t)
	if err != nil {
		return fail(err)
	}
	if err := l.Extends(ctx, head, n, root); err != nil {
		return fail(err)
	}
	return t, nil
}

// auditPath fetches the audit path of the last leaf in the tree of size n (§4.5), from the
// leaf upwards. If a log has the same leaf twice it returns the first;
// get-entry-and-proof (§4.8), which some logs lack, takes an index.
func (l *rfc6962Log) auditPath(ctx context.Context, n uint64, leaf ctwatch.Hash) (proof [][]byte, from source, err error) {
	if n == 1 {
		return nil, from, nil
	}
	b64 := url.QueryEscape(base64.StdEncoding.EncodeToString(leaf[:]))
	from = source{path: fmt.Sprintf("ct/v1/get-proof-by-hash?hash=%s&tree_size=%d", b64, n), want: fmt.Sprintf("an audit proof of entry %d", n-1)}
	from.body, err = l.get.get(ctx, from.path, maxHead)
	var reply struct {
		LeafIndex uint64   `json:"leaf_index"`
		AuditPath [][]byte `json:"audit_path"`
	}
	if err == nil {
		if err = json.Unmarshal(from.body, &reply); err == nil && reply.LeafIndex == n-1 {
			return reply.AuditPath, from, nil
		}
	}
	from.path = query("get-entry-and-proof", "leaf_index", n-1, "tree_size", n)
	var err2 error
	from.body, err2 = l.get.get(ctx, from.path, maxEntries)
	if err2 == nil {
		err2 = json.Unmarshal(from.body, &reply)
	}
	if err2 != nil {
		if err == nil {
			err = fmt.Errorf("get-proof-by-hash returned entry %d, not %d", reply.LeafIndex, n-1)
		}
		return nil, from, fmt.Errorf("audit proof of entry %d: %w", n-1, errors.Join(err, err2))
	}
	return reply.AuditPath, from, nil
}

// Extends implements Log with get-sth-consistency (§4.4).
func (l *rfc6962Log) Extends(ctx context.Context, head ctwatch.Head, size uint64, root ctwatch.Hash) error {
	switch {
	case size > head.Size:
		return fmt.Errorf("a tree of size %d cannot extend one of size %d", head.Size, size)
	case size == 0:
		return nil
	case size == head.Size:
		if root != head.Root {
			return &InconsistencyError{Size: size, Root: root, Head: head, Err: errors.New("the roots differ")}
		}
		return nil
	}
	raw, err := l.get.get(ctx, query("get-sth-consistency", "first", size, "second", head.Size), maxHead)
	if err != nil {
		return fmt.Errorf("consistency proof from %d to %d: %w", size, head.Size, err)
	}
	var reply ct.GetSTHConsistencyResponse
	if err := json.Unmarshal(raw, &reply); err != nil {
		return fmt.Errorf("consistency proof from %d to %d: %w", size, head.Size, err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, head.Size, reply.Consistency, root[:], head.Root[:]); err != nil {
		// The library's error has hashes as lists of numbers.
		return &InconsistencyError{Size: size, Root: root, Head: head, Err: errors.New("the log's consistency proof does not lead from one root to the other")}
	}
	return nil
}

// Issuer implements Log. An RFC 6962 log has whole certificates, in extra_data.
func (l *rfc6962Log) Issuer(context.Context, ctwatch.Hash) ([]byte, error) {
	return nil, errors.New("an RFC 6962 log has no fingerprints of issuers")
}

// query returns the path of a call with two numbers.
func query(call, k1 string, v1 uint64, k2 string, v2 uint64) string {
	return "ct/v1/" + call + "?" + k1 + "=" + strconv.FormatUint(v1, 10) + "&" + k2 + "=" + strconv.FormatUint(v2, 10)
}

// checkHashes returns an error if the nodes of a proof are not hashes, or if it is longer
// than any tree is high.
func checkHashes(path [][]byte) error {
	if len(path) > 64 {
		return fmt.Errorf("audit proof of %d nodes", len(path))
	}
	for _, h := range path {
		if len(h) != len(ctwatch.Hash{}) {
			return fmt.Errorf("audit proof with a node of %d bytes", len(h))
		}
	}
	return nil
}
