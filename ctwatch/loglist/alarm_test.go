package loglist

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// today is the day on which the lists of these tests are read; listOf dates them in
// January 2026.
var today = time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)

// shard is a log for the certificates that end in half a year of 2026, the third being
// the first of 2027.
func shard(t testing.TB, name string, half int) object {
	start := time.Date(2026, time.Month(1+6*(half-1)), 1, 0, 0, 0, 0, time.UTC)
	l := rfc6962Log(t, fmt.Sprintf("%s-h%d", name, half))
	l["temporal_interval"] = object{"start_inclusive": start, "end_exclusive": start.AddDate(0, 6, 0)}
	return l
}

// fleet is two operators with three shards each: of all of 2026, and the half year after.
func fleet(t testing.TB) (a, b []object) {
	for half := 1; half <= 3; half++ {
		a, b = append(a, shard(t, "a", half)), append(b, shard(t, "b", half))
	}
	return a, b
}

func fleetList(t testing.TB, day int, a, b []object) []byte {
	return listOf(t, day, operator("A", a, nil), operator("B", b, nil))
}

// with changes a copy of a log.
func with(l object, key string, value any) object {
	out := object{}
	for k, v := range l {
		out[k] = v
	}
	out[key] = value
	return out
}

func inState(l object, state string) object {
	return with(l, "state", object{state: object{"timestamp": "2026-01-01T00:00:00Z"}})
}

// watched is a source whose alarms are noted.
type watched struct {
	*Source
	alarms []Alarm
	dates  []time.Time
}

func (p *publisher) watched(t testing.TB, change func(*Config)) (*watched, *logBuffer) {
	w := new(watched)
	s, logs := p.source(t, func(c *Config) {
		c.Now = func() time.Time { return today }
		c.OnAlarms = func(alarms []Alarm, published time.Time) { w.alarms, w.dates = alarms, append(w.dates, published) }
		if change != nil {
			change(c)
		}
	})
	w.Source = s
	return w, logs
}

// codes are those of the alarms, a "!" with what is refused.
func (w *watched) codes() (out []string) {
	for _, a := range w.alarms {
		code := a.Code
		if a.Refused {
			code += "!"
		}
		out = append(out, code)
	}
	return out
}

func (w *watched) expect(t testing.TB, what string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, " "), strings.Join(w.codes(), " ")); diff != "" {
		t.Errorf("%s: alarms (-want +got):\n%s\n%v", what, diff, w.alarms)
	}
}

// A list that is worse than the one in use is refused with its code, and the last good one
// stays in use, in memory and after a restart without network.
func TestWorseListsAreRefused(t *testing.T) {
	a, b := fleet(t)
	more := shard(t, "c", 3)
	key := func(id string) object {
		raw, err := base64.StdEncoding.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		return object{"description": "Bogus", "url": "https://ct.example.org/bogus/", "log_id": raw, "key": newKeyOf(t)}
	}
	for name, tt := range map[string]struct {
		next []byte
		code string
	}{
		"compromised log 1":    {fleetList(t, 6, append(slices.Clone(a), key("9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=")), b), CompromisedLogs},
		"compromised log 2":    {fleetList(t, 6, a, append(slices.Clone(b), key("si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI="))), CompromisedLogs},
		"its ID with escapes":  {[]byte(strings.Replace(string(fleetList(t, 6, append(slices.Clone(a), key("9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=")), b)), "44U/2", `44U\/2`, 1)), CompromisedLogs},
		"in a log that breaks": {fleetList(t, 6, append(slices.Clone(a), object{"log_id": "si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=", "url": 5}), b), CompromisedLogs},
		"in a tiled log":       {listOf(t, 6, operator("A", a, []object{key("si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=")}), operator("B", b, nil)), CompromisedLogs},
		"older":                {fleetList(t, 4, append(slices.Clone(a), more), b), Rollback},
		"most logs are gone":   {fleetList(t, 6, a[2:], b[2:]), LogsLost},
		"most are rejected":    {fleetList(t, 6, []object{inState(a[0], "rejected"), inState(a[1], "rejected"), a[2]}, []object{inState(b[0], "rejected"), inState(b[1], "rejected"), b[2]}), LogsLost},
		"other logs":           {fleetList(t, 6, []object{shard(t, "x", 1), shard(t, "x", 2), shard(t, "x", 3)}, []object{shard(t, "y", 1), shard(t, "y", 2), shard(t, "y", 3)}), LogsLost},
		"one operator's left":  {fleetList(t, 6, a[:1], b), OneOperator}, // used anyway
		"none at all for 200":  {fleetList(t, 6, []object{a[0], inState(a[1], "retired"), a[2]}, []object{b[0], inState(b[1], "readonly"), b[2]}), CoverageLost},
		"newer":                {fleetList(t, 6, append(slices.Clone(a), more), b), ""},
		"a shard has ended":    {fleetList(t, 6, a[1:], b[1:]), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t, fleetList(t, 5, a, b))
			dir := t.TempDir()
			w, logs := p.watched(t, func(c *Config) { c.CacheDir = dir })
			load(t, w.Source)
			w.expect(t, "the good list")
			p.publish(tt.next)
			for range 3 {
				changed, err := w.refresh(t.Context())
				if tt.code == "" || tt.code == OneOperator {
					if err != nil {
						t.Fatalf("refused: %v", err)
					}
					w.expect(t, "a list that is no worse", slices.DeleteFunc([]string{tt.code}, func(s string) bool { return s == "" })...)
					return
				}
				var refused *RefusedError
				if changed || !errors.As(err, &refused) || refused.Alarm.Code != tt.code {
					t.Fatalf("changed %v, error %v; want %s", changed, err, tt.code)
				}
				if errors.Is(err, ErrRollback) != (tt.code == Rollback) {
					t.Errorf("%v is a rollback: %v", err, errors.Is(err, ErrRollback))
				}
			}
			w.expect(t, "the bad list", tt.code+"!")
			if n := strings.Count(logs.String(), "alarm about the log list"); n != 1 {
				t.Errorf("one cause is logged %d times:\n%s", n, logs)
			}
			if w.current.list.Version != "1.5" {
				t.Errorf("in use is version %s", w.current.list.Version)
			}
			cause := w.alarms[0].Cause

			// A restart, with the bad list and without network.
			again, _ := p.watched(t, func(c *Config) { c.CacheDir, c.Location, c.Client = dir, w.config.Location, w.config.Client })
			if list, origin, err := again.Load(t.Context()); err != nil || origin != OriginCache || list.Version != "1.5" {
				t.Errorf("after a restart: %v, %v", origin, err)
			}
			again.expect(t, "after a restart", tt.code+"!")
			if again.alarms[0].Cause != cause {
				t.Errorf("the cause is %q, and was %q before the restart: it would be reported again", again.alarms[0].Cause, cause)
			}
			// While nothing can be read nothing new is known; a good list ends the alarm.
			p.set(http.NotFound)
			if _, err := again.refresh(t.Context()); err == nil {
				t.Error("there was no list")
			}
			again.expect(t, "unreachable", tt.code+"!")
			p.set(nil)
			p.publish(fleetList(t, 7, a, b))
			if _, err := again.refresh(t.Context()); err != nil {
				t.Error(err)
			}
			again.expect(t, "a good list")
			// The same another time is another cause.
			p.publish(tt.next)
			if _, err := again.refresh(t.Context()); err == nil || len(again.alarms) == 0 || again.alarms[0].Cause == cause {
				t.Errorf("again: %v, %v", err, again.alarms)
			}
		})
	}
}

func newKeyOf(t testing.TB) []byte { return firstKey(t, rfc6962Log(t, "k")) }

func firstKey(t testing.TB, l object) []byte {
	key, ok := l["key"].([]byte)
	if !ok {
		t.Fatal("no key")
	}
	return key
}

// A list with a compromised log is never used, be it fetched, cached or a snapshot, nor is
// such a log if it is configured.
func TestCompromisedListsAreNeverUsed(t *testing.T) {
	a, b := fleet(t)
	good := fleetList(t, 5, a, b)
	raw, err := base64.StdEncoding.DecodeString("9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=")
	if err != nil {
		t.Fatal(err)
	}
	frozen := fleetList(t, 6, append(slices.Clone(a), with(a[0], "log_id", raw)), b)

	p := newPublisher(t, good)
	p.set(http.NotFound)
	dir := t.TempDir()
	w, _ := p.watched(t, func(c *Config) { c.CacheDir, c.Snapshot = dir, good })
	// An earlier version has cached it.
	if err := w.writeCache(published{data: frozen, sig: sign(t, frozen)}); err != nil {
		t.Fatal(err)
	}
	if list, origin, err := w.Load(t.Context()); err != nil || origin != OriginSnapshot || list.Version != "1.5" {
		t.Errorf("%v, %v", origin, err)
	}
	w.expect(t, "cached", CompromisedLogs+"!")

	w, _ = p.watched(t, func(c *Config) { c.Snapshot = frozen })
	if _, _, err := w.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "private key is public") {
		t.Errorf("the snapshot: %v", err)
	}
	if _, _, err := Parse(frozen); err == nil {
		t.Error("the list was parsed")
	}
	for _, id := range compromisedLogs() {
		if parsed, err := ctwatch.ParseLogID(id); err != nil || !compromised(parsed) { // as Extra.Log asks
			t.Errorf("%s: %v", id, err)
		}
	}
}

// Whatever is wrong with the list in use is an alarm, and the list stays in use.
func TestAlarmsAboutCurrentList(t *testing.T) {
	a, b := fleet(t)
	old := fleetList(t, 5, a, b)
	own := filepath.Join(t.TempDir(), "list.json")
	write(t, own, listOf(t, 5, operator("A", a[:1], nil)))
	for name, tt := range map[string]struct {
		list []byte
		now  time.Time
		file string
		want []string
	}{
		"in order":                  {old, today, "", nil},
		"day 28":                    {old, today.AddDate(0, 0, 13).Add(-13 * time.Hour), "", nil},
		"weeks old":                 {old, today.AddDate(0, 0, 14), "", []string{Outdated}},
		"no shards for 200 days":    {old, today.AddDate(1, 0, 0), "", []string{NotCovered, Outdated}},
		"a single operator's":       {fleetList(t, 5, a, b[:1]), today, "", []string{OneOperator}},
		"a list of one operator":    {listOf(t, 5, operator("A", a, nil)), today, "", nil},
		"none that takes entries":   {listOf(t, 5, operator("A", []object{inState(a[1], "readonly"), inState(a[2], "pending")}, nil)), today, "", []string{NotCovered}},
		"a file of its owner's":     {nil, today, own, []string{NotCovered}},
		"no date, no intervals":     {[]byte(`{"operators":[{"name":"A","logs":[` + firstLog(t, oneLog(t, 1, "x")) + `]}]}`), today, "", nil},
		"in no state, as lists may": {listOf(t, 5, operator("A", []object{with(a[1], "state", object{})}, nil)), today, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(t, tt.list)
			w, logs := p.watched(t, func(c *Config) {
				c.Now = func() time.Time { return tt.now }
				if tt.file != "" {
					c.Location, c.Key = tt.file, nil
				}
			})
			load(t, w.Source)
			w.expect(t, "loaded", tt.want...)
			if _, err := w.refresh(t.Context()); err != nil { // 304: nothing has changed
				t.Error(err)
			}
			w.expect(t, "again", tt.want...)
			if n := strings.Count(logs.String(), "alarm about"); n != len(tt.want) {
				t.Errorf("%d alarms are logged %d times", len(tt.want), n)
			}
		})
	}
}

// While the network is down, the age of the list in use causes an alarm only after a day.
func TestUnreachableListIsOutdatedAfterDay(t *testing.T) {
	a, b := fleet(t)
	now := today.AddDate(0, 3, 0)
	p := newPublisher(t, fleetList(t, 5, a, b))
	p.set(http.NotFound)
	w, _ := p.watched(t, func(c *Config) {
		c.Snapshot = fleetList(t, 5, a, b)
		c.Now = func() time.Time { return now }
	})
	load(t, w.Source)
	w.expect(t, "at the start")
	now = now.Add(25 * time.Hour)
	if _, err := w.refresh(t.Context()); err == nil {
		t.Error("there was no list")
	}
	w.expect(t, "a day later", Outdated)
	if got := w.dates[len(w.dates)-1]; !got.Equal(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the list in use is of %v", got)
	}
}

// A list that is older than the snapshot, or lacks most of its logs, is refused: a first
// start has nothing else to compare with.
func TestWorseThanSnapshotIsRefused(t *testing.T) {
	a, b := fleet(t)
	for want, list := range map[string][]byte{
		Rollback + "!": fleetList(t, 4, a, b),
		LogsLost + "!": fleetList(t, 6, a[2:], b[2:]),
	} {
		p := newPublisher(t, list)
		w, _ := p.watched(t, func(c *Config) { c.Snapshot = fleetList(t, 5, a, b) })
		if _, origin, err := w.Load(t.Context()); err != nil || origin != OriginSnapshot {
			t.Errorf("%s: %v, %v", want, origin, err)
		}
		w.expect(t, "at the start", want)
		p.publish(fleetList(t, 7, a, b))
		if changed, err := w.refresh(t.Context()); changed || err != nil || w.current.origin != OriginFetched {
			t.Errorf("a good list: %v, %v", changed, err)
		}
		w.expect(t, "a good list")
	}
}

// An unsigned file may change in any way, except for compromised logs.
func TestOwnFileMayShrink(t *testing.T) {
	a, b := fleet(t)
	path := filepath.Join(t.TempDir(), "list.json")
	write(t, path, fleetList(t, 5, a, b))
	s := newSource(t, Config{Location: path, Now: func() time.Time { return today }})
	load(t, s)
	write(t, path, fleetList(t, 4, a[2:], nil))
	if changed, err := s.refresh(t.Context()); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
}

// An alarm about hidden certificates is critical, one about a list that may only be old
// is a warning. The event's ID is that of the cause, so that it is recorded once.
func TestAlarmEvent(t *testing.T) {
	at := time.Now()
	for code, want := range map[string]ctwatch.Severity{
		CompromisedLogs: ctwatch.Critical, LogsLost: ctwatch.Critical, CoverageLost: ctwatch.Critical,
		NotCovered: ctwatch.Critical, Rollback: ctwatch.Warning, OneOperator: ctwatch.Warning, Outdated: ctwatch.Warning,
	} {
		for _, refused := range []bool{true, false} {
			a := Alarm{Code: code, Refused: refused, Detail: "example.com: why", Cause: code + " 1"}
			e := a.Event(at)
			wantType := ctwatch.LogListOutdated
			if refused {
				wantType = ctwatch.LogListRefused
			}
			if e.Type != wantType || e.Data.Severity != want || !strings.Contains(e.Data.Summary, a.Detail) {
				t.Errorf("%s, refused %v: %s %s %q", code, refused, e.Data.Severity, e.Type, e.Data.Summary)
			}
			again, another := a, a
			again.Detail, another.Cause = "other words", code+" 2"
			if again.Event(at.Add(time.Hour)).ID != e.ID || another.Event(at).ID == e.ID {
				t.Errorf("%s: the ID does not follow from the cause", code)
			}
		}
	}
}
