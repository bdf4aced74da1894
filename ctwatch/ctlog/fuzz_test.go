package ctlog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

// A fuzzed leaf must hash to what its bytes say, and never to more memory than it
// came with.

func seedLeaf(precert bool) []byte {
	b := []byte{0, 0, 1, 0x9b, 0xf1, 0x4c, 0x20, 0xbe} // timestamp
	if precert {
		b = append(b, 0, 1)
		b = append(b, make([]byte, 32)...)
	} else {
		b = append(b, 0, 0)
	}
	b = append(b, 0, 0, 5, '0', 3, 2, 1, 5) // certificate
	return append(b, 0, 0)                  // extensions
}

func FuzzTile(f *testing.F) {
	leaf := seedLeaf(false)
	chain := append([]byte{0, 32}, make([]byte, 32)...)
	f.Add(append(leaf, chain...), uint8(0), uint8(1))
	pre := append(seedLeaf(true), 0, 0, 2, 0x30, 0)
	pre = append(pre, chain...)
	f.Add(append(bytes.Clone(pre), pre...), uint8(1), uint8(2))
	indexed := seedLeaf(false)
	indexed = append(indexed[:len(indexed)-2], 0, 8, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0)
	f.Add(indexed, uint8(0), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, from, to uint8) {
		start, end := uint64(min(from, to)), uint64(max(from, to))
		c, err := parseTile(&buffer{storage: storage{body: raw}}, "", 0, start, end)
		if err != nil {
			return
		}
		var e Entry
		next, size := start, 0
		for c.Next(&e) {
			if e.Index != next {
				t.Fatalf("entry %d came after %d", e.Index, next-1)
			}
			next++
			if size += len(e.Leaf); size > len(raw) {
				t.Fatal("entries of more bytes than the tile has")
			}
			if !bytes.Contains(raw, e.MerkleLeaf()[2:]) || e.LeafHash().IsZero() {
				t.Fatal("a leaf that is not in the tile")
			}
			if x, err := e.Extra(); err == nil && e.Precert != (x.Precert != nil) {
				t.Fatal("precertificate or not?")
			}
		}
		if c.Err() == nil && next != end {
			t.Fatalf("ended at %d without an error, want %d", next, end)
		}
	})
}

func FuzzGetEntries(f *testing.F) {
	reply := func(leaf, extra []byte) []byte {
		b, err := json.Marshal(map[string]any{"entries": []map[string]any{{"leaf_input": append([]byte{0, 0}, leaf...), "extra_data": extra}}})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	f.Add(reply(seedLeaf(false), []byte{0, 0, 4, 0, 0, 1, 0x30}))
	f.Add(reply(seedLeaf(true), []byte{0, 0, 1, 0x30, 0, 0, 0}))
	f.Add([]byte(`{"entries":[]}`))
	f.Add([]byte(`{"error_code":"not found"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, n, err := parseEntries(&buffer{storage: storage{body: raw}}, "", 7, 3)
		if err != nil {
			return
		}
		if n == 0 || n > 3 {
			t.Fatalf("%d entries", n)
		}
		var e Entry
		got := uint64(0)
		for c.Next(&e) {
			if e.Index != 7+got || len(e.Leaf) > len(raw) {
				t.Fatalf("entry %d with %d bytes", e.Index, len(e.Leaf))
			}
			got++
			_ = e.LeafHash()
			_, _ = e.Extra()
		}
		if c.Err() == nil && got != n {
			t.Fatalf("%d entries of %d", got, n)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	der, v := key(f, sycamore2026h1)
	f.Add([]byte("log.example/2026\n7\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n— log.example/2026 p1tfjLaeNLU=\n"))
	f.Add([]byte("a\n0\n\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if head, _, err := parseCheckpoint(raw, ctwatch.LogIDOf(der), v); err == nil {
			t.Fatalf("%q was accepted as signed: %+v", raw, head)
		}
	})
}

func FuzzTreeHead(f *testing.F) {
	_, v := key(f, argon2020)
	f.Add([]byte(`{"tree_size":1,"timestamp":1726494206646,"sha256_root_hash":"AWxD3p811N3m4WTinWRXPvBZHfT9IR9g/R4C7SKLPiU=","tree_head_signature":"BAMASDBGAiEAhgLgYXQHUc0ct9yTdrlh/3wGJoUt19FVi4Snx6OXepICIQDqxvQHjeARt1eTqRKFxt3c8ZRpObexaNJEyth4j9tJDg=="}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if head, err := parseSTH(raw, v); err == nil && head.Size != 961984011 {
			t.Fatalf("%q was accepted as signed: %+v", raw, head)
		}
	})
}

func TestTilePath(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "000", 7: "007", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067", 1 << 40: "x001/x099/x511/x627/776",
	} {
		if got := tilePath(n); got != want {
			t.Errorf("tilePath(%d) = %q, want %q", n, got, want)
		}
		if strings.Count(tilePath(n), "x") != strings.Count(tilePath(n), "/") {
			t.Errorf("tilePath(%d): every group but the last begins with x", n)
		}
	}
}
