package ctlog

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// A tree head is verified unless the log served just the same bytes before. One that did not
// verify is never remembered.
func TestSameHeadIsVerifiedOnce(t *testing.T) {
	bad := errors.New("bad signature")
	var l lastHead
	for _, tt := range []struct {
		raw      string
		err      error
		verified bool
	}{
		{"a", nil, true},
		{"a", nil, false},
		{"b", bad, true},
		{"b", bad, true},
		{"a", nil, false},
		{"c", nil, true},
		{"a", nil, true},
		{"a", nil, false},
	} {
		verified := false
		want := ctwatch.Head{Size: 7, Raw: []byte(tt.raw), Origin: "log.example"}
		got, err := l.or([]byte(tt.raw), func() (ctwatch.Head, error) {
			verified = true
			return want, tt.err
		})
		if verified != tt.verified || !errors.Is(err, tt.err) {
			t.Errorf("%s: verified %v, error %v; want %v, %v", tt.raw, verified, err, tt.verified, tt.err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.raw, diff)
		}
	}
}
