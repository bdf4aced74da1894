package pins_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"ctwatch/pins"
)

// TestLookInJSON: "ctwatch probe --json" prints these members, which scripts rely on.
func TestLookInJSON(t *testing.T) {
	l := pins.Look{
		Endpoint: pins.Endpoint{Host: api, Target: api + ":8443"}, At: now.In(time.FixedZone("", 3600)),
		Addresses: []pins.Address{
			{Addr: "192.0.2.1:8443", Partial: errors.New("no answer"), Served: []pins.Served{{
				Host: api, Address: "192.0.2.1:8443", ID: "00ff", Algorithm: "ECDSA P-256", NotBefore: now, NotAfter: now,
				Chain: pins.Chain{Pins: pinsOf("L"), Open: true}, Names: []string{api}, Version: "TLS 1.3", Problem: "it has ended",
			}}},
			{Addr: "[2001:db8::1]:8443", Err: errors.New("refused")},
		},
		Err: errors.New("nothing"),
	}
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"host":"api.example.com","endpoint":"api.example.com:8443","at":"2026-11-23T12:00:00Z","addresses":[` +
		`{"address":"192.0.2.1:8443","chains":[{"certificate":"00ff","algorithm":"ECDSA P-256","pins":["` + pin("L").String() + `"],` +
		`"complete":false,"names":["api.example.com"],"not_before":"2026-11-23T12:00:00Z","not_after":"2026-11-23T12:00:00Z",` +
		`"tls_version":"TLS 1.3","problem":"it has ended"}],"error":"no answer"},` +
		`{"address":"[2001:db8::1]:8443","chains":[],"error":"refused"}],"error":"nothing"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, err := json.Marshal(pins.Look{Endpoint: pins.Endpoint{Host: api}, At: now}); err != nil ||
		string(got) != `{"host":"api.example.com","endpoint":"api.example.com","at":"2026-11-23T12:00:00Z","addresses":[]}` {
		t.Errorf("without addresses: %s, %v", got, err)
	}
}

func TestFailureOfLook(t *testing.T) {
	failed, reached := pins.Address{Err: errors.New("refused")}, pins.Address{Served: make([]pins.Served, 1)}
	for name, tt := range map[string]struct {
		look     pins.Look
		want     string
		complete bool
	}{
		"no address":            {complete: true},
		"nothing could be done": {look: pins.Look{Err: errors.New("no such name")}, want: "no such name"},
		"reached":               {look: pins.Look{Addresses: []pins.Address{reached}}, complete: true},
		"one of two reached":    {look: pins.Look{Addresses: []pins.Address{failed, reached}}, complete: true},
		"not reached":           {look: pins.Look{Addresses: []pins.Address{failed}}, want: "refused", complete: true},
		"neither reached":       {look: pins.Look{Addresses: []pins.Address{failed, failed}}, want: "refused (and nothing was seen at 1 more)", complete: true},
		"others left out":       {look: pins.Look{Addresses: []pins.Address{reached}, More: 3}},
	} {
		got := ""
		if err := tt.look.Failure(); err != nil {
			got = err.Error()
		}
		if got != tt.want || tt.look.Complete() != tt.complete {
			t.Errorf("%s: failure %q, complete %v, want %q, %v", name, got, tt.look.Complete(), tt.want, tt.complete)
		}
	}
}
