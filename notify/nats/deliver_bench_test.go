package nats

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/notify"
	"ctwatch/notify/nats/embedded"
	"ctwatch/notify/notifytest"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// A delivery is what delivers events in the daemon: a store, an embedded server, and a
// dispatcher between them.
type delivery struct {
	db *store.DB
	d  atomic.Pointer[notify.Dispatcher]
}

func newDelivery(b *testing.B) *delivery {
	b.Helper()
	var v delivery
	var err error
	v.db, err = store.Open(b.Context(), filepath.Join(b.TempDir(), "ctwatch.db"), store.Options{Logger: notifytest.Discard(), OnEvents: func() {
		if d := v.d.Load(); d != nil {
			d.Wake()
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = v.db.Close() })
	if err := v.db.Outbox.Register(b.Context(), Name); err != nil {
		b.Fatal(err)
	}
	return &v
}

// backlog returns how many events wait.
func (v *delivery) backlog(b *testing.B) int64 {
	b.Helper()
	all, err := v.db.Senders.List(b.Context())
	if err != nil || len(all) != 1 {
		b.Fatalf("%d senders, %v", len(all), err)
	}
	return all[0].Backlog
}

// start connects a sender to a new server. deliver runs the dispatcher until recorded is closed
// and no event waits.
func (v *delivery) start(b *testing.B) (deliver func(recorded <-chan struct{})) {
	b.Helper()
	e, err := embedded.Start(embedded.Options{StoreDir: b.TempDir(), Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Shutdown)
	n, err := New(Options{InProcess: e, Stream: "CTWATCH", SubjectPrefix: "ctwatch", Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(n.Close)
	<-n.Revived()
	d, err := notify.NewDispatcher(notify.Config{Outbox: v.db.Outbox, Senders: []notify.Sender{n}, Logger: notifytest.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	v.d.Store(d)
	return func(recorded <-chan struct{}) {
		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		<-recorded
		for v.backlog(b) > 0 {
			time.Sleep(20 * time.Millisecond) // asking costs more than to deliver some events
		}
		stop()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
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

// filled returns a delivery with the events of b.N certificates in the outbox.
func filled(b *testing.B) *delivery {
	b.Helper()
	v := newDelivery(b)
	s, err := storetest.New(storetest.Options{Keys: 100})
	if err == nil {
		err = s.Fill(b.Context(), v.db, 0, b.N)
	}
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// BenchmarkDeliverEmbedded is delivery from a store's outbox, by a dispatcher, to the stream of
// an embedded server: what the daemon does. Use it with -benchtime 20000x, the number of
// certificates.
func BenchmarkDeliverEmbedded(b *testing.B) {
	v := filled(b)
	events := v.backlog(b)
	deliver := v.start(b)
	recorded := make(chan struct{})
	close(recorded)
	b.ResetTimer()
	cpu := cpuTime()
	deliver(recorded)
	b.StopTimer()
	reportEvents(b, events, cpuTime()-cpu)
}

// BenchmarkDeliverWhileRecording is the same while the certificates are being recorded, as fast
// as the store can. It reports which part of the events wait when all are recorded: little, if
// delivery keeps up.
func BenchmarkDeliverWhileRecording(b *testing.B) {
	v := newDelivery(b)
	s, err := storetest.New(storetest.Options{Keys: 100})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	if err := s.Fill(ctx, v.db, 0, 0); err != nil { // the logs
		b.Fatal(err)
	}
	var found []ctwatch.Found
	for i := range b.N {
		issue, err := s.Issue(i, uint64(i), 0)
		if err != nil {
			b.Fatal(err)
		}
		found = append(found, issue.Precertificate)
	}
	deliver := v.start(b)
	recorded := make(chan struct{})
	var waiting, events int64
	var took time.Duration
	b.ResetTimer()
	cpu, begin := cpuTime(), time.Now()
	go func() {
		defer close(recorded)
		for at := 0; at < len(found); at += 256 {
			end := min(at+256, len(found))
			if err := storetest.Record(ctx, v.db, s.First, uint64(at), uint64(end), found[at:end]); err != nil {
				b.Error(err)
				return
			}
		}
		took, waiting = time.Since(begin), v.backlog(b)
	}()
	deliver(recorded)
	b.StopTimer()
	cpu = cpuTime() - cpu
	if err := v.db.Outbox.Register(ctx, reader); err != nil {
		b.Fatal(err)
	}
	all, err := v.db.Senders.List(ctx)
	if err != nil {
		b.Fatal(err)
	}
	events = all[len(all)-1].Backlog // nothing was delivered to it
	reportEvents(b, events, cpu)
	b.ReportMetric(float64(b.N)/took.Seconds(), "recorded/s")
	b.ReportMetric(100*float64(waiting)/float64(events), "%-waiting")
}

// BenchmarkDeliverFloor publishes the same bytes asynchronously, with a window of 64, to a server
// that syncs when it likes, without a store, seals, or anything to wait for but acknowledgements.
func BenchmarkDeliverFloor(b *testing.B) {
	v := filled(b)
	events := v.backlog(b)
	var msgs []*nats.Msg
	for {
		pending, err := v.db.Outbox.Pending(b.Context(), Name, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(pending) == 0 {
			break
		}
		for _, p := range pending {
			msg := nats.NewMsg(p.Event.NATSSubject("ctwatch"))
			msg.Header.Set(nats.MsgIdHdr, p.Event.ID)
			msg.Data = p.JSON
			msgs = append(msgs, msg)
		}
		if err := v.db.Outbox.SkipTo(b.Context(), Name, pending[len(pending)-1].Seq); err != nil {
			b.Fatal(err)
		}
	}
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: b.TempDir(), JetStreamMaxStore: 2 << 30, NoSigs: true})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	b.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(notifytest.Patience) {
		b.Fatal("the server is not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "CTWATCH", Subjects: []string{"ctwatch.>"}, MaxBytes: 1 << 30, Duplicates: duplicateWindow}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	cpu := cpuTime()
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
