package notify

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTime = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// patience is how long tests wait for what must happen. It is far away, since machines
// are busy and nothing is measured by it.
const patience = 10 * time.Minute

// within returns a context that ends the test's waiting, should it never be over.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition that no channel tells of.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func testCertificate(names ...string) ctwatch.Certificate {
	if len(names) == 0 {
		names = []string{"api.example.com"}
	}
	fp := ctwatch.Hash{0xfe}
	c := ctwatch.Certificate{
		ID: ctwatch.Hash{0xce}, Serial: "0a", Names: names, Subject: "CN=" + names[0],
		NotBefore: testTime, NotAfter: testTime.AddDate(0, 3, 0),
		Issuer:  ctwatch.Issuer{Name: "CN=E7,O=Let's Encrypt,C=US", Pin: pins.FromSPKI([]byte("issuer")), Proven: true},
		Key:     ctwatch.CertificateKey{Algorithm: "ECDSA P-256", Pin: pins.FromSPKI([]byte("leaf"))},
		Matches: []ctwatch.Match{{Watch: "example.com", Name: names[0], Domain: "example.com"}},
		Verdict: ctwatch.Unreviewed,
		Sightings: []ctwatch.Sighting{{
			Log: "Lab 2026h2", LogID: ctwatch.LogIDOf([]byte("log")), Index: 12, Timestamp: testTime, Kind: ctwatch.Precertificate,
		}},
		FirstSeen: testTime, Fingerprints: ctwatch.Fingerprints{Precertificate: &fp},
	}
	c.SetPins()
	return c
}

func issued(names ...string) ctwatch.Event {
	return ctwatch.IssuedEvent(testCertificate(names...), testTime)
}

func testStatus() ctwatch.LogStatus {
	return ctwatch.LogStatus{
		Name: "Lab 2026h2", ID: ctwatch.LogIDOf([]byte("log")), Kind: ctwatch.KindStatic, Operator: "Lab",
		TreeSize: 100, Position: 90, Verified: 80, LastError: "connection refused",
	}
}

func misbehaved() ctwatch.Event {
	root := ctwatch.Hash{7}
	return ctwatch.MisbehavedEvent(testStatus(), ctwatch.Fault{
		Cause: ctwatch.CauseFork, Detail: "it signed two roots of one size",
		Evidence: ctwatch.Evidence{
			Cause:    ctwatch.CauseFork,
			Heads:    []ctwatch.EvidenceHead{{Size: 100, Root: &root, Timestamp: testTime, Raw: []byte("head")}},
			Computed: &ctwatch.EvidenceRoot{Size: 100, Root: ctwatch.Hash{8}},
		},
	}, testTime)
}
