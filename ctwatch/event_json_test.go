package ctwatch

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestEventJSON: appended JSON is what encoding/json writes, for any value of any member.
func TestEventJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var e Event
		fill := filler{r}
		fill.any(reflect.ValueOf(&e).Elem())
		got, err := e.appendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(cloudEvent{
			SpecVersion: "1.0", ID: e.ID, Source: eventSource, Type: e.Type, Subject: e.Subject,
			Time: e.Time.UTC(), DataContentType: "application/json", Data: e.Data,
		})
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("appended: %s\nmarshaled: %s", got, want)
		}
	}
}

// TestCertificateJSON: a certificate is appended as it is marshaled.
func TestCertificateJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var c Certificate
		filler{r}.any(reflect.ValueOf(&c).Elem())
		got, err := c.AppendJSON([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before"+string(want) {
			t.Fatalf("appended: %s\nmarshaled: %s", got, want)
		}
	}
}

// TestEventJSONOfBadTime: a time that JSON cannot express is an error.
func TestEventJSONOfBadTime(t *testing.T) {
	if _, err := (Event{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}).MarshalJSON(); err == nil {
		t.Error("the year 10000 has no form in RFC 3339")
	}
}

// A filler fills values at random.
type filler struct{ *rand.Rand }

func (f filler) any(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		if f.IntN(4) > 0 {
			v.Set(reflect.ValueOf(time.Unix(f.Int64N(1<<32), f.Int64N(4)*250_000_000).In(time.FixedZone("", 3600*f.IntN(3)))))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"", "www.example.com", "CN=R10,O=Let's Encrypt", `a "b" \c`, "<&>", "ü\u2028", "a\x00\x7f\xff", strings.Repeat("x", 50)}[f.IntN(8)])
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(f.Int64N(3))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(f.Uint64N(256) >> f.IntN(9))
	case reflect.Array:
		for i := 0; i < v.Len() && f.IntN(20) > 0; i++ {
			f.any(v.Index(i))
		}
	case reflect.Slice:
		if n := f.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				f.any(v.Index(i))
			}
		}
	case reflect.Map:
		if f.IntN(2) == 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range f.IntN(3) {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.any(key)
				f.any(value)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Pointer:
		if f.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.any(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f.any(v.Field(i))
		}
	default:
		v.SetZero()
	}
}

// BenchmarkEventJSON encodes an event about a certificate.
func BenchmarkEventJSON(b *testing.B) {
	c := Certificate{
		Serial: "0403e8d9", Names: []string{"customer.example", "www.customer.example"}, Subject: "CN=customer.example",
		Issuer: Issuer{Name: "CN=R10,O=Let's Encrypt,C=US", Proven: true}, Verdict: Expected, Reasons: []string{ReasonIssuerAllowed},
		Matches:   []Match{{Watch: ".customer.example", Name: "customer.example"}, {Watch: ".customer.example", Name: "www.customer.example"}},
		Sightings: []Sighting{{Log: "Log", Kind: Precertificate}},
	}
	c.SetPins()
	e := IssuedEvent(c, time.Unix(1<<30, 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}
