// Package storetest fills stores for tests and benchmarks, by the calls with which the daemon
// fills its own: with certificates of a CA, described as entries of logs are, in batches that are
// recorded and then proven.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/store"
)

// Begin is when the logs of a Source begin.
var Begin = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Options describe the certificates of a Source. The zero value is valid.
type Options struct {
	// Domains is how many watched domains there are. Certificate n is for the names
	// "hN.customer-D.example" and "www.hN.customer-D.example" with D = n modulo Domains.
	// Default 1,000.
	Domains int
	// Keys is how many keys the certificates have, one after the other. Default: each
	// certificate has its own.
	Keys int
	// Rules is the watch list. Default: "customer-D.example" with its subdomains, for each domain.
	Rules []watchlist.Rule
	Now   func() time.Time // for the CA; default: Begin
}

// A Source makes certificates, and the entries of two logs: in the first all precertificates, in
// the second the final certificate of every other one. It is not safe for concurrent use.
type Source struct {
	First, Second ctwatch.Log

	o     Options
	ca    *ctlogtest.CA
	list  *watchlist.List
	chain [][]byte
	keys  []*ctlogtest.Issued // the first with each key
}

// New returns a source.
func New(o Options) (*Source, error) {
	if o.Domains <= 0 {
		o.Domains = 1000
	}
	if o.Now == nil {
		o.Now = func() time.Time { return Begin }
	}
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Store Test CA", Seed: "storetest", Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.Rules == nil {
		for d := range o.Domains {
			r, err := watchlist.NewRule(domain(d), true)
			if err != nil {
				return nil, err
			}
			o.Rules = append(o.Rules, r)
		}
	}
	return &Source{
		First: logOf("First"), Second: logOf("Second"),
		o: o, ca: ca, list: watchlist.New(o.Rules), chain: [][]byte{ca.Intermediate, ca.Root},
	}, nil
}

func domain(d int) string { return fmt.Sprintf("customer-%d.example", d) }

func logOf(name string) ctwatch.Log {
	key := []byte("key of the log " + name)
	return ctwatch.Log{
		ID: ctwatch.LogIDOf(key), Name: name, Operator: name + " Operator", Kind: ctwatch.KindStatic,
		State: ctwatch.LogUsable, Key: key, URL: "https://" + name + ".example/",
	}
}

// An Issue is one certificate as both logs have it.
type Issue struct {
	Precertificate ctwatch.Found
	Final          *ctwatch.Found // nil: the second log has none
}

// Issue issues certificate n, whose entries are at the given indexes of the logs.
func (s *Source) Issue(n int, first, second uint64) (out Issue, err error) {
	host := fmt.Sprintf("h%d.%s", n, domain(n%s.o.Domains))
	r := ctlogtest.Request{Names: []string{host, "www." + host}, CommonName: host}
	if s.o.Keys > 0 && len(s.keys) == s.o.Keys {
		r.Key = s.keys[n%s.o.Keys].Key
	}
	issued, err := s.ca.Issue(r)
	if err != nil {
		return out, err
	}
	if s.o.Keys > 0 && len(s.keys) < s.o.Keys {
		s.keys = append(s.keys, issued)
	}
	at := Begin.Add(time.Duration(n) * time.Millisecond)
	out.Precertificate = s.found(issued, issued.Precert, ctwatch.Sighting{
		Log: s.First.Name, LogID: s.First.ID, Index: first, Timestamp: at, Kind: ctwatch.Precertificate,
	})
	if n%2 == 1 {
		return out, nil
	}
	der, err := issued.Final(sct(first), sct(second))
	if err != nil {
		return out, err
	}
	final := s.found(issued, der, ctwatch.Sighting{
		Log: s.Second.Name, LogID: s.Second.ID, Index: second, Timestamp: at.Add(time.Minute), Kind: ctwatch.FinalCertificate,
	})
	out.Final = &final
	return out, nil
}

// sct returns what looks like an SCT of a log for an entry.
func sct(index uint64) []byte {
	out := make([]byte, 1, 119) // v1
	for i := 0; len(out) < 119; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "sct %d %d", index, i))
		out = append(out, sum[:min(len(sum), 119-len(out))]...)
	}
	return out
}

func (s *Source) found(i *ctlogtest.Issued, der []byte, at ctwatch.Sighting) ctwatch.Found {
	c := entry.Describe(i.TBS)
	c.Matches = s.list.Matches(c.Names)
	c.Issuer.Pin, c.Issuer.Proven = i.IssuerPin, true
	c.Verdict = ctwatch.Unreviewed
	sum := ctwatch.Hash(sha256.Sum256(der))
	if at.Kind == ctwatch.Precertificate {
		c.Fingerprints.Precertificate = &sum
	} else {
		c.Fingerprints.Certificate = &sum
	}
	c.Sightings = []ctwatch.Sighting{at}
	c.SetPins()
	leaf := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, at.Index), sum[:]...))
	return ctwatch.Found{Certificate: c, LeafHash: leaf, TBS: i.TBS, DER: der, Chain: s.chain}
}

// batch is how many entries one Record and one Advance have.
const batch = 256

// Fill records certificates [from, to), each an entry of the first log and half of them of the
// second, and proves them. Certificates before from must have been filled before.
func (s *Source) Fill(ctx context.Context, db *store.DB, from, to int) error {
	second := uint64(from+1) / 2
	if from == 0 {
		for _, l := range []ctwatch.Log{s.First, s.Second} {
			if _, err := db.Logs.Follow(ctx, l); err != nil {
				return err
			}
			if err := db.Logs.Start(ctx, l.ID, ctwatch.Tree{}, Head(0), ""); err != nil {
				return err
			}
		}
	}
	for at := from; at < to; at += batch {
		end := min(at+batch, to)
		var pre, fin []ctwatch.Found
		before := second
		for n := at; n < end; n++ {
			i, err := s.Issue(n, uint64(n), second)
			if err != nil {
				return err
			}
			pre = append(pre, i.Precertificate)
			if i.Final != nil {
				fin = append(fin, *i.Final)
				second++
			}
		}
		if err := Record(ctx, db, s.First, uint64(at), uint64(end), pre); err != nil {
			return err
		}
		if err := Record(ctx, db, s.Second, before, second, fin); err != nil {
			return err
		}
	}
	return nil
}

// Record records the entries [start, end) of a log, and proves them.
func Record(ctx context.Context, db *store.DB, l ctwatch.Log, start, end uint64, found []ctwatch.Found) error {
	if start == end {
		return nil
	}
	if err := db.Logs.Record(ctx, ctwatch.Batch{Log: l.ID, Start: start, End: end, Found: found}, end); err != nil {
		return err
	}
	return db.Logs.Advance(ctx, l.ID, tree(end), Head(end))
}

// tree returns a tree of a size, whose hashes mean nothing: the store computes with none.
func tree(size uint64) ctwatch.Tree {
	t := ctwatch.Tree{Size: size}
	for i := range bits.OnesCount64(size) {
		t.Range = append(t.Range, sha256.Sum256(fmt.Appendf(nil, "node %d %d", size, i)))
	}
	return t
}

// Head returns a tree head of a size, whose root and signature mean nothing.
func Head(size uint64) ctwatch.Head {
	return ctwatch.Head{
		Size: size, Root: sha256.Sum256(fmt.Appendf(nil, "root %d", size)),
		Timestamp: Begin.Add(time.Duration(size) * time.Millisecond), Raw: fmt.Appendf(nil, "signed %d", size),
	}
}
