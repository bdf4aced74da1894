package notifytest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"ctwatch/ctwatch"
)

func Discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Patience is how long tests wait for what must happen. It is far away, since machines
// are busy and nothing is measured by it.
const Patience = 10 * time.Minute

// Within returns a context that ends the test's waiting, should it never be over.
func Within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Eventually polls a condition that no channel reports.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func Receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// MustSend sends an event, and fails the test if the sender does not take it.
func MustSend(t *testing.T, s interface {
	Send(ctx context.Context, e ctwatch.Event) (retry bool, err error)
}, e ctwatch.Event,
) {
	t.Helper()
	if retry, err := s.Send(Within(t, Patience), e); err != nil {
		t.Fatalf("Send: retry %v, %v", retry, err)
	}
}

func FreeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
