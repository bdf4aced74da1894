package follow_test

import (
	"context"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/follow"
)

// The configured start counts for the logs there are at the first run. A log that joins
// the list later is read from its beginning, up to a limit.
func TestLogSetStart(t *testing.T) {
	extra, listed, late := ctwatch.LogID{1}, ctwatch.LogID{2}, ctwatch.LogID{3}
	at := time.Now()
	month := ctwatch.Start{Back: 30 * 24 * time.Hour}
	beginning := ctwatch.Start{Beginning: true}
	all := []ctwatch.LogID{extra, listed, late}
	for name, tt := range map[string]struct {
		start      ctwatch.Start
		stored     []ctwatch.LogStatus
		configured []ctwatch.LogID // begin as configured
	}{
		"the first run":       {month, nil, []ctwatch.LogID{extra, listed}},
		"the first run, now":  {ctwatch.Start{}, nil, []ctwatch.LogID{extra, listed}},
		"another run":         {month, []ctwatch.LogStatus{{ID: listed, LastVerifiedAt: &at}}, []ctwatch.LogID{listed}},
		"nothing is verified": {month, []ctwatch.LogStatus{{ID: late}}, all},
		"from the beginning":  {beginning, []ctwatch.LogStatus{{ID: listed, LastVerifiedAt: &at}}, all},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // nothing receives
			s := follow.NewLogSet(tt.start, tt.stored)
			if s.Has(extra) {
				t.Error("a log in the set before the first Replace")
			}
			s.Replace(ctx, []ctwatch.Log{{ID: extra}}, false)
			s.Replace(ctx, []ctwatch.Log{{ID: extra}, {ID: listed}}, true)
			s.Replace(ctx, []ctwatch.Log{{ID: listed}, {ID: late}}, true)
			if s.Has(extra) || !s.Has(listed) || !s.Has(late) {
				t.Error("the set is not the last one")
			}
			configured := make(map[ctwatch.LogID]bool)
			for _, id := range tt.configured {
				configured[id] = true
			}
			for _, id := range all {
				want, wantLimit := tt.start, uint64(0)
				if !configured[id] {
					want, wantLimit = beginning, 1<<24
				}
				if got, limit := s.Start(id); got != want || limit != wantLimit {
					t.Errorf("log %d begins at %+v with limit %d, want %+v with %d", id[0], got, limit, want, wantLimit)
				}
			}
		})
	}
}
