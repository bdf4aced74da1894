package ctlogtest

import (
	"fmt"
	"testing"

	ct "github.com/google/certificate-transparency-go"

	"ctwatch/ctwatch"
)

// Fillers parse as certificates and differ from each other.
func TestFillersLookReal(t *testing.T) {
	l := start(t, Options{FillNames: func(i uint64) []string {
		if i%100 == 0 {
			return []string{fmt.Sprintf("host-%d.example.com", i), "*.example.com"}
		}
		return []string{fmt.Sprintf("host-%d.example.net", i)}
	}})
	must(t, l.Fill(600))
	must(t, l.Fill(400))
	publish(t, l)
	truth, err := l.Truth()
	must(t, err)
	ids, pins, finals, bytes := make(map[ctwatch.Hash]bool), make(map[[32]byte]bool), 0, 0
	for i, e := range allEntries(t, l, 1000) {
		checkTruth(t, truth[i], uint64(i), &e)
		if r, err := ct.LogEntryFromLeaf(int64(i), &e); err != nil || e.LeafInput == nil || r.Leaf.TimestampedEntry == nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		ids[truth[i].ID], pins[truth[i].LeafPin] = true, true
		if truth[i].Kind == ctwatch.FinalCertificate {
			finals++
		}
		entry, err := l.Entry(uint64(i))
		must(t, err)
		bytes += len(entry.Leaf) + len(entry.Precert)
	}
	if len(ids) != 1000 || len(pins) != 1000 {
		t.Errorf("%d identities and %d keys in 1000 entries", len(ids), len(pins))
	}
	if finals != 125 {
		t.Errorf("%d final certificates, want 125", finals)
	}
	mean := bytes / 1000
	t.Logf("%d bytes an entry", mean)
	if mean < 1500 || mean > 2500 {
		t.Errorf("%d bytes an entry, want 1500 to 2500", mean)
	}
}

// Two logs have different fillers.
func TestFillersOfTwoLogsDiffer(t *testing.T) {
	var first [2]Truth
	for i := range first {
		l, err := New(Options{})
		must(t, err)
		must(t, l.Fill(1))
		truth, err := l.Truth()
		must(t, err)
		first[i] = truth[0]
	}
	if first[0].ID == first[1].ID || first[0].LeafPin == first[1].LeafPin {
		t.Error("two logs were filled with the same")
	}
}

func BenchmarkFill(b *testing.B) {
	l, err := New(Options{Kind: ctwatch.KindStatic})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	if err := l.Fill(b.N); err != nil {
		b.Fatal(err)
	}
}
