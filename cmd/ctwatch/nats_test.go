package main

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// A message is what a consumer of the stream gets.
type message struct {
	ctwatch.Event
	subject  string
	raw      []byte
	sequence uint64 // in the stream
}

// stream reads all that the stream of events holds at this moment, as any other
// program would: over TCP, with a consumer.
func (s *stage) stream(url string) (out []message) {
	s.t.Helper()
	nc, err := nats.Connect(url)
	s.check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	s.check(err)
	stream, err := js.Stream(s.ctx, "CTWATCH")
	s.check(err)
	last := stream.CachedInfo().State.LastSeq
	if last == 0 {
		return nil
	}
	c, err := stream.OrderedConsumer(s.ctx, jetstream.OrderedConsumerConfig{})
	s.check(err)
	schema, err := compileSchema("event.json")
	s.check(err)
	for {
		batch, err := c.FetchNoWait(500)
		s.check(err)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			s.check(err)
			x := message{subject: m.Subject(), raw: m.Data(), sequence: meta.Sequence.Stream}
			s.check(json.Unmarshal(m.Data(), &x.Event))
			if id := m.Headers().Get("Nats-Msg-Id"); id != x.ID {
				s.t.Errorf("event %s has the message ID %q", x.ID, id)
			}
			if err := validate(schema, m.Data()); err != nil {
				s.t.Errorf("event %s: %v", x.ID, err)
			}
			out = append(out, x)
			if meta.Sequence.Stream >= last {
				return out
			}
		}
		s.check(batch.Error())
	}
}

// freePort returns a port of loopback on which nothing listens just now.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if _, taken := givenPorts.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

var givenPorts sync.Map // by freePort; port to true

// natsServer starts a server that knows nothing of the daemon, until stop is
// called or the test ends.
func natsServer(t *testing.T, port int, dir string) (stop func()) {
	t.Helper()
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: filepath.Join(dir, "nats"), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	stop = func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	}
	t.Cleanup(stop)
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the NATS server is not ready")
	}
	return stop
}

func natsURL(port int) string {
	return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// subscribe reads the stream while it grows, until the test ends.
func (s *stage) subscribe(url string) (events <-chan message) {
	s.t.Helper()
	nc, err := nats.Connect(url)
	s.check(err)
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	s.check(err)
	var c jetstream.Consumer
	s.eventually("the stream is there", func() bool {
		c, err = js.OrderedConsumer(s.ctx, "CTWATCH", jetstream.OrderedConsumerConfig{})
		return err == nil
	})
	ch := make(chan message, 10_000)
	cc, err := c.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			s.t.Errorf("a message that is not of the stream: %v", err)
			return
		}
		x := message{subject: m.Subject(), raw: m.Data(), sequence: meta.Sequence.Stream}
		if err := json.Unmarshal(m.Data(), &x.Event); err != nil {
			s.t.Errorf("a message that is no event: %v", err)
		}
		ch <- x
	})
	s.check(err)
	s.t.Cleanup(func() { cc.Stop(); <-cc.Closed() })
	return ch
}

// next waits for the next event of a type.
func (s *stage) next(events <-chan message, t ctwatch.EventType) message {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case m := <-events:
			if m.Type == t {
				return m
			}
		case <-late:
			s.t.Fatalf("no event %s came", t)
		}
	}
}
