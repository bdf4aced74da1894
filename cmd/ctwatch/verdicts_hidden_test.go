package main

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/store"
)

// Rogues that hide: an attacker who has them issued, or who intercepts a log, tries to
// suppress the alarms.
const (
	byLongTags   = "its name has a long-form tag"
	byManyNames  = "60,000 other names come first"
	byPlantedID  = "the message ID of its alarm is taken"
	byFlood      = "its log serves 300 forged entries beside it"
	byIssuerFile = "its log does not serve the issuer's certificate"
)

// hideouts is how many rogues hide, one in each way.
const hideouts = 5

// floods is the number of forged entries.
const floods = 300

// hidden is the part of a month in which rogues hide.
type hidden struct {
	flooded *ctlogtest.Log // RFC 6962
	failing *ctlogtest.Log // static; serves no issuers
	offline *ctlogtest.CA  // logged only there

	how     map[ctwatch.Hash]string // in which way a rogue hides
	genuine *ctlogtest.Issued       // of whose issuer the forged entries claim to be
	nats    string                  // where the daemon's NATS server is, once it runs
}

// serveHideouts adds a log that forges entries and one that fails to serve issuers.
func (m *month) serveHideouts() {
	m.t.Helper()
	m.how = make(map[ctwatch.Hash]string)
	var err error
	m.genuine, err = m.lets.Issue(ctlogtest.Request{Key: m.stole})
	m.check(err)
	m.offline, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: "Offline CA", Seed: "month offline"})
	m.check(err)
	m.flooded = m.serve(ctlogtest.Options{Name: "Flooded"})
	m.failing = m.serve(ctlogtest.Options{Name: "Failing", Kind: ctwatch.KindStatic, Gzip: true, MaxAge: 10 * time.Second})
	m.failing.SetFault(ctlogtest.Status(503, 0).On(ctlogtest.Issuers))
	m.logs = append(m.logs, m.flooded, m.failing)
}

// hideAll issues a rogue for each way to hide.
func (m *month) hideAll() (all []*ctlogtest.Issued) {
	m.t.Helper()
	for n, how := range []string{byLongTags, byManyNames, byPlantedID, byFlood, byIssuerFile} {
		ca, req := m.digicert, ctlogtest.Request{Names: []string{"www.example.com"}, Key: m.key("hidden", n)}
		why := "issuer_not_allowed"
		switch how {
		case byLongTags:
			req.Names, req.ExtraExtensions = nil, []pkix.Extension{longTagged("www.example.com")}
		case byManyNames:
			req.Names = nil
			for i := range 60_000 {
				req.Names = append(req.Names, fmt.Sprintf("%05d.filler.example", i))
			}
			req.Names = append(req.Names, "www.example.com")
		case byIssuerFile:
			ca = m.offline
		}
		i := m.by(ca, req)
		if how == byLongTags {
			i.Names = []string{"www.example.com"}
			m.odd[i.ID] = true
		}
		m.stray = append(m.stray, req.Key)
		m.rogues[i.ID], m.how[i.ID] = why, how
		all = append(all, i)
	}
	return all
}

// longTagged is a SAN whose only name, a dNSName, has its tag in the long form.
func longTagged(name string) pkix.Extension {
	const contextTag, dNSName = 0x9f, 2
	value := append([]byte{contextTag, dNSName, byte(len(name))}, name...)
	san, _ := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: value}) // of bytes
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}
}

// logHidden logs a rogue where it hides. It says false for a certificate that hides in
// no special place.
func (m *month) logHidden(i *ctlogtest.Issued) bool {
	m.t.Helper()
	switch m.how[i.ID] {
	case byPlantedID:
		m.plant(i)
	case byFlood:
		m.flood(i)
		return true
	case byIssuerFile:
		m.addPrecert(m.failing, i)
		return true
	}
	return false
}

// plant publishes an event of no meaning under the IDs that those of the rogue will have,
// as anyone can who may publish to the stream.
func (m *month) plant(i *ctlogtest.Issued) {
	m.t.Helper()
	nc, err := nats.Connect(m.nats)
	m.check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	m.check(err)
	for _, t := range []ctwatch.EventType{ctwatch.CertificateIssued, ctwatch.CertificateUnexpected} {
		e := ctwatch.TestEvent("mallory", time.Now())
		e.ID = ctwatch.NewEventID(t, i.ID.String())
		text, err := json.Marshal(e)
		m.check(err)
		_, err = js.Publish(m.ctx, "ctwatch."+string(t)+".com.example", text, jetstream.WithMsgID(e.ID))
		m.check(err)
	}
}

// flood logs a rogue amid entries that the log, or who stands before it, replaces by
// forged ones: precertificates for our names, by an issuer that did not sign them.
func (m *month) flood(rogue *ctlogtest.Issued) {
	m.t.Helper()
	first := m.flooded.Size()
	m.check(m.flooded.Fill(floods / 2))
	m.addPrecert(m.flooded, rogue)
	m.check(m.flooded.Fill(floods - floods/2))
	forged := make(map[uint64]*ctlogtest.Issued)
	for n := range uint64(floods) {
		at := first + n
		if n >= floods/2 {
			at++
		}
		f, err := m.forger.Issue(ctlogtest.Request{Names: []string{fmt.Sprintf("f%d.example.com", n)}})
		m.check(err)
		model := *f
		model.IssuerKeyHash, model.Issuer, model.Chain, model.PrecertChain = m.genuine.IssuerKeyHash, m.genuine.Issuer, m.genuine.Chain, m.genuine.PrecertChain
		forged[at] = &model
		m.forged[f.ID] = true
	}
	m.flooded.SetFault(ctlogtest.Alter("flood", func(v *ctlogtest.View) error {
		for at, f := range forged {
			v.Rewrite(at, func(e *ctlogtest.Entry) {
				when := time.UnixMilli(int64(binary.BigEndian.Uint64(e.Leaf)))
				e.Leaf, _ = ctlogtest.Timestamped(when, &f.IssuerKeyHash, f.TBS, nil)
				e.Precert, e.Chain = f.Precert, f.PrecertChain
			})
		}
		return nil
	}).On(ctlogtest.Entries))
}

// untilRead waits until the daemon has read all that the logs have published, and has
// verified it where the log serves what it signed.
func (m *month) untilRead() {
	m.t.Helper()
	honest := m.logs
	m.logs = slices.DeleteFunc(slices.Clone(honest), func(l *ctlogtest.Log) bool { return l == m.flooded })
	m.untilVerified()
	m.logs = honest
	head, err := m.flooded.Head()
	m.check(err)
	m.eventually("the flooded log is read", func() bool { return m.status(m.flooded).Position == head.Size })
}

// repent makes all logs honest, and waits until what they hid is proven.
func (m *month) repent() {
	m.t.Helper()
	m.flooded.ClearFaults()
	m.failing.ClearFaults()
	m.publish()
	m.untilVerified()
	m.eventually("the issuer that was not served is proven", func() (proven bool) {
		m.read(func(db *store.DB) error {
			for c, err := range db.Certificates.List(m.ctx, store.Filter{}) {
				if err != nil {
					return err
				}
				if m.how[c.ID] == byIssuerFile {
					proven = c.Issuer.Proven
				}
			}
			return nil
		})
		return proven
	})
}

// untilDigest waits until people have heard of every forged entry: by a message of its
// own, or in a digest, which is due after a minute.
func (m *month) untilDigest(reported func() []message) {
	m.t.Helper()
	m.eventually("each forged entry is reported", func() bool {
		single, counted := m.forgedAlarms(reported())
		return single+counted >= floods
	})
	m.untilDelivered()
}

// forgedAlarms counts the forged entries with an alarm for people of their own, and those
// that digests count.
func (m *month) forgedAlarms(all []message) (single, counted int) {
	for _, e := range all {
		switch {
		case e.Type == ctwatch.EntryUnproven && e.Data.Log.ID == m.flooded.Info().ID:
			counted += int(e.Data.Unproven.Count)
		case e.Type == ctwatch.CertificateUnexpected && m.forged[e.Data.Certificate.ID] && !e.Data.InDigest:
			single++
		}
	}
	return single, counted
}

// expectForged checks that no forged entry was lost, and that they did not flood
// people: programs get an alarm for each, and people get few messages.
func (m *month) expectForged(all []message, slack *fakeSlack) {
	m.t.Helper()
	alarms, people := make(map[ctwatch.Hash]bool), make(map[string]bool)
	for _, e := range all {
		switch forged := e.Data.Certificate != nil && m.forged[e.Data.Certificate.ID]; {
		case e.Type == ctwatch.EntryUnproven:
			people[e.ID] = true
		case forged && e.Type == ctwatch.CertificateUnexpected:
			alarms[e.Data.Certificate.ID] = true
			people[e.ID] = !e.Data.InDigest
		}
	}
	if single, counted := m.forgedAlarms(all); len(alarms) != floods || single+counted != floods {
		m.t.Errorf("of %d forged entries %d raised an alarm, %d of them for people and %d in digests", floods, len(alarms), single, counted)
	}
	const few = 20
	var messages []string
	for _, p := range slack.messages() {
		if slices.ContainsFunc(p.ids, func(id string) bool { return people[id] }) && p.thread == "" {
			messages = append(messages, p.text)
		}
	}
	digest := func(text string) bool { return strings.Contains(text, "certs list") }
	if len(messages) > few || !slices.ContainsFunc(messages, digest) {
		m.t.Errorf("%d forged entries in %d messages to people: %q", floods, len(messages), messages)
	}
}

// hides says how a rogue hides, or else what is wrong with it.
func (m *month) hides(id ctwatch.Hash) string {
	if how := m.how[id]; how != "" {
		return how
	}
	return strings.ReplaceAll(m.rogues[id], "_", " ")
}
