package ctlogtest_test

import (
	"fmt"
	"io"
	"net/http"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/ctlogtest"
)

func Example() {
	log, err := ctlogtest.New(ctlogtest.Options{Name: "Lab", Kind: ctwatch.KindStatic})
	if err != nil {
		panic(err)
	}
	stop, err := log.Start()
	if err != nil {
		panic(err)
	}
	defer stop()
	defer http.DefaultClient.CloseIdleConnections()

	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
	if err != nil {
		panic(err)
	}
	issued, err := ca.Issue(ctlogtest.Request{Names: []string{"api.example.com"}})
	if err != nil {
		panic(err)
	}
	_, index, err := log.AddPrecert(issued)
	if err != nil {
		panic(err)
	}
	head, err := log.Publish()
	if err != nil {
		panic(err)
	}
	fmt.Println("entry", index, "of", head.Size)

	// From here on the log rate-limits each second request for entries.
	log.SetFault(ctlogtest.Status(http.StatusTooManyRequests, 0).On(ctlogtest.Entries).Every(2))
	for range 2 {
		resp, err := http.Get(log.URL() + "tile/data/000.p/1")
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	fmt.Println("requests for entries:", log.Requests(ctlogtest.Entries))
	// Output:
	// entry 0 of 1
	// 200 OK
	// 429 Too Many Requests
	// requests for entries: 2
}
