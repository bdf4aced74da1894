package watchlist_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/entry"
	"ctwatch/ctwatch/watchlist"

	"github.com/google/go-cmp/cmp"
)

// rules makes rules of lines in Cert Spotter's syntax.
func rules(t testing.TB, lines ...string) []watchlist.Rule {
	t.Helper()
	out, err := parseFile(strings.Join(lines, "\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// parseFile returns the rules of a file, or all its mistakes.
func parseFile(text, name string) ([]watchlist.Rule, error) {
	l, errs := watchlist.Update(nil, watchlist.Part{Name: name, Text: []byte(text)})
	if l == nil {
		return nil, errs[0]
	}
	return rulesOf(l), nil
}

func rulesOf(l *watchlist.List) (out []watchlist.Rule) {
	for _, r := range l.Rules() {
		out = append(out, r)
	}
	return out
}

func TestMatchName(t *testing.T) {
	for _, tt := range []struct {
		rule, name string
		want       bool
	}{
		{".example.com", "example.com", true},
		{".example.com", "www.example.com", true},
		{".example.com", "a.b.c.example.com", true},
		{".example.com", "WWW.Example.COM", true},
		{".example.com", "www.example.com.", true},
		{".example.com", "notexample.com", false},
		{".example.com", "example.com.evil.org", false},
		{".example.com", "com", false},
		{".example.com", "", false},
		{".example.com", ".", false},
		{"example.com", "example.com", true},
		{"example.com", "EXAMPLE.com.", true},
		{"example.com", "www.example.com", false},
		{"example.com", "xample.com", false},
		{"localhost", "localhost", true},

		// A wildcard certificate covers one label.
		{"sub.example.com", "*.example.com", true},
		{"sub.example.com", "*.EXAMPLE.com.", true},
		{"example.com", "*.example.com", false},
		{".example.com", "*.example.com", true},
		{".example.com", "*.com", true},
		{"example.com", "*.com", true},
		{"www.example.com", "*.com", false},
		{".a.b.example.com", "*.example.com", false},
		{".a.b.example.com", "*.b.example.com", true},
		{".a.b.example.com", "*.x.a.b.example.com", true},
		{"www.example.com", "*", false},
		{"www.example.com", "*.*.com", true},
		{"www.example.com", "www.*.com", true},
		{"www.example.com", "ftp.*.com", false},
		{".example.com", "ftp.*.com", true},

		// Partial wildcards.
		{"foo.example.com", "f*o.example.com", true},
		{"fo.example.com", "f*o.example.com", true},
		{"f.example.com", "f*f.example.com", false},
		{"bar.example.com", "f*o.example.com", false},
		{"xaxbxcx.example.com", "*a*b*c*.example.com", true},
		{"xaxcxbx.example.com", "*a*b*c*.example.com", false},

		// Redacted labels and those that cannot be read.
		{"www.example.com", "?.example.com", true},
		{"www.example.com", "?.?.com", true},
		{"www.example.com", "?.?.org", false},
		{"www.example.com", "w\x01w.example.com", true},
		{"www.example.com", "\xff\xfe(.example.com", true},
		{"www.example.com", ".example.com", true},
		{"www.example.com", "www..com", true},
		{"www.example.com", "a!b.c!d.com", true},
		{"www.example.com", "a!b.example.org", false},

		// Weird forms.
		{".example.com", "example.com\x00.evil.org", true},
		{".evil.org", "example.com\x00.evil.org", true},
		{".example.com", "http://www.example.com/", true},
		{".example.com", "HTTPS://www.example.com/path", true},
		{".example.com", "www.example.com/", true},
		{".example.com", "www.example.com:443", true},
		{".example.com", "  www.example.com\n", true},
		{".example.com", "www.example.com other.org", true},
		{".example.com", "admin@example.com", true},
		{".example.org", "admin@example.com", false},
		{".bücher.example", "www.bücher.example", true},
		{".bücher.example", "www.BÜCHER.example", true},
		{".bücher.example", "www.b\xfccher.example", true},
		{".bücher.example", "www.xn--bcher-kva.example", true},
		{".bücher.example", "www.XN--BCHER-KVA.example", true},
		{".xn--bcher-kva.example", "bücher.example", true},
		{".bücher.example", "www。bücher．example", true},
		{".example.com", strings.Repeat("a.", 5000) + "example.com", true},
		{"example.com", strings.Repeat("a.", 5000) + "example.com", false},
		{".example.com", strings.Repeat("a", 5000), false},
	} {
		l := watchlist.New(rules(t, tt.rule, "unrelated.test"))
		if got := l.MatchName([]byte(tt.name)); got != tt.want {
			t.Errorf("%.60q matches rule %q: %v, want %v", tt.name, tt.rule, got, tt.want)
		}
		if got := len(l.Matches([]string{tt.name})) > 0; got != tt.want {
			t.Errorf("Matches of %.60q has rule %q: %v, want %v", tt.name, tt.rule, got, tt.want)
		}
	}
}

func TestEmptyListMatchesNothing(t *testing.T) {
	l := watchlist.New(nil)
	for _, name := range []string{"", "*", "?", "com", "\xff", "*.com", "a!b"} {
		if l.MatchName([]byte(name)) {
			t.Errorf("%q matches", name)
		}
	}
}

func TestMatchesAreInOrderOfRulesThenNames(t *testing.T) {
	l := watchlist.New(rules(t, ".example.com", "www.example.com", "other.test", ".example.com", "API.example.com"))
	got := l.Matches([]string{"*.example.com", "www.example.com", "none.test", "www.example.com"})
	want := []ctwatch.Match{
		{Watch: ".example.com", Name: "*.example.com", Domain: "example.com"},
		{Watch: ".example.com", Name: "www.example.com", Domain: "example.com"},
		{Watch: "www.example.com", Name: "*.example.com", Domain: "www.example.com"},
		{Watch: "www.example.com", Name: "www.example.com", Domain: "www.example.com"},
		{Watch: "API.example.com", Name: "*.example.com", Domain: "api.example.com"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMatchesOfTenThousandNames(t *testing.T) {
	l := watchlist.New(rules(t, ".example.com", ".com"))
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("h%d.example.com", i))
	}
	if got := len(l.Matches(names)); got != 20_000 {
		t.Errorf("%d matches, want 20000", got)
	}
}

// reference is the matching rule in its plainest words: labels compared from the
// right, for every rule.
func reference(rules []watchlist.Rule, name string) bool {
	found := false
	entry.Candidates([]byte(name), func(c []byte) {
		ip, isIP := entry.Address(c)
		if isIP {
			found = found || slices.ContainsFunc(rules, func(r watchlist.Rule) bool { return r.Network.Contains(ip) })
			return
		}
		have := strings.Split(string(c), ".")
		slices.Reverse(have)
		found = found || slices.ContainsFunc(rules, func(r watchlist.Rule) bool {
			if r.Network.IsValid() {
				return false
			}
			want := strings.Split(r.Domain, ".")
			slices.Reverse(want)
			if len(have) < len(want) || len(have) > len(want) && !r.Subdomains {
				return false
			}
			for i, label := range want {
				if !labelMatches(have[i], label) {
					return false
				}
			}
			return true
		})
	})
	return found
}

func labelMatches(pattern, label string) bool {
	if pattern == "" || strings.Trim(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-_*") != "" {
		return true
	}
	if pattern[0] == '*' {
		for i := range len(label) + 1 {
			if rest := pattern[1:]; rest == "" && i == len(label) || rest != "" && labelTail(rest, label[i:]) {
				return true
			}
		}
		return false
	}
	return labelTail(pattern, label)
}

// labelTail matches what is left of a pattern with what is left of a label.
func labelTail(pattern, label string) bool {
	if pattern == "" || pattern[0] == '*' {
		return pattern == "" && label == "" || pattern != "" && labelMatches(pattern, label)
	}
	return label != "" && label[0] == pattern[0] && labelTail(pattern[1:], label[1:])
}

func TestIndexAgreesWithTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	labels := []string{"a", "b", "ab", "ba", "aab", "com", "xn--bcher-kva"}
	odd := append([]string{"*", "?", "a*", "*b", "a*b", "**", "", "A", "bücher", "b\xfccher", "a b", "a\x00b", "a/", "a@b", "\xff\xfe", "a!"}, labels...)
	matched := 0
	for range 3000 {
		var rs []watchlist.Rule
		for range 1 + rnd.IntN(8) {
			var parts []string
			for range 1 + rnd.IntN(4) {
				parts = append(parts, pick(labels))
			}
			rs = append(rs, watchlist.Rule{Domain: strings.Join(parts, "."), Subdomains: rnd.IntN(2) == 0})
		}
		l := watchlist.New(rs)
		for range 30 {
			var parts []string
			for range 1 + rnd.IntN(5) {
				from := labels
				if rnd.IntN(3) == 0 {
					from = odd
				}
				parts = append(parts, pick(from))
			}
			name := strings.Join(parts, ".")
			want := reference(rs, name)
			if want {
				matched++
			}
			if got := l.MatchName([]byte(name)); got != want {
				t.Fatalf("MatchName(%q) = %v, want %v with rules %+v", name, got, want, rs)
			}
			if got := len(l.Matches([]string{name})) > 0; got != want {
				t.Fatalf("Matches(%q) = %v, want %v with rules %+v", name, got, want, rs)
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d names matched: the test tests little", matched)
	}
}

func TestOrdinaryNamesAllocateNothing(t *testing.T) {
	l := watchlist.New(rules(t, ".example.com", "www.example.org"))
	for _, name := range []string{"www.example.com", "*.example.org", "mail.Example.net.", "*.other.test"} {
		b := []byte(name)
		if n := testing.AllocsPerRun(100, func() { l.MatchName(b) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
}

func TestListServesManyGoroutines(t *testing.T) {
	l := watchlist.New(rules(t, ".example.com", "www.example.org"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if !l.MatchName([]byte("f*.example.com")) || len(l.Matches([]string{"*.example.org"})) != 1 {
					t.Error("no match")
				}
			}
		})
	}
	wg.Wait()
}

// million returns rules for n domains, nearly all below a few top-level domains.
func million(n int) []watchlist.Rule {
	out := make([]watchlist.Rule, n)
	for i := range out {
		d := fmt.Sprintf("watched-%d.%s", i*7919%n, []string{"com", "org", "net", "co.uk"}[i%4])
		out[i] = watchlist.Rule{Watch: d, Domain: d, Subdomains: i%8 != 0}
	}
	return out
}

func TestHostileNamesAgainstManyRulesAreFast(t *testing.T) {
	l := watchlist.New(million(200_000))
	begun := cpu(t)
	for _, name := range []string{
		"*.com", "?.com", "*", "*.*.*", "f*o.com", "a.*.com", "*w*a*t*c*h*e*d*.com", "a!.b!.c!",
		strings.Repeat("*", 60) + "z.com", strings.Repeat("*.", 500) + "com", strings.Repeat("*a", 100) + ".com",
	} {
		for range 20 {
			l.MatchName([]byte(name))
		}
	}
	if took := cpu(t) - begun; took > 5*time.Second {
		t.Errorf("220 names took %v of processor time", took)
	}
}

// TestTrap39WildcardsTakeLinearTime: eight stars in one label have cost others half
// a second. What is tried for each star is counted here by its time, with a
// thousandfold reserve.
func TestTrap39WildcardsTakeLinearTime(t *testing.T) {
	label := strings.Repeat("a", 62)
	l := watchlist.New(rules(t, label+"b.example.com", ".example.org"))
	for _, stars := range []int{8, 16, 32, 120} {
		for _, pattern := range []string{
			strings.Repeat("*a", stars) + "*c.example.com", strings.Repeat("*", stars) + "c.example.com", strings.Repeat("*aa", stars/4) + "*aac.example.com",
		} {
			begun := cpu(t)
			for range 1000 {
				if l.MatchName([]byte(pattern)) || len(l.Matches([]string{pattern})) > 0 {
					t.Fatalf("%q matches", pattern)
				}
			}
			if took := cpu(t) - begun; took > 5*time.Second {
				t.Errorf("%d stars took %v of processor time, 1,000 times", stars, took)
			}
		}
		if pattern := strings.Repeat("*a", min(stars, 50)) + "*b.example.com"; !l.MatchName([]byte(pattern)) {
			t.Errorf("%q does not match", pattern)
		}
	}
}

func FuzzMatchName(f *testing.F) {
	for _, s := range []string{
		"www.example.com", "*.example.com", "f*o.example.com", "?.example.com", "a\x00b.example.com", "http://example.com/", "b\xfccher.example",
		"192.0.2.7", "http://[2001:db8::1]:443/", "::ffff:192.0.2.7",
	} {
		f.Add([]byte(s))
	}
	rs := rules(f, ".example.com", "foo.example.org", "bücher.example", ".a.b.c.test", "192.0.2.0/24", "2001:db8::/32", "::1")
	l := watchlist.New(rs)
	f.Fuzz(func(t *testing.T, name []byte) {
		got := l.MatchName(name)
		if want := reference(rs, string(name)); got != want {
			t.Errorf("MatchName(%q) = %v, want %v", name, got, want)
		}
		if matches := len(l.Matches([]string{string(name)})) > 0; matches != got {
			t.Errorf("Matches(%q) = %v, MatchName %v", name, matches, got)
		}
	})
}

// BenchmarkMatchName matches names that are not watched, as nearly all are.
func BenchmarkMatchName(b *testing.B) {
	names := make([][]byte, 4096)
	for i := range names {
		names[i] = fmt.Appendf(nil, "www.some-shop-%d.%s", i*104729%1_000_003, []string{"com", "org", "de", "net"}[i%4])
		if i%8 == 0 {
			names[i] = fmt.Appendf(nil, "*.other-shop-%d.com", i)
		}
	}
	for _, n := range []int{1, 1_000, 1_000_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			l := watchlist.New(million(n))
			b.ReportAllocs()
			b.ResetTimer()
			begun := cpu(b)
			for i := range b.N {
				if l.MatchName(names[i%len(names)]) {
					b.Fatal("a match")
				}
			}
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the processor time that this process has used, which does not pass faster
// on a busy machine.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
