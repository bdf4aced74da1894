package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/pins"
	"ctwatch/store"
	"ctwatch/store/storetest"
)

// TestListsHaveLimits: a list prints so many, says on stderr that there are more, and
// continues after the last, in tables and in JSON.
func TestListsHaveLimits(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "ctwatch.db"), store.Options{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	s, err := storetest.New(storetest.Options{Domains: 3})
	must(t, err)
	const n = 25
	must(t, s.Fill(t.Context(), db, 0, n))
	must(t, db.Close())
	config := filepath.Join(dir, "ctwatch.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "data_dir: %s\nwatch: [example]\n", dir), 0o600))

	next := regexp.MustCompile(`^Listed 10 (certificates|keys); there are more. To continue: --after ('?)(.+)'?\. To list all: --limit 0.\n$`)
	list := func(args ...string) (out, after string) {
		t.Helper()
		status, out, stderr := runCommand(t.Context(), config, args...)
		if status != exitDone {
			t.Fatalf("%v: exit status %d, %s", args, status, stderr)
		}
		if stderr == "" {
			return out, ""
		}
		m := next.FindStringSubmatch(stderr)
		if m == nil {
			t.Fatalf("%v: %q on stderr", args, stderr)
		}
		return out, strings.Trim(m[3], "'")
	}
	pages := func(args ...string) (out []string) {
		t.Helper()
		for after := ""; ; {
			page := append(args, "--limit", "10")
			if after != "" {
				page = append(page, "--after", after)
			}
			text, last := list(page...)
			out = append(out, text)
			if after = last; after == "" {
				return out
			}
		}
	}

	var certs []ctwatch.Certificate
	for _, page := range pages("certs", "list", "--json") {
		var some []ctwatch.Certificate
		must(t, json.Unmarshal([]byte(page), &some))
		certs = append(certs, some...)
	}
	all, after := list("certs", "list", "--json", "--limit", "0")
	var want []ctwatch.Certificate
	must(t, json.Unmarshal([]byte(all), &want))
	if len(want) != n || after != "" {
		t.Errorf("all: %d certificates and more after %q; want %d", len(want), after, n)
	}
	for i := range want {
		if i >= len(certs) || certs[i].ID != want[i].ID {
			t.Fatalf("the pages differ from the whole list at %d", i)
		}
	}
	if text, _ := list("certs", "list", "--limit", "10", "--domain", "customer-1.example"); strings.Count(text, "\n") != 1+8 {
		t.Errorf("of one domain:\n%s", text)
	}

	var keys []pins.Key
	for _, page := range pages("pins", "list", "--json") {
		var some []pins.Key
		must(t, json.Unmarshal([]byte(page), &some))
		keys = append(keys, some...)
	}
	all, _ = list("pins", "list", "--json")
	var wantKeys []pins.Key
	must(t, json.Unmarshal([]byte(all), &wantKeys))
	if len(wantKeys) != n+1 || len(keys) != n+1 {
		t.Errorf("%d keys, %d on pages; want %d", len(wantKeys), len(keys), n+1)
	}
	for i, k := range wantKeys {
		if keys[i].Pin != k.Pin || k.Role == pins.RoleIssuer && len(k.Certificates) != n {
			t.Errorf("key %d: %+v; on its page %+v", i, k, keys[i])
		}
	}
	if text, _ := list("certs", "list", "--since", "10000d", "--json"); strings.Count(text, "\n") < n {
		t.Errorf("since 10,000 days:\n%s", text)
	}
	for _, args := range [][]string{
		{"certs", "list", "--limit", "-1"},
		{"pins", "list", "--limit", "-1"},
		{"pins", "list", "--after", "sha256/x"},
		{"certs", "list", "--suggest", "--after", "00000000"},
		{"certs", "list", "--after", "zzzz"},
		{"certs", "list", "--after", "zzzzzzzz"},
		{"certs", "list", "--since", "d"},
	} {
		if status, _, stderr := runCommand(t.Context(), config, args...); status != exitUsage {
			t.Errorf("%v: exit status %d, %s", args, status, stderr)
		}
	}
}

// TestSuggestHasTheLimitOfLists: rules are suggested from the newest 1,000 certificates unless
// --limit says otherwise, and a line on stderr says that there are more.
func TestSuggestHasTheLimitOfLists(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "ctwatch.db"), store.Options{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	s, err := storetest.New(storetest.Options{Domains: 3})
	must(t, err)
	const n = listLimit + 1
	must(t, s.Fill(t.Context(), db, 0, n))
	must(t, db.Close())
	config := filepath.Join(dir, "ctwatch.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "data_dir: %s\nwatch: [example]\n", dir), 0o600))
	for limit, want := range map[string]int{"": listLimit, "10": 10, "0": n} {
		args := []string{"certs", "list", "--verdict", "unreviewed", "--suggest"}
		if limit != "" {
			args = append(args, "--limit", limit)
		}
		status, out, stderr := runCommand(t.Context(), config, args...)
		if status != exitDone || !strings.HasPrefix(out, fmt.Sprintf("# From %d certificates.", want)) {
			t.Errorf("--limit %q: exit status %d, %s%.200s", limit, status, stderr, out)
		}
		more := fmt.Sprintf("Listed %d certificates; there are more. To list all: --limit 0.\n", want)
		if want == n {
			more = ""
		}
		if stderr != more {
			t.Errorf("--limit %q: %q on stderr", limit, stderr)
		}
	}
}
