package main

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
)

// A fact is what must be known of a certificate, in a form that can be compared.
type fact struct {
	Names              []string // sorted
	LeafPin, IssuerPin pins.Pin
	Sightings          []sight // sorted
}

type sight struct {
	Log      string
	Index    uint64
	Kind     ctwatch.SightingKind
	At       int64 // milliseconds since 1970
	Verified bool
}

func (a sight) compare(b sight) int {
	if c := strings.Compare(a.Log, b.Log); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// truth is what the logs hold for watched names, according to the test that
// issued and logged it.
func (s *stage) truth() map[ctwatch.Hash]fact {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[ctwatch.Hash]fact)
	for id, i := range s.issued {
		f := fact{Names: canonical(i.Names), LeafPin: i.LeafPin, IssuerPin: i.IssuerPin, Sightings: slices.Clone(s.logged[id])}
		slices.SortFunc(f.Sightings, sight.compare)
		out[id] = f
	}
	return out
}

// canonical writes names as certificates objects have them.
func canonical(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.TrimSuffix(strings.ToLower(n), ".")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// found is what the daemon's database says.
func (s *stage) found() map[ctwatch.Hash]fact {
	s.t.Helper()
	out := make(map[ctwatch.Hash]fact)
	s.read(func(db *store.DB) error {
		for c, err := range db.Certificates.List(s.ctx, store.Filter{}) {
			if err != nil {
				return err
			}
			if s.forged[c.ID] {
				continue
			}
			f := fact{Names: canonical(c.Names), LeafPin: c.Key.Pin, IssuerPin: c.Issuer.Pin}
			for _, x := range c.Sightings {
				f.Sightings = append(f.Sightings, sight{x.Log, x.Index, x.Kind, x.Timestamp.UnixMilli(), x.Verified})
			}
			slices.SortFunc(f.Sightings, sight.compare)
			out[c.ID] = f
			if len(c.Problems) > 0 != s.odd[c.ID] {
				s.t.Errorf("certificate %v has problems: %q", c.ID, c.Problems)
			}
		}
		return nil
	})
	return out
}

// expectTruth checks that the certificates found are the truth exactly, and that
// every log was read and verified up to its tree size.
func (s *stage) expectTruth() {
	s.t.Helper()
	want := s.truth()
	if diff := cmp.Diff(want, s.found()); diff != "" {
		s.t.Errorf("what was found is not the truth (-truth +found):\n%s", diff[:min(len(diff), 4000)])
	}
	for _, l := range s.logs {
		st := s.status(l)
		head, err := l.Head()
		s.check(err)
		if st.TreeSize != head.Size || st.Position != head.Size || st.Verified != head.Size || st.LagEntries != 0 {
			s.t.Errorf("%s: tree size %d, position %d, verified %d; the log has %d entries", st.Name, st.TreeSize, st.Position, st.Verified, head.Size)
		}
	}
}

// expectEvents checks that the stream holds exactly the events that follow from
// the truth: one certificate.issued for each identity, one certificate.logged for
// each further sighting, and so many pin.candidate; each under one ID, once.
func (s *stage) expectEvents(all []message, candidates int) {
	s.t.Helper()
	ids := make(map[string]int)
	issued := make(map[ctwatch.Hash]int)
	logged := make(map[ctwatch.Hash]int)
	found := 0
	for _, m := range all {
		ids[m.ID]++
		if want := m.NATSSubject("ctwatch"); m.subject != want {
			s.t.Errorf("event %s is on subject %s, want %s", m.ID, m.subject, want)
		}
		switch c := m.Data.Certificate; m.Type {
		case ctwatch.CertificateIssued:
			issued[c.ID]++
		case ctwatch.CertificateLogged:
			logged[c.ID]++
		case ctwatch.PinCandidate:
			found++
		}
	}
	for id, n := range ids {
		if n != 1 {
			s.t.Errorf("event %s is in the stream %d times", id, n)
		}
	}
	truth := s.truth()
	for id, f := range truth {
		if issued[id] != 1 {
			s.t.Errorf("certificate %v was reported as issued %d times", id, issued[id])
		}
		if got, want := logged[id], len(f.Sightings)-1; got != want {
			s.t.Errorf("certificate %v was reported as logged again %d times, want %d", id, got, want)
		}
	}
	for id := range issued {
		if _, ok := truth[id]; !ok {
			s.t.Errorf("certificate %v was reported, but is not watched", id)
		}
	}
	if found != candidates {
		s.t.Errorf("%d pin candidates were reported, want %d", found, candidates)
	}
}
