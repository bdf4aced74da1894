package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
	"ctwatch/pins/format"
)

// A server is a real HTTP server with its parts.
type server struct {
	*httptest.Server
	ring *Ring
	log  *bytes.Buffer // to be read when no request is under way
}

func serve(t testing.TB, s Source, ring *Ring, formats ...format.Format) *server {
	t.Helper()
	var log bytes.Buffer
	srv := httptest.NewServer(NewHandler(Options{
		Source: s, Ring: ring, Formats: formats, Now: func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}))
	t.Cleanup(srv.Close)
	return &server{srv, ring, &log}
}

// A reply is a response that was read.
type received struct {
	status int
	header http.Header
	body   []byte
}

// ask makes a request; headers are given as names and values in turn.
func (s *server) ask(t testing.TB, method, path string, headers ...string) received {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return received{resp.StatusCode, resp.Header, body}
}

func (s *server) get(t testing.TB, path string, headers ...string) received {
	t.Helper()
	return s.ask(t, "GET", path, headers...)
}

// errorOf reads an error reply.
func errorOf(t testing.TB, r received) (text string, reasons []string) {
	t.Helper()
	var e struct {
		Error   string
		Reasons []string
	}
	if err := json.Unmarshal(r.body, &e); err != nil || e.Error == "" {
		t.Errorf("%d: %s, %v", r.status, r.body, err)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" ||
		r.header.Get("Etag")+r.header.Get("Last-Modified") != "" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d: header %v", r.status, r.header)
	}
	return e.Error, e.Reasons
}

// lines is a simple format, which may refuse patterns.
func lines(name, extension string, patterns bool) format.Format {
	return format.Format{
		Name: name, Extension: extension, MediaType: "text/x-" + name,
		Encode: func(set pins.Set) ([]byte, error) {
			out := []byte(name + "\n")
			for _, h := range set.Hosts {
				if h.Pattern.Reach != pins.Exact && !patterns {
					return nil, &format.RefusedError{Format: name, Host: h.Pattern.String(), Reason: "It knows no patterns."}
				}
				out = fmt.Appendln(out, h.Pattern, h.Pins)
			}
			return out, nil
		},
	}
}

func TestEveryFormHasAPath(t *testing.T) {
	s := serve(t, source{"shop": document(t, shop(t), 7)}, newRing(t),
		lines("first", ".xml", true), lines("second", ".xml", true), lines("json", ".json", true), lines("third", ".x", true))
	for path, want := range map[string][2]string{
		"/pins/shop.first":  {"text/x-first", "first\n"},
		"/pins/shop.second": {"text/x-second", "second\n"},
		"/pins/shop.xml":    {"text/x-first", "first\n"},
		"/pins/shop.x":      {"text/x-third", "third\n"},
		"/pins/shop.json":   {"text/x-json", "json\n"},
		"/pins/shop.jws":    {"application/jose", "ey"},
		"/pins/shop/wultra": {"application/json", `{"fingerprints":[{"name":"*.cdn.example.com","fingerprint":"`},
		"/pins/shop.wultra": {"application/json", `{"fingerprints":[{"name":"*.cdn.example.com","fingerprint":"`},
		"/pins/jwks.json":   {"application/jwk-set+json", `{"keys":[{`},
	} {
		r := s.get(t, path)
		if r.status != 200 || r.header.Get("Content-Type") != want[0] || !strings.HasPrefix(string(r.body), want[1]) {
			t.Errorf("%s: %d, %v, %s", path, r.status, r.header, r.body)
		}
		if r.header.Get("Cache-Control") != "public, max-age=300" || r.header.Get("X-Content-Type-Options") != "nosniff" || len(r.header.Get("Etag")) != 34 {
			t.Errorf("%s: header %v", path, r.header)
		}
		if at := r.header.Get("Last-Modified"); path != "/pins/jwks.json" && at != "Tue, 24 Nov 2026 12:00:00 GMT" {
			t.Errorf("%s: Last-Modified %q", path, at)
		}
	}
	for _, path := range []string{"/pins/shop.nonsense", "/pins/shop", "/pins/shop.", "/pins/", "/pins/.json", "/pins/jwks", "/pins/shop/json", "/pins/other.json", "/pins/Shop.json", "/"} {
		if r := s.get(t, path); r.status != 404 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		} else {
			errorOf(t, r)
		}
	}
}

func TestClientsGetTheirOwnFormats(t *testing.T) {
	s := serve(t, source{"shop": document(t, shop(t), 7)}, newRing(t))
	for _, f := range format.All() {
		want, err := f.Encode(shop(t))
		r := s.get(t, "/pins/shop."+f.Name)
		var refused *format.RefusedError
		switch {
		case errors.As(err, &refused):
			if text, _ := errorOf(t, r); r.status != 409 || text != err.Error() {
				t.Errorf("%s: %d, %s", f.Name, r.status, text)
			}
		case err != nil:
			t.Errorf("%s: %v", f.Name, err)
		case r.status != 200 || r.header.Get("Content-Type") != f.MediaType || !bytes.Equal(r.body, want):
			t.Errorf("%s: %d, %v, %s", f.Name, r.status, r.header, r.body)
		}
	}
	for extension, name := range map[string]string{"xml": "android", "plist": "ios", "json": "json"} {
		a, b := s.get(t, "/pins/shop."+extension), s.get(t, "/pins/shop."+name)
		if a.status != b.status || !bytes.Equal(a.body, b.body) {
			t.Errorf(".%s is not %s", extension, name)
		}
	}
}

// TestAcceptSelectsTheSerialization: a JWS is served compact or as general JSON, as the
// Accept header asks.
func TestAcceptSelectsTheSerialization(t *testing.T) {
	doc := document(t, shop(t), 7)
	s := serve(t, source{"shop": doc}, newRing(t))
	if _, err := Rotate(s.ring.path); err != nil {
		t.Fatal(err)
	}
	trusted := parseJWKS(t, s.get(t, "/pins/jwks.json").body)
	if len(trusted) != 2 {
		t.Fatalf("%d keys", len(trusted))
	}
	for accept, general := range map[string]bool{
		"": false, "*/*": false, "application/*": false, "application/jose": false, "text/html,*/*;q=0.8": false,
		"application/jose+json": true, "application/jose+json, application/jose;q=0.5": true, "APPLICATION/JOSE+JSON;q=1.0": true,
		"*/*, application/jose+json": true, "application/jose, application/jose+json": false,
		"application/jose+json;q=0.1, */*": false, "application/jose+json;q=0": false, "application/jose+json;q=x": false,
		"application/jose+json;q=2": false, ";;;,,,/": false, strings.Repeat(" ", 2000) + "application/jose+json": true,
		strings.Repeat("a,", 1000) + "application/jose+json": false,
	} {
		r := s.get(t, "/pins/shop.jws", "Accept", accept)
		if r.status != 200 || r.header.Get("Vary") != "Accept" || (r.header.Get("Content-Type") == TypeGeneral) != general {
			t.Errorf("%.50q: %d, %v", accept, r.status, r.header)
			continue
		}
		signatures := [][]byte{r.body}
		if general {
			signatures = compacts(t, r.body)
		}
		if want := map[bool]int{true: 2, false: 1}[general]; len(signatures) != want {
			t.Errorf("%q: %d signatures", accept, len(signatures))
		}
		for i, c := range signatures {
			if payload, err := verify(c, trusted[i]); err != nil || !bytes.Equal(payload, doc.Payload) {
				t.Errorf("%q: %s, %v", accept, payload, err)
			}
		}
	}
}

// TestBytesAreStable: a page is the same bytes, with the same ETag, until something in it
// changes.
func TestBytesAreStable(t *testing.T) {
	doc := document(t, shop(t), 7)
	all := source{"shop": doc}
	s := serve(t, all, newRing(t))
	again, err := OpenRing(s.ring.path, false, discard())
	if err != nil {
		t.Fatal(err)
	}
	other := serve(t, all, again)
	paths := []string{"/pins/shop.jws", "/pins/shop/wultra", "/pins/shop.json", "/pins/shop.xml", "/pins/jwks.json"}
	etags := func() (out []string) {
		for _, path := range paths {
			a, b, c := s.get(t, path), s.get(t, path), other.get(t, path)
			if a.header.Get("Etag") != b.header.Get("Etag") || !bytes.Equal(a.body, b.body) {
				t.Errorf("%s: two replies differ", path)
			}
			if a.header.Get("Etag") != c.header.Get("Etag") || !bytes.Equal(a.body, c.body) {
				t.Errorf("%s: two servers differ", path)
			}
			out = append(out, a.header.Get("Etag"))
		}
		return out
	}
	changed := func(before, after []string) (out []string) {
		for i := range before {
			if before[i] != after[i] {
				out = append(out, paths[i])
			}
		}
		return out
	}
	first := etags()

	// A key that is introduced changes the JWKS, though not what the active one signs.
	if _, err := Rotate(s.ring.path); err != nil {
		t.Fatal(err)
	}
	rolling := etags()
	if diff := cmp.Diff([]string{"/pins/jwks.json"}, changed(first, rolling)); diff != "" {
		t.Error(diff)
	}
	if _, err := Finish(s.ring.path); err != nil {
		t.Fatal(err)
	}
	rolled := etags()
	if diff := cmp.Diff([]string{"/pins/shop.jws", "/pins/shop/wultra", "/pins/jwks.json"}, changed(rolling, rolled)); diff != "" {
		t.Error(diff)
	}
	// A certificate that is renewed with its key changes no pin, and no serial.
	renewed := *doc
	renewed.Leaves = append([]pins.Leaf{{CommonName: "api.example.com", DER: []byte("certificate 4"), NotAfter: now.Add(time.Hour)}}, doc.Leaves...)
	all["shop"] = &renewed
	if diff := cmp.Diff([]string{"/pins/shop/wultra"}, changed(rolled, etags())); diff != "" {
		t.Error(diff)
	}
}

// TestNotModified: a client that has a page gets 304.
func TestNotModified(t *testing.T) {
	s := serve(t, source{"shop": document(t, shop(t), 7)}, newRing(t))
	for _, path := range []string{"/pins/shop.jws", "/pins/shop/wultra", "/pins/shop.json", "/pins/jwks.json"} {
		full := s.get(t, path)
		etag := full.header.Get("Etag")
		for name, test := range map[string]struct {
			headers []string
			status  int
		}{
			"the same":            {[]string{"If-None-Match", etag}, 304},
			"among others":        {[]string{"If-None-Match", `"x", W/"y", ` + etag}, 304},
			"made weak":           {[]string{"If-None-Match", "W/" + etag}, 304},
			"anything":            {[]string{"If-None-Match", "*"}, 304},
			"another":             {[]string{"If-None-Match", `"x"`}, 200},
			"nonsense":            {[]string{"If-None-Match", `"`}, 200},
			"by time alone":       {[]string{"If-Modified-Since", "Tue, 24 Nov 2026 12:00:00 GMT"}, 200},
			"another, of a time":  {[]string{"If-None-Match", `"x"`, "If-Modified-Since", "Tue, 24 Nov 2026 12:00:00 GMT"}, 200},
			"if it were this one": {[]string{"If-Match", etag}, 200},
		} {
			r := s.get(t, path, test.headers...)
			if r.status != test.status || r.header.Get("Etag") != etag || r.header.Get("Cache-Control") != "public, max-age=300" || r.header.Get("Vary") != full.header.Get("Vary") {
				t.Errorf("%s, %s: %d, %v", path, name, r.status, r.header)
			}
			if (test.status == 304) != (len(r.body) == 0) {
				t.Errorf("%s, %s: %d bytes", path, name, len(r.body))
			}
		}
		head := s.ask(t, "HEAD", path)
		full.header.Del("Date")
		head.header.Del("Date")
		if diff := cmp.Diff(full.header, head.header); head.status != 200 || len(head.body) != 0 || diff != "" {
			t.Errorf("%s: HEAD %d, %d bytes, header:\n%s", path, head.status, len(head.body), diff)
		}
	}
}

func TestOnlyGetAndHead(t *testing.T) {
	s := serve(t, source{"shop": document(t, shop(t), 7)}, newRing(t))
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NONSENSE"} {
		for _, path := range []string{"/pins/shop.jws", "/pins/shop/wultra", "/pins/jwks.json", "/pins/none"} {
			r := s.ask(t, method, path)
			errorOf(t, r)
			if r.status != 405 || r.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, %v", method, path, r.status, r.header)
			}
		}
	}
}

// TestErrorsSayWhy: whatever is not published is an error with its reasons.
func TestErrorsSayWhy(t *testing.T) {
	expired := document(t, shop(t), 7)
	expired.Expires = now
	s := serve(t, source{
		"shop":    document(t, shop(t), 7),
		"cut":     &Withheld{[]string{"The key served for api.example.com is not approved.", "Another."}},
		"wrapped": fmt.Errorf("looking: %w", &Withheld{}),
		"expired": expired,
		"broken":  errors.New("secret path of a database"),
		"odd\n":   errors.New("secret"),
	}, newRing(t), lines("exact", ".x", false))

	for path, want := range map[string]struct {
		status  int
		text    string
		reasons []string
	}{
		"/pins/cut.jws":       {503, "withheld", []string{"The key served for api.example.com is not approved.", "Another."}},
		"/pins/cut.exact":     {503, "withheld", []string{"The key served for api.example.com is not approved.", "Another."}},
		"/pins/cut/wultra":    {503, "withheld", []string{"The key served for api.example.com is not approved.", "Another."}},
		"/pins/wrapped.jws":   {503, "withheld", []string{}},
		"/pins/expired.exact": {503, "withheld", []string{"The last document has expired, and there is no newer one."}},
		"/pins/shop.exact":    {409, "exact: *.cdn.example.com: It knows no patterns.", nil},
		"/pins/broken.jws":    {500, "logged", nil},
		"/pins/odd%0A.jws":    {500, "logged", nil},
		"/pins/nobody.jws":    {404, "no such app", nil},
		"/pins/shop.nonsense": {404, "no such form", nil},
	} {
		for range 2 { // the second time from what was kept
			r := s.get(t, path)
			text, reasons := errorOf(t, r)
			if r.status != want.status || !strings.Contains(text, want.text) || cmp.Diff(want.reasons, reasons) != "" {
				t.Errorf("%s: %d %s %q", path, r.status, text, reasons)
			}
			if (r.status == 503) != (r.header.Get("Retry-After") == "60") {
				t.Errorf("%s: header %v", path, r.header)
			}
		}
	}
	if strings.Count(s.log.String(), "secret path") != 2 || strings.Count(s.log.String(), "\n") != 4 {
		t.Errorf("logged:\n%s", s.log)
	}
}

// TestFilesAreWithheldWithAHost: unsigned files are withheld as soon as one host is,
// signed documents are not.
func TestFilesAreWithheldWithAHost(t *testing.T) {
	part := document(t, shop(t), 7)
	part.NoFiles = &Withheld{[]string{"www.example.com: not_probed"}}
	none := document(t, shop(t), 7)
	none.Leaves, none.NoFiles = nil, part.NoFiles
	s := serve(t, source{"part": part, "none": none}, newRing(t))
	const challenge = "AAECAwQFBgcICQoLDA0ODw=="
	for path, want := range map[string]int{
		"part.jws": 200, "part/wultra": 200, "part.json": 503, "part.xml": 503, "part.plist": 503, "part.kt": 503, "part.curl": 503,
		"none.jws": 200, "none/wultra": 503, "none.json": 503,
	} {
		for _, headers := range [][]string{nil, {HeaderChallenge, challenge}} {
			r := s.get(t, "/pins/"+path, headers...)
			if r.status != want {
				t.Errorf("%s %q: %d %s", path, headers, r.status, r.body)
			}
			if want != 503 {
				continue
			}
			if _, reasons := errorOf(t, r); cmp.Diff(part.NoFiles.Reasons, reasons) != "" || r.header.Get("Retry-After") != "60" {
				t.Errorf("%s: %q, %v", path, reasons, r.header)
			}
		}
	}
}

func TestCachesKeepNothingExpired(t *testing.T) {
	doc := document(t, shop(t), 7)
	doc.Expires = now.Add(90 * time.Second)
	s := serve(t, source{"shop": doc}, newRing(t))
	if got := s.get(t, "/pins/shop.jws").header.Get("Cache-Control"); got != "public, max-age=90" {
		t.Error(got)
	}
}

func TestAppNamesAreFreeText(t *testing.T) {
	names := map[string]string{
		"a.b.c": "a.b.c", "a/b": "a%2Fb", "Läden & Söhne": "L%C3%A4den%20&%20S%C3%B6hne", "jwks": "jwks", "wultra": "wultra",
		"100%": "100%25", "a?b#c": "a%3Fb%23c", "a//../b": "a%2F%2F..%2Fb", "shop.json": "shop.json", "pins": "pins", ";": ";",
	}
	all := source{}
	for name := range names {
		set := shop(t)
		set.App = name
		all[name] = document(t, set, 7)
	}
	s := serve(t, all, newRing(t))
	for name, escaped := range names {
		for _, path := range []string{"/pins/" + escaped + ".jws", "/pins/" + escaped + "/wultra"} {
			if r := s.get(t, path); r.status != 200 {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		payload, err := verify(s.get(t, "/pins/"+escaped+".jws").body, parseJWKS(t, s.ring.Keys().JWKS())...)
		var p struct{ App string }
		if err != nil || json.Unmarshal(payload, &p) != nil || p.App != name {
			t.Errorf("%s: %s, %v", name, payload, err)
		}
	}
}

func TestChallengesAreNotCached(t *testing.T) {
	s := serve(t, source{"shop": document(t, shop(t), 7), "cut": &Withheld{}}, newRing(t))
	public, _ := s.ring.Keys().Active.WultraPublicKey()
	const challenge = "AAECAwQFBgcICQoLDA0ODw=="
	r := s.get(t, "/pins/shop/wultra?appName=shop", "x-cert-pinning-challenge", challenge)
	if r.status != 200 || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Vary") != HeaderChallenge ||
		r.header.Get("Content-Type") != "application/json" || r.header.Get("Etag")+r.header.Get("Last-Modified") != "" {
		t.Errorf("%d, %v", r.status, r.header)
	}
	if !verifyWultra(t, public, challenge+"&"+string(r.body), r.header.Get(HeaderSignature)) {
		t.Error("the signature is not of the challenge and these bytes")
	}
	if !strings.HasPrefix(string(r.body), `{"timestamp":1795521600,`) {
		t.Errorf("%s", r.body)
	}
	if h := s.ask(t, "HEAD", "/pins/shop/wultra", HeaderChallenge, challenge); h.header.Get(HeaderSignature) != r.header.Get(HeaderSignature) || len(h.body) != 0 {
		t.Errorf("HEAD: %v, %s", h.header, h.body)
	}
	if static := s.get(t, "/pins/shop/wultra"); static.header.Get(HeaderSignature) != "" || static.header.Get("Vary") != HeaderChallenge {
		t.Errorf("static: %v", static.header)
	}
	for name, headers := range map[string][]string{
		"empty": {HeaderChallenge, ""}, "short": {HeaderChallenge, "AAEC"}, "no base64": {HeaderChallenge, "api.example.test&x&1800000000"},
		"two": {HeaderChallenge, challenge, HeaderChallenge, challenge}, "long": {HeaderChallenge, strings.Repeat("AAEC", 10_000)},
	} {
		r := s.get(t, "/pins/shop/wultra", headers...)
		if text, _ := errorOf(t, r); r.status != 400 || !strings.Contains(text, HeaderChallenge) || r.header.Get(HeaderSignature) != "" || len(r.body) > 200 {
			t.Errorf("%s: %d, %v, %s", name, r.status, r.header, r.body)
		}
	}
	if r := s.get(t, "/pins/cut/wultra", HeaderChallenge, challenge); r.status != 503 {
		t.Errorf("withheld: %d", r.status)
	}
	// The SDK does not support Ed25519.
	ed25519File(t, s.ring.path)
	for _, headers := range [][]string{nil, {HeaderChallenge, challenge}} {
		if r := s.get(t, "/pins/shop/wultra", headers...); r.status != 409 {
			t.Errorf("Ed25519: %d", r.status)
		} else if text, _ := errorOf(t, r); !strings.Contains(text, "P-256") {
			t.Error(text)
		}
	}
}

// stuck is a source that answers for one app only when the request ends.
type stuck struct{ source }

func (s stuck) Publication(ctx context.Context, app string) (*Publication, error) {
	if app == "stuck" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.source.Publication(ctx, app)
}

func TestGoneClientsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	h := NewHandler(Options{Source: stuck{}, Ring: newRing(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/pins/stuck.jws", nil))
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// TestConcurrentRequestsAndKeyChanges: requests of all kinds are answered while keys are
// replaced.
func TestConcurrentRequestsAndKeyChanges(t *testing.T) {
	all := source{}
	for i := range 4 {
		set := shop(t)
		set.App = fmt.Sprint("app", i)
		all[set.App] = document(t, set, 7)
	}
	s := serve(t, all, newRing(t))
	done := make(chan struct{})
	var replacing, asking sync.WaitGroup
	replacing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := Rotate(s.ring.path); err != nil {
				t.Error(err)
			}
			if _, err := Finish(s.ring.path); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 4 {
		asking.Go(func() {
			for i := range 50 {
				path := fmt.Sprintf("/pins/app%d%s", (n+i)%4, []string{".jws", ".json", "/wultra"}[i%3])
				if r := s.get(t, path); r.status != 200 || len(r.body) == 0 {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
			}
		})
	}
	asking.Wait()
	close(done)
	replacing.Wait()
	if s.log.Len() > 0 {
		t.Error(s.log.String())
	}
	files, _ := os.ReadDir(strings.TrimSuffix(s.ring.path, "/key.pem"))
	if len(files) > 3 {
		t.Errorf("left behind: %v", files)
	}
}
