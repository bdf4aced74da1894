package setup

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestClientKeepsConnections: hundred logs are polled over connections that stay, two for
// each, so that not every poll begins with a handshake.
func TestClientKeepsConnections(t *testing.T) {
	var opened atomic.Int64
	var urls []string
	for range 100 {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "entries") }))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		urls = append(urls, s.URL)
	}
	client := HTTPClient()
	defer client.CloseIdleConnections()
	for range 3 {
		for _, url := range urls {
			var open []io.ReadCloser // two at once
			for range 2 {
				r, err := client.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, r.Body)
			}
			for _, body := range open {
				_, _ = io.Copy(io.Discard, body)
				body.Close()
			}
		}
	}
	if n := opened.Load(); n != 200 {
		t.Errorf("%d connections were opened to 100 servers, want two for each", n)
	}
}
