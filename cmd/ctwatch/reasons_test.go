package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"ctwatch/configs"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins/format"
)

// unreasoned matches a message, or a line of one, that promises a reason and has none.
var unreasoned = regexp.MustCompile(`(?m):\s*$|: [;,]|: : |%!`)

// damages are a file cut short at every place, and with a byte changed or doubled.
func damages(data []byte, step int) (out [][]byte) {
	for i := 0; i < len(data); i += step {
		out = append(out, data[:i], bytes.Join([][]byte{data[:i], data[i:]}, []byte{data[i]}))
		for _, c := range []byte{0, ' ', '\n', '"', '<', '=', ':', 0xff, data[i] ^ 1} {
			changed := bytes.Clone(data)
			changed[i] = c
			out = append(out, changed)
		}
	}
	return out
}

// TestErrorsHaveReasons: whatever is wrong with a file, its error says what, behind each
// colon.
func TestErrorsHaveReasons(t *testing.T) {
	t.Parallel()
	s := newKeyShop(t)
	leaf, _ := s.cert("leaf", apiHost)
	reported := make(map[string]bool)
	check := func(what string, data []byte, err error) {
		if err != nil && unreasoned.MatchString(err.Error()) && !reported[what] {
			reported[what] = true
			t.Errorf("%s: %q of %q", what, err, data[:min(len(data), 200)])
		}
	}
	for name, data := range map[string][]byte{
		"leaf.der": leaf, "request.der": s.request("leaf"), "leaf.pem": []byte(certPEM(leaf)), "request.pem": []byte(inPEM("CERTIFICATE REQUEST", s.request("leaf"))),
	} {
		for _, bad := range damages(data, 1+len(data)/200) {
			_, err := keyfile.Parse(name, bad, false)
			check(name, bad, err)
		}
	}
	for _, pattern := range []string{"android/*.xml", "ios/*.plist", "trustkit/*.plist", "approov/*.json", "json/*.json", "tlsa/*", "curl/*", "okhttp/*.kt"} {
		names, err := filepath.Glob(filepath.Join("..", "..", "pins", "format", "testdata", pattern))
		s.must(err)
		for _, name := range names {
			data, err := os.ReadFile(name)
			s.must(err)
			for _, bad := range damages(data, 1+len(data)/150) {
				_, _, err := format.Detect(bad)
				check(name, bad, err)
			}
		}
	}
	for _, bad := range damages(configs.Example, 1+len(configs.Example)/150) {
		_, err := configs.LoadBytes("f.yaml", bad, configs.Env{})
		check("configuration", bad, err)
	}
	for _, bad := range damages([]byte("example.com\n.example.net # ours\n192.0.2.0/24\nm\u00fcller.example\n"), 1) {
		_, mistakes := watchlist.Update(nil, watchlist.Part{Name: "f", Text: bad})
		check("watch list", bad, errors.Join(mistakes...))
	}
}
