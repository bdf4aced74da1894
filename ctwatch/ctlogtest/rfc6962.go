package ctlogtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"ctwatch/ctwatch"
)

// encodeSTH encodes the reply of get-sth (RFC 6962 §4.3).
func encodeSTH(h ctwatch.Head, signature []byte) ([]byte, error) {
	return json.Marshal(struct {
		Size      uint64 `json:"tree_size"`
		Timestamp int64  `json:"timestamp"`
		Root      []byte `json:"sha256_root_hash"`
		Signature []byte `json:"tree_head_signature"`
	}{h.Size, h.Timestamp.UnixMilli(), h.Root[:], signature})
}

// A leafEntry is an entry as RFC 6962 replies hold it.
type leafEntry struct {
	LeafInput []byte `json:"leaf_input"`
	ExtraData []byte `json:"extra_data"`
}

func leafEntryOf(e Entry) (leafEntry, error) {
	extra, err := e.extraData()
	return leafEntry{e.MerkleLeaf(), extra}, err
}

// getEntries answers get-entries (RFC 6962 §4.6).
func (v *View) getEntries(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	start, err1 := number(q, "start")
	last, err2 := number(q, "end")
	if err1 != nil || err2 != nil || last < start {
		badRequest(w, "want start <= end, both decimal numbers")
		return
	}
	size := min(v.size, v.Readable)
	if start >= size {
		badRequest(w, "need tree size: %d to get leaves but only got: %d", start+1, size)
		return
	}
	end := size
	if last < size {
		end = last + 1
	}
	if v.log.opt.Align {
		page := uint64(v.log.opt.MaxReply)
		end = min(end, start-start%page+page)
	}
	entries, err := v.entries(start, end, v.MaxReply)
	if err != nil {
		serverError(w, err)
		return
	}
	out := struct {
		Entries []leafEntry `json:"entries"`
	}{make([]leafEntry, len(entries))}
	for i, e := range entries {
		if out.Entries[i], err = leafEntryOf(e); err != nil {
			serverError(w, err)
			return
		}
	}
	replyJSON(w, out)
}

// getConsistency answers get-sth-consistency (RFC 6962 §4.4).
func (v *View) getConsistency(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	first, err1 := number(q, "first")
	second, err2 := number(q, "second")
	if err1 != nil || err2 != nil || first > second || second > v.size {
		badRequest(w, "want first <= second <= tree size %d", v.size)
		return
	}
	out := struct {
		Consistency [][]byte `json:"consistency"`
	}{[][]byte{}}
	if first > 0 { // everything is consistent with the empty tree
		proof, err := tlog.ProveTree(int64(second), int64(first), v.tree)
		if err != nil {
			serverError(w, err)
			return
		}
		out.Consistency = nodes(proof)
	}
	replyJSON(w, out)
}

// getProofByHash answers get-proof-by-hash (RFC 6962 §4.5) by a linear search for the leaf.
func (v *View) getProofByHash(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	hash, err1 := base64.StdEncoding.DecodeString(q.Get("hash"))
	size, err2 := number(q, "tree_size")
	if err1 != nil || err2 != nil || len(hash) != len(ctwatch.Hash{}) || size > v.size {
		badRequest(w, "want the base64 of a SHA-256 and tree_size <= %d", v.size)
		return
	}
	for i := range size {
		if v.tree.leaf(i) != ctwatch.Hash(hash) {
			continue
		}
		proof, err := tlog.ProveRecord(int64(size), int64(i), v.tree)
		if err != nil {
			serverError(w, err)
			return
		}
		replyJSON(w, struct {
			Index uint64   `json:"leaf_index"`
			Path  [][]byte `json:"audit_path"`
		}{i, nodes(proof)})
		return
	}
	http.Error(w, "no leaf has this hash", http.StatusNotFound)
}

// getEntryAndProof answers get-entry-and-proof (RFC 6962 §4.8).
func (v *View) getEntryAndProof(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	index, err1 := number(q, "leaf_index")
	size, err2 := number(q, "tree_size")
	if err1 != nil || err2 != nil || index >= size || size > min(v.size, v.Readable) {
		badRequest(w, "want leaf_index < tree_size <= %d", min(v.size, v.Readable))
		return
	}
	proof, err := tlog.ProveRecord(int64(size), int64(index), v.tree)
	if err != nil {
		serverError(w, err)
		return
	}
	e, err := v.entry(index)
	if err != nil {
		serverError(w, err)
		return
	}
	le, err := leafEntryOf(e)
	if err != nil {
		serverError(w, err)
		return
	}
	replyJSON(w, struct {
		leafEntry
		Path [][]byte `json:"audit_path"`
	}{le, nodes(proof)})
}

// nodes returns a proof for JSON, where it is never null.
func nodes(proof []tlog.Hash) [][]byte {
	out := make([][]byte, len(proof))
	for i := range proof {
		out[i] = proof[i][:]
	}
	return out
}

func number(q url.Values, name string) (uint64, error) {
	n, err := strconv.ParseUint(q.Get(name), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("parameter %s: %w", name, err)
	}
	return n, nil
}

func replyJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		serverError(w, err)
		return
	}
	reply(w, "application/json", body)
}
