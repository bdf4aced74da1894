package notifytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"ctwatch/ctwatch"
)

// Troubled answers as a service does that is down in many ways, and is well from then
// on.
func Troubled(took func(body string)) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch n.Add(1) {
		case 1, 7:
			w.WriteHeader(500)
		case 2, 8:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(429)
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			<-r.Context().Done()
		case 5:
			w.Header().Set("Location", "/")
			w.WriteHeader(302)
		case 6:
			w.WriteHeader(401)
		default:
			took(string(body))
		}
	}
}

// SixEvents are events about six certificates, and their IDs.
func SixEvents() (events []ctwatch.Event, ids []string) {
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c := Certificate(name + ".example.com")
		c.ID = ctwatch.Hash{name[0]}
		e := ctwatch.IssuedEvent(c, Time)
		events, ids = append(events, e), append(ids, e.ID)
	}
	return events, ids
}

func Answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// A Receiver keeps the requests that it gets, and answers as handler says.
type Receiver struct {
	*httptest.Server
	mu     sync.Mutex
	Heads  []http.Header
	Bodies []string
}

func NewReceiver(t *testing.T, handler http.HandlerFunc) *Receiver {
	r := &Receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.Heads, r.Bodies = append(r.Heads, req.Header), append(r.Bodies, string(body))
		r.mu.Unlock()
		if handler != nil {
			handler(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *Receiver) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.Bodies)
}

// Last returns the body of the last request.
func (r *Receiver) Last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Bodies[len(r.Bodies)-1]
}
