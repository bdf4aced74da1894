package operator_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/planner"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	api = "api.example.com"
	www = "www.example.com"
	day = 24 * time.Hour
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Who makes changes in tests.
var (
	alice = operator.By{Name: "alice", Means: operator.Command}
	bob   = operator.By{Name: "bob", Means: operator.Slack}
)

func pin(name string) pins.Pin { return pins.FromSPKI([]byte(name)) }

func hosts(names ...string) (out []pins.Pattern) {
	for _, n := range names {
		p, err := pins.PatternOf(n)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

// rules are what a version requires of api.
type rules []pins.Requirement

func (r rules) Requirements(host string, _ time.Time) []pins.Requirement {
	if host == api {
		return r
	}
	return nil
}
func (r rules) Ends(string) time.Time    { return time.Time{} }
func (r rules) Patterns() []pins.Pattern { return hosts(api) }

// shop is an app that pins leaf keys of api; its only version, 1.0, ships some keys.
func shop(keys ...pins.Pin) pins.App {
	app := pins.App{Name: "shop", Hosts: hosts(api), Role: pins.RoleLeaf, MinPins: 2, LeadTime: 14 * day}
	if keys != nil {
		app.Versions = []pins.Version{{Name: "1.0", Rules: rules{{Pins: keys}}}}
	}
	return app
}

// A lab is an operator over a real store, with a clock that stands still.
type lab struct {
	*operator.Operator
	t       *testing.T
	db      *store.DB
	options operator.Options
	log     ctwatch.Log
	entries uint64
}

func newLab(t *testing.T, apps ...pins.App) *lab {
	t.Helper()
	l := &lab{t: t}
	clock := func() time.Time { return now }
	var err error
	l.db, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "ctwatch.db"), store.Options{Logger: slog.New(slog.DiscardHandler), Now: clock})
	l.must(err)
	t.Cleanup(func() { l.must(l.db.Close()) })
	l.must(l.db.Outbox.Register(t.Context(), "test"))
	key := []byte("key of a log")
	l.log = ctwatch.Log{ID: ctwatch.LogIDOf(key), Name: "Lab", Kind: ctwatch.KindStatic, State: ctwatch.LogUsable, Key: key, URL: "https://log.example/"}
	_, err = l.db.Logs.Follow(t.Context(), l.log)
	l.must(err)
	l.must(l.db.Logs.Start(t.Context(), l.log.ID, ctwatch.Tree{}, ctwatch.Head{Timestamp: now, Raw: []byte("signed")}, ""))
	l.with(operator.Options{
		Certificates: l.db.Certificates, Keys: l.db.Keys, Versions: l.db.Apps, Configured: apps, Now: clock,
		Facts: &planner.FactStore{Store: l.db.Plans, CAs: l.db.Issuers, Roots: x509.NewCertPool()},
	})
	return l
}

// with makes a new operator.
func (l *lab) with(o operator.Options) {
	l.t.Helper()
	l.options, l.Operator = o, operator.New(o)
	l.refresh()
}

func (l *lab) refresh() {
	l.t.Helper()
	l.must(l.Refresh(l.t.Context()))
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// certificate makes one up with a key, for names.
func certificate(key string, names ...string) ctwatch.Certificate {
	c := ctwatch.Certificate{
		ID: sha256.Sum256(fmt.Append(nil, key, names)), Serial: "1", Names: names,
		NotBefore: now.Add(-day), NotAfter: now.Add(89 * day), Issuer: ctwatch.Issuer{Name: "CN=CA", Pin: pin("CA"), Proven: true},
		Key: ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pin(key)}, Verdict: ctwatch.Unreviewed, FirstSeen: now,
	}
	for _, n := range names {
		c.Matches = append(c.Matches, ctwatch.Match{Watch: ".example.com", Name: n, Domain: "example.com"})
	}
	c.SetPins()
	return c
}

// logged has a log show certificates, and reads the facts.
func (l *lab) logged(certs ...ctwatch.Certificate) {
	l.t.Helper()
	for _, c := range certs {
		c.Sightings = []ctwatch.Sighting{{Log: l.log.Name, LogID: l.log.ID, Index: l.entries, Timestamp: now, Kind: ctwatch.FinalCertificate}}
		l.entries++
		l.must(l.db.Logs.Record(l.t.Context(), ctwatch.Batch{Log: l.log.ID, End: l.entries, Found: []ctwatch.Found{{
			Certificate: c, LeafHash: sha256.Sum256(fmt.Append(nil, l.entries)), TBS: []byte(c.ID.String()), DER: c.ID[:],
		}}}, l.entries))
	}
	l.refresh()
}

// served has api serve a certificate, and reads the facts.
func (l *lab) served(c ctwatch.Certificate) {
	l.t.Helper()
	l.must(l.db.Endpoints.Observe(l.t.Context(), pins.Look{
		Endpoint: pins.Endpoint{Host: api}, At: now, Addresses: []pins.Address{{Addr: "192.0.2.1:443", Served: []pins.Served{{
			Chain: pins.Chain{Pins: []pins.Pin{c.Key.Pin, pin("CA"), pin("root")}}, Certificates: [][]byte{c.ID[:]}, CommonName: api,
		}}}},
	}, func([]byte) ctwatch.Certificate { return c }))
	l.refresh()
}

// approved declares server keys for api, as a person does.
func (l *lab) approved(keys ...string) { l.t.Helper(); l.approvedFor(api, keys...) }

func (l *lab) approvedFor(host string, keys ...string) {
	l.t.Helper()
	for _, k := range keys {
		_, err := l.db.Keys.Approve(l.t.Context(), pins.Approval{
			Pin: pin(k), Role: pins.RoleLeaf, Hosts: hosts(host), Declare: true, Actor: pins.Person, By: "carol", Reason: "ours",
		})
		l.must(err)
	}
	l.refresh()
}

func (l *lab) compromised(key string) {
	l.t.Helper()
	l.must(l.db.Keys.Retire(l.t.Context(), pin(key), true, "carol", "leaked"))
	l.refresh()
}

// key writes the state of a key in a role, and what it is approved for.
func (l *lab) key(p pins.Pin, role pins.Role) string {
	l.t.Helper()
	l.refresh()
	keys, err := l.Keys(l.t.Context(), p)
	l.must(err)
	for _, k := range keys {
		if k.Role == role {
			return fmt.Sprint(k.State, " ", k.ApprovedFor)
		}
	}
	return "unknown"
}

// audit writes the audit trail of changes by people.
func (l *lab) audit() (out []string) {
	l.t.Helper()
	all, err := l.db.Keys.History(l.t.Context(), pins.Pin{}, 0)
	l.must(err)
	for _, r := range all {
		if r.Actor != pins.Person {
			continue
		}
		what := r.Action
		switch r.Action {
		case "state":
			what = fmt.Sprintf("%s→%s", r.From, r.To)
		case "approve":
			what = fmt.Sprint("approve ", r.Hosts)
		case "judge":
			what = "judge " + r.Verdict
		case "import", "drop":
			what += " " + r.App + " " + r.Version
		}
		out = append(out, fmt.Sprintf("%s by %s: %s", what, r.By, r.Reason))
	}
	return out
}

// wantAudit compares the audit trail of changes by people.
func (l *lab) wantAudit(want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.audit()); diff != "" {
		l.t.Errorf("audit trail (-want +got):\n%s", diff)
	}
}

// everything writes all that changes leave in the store: certificates, keys, versions, the
// audit trail and events.
func (l *lab) everything() string {
	l.t.Helper()
	ctx := l.t.Context()
	var all []any
	for c, err := range l.db.Certificates.List(ctx, store.Filter{}) {
		l.must(err)
		all = append(all, c)
	}
	keys, err := l.db.Keys.List(ctx, pins.PinRole{}, 0)
	l.must(err)
	history, err := l.db.Keys.History(ctx, pins.Pin{}, 0)
	l.must(err)
	shipped, err := l.db.Apps.Shipped(ctx)
	l.must(err)
	queued, err := l.db.Outbox.Pending(ctx, "test", 1_000_000)
	l.must(err)
	var events []ctwatch.Event
	for _, q := range queued {
		events = append(events, q.Event)
	}
	text, err := json.MarshalIndent(append(all, keys, history, shipped, events), "", " ")
	l.must(err)
	return string(text)
}

// refused checks that a change is refused, by an operator.Code or with an error, and that
// nothing is left of it.
func (l *lab) refused(name string, want any, change func() error) {
	l.t.Helper()
	before := l.everything()
	err := change()
	var refusal *operator.Error
	switch want := want.(type) {
	case operator.Code:
		if !errors.As(err, &refusal) || refusal.Code != want {
			l.t.Errorf("%s: %v, want the code %s", name, err, want)
		}
	case error:
		if !errors.Is(err, want) || errors.As(err, &refusal) {
			l.t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if diff := cmp.Diff(before, l.everything()); diff != "" {
		l.t.Errorf("%s: a refused change changes (-before +after):\n%s", name, diff)
	}
}

// interrupted is a context that has ended.
func interrupted(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// pinFile is a file in ctwatch's own format, which pins keys of a host.
func pinFile(t *testing.T, name, host string, keys ...string) operator.PinFile {
	t.Helper()
	var list []string
	for _, k := range keys {
		list = append(list, fmt.Sprintf("%q", pin(k)))
	}
	return readFile(t, name, fmt.Sprintf(`{"hosts": {%q: [%s]}}`, host, strings.Join(list, ", ")))
}

func readFile(t *testing.T, name, content string) operator.PinFile {
	t.Helper()
	f, read, err := format.ReadFile(name, []byte(content), "")
	if err != nil {
		t.Fatal(err)
	}
	return operator.PinFile{Name: name, Content: []byte(content), Format: f, Rules: read}
}
