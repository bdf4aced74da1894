package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A journal notes what parts do, in order.
type journal struct {
	mu    sync.Mutex
	notes []string
}

func (j *journal) note(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, s)
}

// part returns a part that notes what it does; start and run end with errors.
func (j *journal) part(name string, start, run error) part {
	return part{
		name:  name,
		start: func(context.Context) error { j.note("start " + name); return start },
		run: func(ctx context.Context) error {
			if run == nil {
				<-ctx.Done()
			}
			return run
		},
		stop: func() error { j.note("stop " + name); return nil },
	}
}

// TestPartsStopInReverse: parts start in their order and stop in reverse, however they end,
// and a part that does not start stops those before it and starts none after it.
func TestPartsStopInReverse(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name       string
		start, run error // of the second of three
		want       string
	}{
		{"a part does not start", broken, nil, "start a, start b, stop a"},
		{"a part ends with an error", nil, broken, "start a, start b, start c, stop c, stop b, stop a"},
	} {
		var j journal
		err := runParts(t.Context(), []part{j.part("a", nil, nil), j.part("b", tt.start, tt.run), j.part("c", nil, nil)})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v, want %v", tt.name, err, broken)
		}
		if got := strings.Join(j.notes, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestPartsEndWithContext: that the context ends is no error, while parts run or before
// all have started; an error of a stop is one.
func TestPartsEndWithContext(t *testing.T) {
	stuck := errors.New("cannot be closed")
	for name, when := range map[string]string{"while parts run": "run", "while a part starts": "start"} {
		for _, stop := range []error{nil, stuck} {
			ctx, cancel := context.WithCancel(t.Context())
			end := func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }
			last := part{name: "last", start: end}
			if when == "run" {
				last = part{name: "last", run: end}
			}
			err := runParts(ctx, []part{{name: "first", stop: func() error { return stop }}, last})
			if !errors.Is(err, stop) || stop == nil && err != nil {
				t.Errorf("%s: %v, want %v", name, err, stop)
			}
		}
	}
}

// TestPartsCheckWhatTheyNeed: a part that starts before one that it needs is an error.
func TestPartsCheckWhatTheyNeed(t *testing.T) {
	var j journal
	a := j.part("a", nil, nil)
	a.needs = []string{"b"}
	err := runParts(t.Context(), []part{j.part("c", nil, nil), a, j.part("b", nil, nil)})
	if err == nil || !strings.Contains(err.Error(), `"a" of the daemon starts before "b"`) {
		t.Errorf("%v", err)
	}
	if got, want := strings.Join(j.notes, ", "), "start c, stop c"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestDaemonPartsAreInOrder: the daemon's parts start in an order in which each finds what
// it needs. Nothing is read before what is found can be stored and sent, and systemd is
// notified last at the start and first at the end.
func TestDaemonPartsAreInOrder(t *testing.T) {
	var names []string
	for _, p := range new(Daemon).parts() {
		for _, need := range p.needs {
			if !slices.Contains(names, need) {
				t.Errorf("%s starts before %s, which it needs", p.name, need)
			}
		}
		names = append(names, p.name)
	}
	want := []string{
		"connections to logs", "store", "prober", "planner", "pin documents", "metrics", "http", "nats", "senders",
		"other processes", "log list", "followers", "CAA records", "heartbeat", "reload", "service manager",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}
