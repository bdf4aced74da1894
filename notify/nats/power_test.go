package nats

import (
	"context"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/notifytest"
	"ctwatch/store"
)

// A disk is the content of files, by their paths below a directory.
type disk map[string][]byte

// readDisk reads the files below a directory. Files may change and disappear meanwhile.
func readDisk(dir string) disk {
	d := make(disk)
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if content, err := os.ReadFile(path); err == nil {
			name, _ := filepath.Rel(dir, path)
			d[name] = content
		}
		return nil
	})
	return d
}

func (d disk) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range d {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// after returns what a power failure leaves of files, of which synced was on disk before, and
// now is what programs saw at last. What was synced is there. Of what was written since, any
// part may be: files and bytes at the end may be missing, be zero, or be there.
func (synced disk) after(now disk, r *rand.Rand) disk {
	left := maps.Clone(synced)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		content := now[name]
		before, was := synced[name]
		switch {
		case r.IntN(3) == 0: // nothing of the file was written since
		case !strings.HasSuffix(name, ".blk"): // replaced as a whole
			left[name] = content
			if filepath.Base(name) == "index.db" && r.IntN(2) == 0 {
				left[name] = content[:r.IntN(len(content)+1)]
			}
		case len(content) > len(before) && string(content[:len(before)]) == string(before):
			end := len(before) + r.IntN(len(content)-len(before)+1)
			cut := slices.Clone(content[:end])
			if r.IntN(2) == 0 { // the length was written, and of the data only a part
				cut = append(cut, make([]byte, len(content)-end)...)
			}
			left[name] = cut
		case !was:
			left[name] = content
		}
	}
	for name := range synced {
		// What the server removed since may be gone, or still there.
		if _, ok := now[name]; !ok && r.IntN(2) == 0 {
			delete(left, name)
		}
		if filepath.Base(name) == "index.db" && r.IntN(3) == 0 {
			delete(left, name) // which the server writes from time to time, and can do without
		}
	}
	return left
}

// A recorder is an Outbox that notes what is on disk whenever the cursor has moved: of the
// stream all that it has, and of the database an older state, too, since it syncs less often.
type recorder struct {
	store.Outbox
	dir       string
	moved     chan int64 // gets the cursor
	databases []disk
	stream    disk
}

func (r *recorder) SetDelivered(ctx context.Context, sender string, seq int64) error {
	err := r.Outbox.SetDelivered(ctx, sender, seq)
	all := readDisk(r.dir)
	r.stream = make(disk)
	for name, content := range all {
		if below, ok := strings.CutPrefix(name, "nats/"); ok {
			r.stream[below] = content
			delete(all, name)
		}
	}
	r.databases = append(r.databases, all)
	r.moved <- seq
	return err
}

// A power failure loses no event, and the stream has each once, in order: also if the database
// lost its last changes, after which what the logs have is found and written again.
func TestPowerFailureLosesNoEvent(t *testing.T) {
	const size = 90
	var events []ctwatch.Event
	for i := range 4 * size {
		events = append(events, event(i))
	}
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		rec := &recorder{dir: dir, moved: make(chan int64, len(events))}
		n, err := startNode(t.Context(), dir, "", func(o store.Outbox) notify.Outbox { rec.Outbox = o; return rec })
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.d.Run(ctx) }()
		end := func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			n.close()
		}
		written := 0
		burst := func() {
			for range size {
				if err := n.db.Outbox.Add(ctx, events[written]); err != nil {
					t.Error(err)
				}
				written++
			}
			n.d.Wake()
		}
		for range 1 + random.IntN(3) {
			burst()
			for seq := int64(0); seq < int64(written); {
				select {
				case seq = <-rec.moved:
				case <-time.After(notifytest.Patience):
					end()
					t.Fatalf("%d of %d events are delivered", seq, written)
				}
			}
		}
		synced, databases := rec.stream, slices.Clone(rec.databases)
		burst()
		now := readDisk(filepath.Join(dir, "nats")) // while the server writes
		end()

		after := t.TempDir()
		synced.after(now, random).write(t, filepath.Join(after, "nats"))
		databases[len(databases)-1-random.IntN(min(3, len(databases)))].write(t, after)
		outbox, stream := finish(t, after, events[:written]...)
		if diff := cmp.Diff(outbox, stream); diff != "" {
			t.Errorf("seed %d: the outbox (-) and the stream (+): %s", seed, diff)
		}
		if len(outbox) != written {
			t.Errorf("seed %d: %d of %d events", seed, len(outbox), written)
		}
	}
}
