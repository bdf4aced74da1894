package notify

import (
	"io"
	"net/http"
	"sync/atomic"

	"ctwatch/ctwatch"
)

// troubled answers as a service does that is down in many ways, and is well from then
// on.
func troubled(took func(body string)) http.HandlerFunc {
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

// sixEvents are events about six certificates, and their IDs.
func sixEvents() (events []ctwatch.Event, ids []string) {
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c := testCertificate(name + ".example.com")
		c.ID = ctwatch.Hash{name[0]}
		e := ctwatch.IssuedEvent(c, testTime)
		events, ids = append(events, e), append(ids, e.ID)
	}
	return events, ids
}
