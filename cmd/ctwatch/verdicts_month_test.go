package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestMonthOfRenewalsAlarmsOnlyForRogues plays a month of issuance,
// duplicated over two logs, from the logs to Slack: thousands of renewals that the rules
// allow, and among them fifty unauthorized certificates of ten kinds, and five that
// hide. The daemon is the program as it is shipped.
func TestMonthOfRenewalsAlarmsOnlyForRogues(t *testing.T) {
	t.Parallel()
	renewals := 2500
	switch {
	case thorough():
		renewals = 10_000
	case testing.Short():
		renewals = 1000
	}
	const ordinary, rogues = 50, 50 + hideouts
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	m := newMonth(t)
	issued := m.issueAll(renewals, ordinary)

	slack := newFakeSlack(t)
	m.write(slack.config())
	m.seed()
	d := m.runProgram(program, m.config)
	m.nats = d.natsURL()
	reported := m.collect(m.nats)

	// A fifth of the month is there at once; the rest comes while the daemon reads.
	const portion = 250
	for n, c := range issued {
		m.logOften(c)
		if n >= renewals/5 && n%portion == 0 || n == len(issued)-1 {
			m.fill(10)
			m.publish()
			m.untilRead()
		}
	}
	m.eventually("there is an alarm for each rogue", func() bool { return count(reported(), ctwatch.CertificateUnexpected) >= rogues+floods })
	m.untilDelivered()
	m.repent()
	m.untilDigest(reported)

	m.expectVerdicts(renewals, rogues)
	m.expectAlarms(reported(), slack)
	m.expectForged(reported(), slack)
	m.expectTrust()
	m.expectTruth()
	if d.signal(syscall.SIGTERM); d.status != 0 {
		t.Errorf("the daemon ended with status %d", d.status)
	}
}

// A month is a stage with CAs that the rules know, and services of ours.
type month struct {
	person
	random *rand.Rand

	hidden

	lets, google, digicert, private, forger *ctlogtest.CA

	dns   string
	keys  []crypto.Signer // of our services
	stray []crypto.Signer // of others
	stole crypto.Signer   // it was ours

	allowed map[ctwatch.Hash]*ctlogtest.Issued
	rogues  map[ctwatch.Hash]string // what is wrong with each
	model   *ctlogtest.Issued       // for a look-alike
}

func newMonth(t *testing.T) *month {
	m := &month{
		person: person{stage: newStage(t)}, random: rand.New(rand.NewPCG(5, 50)),
		allowed: make(map[ctwatch.Hash]*ctlogtest.Issued), rogues: make(map[ctwatch.Hash]string),
	}
	for _, c := range []struct {
		ca         **ctlogtest.CA
		name, seed string
	}{
		{&m.lets, "Let's Encrypt", "1"},
		{&m.google, "Google Trust Services", "2"},
		{&m.digicert, "DigiCert Inc", "3"},
		{&m.private, "Apps CA", "4"},
		{&m.forger, "Let's Encrypt", "5"}, // so it says
	} {
		var err error
		*c.ca, err = ctlogtest.NewCA(ctlogtest.CAOptions{Name: c.name, Seed: "month " + c.seed})
		m.check(err)
	}
	for i := range 200 {
		m.keys = append(m.keys, m.key("ours", i))
	}
	for i := range 50 {
		m.stray = append(m.stray, m.key("not ours", i))
	}
	m.stole = m.key("stolen", 0)
	m.serveHideouts()
	m.dns = serveCAA(t, map[string]string{
		"caa.example.com": `0 issue "letsencrypt.org"`, "locked.example.com": `0 issue ";"`,
	})
	return m
}

func (m *month) key(what string, i int) crypto.Signer {
	m.t.Helper()
	k, err := ctlogtest.SeededKey(fmt.Sprintf("month %s %d", what, i))
	m.check(err)
	return k
}

// issuingPin is the pin of the key that a CA signs certificates with.
func (m *month) issuingPin(ca *ctlogtest.CA) pins.Pin {
	m.t.Helper()
	i, err := ca.Issue(ctlogtest.Request{Key: m.stole})
	m.check(err)
	return i.IssuerPin
}

func pinOfKey(k crypto.Signer) pins.Pin {
	spki, _ := x509.MarshalPKIXPublicKey(k.Public()) // of ECDSA keys
	return pins.FromSPKI(spki)
}

// write writes the configuration.
func (m *month) write(more string) {
	m.t.Helper()
	m.config = filepath.Join(m.t.TempDir(), "ctwatch.yaml")
	text := fmt.Sprintf(`data_dir: %q
watch:
  - domain: example.com
    issuers: [letsencrypt.org, pki.goog]
    never: [.internal.example.com]
    algorithms: ["ECDSA P-256"]
    max_validity: 100d
  - {domain: pay.example.com, issuers: [digicert.com], wildcards: false}
  - {domain: apps.example.com, issuers: [%q]}
  - {domain: pinned.example.com, subdomains: false, keys: [%q, %q]}
  - {domain: caa.example.com, issuers: [letsencrypt.org, pki.goog], caa: true}
  - {domain: locked.example.com, issuers: [letsencrypt.org], caa: true}
dns: {servers: [%q]}
apps:
  - {name: shop, hosts: [www.example.com, pay.example.com, pinned.example.com], lead_time: 48h}
nats: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
probe: {interval: 1h}
%s%s`, m.dir, m.issuingPin(m.private), pinOfKey(m.keys[0]), pinOfKey(m.keys[1]), m.dns, m.logsConfig(), more)
	m.check(os.WriteFile(m.config, []byte(text), 0o600))
}

// seed has the store know what it would know after years: the issuing keys of CAs,
// whose roots cannot sign here, and that one of our keys was stolen.
func (m *month) seed() {
	m.t.Helper()
	stolen := pinOfKey(m.stole).String()
	m.does(exitDone, "certs", "authorize", stolen, "--domain", "www.example.com", "--reason", "once")
	m.does(exitDone, "pins", "retire", stolen, "--compromised", "--reason", "stolen", "--yes")
	db, err := store.OpenShared(m.ctx, filepath.Join(m.dir, "ctwatch.db"), store.Options{})
	m.check(err)
	defer db.Close()
	for _, known := range []struct {
		ca     *ctlogtest.CA
		anchor string
	}{
		{m.lets, "sha256/C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M="},     // ISRG Root X1
		{m.google, "sha256/hxqRlPTu1bMS/0DITB1SSu0vd4u/8l8TjPgfaAp63Gc="},   // GTS Root R1
		{m.digicert, "sha256/i7WTqTvh0OioIruIfFR4kMPnBqrS2rdiVPl/s2uC/CY="}, // DigiCert Global Root G2
	} {
		anchor, err := pins.Parse(known.anchor)
		m.check(err)
		m.check(db.Issuers.AddKeys(m.ctx, ctwatch.IssuerKey{
			Pin: m.issuingPin(known.ca), Anchor: anchor, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		}))
	}
}

// issueAll issues a month's certificates, in any order.
func (m *month) issueAll(renewals, rogues int) []*ctlogtest.Issued {
	m.t.Helper()
	var all []*ctlogtest.Issued
	for i := range renewals {
		c := m.renewal(i)
		if m.model == nil && c.Names[0] == "pinned.example.com" {
			m.model = c
		}
		m.allowed[c.ID] = c
		all = append(all, c)
	}
	for i := range rogues {
		c, what := m.rogue(i)
		m.rogues[c.ID] = what
		all = append(all, c)
	}
	all = append(all, m.hideAll()...)
	if len(m.allowed) != renewals || len(m.rogues) != rogues+hideouts {
		m.t.Fatalf("%d and %d different certificates", len(m.allowed), len(m.rogues))
	}
	m.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// by has a CA issue.
func (m *month) by(ca *ctlogtest.CA, req ctlogtest.Request) *ctlogtest.Issued {
	m.t.Helper()
	m.stage.ca = ca
	return m.issue(req)
}

// renewal issues what the rules allow.
func (m *month) renewal(i int) *ctlogtest.Issued {
	m.t.Helper()
	some := func(names ...string) ctlogtest.Request {
		return ctlogtest.Request{Names: names, Key: m.keys[2+m.random.IntN(len(m.keys)-2)]}
	}
	switch i % 7 {
	case 0:
		return m.by(m.lets, some("www.example.com", "cdn.example.com"))
	case 1:
		return m.by(m.google, some("cdn.example.com"))
	case 2:
		return m.by(m.digicert, some("pay.example.com"))
	case 3:
		return m.by(m.private, some(fmt.Sprintf("app%d.apps.example.com", i)))
	case 4:
		return m.by(m.forger, ctlogtest.Request{Names: []string{"pinned.example.com"}, Key: m.keys[i%2]}) // of any CA
	case 5:
		return m.by(m.lets, some("*.example.org.cdn.example.com"))
	}
	return m.by(m.lets, some("caa.example.com"))
}

// rogue issues what nobody ordered, and says what is wrong with it.
func (m *month) rogue(i int) (*ctlogtest.Issued, string) {
	m.t.Helper()
	some := func(names ...string) ctlogtest.Request {
		return ctlogtest.Request{Names: names, Key: m.stray[i]}
	}
	switch i % 10 {
	case 0:
		return m.by(m.digicert, some("www.example.com")), "issuer_not_allowed"
	case 1:
		return m.by(m.forger, some("www.example.com")), "issuer_not_allowed" // with the name of one that is
	case 2: // the number and the subject of one of ours, and another key
		req := some("pinned.example.com")
		der, err := m.model.Final()
		m.check(err)
		c, err := x509.ParseCertificate(der)
		m.check(err)
		req.Serial, req.Subject = c.SerialNumber, c.RawSubject
		return m.by(m.forger, req), "key_not_allowed"
	case 3:
		return m.by(m.lets, some("db.internal.example.com")), "name_never"
	case 4:
		return m.by(m.digicert, some("*.pay.example.com")), "wildcard_not_allowed"
	case 5:
		req := some("www.example.com")
		req.NotBefore = time.Now().Add(-time.Hour)
		req.NotAfter = req.NotBefore.AddDate(1, 0, 0)
		return m.by(m.lets, req), "validity_too_long"
	case 6:
		req := some("www.example.com")
		k, err := ecdsa.GenerateKey(elliptic.P384(), crand.Reader)
		m.check(err)
		req.Key = k
		m.stray[i] = k
		return m.by(m.lets, req), "algorithm_not_allowed"
	case 7:
		return m.by(m.lets, some("locked.example.com")), "caa_forbids"
	case 8:
		req := some("www.example.com")
		req.Key = m.stole
		return m.by(m.lets, req), "key_compromised"
	}
	return m.by(m.lets, some("www.example.com", "pay.example.com")), "issuer_not_allowed" // somebody else's name besides
}

// logOften puts a certificate into one log or both, in one form or both.
func (m *month) logOften(i *ctlogtest.Issued) {
	m.t.Helper()
	if m.logHidden(i) {
		return
	}
	first := m.random.IntN(2)
	sct := m.addPrecert(m.logs[first], i)
	if m.random.IntN(3) == 0 {
		m.addPrecert(m.logs[1-first], i)
	}
	if m.random.IntN(3) == 0 {
		m.addFinal(m.logs[m.random.IntN(2)], i, sct)
	}
}

// collect gathers the events of the stream while they come, and returns those so far.
func (m *month) collect(url string) func() []message {
	m.t.Helper()
	var mu sync.Mutex
	var all []message
	events := m.subscribe(url)
	go func() {
		for {
			select {
			case e := <-events:
				mu.Lock()
				all = append(all, e)
				mu.Unlock()
			case <-m.ctx.Done():
				return
			}
		}
	}()
	return func() []message {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// count counts the events of a type.
func count(all []message, t ctwatch.EventType) (n int) {
	for _, e := range all {
		if e.Type == t {
			n++
		}
	}
	return n
}

// expectVerdicts checks what is recorded of each certificate.
func (m *month) expectVerdicts(renewals, rogues int) {
	m.t.Helper()
	count := make(map[ctwatch.Verdict]int)
	m.read(func(db *store.DB) error {
		for c, err := range db.Certificates.List(m.ctx, store.Filter{}) {
			if err != nil {
				return err
			}
			if m.forged[c.ID] {
				if c.Verdict != ctwatch.Unexpected {
					m.t.Errorf("%v, which is forged, is %s: %q", c.Names, c.Verdict, c.Reasons)
				}
				continue
			}
			count[c.Verdict]++
			what, rogue := m.rogues[c.ID]
			switch {
			case rogue && (c.Verdict != ctwatch.Unexpected || !slices.Contains(c.Reasons, what)):
				m.t.Errorf("%v, a rogue (%s), is %s: %q", c.Matches, m.hides(c.ID), c.Verdict, c.Reasons)
			case !rogue && c.Verdict != ctwatch.Expected:
				m.t.Errorf("%v is %s: %q", c.Names, c.Verdict, c.Reasons)
			}
		}
		return nil
	})
	if count[ctwatch.Expected] != renewals || count[ctwatch.Unexpected] != rogues {
		m.t.Errorf("verdicts: %v", count)
	}
}

// expectAlarms checks that exactly the rogues raised an alarm, once each, on NATS and
// on Slack, and says how long it took from reading to Slack.
func (m *month) expectAlarms(all []message, slack *fakeSlack) {
	m.t.Helper()
	read := make(map[ctwatch.Hash]time.Time)
	alarm := make(map[string]ctwatch.Hash)
	raised := make(map[ctwatch.Hash]int)
	ours := make(map[string]bool) // events about what is expected, by ID
	for _, e := range all {
		if c := e.Data.Certificate; c != nil {
			ours[e.ID] = m.allowed[c.ID] != nil
		}
		switch e.Type {
		case ctwatch.CertificateIssued:
			read[e.Data.Certificate.ID] = e.Time
		case ctwatch.CertificateUnexpected:
			if m.forged[e.Data.Certificate.ID] || e.Data.InDigest {
				continue // in_digest: the alarm comes again, once it is proven
			}
			raised[e.Data.Certificate.ID]++
			alarm[e.ID] = e.Data.Certificate.ID
		}
	}
	for id, n := range raised {
		if _, ok := m.rogues[id]; !ok || n != 1 {
			m.t.Errorf("certificate %v raised %d alarms (it is a rogue: %v)", id, n, ok)
		}
	}
	if len(raised) != len(m.rogues) {
		m.t.Errorf("%d of %d rogues raised an alarm", len(raised), len(m.rogues))
	}

	reported := make(map[ctwatch.Hash]int)
	other := make(map[string]int)
	var took []time.Duration
	late := make(map[string]time.Duration) // the latest of each kind
	for _, p := range slack.messages() {
		if slices.ContainsFunc(p.ids, func(id string) bool { return ours[id] }) {
			m.t.Errorf("Slack got a message about an expected certificate: %s", p.text)
		}
		if len(p.ids) == 0 || p.thread != "" {
			continue // facts that came later
		}
		id, ok := alarm[p.ids[len(p.ids)-1]]
		if !ok {
			other[p.text]++
			continue
		}
		if reported[id]++; reported[id] == 1 {
			after := p.at.Sub(read[id])
			took = append(took, after)
			late[m.hides(id)] = max(late[m.hides(id)], after)
		}
	}
	for id := range m.rogues {
		if reported[id] != 1 {
			m.t.Errorf("Slack has %d alarms of a rogue (%s)", reported[id], m.hides(id))
		}
	}
	m.t.Logf("Slack was also reported: %v", other)
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	m.t.Logf("from reading to Slack: median %v, 90%% within %v, the last %v; the last by kind: %v",
		took[len(took)/2].Round(time.Millisecond), took[len(took)*9/10].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), late)
}

// expectTrust checks that no rogue's key is trusted anywhere, and that rules approved
// each of ours.
func (m *month) expectTrust() {
	m.t.Helper()
	ours := make(map[pins.Pin]bool)
	for _, c := range m.allowed {
		ours[c.LeafPin] = true
	}
	bad := []pins.Pin{pinOfKey(m.stole)}
	for _, k := range m.stray {
		bad = append(bad, pinOfKey(k))
	}
	var keys []pins.Key
	m.check(json.Unmarshal([]byte(m.does(exitDone, "pins", "list", "--json")), &keys))
	listed := func(p pins.Pin) bool { // in the rules; seeing it approved it
		return p == pinOfKey(m.keys[0]) || p == pinOfKey(m.keys[1])
	}
	approved := 0
	for _, k := range keys {
		switch {
		case k.Role != pins.RoleLeaf:
		case ours[k.Pin]:
			approved++
			if k.State != pins.StateApproved || len(k.ApprovedFor) == 0 || k.By != "policy" && !listed(k.Pin) {
				m.t.Errorf("our key %s is %s by %s for %v", k.Pin, k.State, k.By, k.ApprovedFor)
			}
		case k.State.Trusted() || len(k.ApprovedFor) > 0:
			m.t.Errorf("a rogue's key is %s by %s for %v", k.State, k.By, k.ApprovedFor)
		}
	}
	if approved != len(ours) {
		m.t.Errorf("%d of %d keys of ours are approved", approved, len(ours))
	}
	texts := make(map[string]string)
	_, texts["plan"], _ = m.tries("pins", "plan", "--json")
	for _, f := range []string{"json", "android", "okhttp"} {
		texts[f] = m.does(exitDone, "pins", "export", "--app", shop, "--format", f)
	}
	base := func(p pins.Pin) string { return strings.TrimPrefix(p.String(), "sha256/") }
	for name, text := range texts {
		if name == "json" { // that the stolen key is revoked is to be known
			_, rest, ok := strings.Cut(text, base(pinOfKey(m.stole)))
			if !ok || strings.Contains(rest, base(pinOfKey(m.stole))) {
				m.t.Errorf("the stolen key is not revoked, once:\n%s", text)
			}
			text = strings.ReplaceAll(text, base(pinOfKey(m.stole)), "")
		}
		if !strings.Contains(text, base(pinOfKey(m.keys[0]))) {
			m.t.Errorf("%s lacks our key", name)
		}
		for _, p := range bad {
			if strings.Contains(text, base(p)) {
				m.t.Errorf("%s has a rogue's key %s", name, p)
			}
		}
	}
}

// serveCAA serves CAA records on loopback until the test ends; other names have none.
func serveCAA(t *testing.T, records map[string]string) (address string) {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
		reply := new(dns.Msg).SetReply(q)
		reply.RecursionAvailable = true
		if text, ok := records[name]; ok && q.Question[0].Qtype == dns.TypeCAA {
			rr, err := dns.NewRR(name + ". 300 IN CAA " + text)
			if err != nil {
				t.Error(err)
				return
			}
			reply.Answer = append(reply.Answer, rr)
		} else {
			soa, _ := dns.NewRR(name + ". 600 IN SOA ns. hostmaster. 1 2 3 4 120")
			reply.Ns = append(reply.Ns, soa)
		}
		_ = w.WriteMsg(reply)
	})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: pc, Handler: handler, NotifyStartedFunc: func() { close(started) }}
	var running sync.WaitGroup
	running.Go(func() { _ = server.ActivateAndServe() })
	<-started
	t.Cleanup(func() { _ = server.Shutdown(); running.Wait() })
	return pc.LocalAddr().String()
}
