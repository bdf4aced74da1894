package ctwatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// manyNames is a certificate with n names, of which the one in the middle is watched.
func manyNames(n int) ctwatch.Certificate {
	c := ctwatch.Certificate{Verdict: ctwatch.Unexpected}
	for i := range n {
		c.Names = append(c.Names, fmt.Sprintf("n%d.other.test", i))
	}
	c.Names[n/2] = "api.example.com"
	c.Matches = []ctwatch.Match{{Watch: "example.com", Name: "api.example.com", Domain: "example.com"}}
	return c
}

// through returns an event as a receiver has it, and how many bytes it is.
func through(t *testing.T, e ctwatch.Event) (ctwatch.Event, int) {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if direct, err := e.MarshalJSON(); err != nil || !bytes.Equal(direct, b) {
		t.Errorf("MarshalJSON returns %d bytes, %v, and json.Marshal %d others", len(direct), err, len(b)) // the store calls it itself
	}
	var out ctwatch.Event
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out, len(b)
}

// An event has the names that match first, and counts what is left out; written again, it is
// the same. The certificate itself keeps everything.
func TestEventsListMatchingNamesFirst(t *testing.T) {
	c := manyNames(60_000)
	whole := slices.Clone(c.Names)
	e, size := through(t, ctwatch.IssuedEvent(c, now))
	got := e.Data.Certificate
	if size > 64<<10 || len(got.Names) != 100 || got.Names[0] != "api.example.com" || got.Names[1] != "n0.other.test" {
		t.Errorf("%d bytes, %d names, the first %q", size, len(got.Names), got.Names[:2])
	}
	if diff := cmp.Diff(map[string]int{"names": 59_900}, got.Omitted); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(c.Names, whole) || c.Omitted != nil {
		t.Error("the certificate itself has changed")
	}
	again, _ := through(t, e)
	if diff := cmp.Diff(e, again); diff != "" {
		t.Errorf("written again: %s", diff)
	}
}

// A certificate that concerns several watched domains names each of them in its event, though
// one of them matches a thousand times.
func TestEventsNameEachWatchedDomain(t *testing.T) {
	c := manyNames(1)
	c.Names, c.Matches = nil, nil
	for i := range 1000 {
		name := fmt.Sprintf("n%d.example.com", i)
		c.Names, c.Matches = append(c.Names, name), append(c.Matches, ctwatch.Match{Watch: "example.com", Name: name})
	}
	c.Names = append(c.Names, "pay.example.net")
	c.Matches = append(c.Matches, ctwatch.Match{Watch: "example.net", Name: "pay.example.net"})
	e, _ := through(t, ctwatch.IssuedEvent(c, now))
	got := e.Data.Certificate
	if m := got.Matches; len(m) != 100 || m[0].Watch != "example.com" || m[1].Watch != "example.net" || got.Omitted["matches"] != 901 {
		t.Errorf("%d matches, %+v first, omitted %v", len(m), m[:2], got.Omitted)
	}
	if !slices.Contains(got.Names, "pay.example.net") {
		t.Error("a name that matches is left out")
	}
	if s := got.MatchedNames(); !strings.HasSuffix(s, " and 998 more names") {
		t.Errorf("MatchedNames() = %q", s)
	}
}

// Whatever is in it, an event is less than 256 KiB.
func TestEventsAreSmall(t *testing.T) {
	for name, text := range map[string]string{
		"control characters": strings.Repeat("\x00", 1<<16),
		"HTML":               strings.Repeat("<", 1<<16),
		"no UTF-8":           strings.Repeat("\xff", 1<<16),
		"emoji":              strings.Repeat("😀", 1<<14),
		"separators":         strings.Repeat("\u2028", 1<<14),
		"quotes":             strings.Repeat(`"`, 1<<16),
		"short":              "a<b",
		"letters":            strings.Repeat("a", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			list := slices.Repeat([]string{text}, 200)
			for i := range list {
				list[i] = fmt.Sprint(i, text)
			}
			c := ctwatch.Certificate{
				Serial: text, Subject: text, Names: list, IPAddresses: list, Reasons: list, Problems: list,
				Issuer: ctwatch.Issuer{Name: text, CAA: text}, Key: ctwatch.CertificateKey{Algorithm: text},
				Sightings: slices.Repeat([]ctwatch.Sighting{{Log: text}}, 5000),
			}
			k := pins.Key{Algorithm: text, By: text, Reason: text, Hosts: list, Certificates: list}
			for i, s := range list {
				c.Matches = append(c.Matches, ctwatch.Match{Watch: s, Name: s})
				k.ApprovedFor = append(k.ApprovedFor, pins.Pattern{Name: fmt.Sprintf("n%d.example.com", i)})
				k.Apps = append(k.Apps, pins.AppVersion{Name: s, Version: s})
			}
			head := ctwatch.EvidenceHead{Raw: make([]byte, 1<<20)}
			e := ctwatch.Event{ID: "x", Type: ctwatch.CertificateIssued, Time: now, Subject: "example.com", Data: ctwatch.EventData{
				Summary: text, By: text, ReportTo: text, App: text, Host: text, Endpoint: text,
				Certificate: &c, Key: &k, Log: &ctwatch.LogStatus{Name: text, Operator: text, LastError: text},
				Indexes: make([]uint64, 5000),
				Evidence: &ctwatch.Evidence{
					Cause: text, Heads: slices.Repeat([]ctwatch.EvidenceHead{head, {Raw: make([]byte, 8<<10)}}, 5),
					Entry: &ctwatch.EvidenceEntry{Leaf: make([]byte, 48<<10)},
				},
			}}
			for i := range e.Data.Indexes {
				e.Data.Indexes[i] = 1<<64 - 1
			}
			got, size := through(t, e)
			if size >= ctwatch.MaxEvent {
				t.Errorf("%d bytes", size)
			}
			for _, s := range append(got.Data.Certificate.Names, got.Data.Summary, got.Data.Certificate.Subject) {
				if !utf8.ValidString(s) {
					t.Errorf("text that is cut within a character: %.40q", s)
				}
			}
			if n := got.Data.Certificate.Omitted["names"] + len(got.Data.Certificate.Names); n != 200 {
				t.Errorf("%d names in all", n)
			}
			if again, _ := through(t, got); !cmp.Equal(got, again) {
				t.Errorf("written again it differs: %s", cmp.Diff(got, again))
			}
		})
	}
}

// Evidence that fits is whole: a part of it proves nothing.
func TestEvidenceIsWholeOrLeftOut(t *testing.T) {
	leaf := make([]byte, 48<<10)
	for _, tt := range []struct {
		leaf, head int
		want       map[string]int
	}{
		{len(leaf), 8 << 10, nil},
		{5 << 20, 8 << 10, map[string]int{"leaf_input": 5 << 20}},
		{10, 1 << 20, map[string]int{"raw": 1 << 20}},
	} {
		f := ctwatch.Fault{Cause: ctwatch.CauseRootMismatch, Evidence: ctwatch.Evidence{
			Cause: ctwatch.CauseRootMismatch, Heads: []ctwatch.EvidenceHead{{Raw: make([]byte, tt.head)}},
			Entry: &ctwatch.EvidenceEntry{Leaf: make([]byte, tt.leaf)},
		}}
		e, _ := through(t, ctwatch.MisbehavedEvent(ctwatch.LogStatus{}, f, now))
		if diff := cmp.Diff(tt.want, e.Data.Evidence.Omitted); diff != "" {
			t.Error(diff)
		}
		if n := len(e.Data.Evidence.Entry.Leaf); n != 0 && n != tt.leaf {
			t.Errorf("%d of %d bytes of the leaf", n, tt.leaf)
		}
		if len(f.Evidence.Entry.Leaf) != tt.leaf || len(f.Evidence.Heads[0].Raw) != tt.head {
			t.Error("the evidence itself has changed")
		}
	}
}
