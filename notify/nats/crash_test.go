package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/notifytest"
	"ctwatch/store"
)

// A node is what delivers events in a daemon: a store, an embedded server, and a dispatcher
// between them.
type node struct {
	db     *store.DB
	server *embedded.Server
	sender *Sender
	d      *notify.Dispatcher
}

// reader is a sender that takes nothing: its pending events are all in the outbox.
const reader = "reader"

// startNode starts a node in a directory. record wraps the outbox; it is optional.
func startNode(ctx context.Context, dir, listen string, record func(store.Outbox) notify.Outbox) (n *node, err error) {
	n = &node{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	log := notifytest.Discard()
	if n.db, err = store.Open(ctx, filepath.Join(dir, "ctwatch.db"), store.Options{Logger: log}); err != nil {
		return n, err
	}
	if err := errors.Join(n.db.Outbox.Register(ctx, Name), n.db.Outbox.Register(ctx, reader)); err != nil {
		return n, err
	}
	o := Options{Stream: "CTWATCH", SubjectPrefix: "ctwatch", Logger: log}
	if o.Key, err = n.db.Senders.Secret(ctx, "message IDs on NATS"); err != nil {
		return n, err
	}
	if n.server, err = embedded.Start(embedded.Options{Listen: listen, StoreDir: filepath.Join(dir, "nats"), Logger: log}); err != nil {
		return n, err
	}
	o.InProcess = n.server
	if n.sender, err = New(o); err != nil {
		return n, err
	}
	var outbox notify.Outbox = n.db.Outbox
	if record != nil {
		outbox = record(n.db.Outbox)
	}
	n.d, err = notify.NewDispatcher(notify.Config{Outbox: outbox, Senders: []notify.Sender{n.sender}, Logger: log, BackoffMin: time.Millisecond})
	return n, err
}

func (n *node) close() {
	if n.sender != nil {
		n.sender.Close()
	}
	if n.server != nil {
		n.server.Shutdown()
	}
	if n.db != nil {
		_ = n.db.Close()
	}
}

// event returns event i of those that tests of crashes write.
func event(i int) ctwatch.Event {
	c := notifytest.Certificate(fmt.Sprintf("h%d.example.com", i))
	c.ID[0], c.ID[1], c.ID[2] = byte(i), byte(i>>8), byte(i>>16)
	return ctwatch.IssuedEvent(c, notifytest.Time)
}

// outboxIDs returns the IDs of all events in the outbox, in order.
func outboxIDs(t *testing.T, db *store.DB) (ids []string) {
	t.Helper()
	for {
		pending, err := db.Outbox.Pending(t.Context(), reader, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) == 0 {
			return ids
		}
		for _, p := range pending {
			ids = append(ids, p.Event.ID)
		}
		if err := db.Outbox.SkipTo(t.Context(), reader, pending[len(pending)-1].Seq); err != nil {
			t.Fatal(err)
		}
	}
}

// finish starts a node in a directory, adds events to its outbox, and delivers all. It returns
// the IDs in the outbox and those in the stream, each in order.
func finish(t *testing.T, dir string, add ...ctwatch.Event) (outbox, stream []string) {
	t.Helper()
	n, err := startNode(t.Context(), dir, "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	for _, e := range add {
		if err := n.db.Outbox.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.d.Run(ctx) }()
	notifytest.Eventually(t, "all events are delivered", func() bool {
		pending, err := n.db.Outbox.Pending(ctx, Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		return len(pending) == 0
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	stream, _ = stored(t, n.server.ClientURL())
	return outboxIDs(t, n.db), stream
}

// childEnv names the directory in which a child process delivers until it is killed.
const childEnv = "CTWATCH_NATS_TEST_CHILD"

// childMain is the child. It writes events that follow those in its outbox, in bursts of
// different sizes, so that they are delivered individually and in batches.
func childMain() {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	if err := childRun(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childRun(ctx context.Context, dir string) error {
	n, err := startNode(ctx, dir, "", nil)
	if err != nil {
		return err
	}
	all, err := n.db.Outbox.Pending(ctx, reader, 1<<20)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.d.Run(ctx) }()
	<-n.sender.Revived()
	fmt.Println("ready")
	for i := len(all); ; {
		for range 1 + rand.IntN(100) {
			if err := n.db.Outbox.Add(ctx, event(i)); err != nil {
				return err
			}
			i++
		}
		n.d.Wake()
		select {
		case err := <-ended:
			return fmt.Errorf("the dispatcher ended: %w", err)
		default:
		}
	}
}

// A process that is killed at any moment loses no event, and the stream has each once, in
// order, after it was started again.
func TestKillLosesAndRepeatsNoEvent(t *testing.T) {
	dir := t.TempDir()
	for round := range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childEnv+"="+dir)
		var stderr bytes.Buffer
		child.Stderr = &stderr
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := stdout.Read(make([]byte, 1)); err != nil {
			t.Fatalf("round %d: the child ended before it was ready: %v: %s", round, err, stderr.String())
		}
		// The one wait that is meant: the child is killed at some moment.
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("round %d: %s", round, stderr.String())
		}
	}
	outbox, stream := finish(t, dir)
	if diff := cmp.Diff(outbox, stream); diff != "" {
		t.Errorf("the outbox (-) and the stream (+): %s", diff)
	}
	if len(outbox) == 0 {
		t.Error("no child wrote an event")
	}
	t.Logf("%d events", len(outbox))
}
