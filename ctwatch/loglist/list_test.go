package loglist

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// Parse reads RFC 6962 and static logs.
func TestParseBothKinds(t *testing.T) {
	rfc, static := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	root := bytes.Repeat([]byte{7}, 32)
	data := listOf(t, 2, operator("Op", []object{withKey(rfc, object{
		"description": "Op 'A2026' log", "url": "https://a.example.org/2026", "mmd": 86400,
		"state": object{"readonly": object{
			"timestamp": "2026-01-01T00:00:00Z", "final_tree_head": object{"tree_size": 12, "sha256_root_hash": root},
		}},
		"temporal_interval": object{"start_inclusive": "2026-01-01T00:00:00Z", "end_exclusive": "2026-07-01T00:00:00Z"},
	})}, []object{withKey(static, object{
		"description": "B", "monitoring_url": "http://mon.example.org//", "submission_url": "https://log.example.org", "mmd": 60,
	})}))
	got, problems, err := Parse(data)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := &List{
		Version: "1.2", Timestamp: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		Logs: []ctwatch.Log{{
			ID: ctwatch.LogIDOf(rfc), Name: "Op 'A2026' log", Operator: "Op", Kind: ctwatch.KindRFC6962, State: "readonly", Key: rfc,
			URL: "https://a.example.org/2026/", MMD: 24 * time.Hour,
			IntervalStart: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), IntervalEnd: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
			FinalSize: 12, FinalRoot: ctwatch.Hash(root),
		}, {
			ID: ctwatch.LogIDOf(static), Name: "B", Operator: "Op", Kind: ctwatch.KindStatic, Key: static,
			URL: "http://mon.example.org/", SubmissionURL: "https://log.example.org/", MMD: time.Minute,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A log that cannot be used is skipped and reported, and the others are kept.
func TestParseSkipsBadLog(t *testing.T) {
	rsaKey := func(bits int) []byte {
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return spki(t, key.Public())
	}
	ed, _, _ := ed25519.GenerateKey(rand.Reader)
	set := func(field string, value any) func(object) {
		return func(o object) { o[field] = value }
	}
	for name, test := range map[string]struct {
		change func(object)
		want   string
	}{
		"ID of another key":    {set("log_id", bytes.Repeat([]byte{1}, 32)), "is not the SHA-256 of its key"},
		"short ID":             {set("log_id", []byte{1}), "is not the SHA-256 of its key"},
		"ID is not base64":     {set("log_id", "!!"), "skipped"},
		"ID is a number":       {set("log_id", 7), "skipped"},
		"key is not base64":    {set("key", "!!"), "skipped"},
		"no key":               {func(o object) { delete(o, "key") }, "no key"},
		"key is not DER":       {func(o object) { withKey([]byte("key"), o) }, "is not a SubjectPublicKeyInfo"},
		"endless key":          {func(o object) { withKey(make([]byte, maxLogKey+1), o) }, "2049 bytes"},
		"P-384 key":            {func(o object) { withKey(newKey(t, elliptic.P384()), o) }, "ECDSA P-384"},
		"Ed25519 key":          {func(o object) { withKey(spki(t, ed), o) }, "ed25519"},
		"RSA key of 1024 bits": {func(o object) { withKey(rsaKey(1024), o) }, "1024 bits"},
		"no URL":               {func(o object) { delete(o, "url") }, "URL is missing"},
		"FTP":                  {set("url", "ftp://ct.example.org/"), "another scheme"},
		"file":                 {set("url", "file:///etc/"), "another scheme"},
		"no host":              {set("url", "https:///log"), "a valid host"},
		"user in the URL":      {set("url", "https://me:secret@ct.example.org/"), "user name"},
		"query in the URL":     {set("url", "https://ct.example.org/?log=1"), "query"},
		"newline in the URL":   {set("url", "https://ct.example.org/\n"), "is not a URL"},
		"endless URL":          {set("url", "https://ct.example.org/"+strings.Repeat("a", 3000)), "characters"},
		"interval is no time":  {set("temporal_interval", object{"start_inclusive": "soon"}), "skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := rfc6962Log(t, "bad")
			test.change(bad)
			list, problems, err := Parse(listOf(t, 1, operator("Op", []object{rfc6962Log(t, "first"), bad, rfc6962Log(t, "last")}, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"first", "last"}, names(list.Logs)); diff != "" {
				t.Error(diff)
			}
			if len(problems) != 1 || problems[0].Log != "bad" || !strings.Contains(problems[0].Reason, test.want) {
				t.Errorf("got problems %q, want one of bad with %q", problems, test.want)
			}
			if strings.Contains(problems[0].String(), "secret") {
				t.Error("the problem contains the password")
			}
		})
	}
}

// Errors in facts that are not needed for reading are reported, and the log is kept.
func TestParseIgnoresMinorErrors(t *testing.T) {
	usable := object{"timestamp": "2026-01-01T00:00:00Z"}
	for name, test := range map[string]struct {
		field string
		value any
		state string
		want  string
	}{
		"negative MMD":     {"mmd", -1, "usable", "merge delay"},
		"MMD of an age":    {"mmd", 1e300, "usable", "merge delay"},
		"reversed":         {"temporal_interval", object{"start_inclusive": "2026-07-01T00:00:00Z", "end_exclusive": "2026-01-01T00:00:00Z"}, "usable", "interval"},
		"unknown state":    {"state", object{"asleep": usable}, "", "state"},
		"two states":       {"state", object{"retired": usable, "qualified": usable}, "qualified", ""},
		"null state":       {"state", nil, "", ""},
		"short final root": {"state", object{"readonly": object{"final_tree_head": object{"tree_size": 1, "sha256_root_hash": "AA=="}}}, "readonly", "final tree head"},
		"negative size":    {"state", object{"readonly": object{"final_tree_head": object{"tree_size": -1}}}, "readonly", "final tree head"},
	} {
		t.Run(name, func(t *testing.T) {
			log := rfc6962Log(t, "log")
			log[test.field] = test.value
			list, problems, err := Parse(listOf(t, 1, operator("Op", []object{log}, nil)))
			if err != nil || len(list.Logs) != 1 {
				t.Fatal(err, problems)
			}
			got := list.Logs[0]
			if got.State != test.state || got.FinalSize != 0 || got.MMD < 0 || got.IntervalEnd.Before(got.IntervalStart) {
				t.Errorf("got %+v", got)
			}
			if test.want == "" && len(problems) > 0 || test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Reason, test.want)) {
				t.Errorf("got problems %q, want %q", problems, test.want)
			}
		})
	}
}

// Of two logs with one ID, the first is kept.
func TestParseDuplicateID(t *testing.T) {
	key := newKey(t, elliptic.P256())
	first := withKey(key, object{"description": "first", "url": "https://one.example.org/"})
	second := withKey(key, object{"description": "second", "url": "https://two.example.org/"})
	hybrid := withKey(key, object{"description": "tiles", "monitoring_url": "https://one.example.org/"})
	// The tiles are listed first, but an operator's RFC 6962 logs come before.
	list, problems, err := Parse(listOf(t, 1, operator("A", []object{first}, []object{hybrid}), operator("B", []object{second}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"first"}, names(list.Logs)); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 2 || problems[0].Log != "tiles" || problems[1].Log != "second" || !strings.Contains(problems[1].Reason, "same ID") {
		t.Errorf("got problems %q", problems)
	}
}

// Names are printable.
func TestParsePrintableNames(t *testing.T) {
	log := rfc6962Log(t, "log")
	log["description"] = "a\x1b[31m\u202eb\n" + strings.Repeat("c", 1000)
	list, _, err := Parse(listOf(t, 1, operator("Op\n<!channel>", []object{log}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	got := list.Logs[0]
	if strings.ContainsAny(got.Name+got.Operator, "\x1b\n\u202e") || len(got.Name) > 4*(maxName+1) {
		t.Errorf("got name %q of operator %q", got.Name, got.Operator)
	}
}

// What is not a log list of version 3 is an error.
func TestParseErrors(t *testing.T) {
	many := bytes.Repeat([]byte("{},"), MaxLogs+1)
	for name, test := range map[string]struct{ data, want string }{
		"nothing":         {"", "not JSON"},
		"HTML":            {"<!DOCTYPE html><title>Sign in", "<!DOCTYPE html>"},
		"truncated":       {`{"operators": [{"name": "Op", "logs": [`, "not JSON"},
		"two documents":   {`{"operators": []} {"operators": []}`, "not JSON"},
		"array":           {`[]`, "version 3"},
		"no operators":    {`{"logs": []}`, "operators"},
		"wrong operators": {`{"operators": "none"}`, "version 3"},
		"time":            {`{"operators": [], "log_list_timestamp": "now"}`, "version 3"},
		"too many logs":   {`{"operators": [{"logs": [` + strings.TrimSuffix(string(many), ",") + `]}]}`, "10000"},
		"too large":       {strings.Repeat(" ", MaxSize) + `{"operators": []}`, "allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			list, _, err := Parse([]byte(test.data))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v and error %v, want one with %q", list, err, test.want)
			}
		})
	}
}

// An operator that cannot be parsed is skipped and reported.
func TestParseSkipsBadOperator(t *testing.T) {
	data := []byte(`{"operators": [{"name": 7}, null, {"name": "empty"}, {"name": "x", "logs": [null, 7, "log"]}]}`)
	list, problems, err := Parse(data)
	if err != nil || len(list.Logs) != 0 || len(problems) != 4 {
		t.Errorf("got %v, problems %q, error %v", list, problems, err)
	}
}

// Parse reads the newest published list without problems.
func TestParseRealList(t *testing.T) {
	list, problems, err := Parse(realFile(t, "gstatic-all_logs_list-89.25.json"))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	count := make(map[string]int)
	for _, l := range list.Logs {
		count[string(l.Kind)]++
		count["state "+l.State]++
		if l.FinalSize > 0 {
			count["final"]++
		}
	}
	want := map[string]int{
		"rfc6962": 42, "static": 75, "final": 2,
		"state ": 39, "state usable": 37, "state pending": 16, "state rejected": 14, "state qualified": 6, "state retired": 3, "state readonly": 2,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Error(diff)
	}
	if list.Version != "89.25" || !list.Timestamp.Equal(time.Date(2026, 8, 20, 13, 34, 57, 0, time.UTC)) {
		t.Errorf("got version %s of %s", list.Version, list.Timestamp)
	}
}

// Extra.Log checks a configured log.
func TestExtra(t *testing.T) {
	key := newKey(t, elliptic.P256())
	b64 := base64.StdEncoding.EncodeToString(key)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}))
	for name, test := range map[string]struct {
		extra Extra
		want  ctwatch.Log // without what all share
		err   string
	}{
		"static": {
			Extra{Name: "lab", Kind: "static", URL: "http://127.0.0.1:9000", SubmissionURL: "http://lab/", Key: b64 + "\n"},
			ctwatch.Log{Name: "lab", Kind: "static", URL: "http://127.0.0.1:9000/", SubmissionURL: "http://lab/"},
			"",
		},
		"defaults": {
			Extra{URL: "https://ct.example.org/a", Key: block},
			ctwatch.Log{Name: "https://ct.example.org/a/", Kind: "rfc6962", URL: "https://ct.example.org/a/"},
			"",
		},
		"tree of files": {
			Extra{Name: "old", Kind: "static", URL: "file:///srv/log", Key: b64},
			ctwatch.Log{Name: "old", Kind: "static", URL: "file:///srv/log/"},
			"",
		},
		"RFC 6962 in files":      {extra: Extra{URL: "file:///srv/log", Key: b64}, err: "another scheme"},
		"relative files":         {extra: Extra{Kind: "static", URL: "file://srv/log", Key: b64}, err: "absolute"},
		"no key":                 {extra: Extra{Name: "lab", URL: "http://x/"}, err: "it has no key"},
		"bad key":                {extra: Extra{URL: "http://x/", Key: "…"}, err: "neither base64 nor PEM"},
		"certificate for a key":  {extra: Extra{URL: "http://x/", Key: strings.ReplaceAll(block, "PUBLIC KEY", "CERTIFICATE")}, err: "want PUBLIC KEY"},
		"unknown kind":           {extra: Extra{Kind: "tiles", URL: "http://x/", Key: b64}, err: `"tiles" is not known`},
		"no URL":                 {extra: Extra{Name: "lab", Key: b64}, err: "url: is missing"},
		"bad submission URL":     {extra: Extra{Kind: "static", URL: "http://x/", SubmissionURL: "x", Key: b64}, err: "submission_url: is not a URL"},
		"submission to RFC 6962": {extra: Extra{URL: "http://x/", SubmissionURL: "http://x/", Key: b64}, err: "only for kind static"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.extra.Log()
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error %v, want %q", err, test.err)
				}
				return
			}
			test.want.ID, test.want.Key, test.want.State = ctwatch.LogIDOf(key), key, "usable"
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

// A log of an unknown kind has one mistake, whatever else is set.
func TestExtraOfUnknownKind(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(newKey(t, elliptic.P256()))
	_, err := Extra{Kind: "statick", URL: "http://x/", SubmissionURL: "http://y/", Key: key}.Log()
	if want := `kind: "statick" is not known; want rfc6962, static`; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(listOf(f, 1, operator("Op", []object{rfc6962Log(f, "a")}, []object{staticLog(f, "b")})))
	f.Add([]byte(`{"version":"1","operators":[{"name":"x","logs":[null,{"log_id":"AA==","key":"!"}]},7]}`))
	f.Add([]byte(`{"operators":[{"tiled_logs":[{"state":{"readonly":{"final_tree_head":{}}},"mmd":1e99}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, problems, err := Parse(data)
		if err != nil {
			return
		}
		seen := make(map[ctwatch.LogID]bool)
		for _, l := range list.Logs {
			if seen[l.ID] || l.ID != ctwatch.LogIDOf(l.Key) || !strings.HasPrefix(l.URL, "http") || !strings.HasSuffix(l.URL, "/") ||
				l.MMD < 0 || l.Name == "" || (l.State != "" && !slices.Contains(states[:], l.State)) {
				t.Errorf("bad log %+v", l)
			}
			seen[l.ID] = true
		}
		for _, p := range problems {
			if p.Log == "" || p.Reason == "" {
				t.Errorf("empty problem %q", p)
			}
		}
		if _, err := json.Marshal(list); err != nil {
			t.Error(err)
		}
	})
}
