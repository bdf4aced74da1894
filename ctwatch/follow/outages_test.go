package follow

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Logs that fail or come back within seconds share one line. A log that does both is not
// logged.
func TestOutagesShareLine(t *testing.T) {
	down := errors.New("no route to host")
	type step struct {
		after  time.Duration
		log    string
		failed bool
	}
	var all []step
	for n := range 48 {
		all = append(all, step{time.Duration(n%12/11) * time.Second, fmt.Sprintf("log%02d", n), true})
	}
	again := append([]step(nil), all...)
	for n := range all[:47] {
		again = append(again, step{time.Duration((48-n)/48) * time.Minute, all[n].log, false})
	}
	var slow []step
	for n := range 20 {
		slow = append(slow, step{2 * time.Second, fmt.Sprintf("log%02d", n), true})
	}
	for name, tt := range map[string]struct {
		steps []step
		want  []string
	}{
		"all at the start": {all, []string{`WARN 48 of 48 logs cannot be followed; retrying logs="log00, log01, log02, log03, log04, and 43 more" error="no route to host"`}},
		"one":              {all[:1], []string{`WARN log cannot be followed; retrying log=log00 error="no route to host"`}},
		"two":              {all[:2], []string{`WARN 2 of 48 logs cannot be followed; retrying logs="log00, log01" error="no route to host"`}},
		"far apart": {[]step{{0, "a", true}, {4 * time.Second, "b", true}}, []string{
			`WARN log cannot be followed; retrying log=a error="no route to host"`,
			`WARN log cannot be followed; retrying log=b error="no route to host"`,
		}},
		"a hiccup": {[]step{{0, "a", true}, {time.Second, "a", false}}, nil},
		"back again": {[]step{{0, "a", true}, {time.Minute, "a", false}, {time.Minute, "a", true}}, []string{
			`WARN log cannot be followed; retrying log=a error="no route to host"`,
			`INFO log can be followed again log=a`,
			`WARN log cannot be followed; retrying log=a error="no route to host"`,
		}},
		"well for a moment": {[]step{{0, "a", true}, {time.Minute, "a", false}, {time.Second, "a", true}}, []string{
			`WARN log cannot be followed; retrying log=a error="no route to host"`,
		}},
		"all end at once": {again, []string{
			`WARN 48 of 48 logs cannot be followed; retrying logs="log00, log01, log02, log03, log04, and 43 more" error="no route to host"`,
			`INFO 47 of 48 logs can be followed again logs="log00, log01, log02, log03, log04, and 42 more"`,
		}},
		"not put off for long": {slow, []string{
			`WARN 15 of 48 logs cannot be followed; retrying logs="log00, log01, log02, log03, log04, and 10 more" error="no route to host"`,
			`WARN 5 of 48 logs cannot be followed; retrying logs="log15, log16, log17, log18, log19" error="no route to host"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b strings.Builder
				o := &Outages{Logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				}}))}
				o.SetTotal(48)
				for _, s := range tt.steps {
					time.Sleep(s.after)
					synctest.Wait()
					if s.failed {
						o.start(s.log, down)
					} else {
						o.end(s.log)
					}
				}
				time.Sleep(maxOutagesWait)
				synctest.Wait()
				o.Close()
				var got []string
				for line := range strings.Lines(b.String()) {
					line = strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(line, "level="), "msg=", ""))
					level, rest, _ := strings.Cut(line, " ")
					if strings.HasPrefix(rest, `"`) {
						msg, attrs, _ := strings.Cut(rest[1:], `"`)
						rest = msg + attrs
					}
					got = append(got, level+" "+rest)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Close ends the lines: neither what waits nor what follows is logged.
func TestCloseEndsOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		o := &Outages{Logger: slog.New(slog.NewTextHandler(&b, nil))}
		o.start("a", errors.New("gone"))
		o.Close()
		o.start("b", errors.New("gone"))
		time.Sleep(maxOutagesWait)
		synctest.Wait()
		if b.Len() > 0 {
			t.Errorf("logged %s", &b)
		}
	})
}
