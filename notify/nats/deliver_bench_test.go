package nats

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/notifytest"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// filledOutbox returns a store with the events of b.N certificates or more, and how many
// events.
func filledOutbox(b *testing.B) (db *store.DB, events int64) {
	b.Helper()
	ctx := b.Context()
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "ctwatch.db"), store.Options{Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Outbox.Register(ctx, Name); err != nil {
		b.Fatal(err)
	}
	s, err := storetest.New(storetest.Options{Keys: 100})
	if err == nil {
		err = s.Fill(ctx, db, 0, b.N)
	}
	if err != nil {
		b.Fatal(err)
	}
	return db, backlog(b, db)
}

func backlog(tb testing.TB, db *store.DB) int64 {
	tb.Helper()
	all, err := db.Senders.List(context.Background())
	if err != nil || len(all) != 1 {
		tb.Fatalf("%d senders, %v", len(all), err)
	}
	return all[0].Backlog
}

func startForBenchmark(b *testing.B) *embedded.Server {
	b.Helper()
	e, err := embedded.Start(embedded.Options{StoreDir: b.TempDir(), Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Shutdown)
	return e
}

// lastRecorded is an Outbox that reports when the cursor reaches the last event.
type lastRecorded struct {
	store.Outbox
	last int64
	done chan struct{}
}

func (o lastRecorded) SetDelivered(ctx context.Context, sender string, seq int64) error {
	err := o.Outbox.SetDelivered(ctx, sender, seq)
	if seq == o.last {
		close(o.done)
	}
	return err
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func reportEvents(b *testing.B, events int64, cpu time.Duration) {
	b.Helper()
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/1e3/float64(events), "cpu-µs/event")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeliverEmbedded is delivery from a store's outbox, by a dispatcher, to the stream of
// an embedded server: what the daemon does. Run it with -benchtime 20000x.
func BenchmarkDeliverEmbedded(b *testing.B) {
	db, events := filledOutbox(b)
	n, err := New(Options{InProcess: startForBenchmark(b), Stream: "CTWATCH", SubjectPrefix: "ctwatch", Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(n.Close)
	<-n.Revived()
	o := lastRecorded{db.Outbox, events, make(chan struct{})}
	d, err := notify.NewDispatcher(notify.Config{Outbox: o, Senders: []notify.Sender{n}, Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	cpu := cpuTime()
	b.ResetTimer()
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-o.done:
	case err := <-ended:
		b.Fatal(err)
	}
	b.StopTimer()
	cpu = cpuTime() - cpu
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	reportEvents(b, events, cpu)
}

// BenchmarkDeliverFloor publishes the same bytes to the same server, asynchronously with a
// window of 64, without a store, seals, or anything to wait for but acknowledgements.
func BenchmarkDeliverFloor(b *testing.B) {
	db, events := filledOutbox(b)
	var msgs []*nats.Msg
	for seq := int64(0); ; {
		pending, err := db.Outbox.Pending(b.Context(), Name, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(pending) == 0 {
			break
		}
		for _, p := range pending {
			msgs = append(msgs, floorMessage(b, p.Event))
			seq = p.Seq
		}
		if err := db.Outbox.SkipTo(b.Context(), Name, seq); err != nil {
			b.Fatal(err)
		}
	}
	nc, err := nats.Connect("", nats.InProcessServer(startForBenchmark(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, MaxBytes: 1 << 30}); err != nil {
		b.Fatal(err)
	}
	cpu := cpuTime()
	b.ResetTimer()
	var window []jetstream.PubAckFuture
	for len(msgs) > 0 || len(window) > 0 {
		if len(msgs) > 0 && len(window) < 64 {
			f, err := js.PublishMsgAsync(msgs[0])
			if err != nil {
				b.Fatal(err)
			}
			msgs, window = msgs[1:], append(window, f)
			continue
		}
		select {
		case <-window[0].Ok():
		case err := <-window[0].Err():
			b.Fatal(err)
		case <-b.Context().Done():
			b.Fatal(errors.New("no acknowledgement"))
		}
		window = window[1:]
	}
	b.StopTimer()
	reportEvents(b, events, cpuTime()-cpu)
}

func floorMessage(b *testing.B, e ctwatch.Event) *nats.Msg {
	b.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	msg := nats.NewMsg(e.NATSSubject("ctwatch"))
	msg.Header.Set(nats.MsgIdHdr, e.ID)
	msg.Data = body
	return msg
}
