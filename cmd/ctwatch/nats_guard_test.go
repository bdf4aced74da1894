package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
)

// TestStreamThatOthersTouch: a message that somebody planted under the ID of an alarm keeps no
// event out, and after the stream was deleted it has the events of the last day again. Both
// are in "notify status".
func TestStreamThatOthersTouch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	port := freePort(t)
	natsServer(t, port, t.TempDir())
	config := s.config(fmt.Sprintf("nats: {url: %q}\n", natsURL(port)))
	p := person{s, config}
	nc, err := nats.Connect(natsURL(port))
	s.check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	s.check(err)

	s.start(config)
	s.eventually("the stream is there", func() bool { _, err := js.Stream(s.ctx, "CTWATCH"); return err == nil })
	i := s.watched("pay.example.com")
	id := ctwatch.NewEventID(ctwatch.CertificateIssued, i.ID.String())
	_, err = js.Publish(s.ctx, "ctwatch.x", []byte("planted"), jetstream.WithMsgID(id))
	s.check(err)
	s.addFinal(s.static, i)
	s.publish()
	s.untilVerified()
	s.untilDelivered()

	// stored returns the IDs of the events in the stream.
	stored := func() (ids []string) {
		t.Helper()
		stream, err := js.Stream(s.ctx, "CTWATCH")
		s.check(err)
		state := stream.CachedInfo().State
		for seq := max(1, state.FirstSeq); seq <= state.LastSeq; seq++ { // none in a new one
			m, err := stream.GetMsg(s.ctx, seq)
			s.check(err)
			if string(m.Data) == "planted" {
				continue
			}
			var e ctwatch.Event
			s.check(json.Unmarshal(m.Data, &e))
			ids = append(ids, e.ID)
		}
		return ids
	}
	before := stored()
	if !slices.Contains(before, id) {
		t.Fatalf("the event is not in the stream, which has %v", before)
	}
	warned := func(code string) bool {
		t.Helper()
		var all []ctwatch.SenderStatus
		s.check(json.Unmarshal([]byte(p.does(exitDone, "notify", "status", "--json")), &all))
		n := slices.IndexFunc(all, func(x ctwatch.SenderStatus) bool { return x.Name == "nats" })
		return n >= 0 && slices.ContainsFunc(all[n].Warnings, func(w ctwatch.SenderWarning) bool { return w.Code == code && w.Times == 1 })
	}
	if !warned("planted_message") || warned("stream_lost") {
		t.Errorf("notify status: %s", p.does(exitDone, "notify", "status"))
	}

	s.check(js.DeleteStream(s.ctx, "CTWATCH"))
	s.addFinal(s.static, s.watched("www.example.com")) // which has the daemon find out at once
	s.publish()
	s.untilVerified()
	s.eventually("the events are there again", func() bool {
		if _, err := js.Stream(s.ctx, "CTWATCH"); err != nil {
			return false
		}
		now := stored()
		return len(now) > len(before) && !slices.ContainsFunc(before, func(id string) bool { return !slices.Contains(now, id) })
	})
	s.untilDelivered()
	if got := stored(); len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
		t.Errorf("an event is in the new stream twice: %v", got)
	}
	if text := p.does(exitDone, "notify", "status"); !warned("stream_lost") || !strings.Contains(text, "Warning about nats (stream_lost, since") {
		t.Errorf("notify status: %s", text)
	}
}

// TestManyNamesReachConsumers: a certificate whose event would exceed what a NATS server takes
// is published like any other, with the name that is watched first, and "certs show" has all names.
func TestManyNamesReachConsumers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	port := freePort(t)
	natsServer(t, port, t.TempDir()) // max_payload is 1 MiB
	config := s.config(fmt.Sprintf("nats: {url: %q}\n", natsURL(port)))
	const n = 20_000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d.other.test", strings.Repeat("a", 50), i)
	}
	names[n/2] = "pay.example.com"
	s.start(config)
	i := s.watched(names...)
	s.addFinal(s.static, i)
	s.publish()
	s.untilVerified()
	s.untilDelivered()

	reported := 0
	for _, m := range s.stream(natsURL(port)) { // each is what the schema says
		c := m.Data.Certificate
		if c == nil {
			continue
		}
		reported++
		if len(m.raw) > 64<<10 || c.Names[0] != "pay.example.com" || len(c.Names)+c.Omitted["names"] != n {
			t.Errorf("%s: %d bytes, %d names, the first %q, omitted %v", m.Type, len(m.raw), len(c.Names), c.Names[0], c.Omitted)
		}
	}
	if reported < 2 {
		t.Errorf("%d events about the certificate", reported)
	}
	var c ctwatch.Certificate
	s.check(json.Unmarshal([]byte(person{s, config}.does(exitDone, "certs", "show", i.ID.String(), "--json")), &c))
	if len(c.Names) != n || c.Omitted != nil {
		t.Errorf("certs show has %d names, omitted %v", len(c.Names), c.Omitted)
	}
}
