package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/store"
)

// TestOpenVerdictsWaitForAPerson: what is unexpected or unreviewed is open by each watched
// domain that it matches, until a person judges it, whichever way.
func TestOpenVerdictsWaitForAPerson(t *testing.T) {
	db := open(t)
	l := started(t, db, 1)
	verdicts := []ctwatch.Verdict{ctwatch.Unreviewed, ctwatch.Unexpected, ctwatch.Unexpected, ctwatch.Expected, ctwatch.Unreviewed}
	for i, v := range verdicts {
		f := found(l, i+1, uint64(i))
		f.Certificate.Verdict = v
		if i == 4 {
			f.Certificate.Matches = append(f.Certificate.Matches,
				ctwatch.Match{Watch: "b.example.com", Name: "b.example.com", Domain: "b.example.com"},
				ctwatch.Match{Watch: "b.example.com", Name: "*.example.com", Domain: "b.example.com"})
		}
		record(t, db, l, uint64(i+1), f)
	}
	expect := func(want ...store.OpenVerdict) {
		t.Helper()
		got, err := db.Certificates.CountOpen(t.Context())
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("open verdicts (-want +got):\n%s", diff)
		}
	}
	other := store.OpenVerdict{Domain: "b.example.com", Verdict: ctwatch.Unreviewed, Count: 1}
	expect(other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 2}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 2})
	for n, v := range map[int]ctwatch.Verdict{1: ctwatch.Expected, 2: ctwatch.Unexpected} {
		_, err := db.Certificates.SetVerdict(t.Context(), certificate(n).ID, v, []string{"decided"}, "ada", "I know it")
		must(t, err)
	}
	expect(other, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unexpected, Count: 1}, store.OpenVerdict{Domain: "example.com", Verdict: ctwatch.Unreviewed, Count: 1})
}
