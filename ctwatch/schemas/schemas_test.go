package schemas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/schemas"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// compile compiles one of the schemas, with formats and encodings checked.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	const base = "https://schemas.invalid/"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	names, err := fs.Glob(schemas.FS, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := schemas.FS.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		if err := c.AddResource(base+n, doc); err != nil {
			t.Fatalf("%s: %v", n, err)
		}
	}
	s, err := c.Compile(base + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, document []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var now = time.Date(2026, 11, 20, 10, 0, 0, 123_000_000, time.UTC)

func certificate() ctwatch.Certificate {
	fp := ctwatch.Hash{1}
	c := ctwatch.Certificate{
		ID: ctwatch.Hash{2}, Serial: "0a1b", Names: []string{"api.example.com"}, IPAddresses: []string{"192.0.2.1"},
		Subject: "CN=api.example.com", NotBefore: now, NotAfter: now.AddDate(0, 3, 0),
		Issuer:    ctwatch.Issuer{Name: "CN=E7", Pin: pins.FromSPKI([]byte("issuer")), Proven: true, CAA: "letsencrypt.org"},
		Key:       ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.FromSPKI([]byte("leaf"))},
		Matches:   []ctwatch.Match{{Watch: "example.com", Name: "api.example.com", Domain: "example.com"}},
		Verdict:   ctwatch.Unreviewed,
		FirstSeen: now, Sightings: []ctwatch.Sighting{sighting()},
		Fingerprints: ctwatch.Fingerprints{Precertificate: &fp},
	}
	c.SetPins()
	return c
}

func sighting() ctwatch.Sighting {
	return ctwatch.Sighting{Log: "Lab", LogID: ctwatch.LogIDOf([]byte("key")), Index: 12, Timestamp: now, Kind: ctwatch.Precertificate}
}

func key() pins.Key {
	return pins.Key{
		Pin: pins.FromSPKI([]byte("leaf")), Role: pins.RoleLeaf, Algorithm: "ECDSA P-256", State: pins.StateSeen,
		Hosts: []string{"example.com"}, ApprovedFor: []pins.Pattern{{Name: "example.com", Reach: pins.AllBelow}}, Certificates: []string{ctwatch.Hash{2}.String()}, Apps: []pins.AppVersion{{Name: "shop", Version: "5.2"}},
		FirstSeen: now, ChangedAt: now, By: "log",
	}
}

func status() ctwatch.LogStatus {
	return ctwatch.LogStatus{
		Name: "Lab", ID: ctwatch.LogIDOf([]byte("key")), Kind: ctwatch.KindStatic, State: ctwatch.LogUsable,
		TreeSize: 100, Position: 90, Verified: 80, LagEntries: 10, LagSeconds: 1.5, LastHeadAt: &now,
	}
}

func events() map[string]ctwatch.Event {
	unreadable := ctwatch.Certificate{Verdict: ctwatch.Unreviewed, FirstSeen: now, Problems: []string{"no validity"}}
	head := ctwatch.Head{Size: 100, Root: ctwatch.Hash{3}, Timestamp: now, Raw: []byte("head")}
	fault := ctwatch.Fault{
		Cause: ctwatch.CauseRootMismatch, Detail: "the root differs",
		Evidence: ctwatch.Evidence{
			Cause: ctwatch.CauseRootMismatch, Heads: []ctwatch.EvidenceHead{head.Evidence()},
			Computed: &ctwatch.EvidenceRoot{Size: 100, Root: ctwatch.Hash{4}},
			Entry:    &ctwatch.EvidenceEntry{Index: 7, LeafHash: ctwatch.Hash{5}, Leaf: []byte("leaf")},
		},
	}
	unsigned := ctwatch.Fault{
		Cause: ctwatch.CauseBadSignature, Detail: "bad signature",
		Evidence: ctwatch.Evidence{Cause: ctwatch.CauseBadSignature, Heads: []ctwatch.EvidenceHead{{Raw: []byte("junk")}}},
	}
	c := certificate()
	huge, hugeKey, hugeFault := certificate(), key(), fault
	huge.Subject, huge.Problems = strings.Repeat("<", 1<<16), []string{strings.Repeat("\x00", 1<<16)}
	for i := range 20_000 {
		name := fmt.Sprintf("%s%d.example.com", strings.Repeat("a", i%60), i)
		huge.Names, hugeKey.Hosts = append(huge.Names, name), append(hugeKey.Hosts, name)
		huge.Matches = append(huge.Matches, ctwatch.Match{Watch: "example.com", Name: name, Domain: "example.com"})
	}
	hugeFault.Evidence.Entry = &ctwatch.EvidenceEntry{Index: 7, LeafHash: ctwatch.Hash{5}, Leaf: make([]byte, 5<<20)}
	return map[string]ctwatch.Event{
		"issued, huge":      ctwatch.IssuedEvent(huge, now),
		"unexpected, huge":  ctwatch.WithTrustedKey(ctwatch.UnexpectedEvent(huge, huge.Subject, now), hugeKey),
		"candidate, huge":   ctwatch.CandidateEvent(hugeKey, huge, []string{"example.com"}, now),
		"misbehaved, huge":  ctwatch.MisbehavedEvent(status(), hugeFault, now),
		"malformed, many":   ctwatch.MalformedEvent(status(), make([]uint64, 2000), "truncated", now),
		"issued":            ctwatch.IssuedEvent(certificate(), now),
		"issued, with gaps": ctwatch.IssuedEvent(unreadable, now),
		"logged":            ctwatch.LoggedEvent(certificate(), sighting(), now),
		"candidate":         ctwatch.CandidateEvent(key(), certificate(), []string{"example.com"}, now),
		"candidate to pin":  ctwatch.ForApp(ctwatch.CandidateEvent(key(), certificate(), []string{"example.com"}, now), "shop", "*.example.com"),
		"unexpected":        ctwatch.UnexpectedEvent(certificate(), "no one requested it", now),
		"deployed":          ctwatch.DeployedEvent(certificate(), "api.example.com", "api.example.com (192.0.2.1:443)", now),
		"expiring":          ctwatch.ExpiringEvent(certificate(), "api.example.com", "api.example.com (192.0.2.1:443)", now),
		"app's candidate":   ctwatch.PinCandidateForApp("shop", "*.example.com", "example.com", key(), "Add it.", 1, now),
		"missing":           ctwatch.PinMissingEvent("shop", "*.example.com", "example.com", nil, key().Pin, "Will break.", 1, now),
		"missing, known":    ctwatch.PinMissingEvent("shop", "*.example.com", "example.com", &c, key().Pin, "Will break.", 1, now),
		"pin deployed":      ctwatch.PinDeployedEvent(key(), "api.example.com", "api.example.com (192.0.2.1:443)", "example.com", 1, now),
		"pin retired":       ctwatch.PinRetiredEvent(key(), "example.com", 1, now),
		"misbehaved":        ctwatch.MisbehavedEvent(status(), fault, now),
		"unsigned head":     ctwatch.MisbehavedEvent(status(), unsigned, now),
		"malformed":         ctwatch.MalformedEvent(status(), []uint64{7}, "truncated", now),
		"several malformed": ctwatch.MalformedEvent(status(), []uint64{7, 8}, "truncated", now),
		"more malformed":    ctwatch.WithMoreEntries(ctwatch.MalformedEvent(status(), []uint64{7, 8}, "truncated", now), 12),
		"unproven":          ctwatch.UnprovenEvent(status(), ctwatch.Unproven{Count: 3, Domains: []string{"example.com"}, First: now, Last: now}, 1, now),
		"in a digest":       inDigest(ctwatch.UnexpectedEvent(certificate(), "no one requested it", now)),
		"gap":               ctwatch.GapEvent(status(), 10, 20, "the log answers 404", now),
		"judged":            ctwatch.JudgedEvent(certificate(), ctwatch.Unexpected, "it is ours", "alice", 2, now),
		"heartbeat":         ctwatch.HeartbeatEvent(now),
		"list refused":      ctwatch.LogListRefusedEvent(ctwatch.Critical, "it is older", "rollback", now),
		"list outdated":     ctwatch.LogListOutdatedEvent(ctwatch.Warning, "it is weeks old", "outdated", now),
		"stalled":           ctwatch.StalledEvent("nothing was read", now),
		"resumed":           ctwatch.ResumedEvent(now.Add(-time.Hour), now),
		"test":              ctwatch.TestEvent("alice", now),
	}
}

func inDigest(e ctwatch.Event) ctwatch.Event {
	e.Data.InDigest = true
	return e
}

// Every event is valid by its schema.
func TestEventsAreValid(t *testing.T) {
	schema := compile(t, "event.json")
	for name, e := range events() {
		t.Run(name, func(t *testing.T) {
			if err := validate(t, schema, marshal(t, e)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Every object is valid by its schema.
func TestObjectsAreValid(t *testing.T) {
	for name, v := range map[string]any{
		"certificate.json": certificate(),
		"key.json":         key(),
		"log.json":         status(),
	} {
		if err := validate(t, compile(t, name), marshal(t, v)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The schema refuses events with errors.
func TestInvalidEvents(t *testing.T) {
	schema := compile(t, "event.json")
	all := events()
	for name, tt := range map[string]struct{ event, old, new string }{
		"no ID":                            {"issued", `"id":"` + all["issued"].ID + `",`, ``},
		"an ID that is no hash":            {"issued", all["issued"].ID, "1"},
		"another version":                  {"issued", `"specversion":"1.0"`, `"specversion":"0.3"`},
		"an unknown type":                  {"issued", `"type":"certificate.issued"`, `"type":"certificate.lost"`},
		"an invalid time":                  {"issued", `"time":"2026`, `"time":"soon`},
		"an unknown attribute":             {"issued", `"specversion"`, `"extra":1,"specversion"`},
		"an unknown severity":              {"issued", `"severity":"info"`, `"severity":"loud"`},
		"an unknown verdict":               {"issued", `"verdict":"unreviewed"`, `"verdict":"fine"`},
		"a pin without its hash's name":    {"issued", `"pin":"sha256/`, `"pin":"`},
		"null instead of a list":           {"issued", `"problems":[]`, `"problems":null`},
		"a field that is not of the type":  {"issued", `"summary"`, `"start":1,"summary"`},
		"a misspelt field of certificates": {"issued", `"deployed_at"`, `"deployedAt"`},
		"a certificate event without one":  {"gap", `"type":"watch.gap"`, `"type":"certificate.issued"`},
		"a candidate without a key":        {"issued", `"type":"certificate.issued"`, `"type":"pin.candidate"`},
		"a candidate for an app, no host":  {"app's candidate", `,"host":"*.example.com"`, ``},
		"a missing pin of no app":          {"missing", `"app":"shop"`, `"app":""`},
		"a deployment nowhere":             {"deployed", `,"endpoint":"api.example.com (192.0.2.1:443)"`, ``},
		"a pin.retired with an endpoint":   {"pin retired", `"summary"`, `"endpoint":"x","summary"`},
		"a key without approved_for":       {"pin retired", `"approved_for":[".example.com"],`, ``},
		"a key in an unknown state":        {"candidate", `"state":"seen"`, `"state":"liked"`},
		"evidence that is not base64":      {"misbehaved", `"leaf_input":"`, `"leaf_input":"!`},
		"a negative index":                 {"malformed", `"index":7`, `"index":-7`},
		"a gap without an end":             {"gap", `,"end":20`, ``},
		"a log's event under a domain":     {"gap", all["gap"].Subject, "example.com"},
		"a log of an unknown kind":         {"gap", `"kind":"static"`, `"kind":"paper"`},
	} {
		t.Run(name, func(t *testing.T) {
			good := string(marshal(t, all[tt.event]))
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatalf("%q is not in %s", tt.old, good)
			}
			if err := validate(t, schema, []byte(bad)); err == nil {
				t.Errorf("valid, though it is broken: %s", bad)
			}
		})
	}
}

// Plans are valid by their schema.
func TestPlansAreValid(t *testing.T) {
	s := compile(t, "plan.json")
	host := pins.Pattern{Name: "api.example.com"}
	key := pins.FromSPKI([]byte("next"))
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	v := pins.NewView(&pins.Facts{
		Now:  at,
		Keys: []pins.Key{{Pin: key, Role: pins.RoleLeaf, State: pins.StateApproved, ApprovedFor: []pins.Pattern{host}}},
		Issued: []pins.Issued{{
			ID: strings.Repeat("ab", 32), Names: []pins.Pattern{host}, Chain: pins.Chain{Pins: []pins.Pin{key}, Open: true}, NotBefore: at, NotAfter: at.AddDate(0, 1, 0),
		}},
	})
	app := pins.App{Name: "shop", Hosts: []pins.Pattern{host, {Name: "cdn.example.com", Reach: pins.OneBelow}}, Role: pins.RoleLeaf, MinPins: 2}
	for _, p := range words.Plans(v.Plan(&app)) {
		if err := validate(t, s, marshal(t, p)); err != nil {
			t.Errorf("%s: %v", p.Host, err)
		}
	}
}
