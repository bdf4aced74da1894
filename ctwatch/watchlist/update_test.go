package watchlist_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// update updates a list that must have no mistakes.
func update(t testing.TB, before *watchlist.List, parts ...watchlist.Part) *watchlist.List {
	t.Helper()
	l, mistakes := watchlist.Update(before, parts...)
	if l == nil {
		t.Fatal(mistakes)
	}
	return l
}

func file(name string, lines ...string) watchlist.Part {
	return watchlist.Part{Name: name, Text: []byte(strings.Join(lines, "\n"))}
}

// answers is all that a list says of the names that the tests below use.
type answers struct {
	Rules     []watchlist.Rule
	Len       int
	Addresses bool
	Names     map[string][]ctwatch.Match
	IPs       map[string]bool
	Narrowest map[pins.Pattern]watchlist.Rule
}

// In tests that edit lists.
var (
	someLabels = []string{"a", "b", "com"}
	someIPs    = []string{"192.0.2.7", "192.0.3.1", "2001:db8::1", "198.51.100.1"}
	someLines  = []string{
		"", "# nothing", " \t ", "192.0.2.0/24", "192.0.2.7 # one", "2001:db8::/32", "::ffff:192.0.2.7", "A.com", ".B.Com.", ".bücher.com\r", "bücher.com", "  .a.com  ", "com", ".com", "a.b.com#x",
	}
)

func answersOf(t testing.TB, l *watchlist.List) answers {
	var parts []int // of the rules
	for part := range l.Rules() {
		parts = append(parts, part)
	}
	a := answers{
		Rules: rulesOf(l), Len: l.Len(), Addresses: l.WatchesAddresses(),
		Names: make(map[string][]ctwatch.Match), IPs: make(map[string]bool), Narrowest: make(map[pins.Pattern]watchlist.Rule),
	}
	ask := func(name string) {
		a.Names[name] = l.Matches([]string{name})
		if got, want := l.MatchName([]byte(name)), a.Names[name] != nil; got != want {
			t.Fatalf("MatchName(%q) is %v, Matches %v", name, got, want)
		}
		for _, reach := range []pins.Reach{pins.Exact, pins.OneBelow, pins.AllBelow} {
			p := pins.Pattern{Name: name, Reach: reach}
			r, part, _, ok := l.Narrowest(p)
			want, wantPart := narrowest(a.Rules, parts, p)
			if ok != (wantPart >= 0) || ok && (part != wantPart || r != want) {
				t.Fatalf("Narrowest(%v) is %+v in %d, want %+v in %d", p, r, part, want, wantPart)
			}
			a.Narrowest[p] = r
		}
	}
	for _, x := range someLabels {
		for _, y := range append([]string{"*", "?", "xn--b*", "xn--bcher-kva"}, someLabels...) {
			ask(y + "." + x)
			ask("*." + y + "." + x)
			ask("a." + y + "." + x)
		}
		ask(x)
	}
	for _, s := range someIPs {
		a.IPs[s] = l.MatchIP(netip.MustParseAddr(s).AsSlice())
		ask(s)
	}
	return a
}

// narrowest is the rule of Narrowest in its plainest words; its part is -1 if there is none.
func narrowest(rules []watchlist.Rule, parts []int, host pins.Pattern) (best watchlist.Rule, part int) {
	part = -1
	for i, r := range rules {
		p := pins.Pattern{Name: r.Domain}
		if r.Subdomains {
			p.Reach = pins.AllBelow
		}
		if !r.Network.IsValid() && p.Covers(host) && (part < 0 || len(r.Domain) > len(best.Domain)) {
			best, part = r, parts[i]
		}
	}
	return best, part
}

// TestUpdateEqualsNewList: after any sequence of edits, of files that come, go and change
// places too, a list says what one says that is built from nothing, and the list before still says
// what it said.
func TestUpdateEqualsNewList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.Custom(func(t *rapid.T) string {
			if rapid.IntRange(0, 3).Draw(t, "odd") == 0 {
				return rapid.SampledFrom(someLines).Draw(t, "line")
			}
			labels := rapid.SliceOfN(rapid.SampledFrom(someLabels), 1, 3).Draw(t, "labels")
			return rapid.SampledFrom([]string{"", "."}).Draw(t, "dot") + strings.Join(labels, ".")
		})
		// Long enough that an edit is less than half of it.
		long := []string{"a.com", ".b.com", "a.b.com", "com", ".a.b", "b.a.com", ".a", "b", "# end", "b.b.com"}
		texts := map[string][]string{"x": long, "y": slices.Concat(someLines, long)}
		list := update(t, nil)
		for range rapid.IntRange(1, 8).Draw(rt, "updates") {
			for range rapid.IntRange(0, 3).Draw(rt, "edits") {
				name := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "file")
				at, lines := 0, texts[name]
				if len(lines) > 0 {
					at = rapid.IntRange(0, len(lines)-1).Draw(rt, "at")
				}
				drop := rapid.IntRange(0, min(2, len(lines)-at)).Draw(rt, "drop")
				texts[name] = slices.Replace(slices.Clone(lines), at, at+drop, rapid.SliceOfN(line, 0, 3).Draw(rt, "add")...)
			}
			parts := []watchlist.Part{{Name: "rules"}}
			if rapid.Bool().Draw(rt, "rule") {
				parts[0].Rules = []watchlist.Rule{{Watch: "b.com", Domain: "b.com", Subdomains: rapid.Bool().Draw(rt, "below")}, {}}
			}
			for _, name := range rapid.SampledFrom([][]string{{"x"}, {"x", "y"}, {"y", "x"}, {"x", "x"}, {}}).Draw(rt, "files") {
				parts = append(parts, file(name, texts[name]...))
			}
			before := answersOf(t, list)
			next := update(t, list, parts...)
			if diff := cmp.Diff(before, answersOf(t, list), prefixes); diff != "" {
				rt.Fatalf("the list before changed:\n%s", diff)
			}
			if diff := cmp.Diff(answersOf(t, update(t, nil, parts...)), answersOf(t, next), prefixes); diff != "" {
				rt.Fatalf("an update is not a new list:\n%s", diff)
			}
			list = next
		}
	})
}

// FuzzUpdate: an update from one file to another is the list of the other, whatever the two
// have in common.
func FuzzUpdate(f *testing.F) {
	f.Add("a.com\nb.com\nc.com", "a.com\nc.com")
	f.Add("a.com", "a.com\n")
	f.Add("a.com\nb.com\nc.com\nd.com", "a.com\nx.com\nc.com\nd.com")
	f.Add("a.com\nb.com\nc.com\nd.com", "a.com\nb.com\nc.com\nd.com.example")
	f.Add("ab.com\nb.com\nb.com\nd.com", "b.com\nb.com\nd.com")
	f.Add("\ufeffa.com\n.b.com", "a.com\n.b.com")
	f.Add("a.com\r\nb.com", "a.com\r\n\r\nb.com\n192.0.2.7\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		before, _ := watchlist.Update(nil, file("f", a))
		want, wantMistakes := watchlist.Update(nil, file("f", b))
		if before == nil {
			return
		}
		got, mistakes := watchlist.Update(before, file("f", b))
		if got == nil || want == nil {
			if got != want || mistakes[0].Error() != wantMistakes[0].Error() {
				t.Fatalf("%v, want %v", mistakes, wantMistakes)
			}
			return
		}
		if diff := cmp.Diff(rulesOf(want), rulesOf(got), prefixes); diff != "" || got.Len() != want.Len() {
			t.Error(got.Len(), want.Len(), diff)
		}
		for _, r := range append(rulesOf(before), rulesOf(want)...) {
			name := r.Domain
			if r.Network.IsValid() {
				name = r.Network.Addr().String()
			}
			if diff := cmp.Diff(want.Matches([]string{name}), got.Matches([]string{name})); diff != "" {
				t.Errorf("%s\n%s", name, diff)
			}
		}
	})
}

// manyLines are lines of a file. Those that are not canonical need memory to be read.
func manyLines(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

// TestUpdateReadsOnlyWhatIsNew: lines that stay are not read again. Lines that need memory
// to be read show it.
func TestUpdateReadsOnlyWhatIsNew(t *testing.T) {
	lines := manyLines(10_000, "Host-%d.Example")
	other := file("other", manyLines(10_000, "Other-%d.Example")...)
	list := update(t, nil, file("f", lines...), other)
	if update(t, list, file("f", lines...), other) != list {
		t.Error("the list of unchanged files is another")
	}
	lines = slices.Replace(slices.Clone(lines), 5000, 5001, "New.Example", "Newer.Example")
	changed := file("f", lines...)
	if n := testing.AllocsPerRun(1, func() { update(t, list, changed, other) }); n > 200 {
		t.Errorf("%v allocations for two lines of 20,000", n)
	}
	if n := testing.AllocsPerRun(1, func() { update(t, list, changed) }); n > 200 {
		t.Errorf("%v allocations to drop a file", n)
	}
}

// TestMistakesInChangedLines: the lines of mistakes count from the beginning of the file,
// and the list before is as it was.
func TestMistakesInChangedLines(t *testing.T) {
	lines := manyLines(1000, "host-%d.example")
	list := update(t, nil, file("f", lines...))
	got, mistakes := watchlist.Update(list, file("f", slices.Replace(slices.Clone(lines), 700, 701, "new.example", "  -bad.example")...), file("g", "x y"))
	if got != nil || len(mistakes) != 2 || !strings.HasPrefix(mistakes[0].Error(), "f:702:3: ") || !strings.HasPrefix(mistakes[1].Error(), "g:1:3: ") {
		t.Errorf("%v, %v", got, mistakes)
	}
	if list.MatchName([]byte("new.example")) || !list.MatchName([]byte("host-700.example")) || list.Len() != 1000 {
		t.Error("the list before changed")
	}
}

// TestLeftoversAreCollected: names that are no longer watched leave something behind, which
// does not grow with every update.
func TestLeftoversAreCollected(t *testing.T) {
	lines := manyLines(1000, "host-%d.example")
	list := update(t, nil, file("f", lines...))
	for i := range 100 {
		for j := range 100 {
			lines[j] = fmt.Sprintf("host-%d-%d.example", i, j)
		}
		list = update(t, list, file("f", lines...))
	}
	if nodes, rules := list.Size(); nodes > 2500 || rules > 1101 {
		t.Errorf("%d nodes and %d rules for 1,000 names", nodes, rules)
	}
}

// TestMemoryOfALine: a list allocates a few large pieces, and not for each line.
func TestMemoryOfALine(t *testing.T) {
	const n = 100_000
	f := file("f", manyLines(n, ".host-%d.example")...)
	var list *watchlist.List
	if allocs := testing.AllocsPerRun(1, func() { list = update(t, nil, f) }); allocs > 100 {
		t.Errorf("%v allocations for %d lines", allocs, n)
	}
	if bytes := allocated(func() { update(t, nil, f) }) / n; bytes > 100 {
		t.Errorf("%d bytes for a line", bytes)
	}
	f.Text = append(f.Text, "\nnew.example"...)
	if bytes := allocated(func() { update(t, list, f) }) / n; bytes > 80 {
		t.Errorf("%d bytes for a line, to add one", bytes)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// millionFile writes a file of a million lines, and returns its name.
func millionFile(b *testing.B) string {
	var text strings.Builder
	for _, r := range million(1_000_000) {
		if r.Subdomains {
			text.WriteByte('.')
		}
		text.WriteString(r.Domain + "\n")
	}
	name := filepath.Join(b.TempDir(), "domains.txt")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}

func readPart(b *testing.B, name string) watchlist.Part {
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return watchlist.Part{Name: name, Text: text}
}

// measure reports the CPU time of f, with its garbage collections, and the most memory that
// the heap may have held: what it held before, and all that f allocated. It returns a result
// of f.
func measure[T any](b *testing.B, f func() T) (result T) {
	var used, most uint64
	for b.Loop() {
		var none T
		result = none
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		begun := cpu(b)
		most = max(most, m.HeapAlloc+allocated(func() { result = f() }))
		runtime.GC()
		used += uint64(cpu(b) - begun)
	}
	b.ReportMetric(float64(used)/1e9/float64(b.N), "cpu-s")
	b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
	return result
}

// BenchmarkLoadMillionLines reads a file of a million lines, and indexes it.
func BenchmarkLoadMillionLines(b *testing.B) {
	name := millionFile(b)
	list := measure(b, func() *watchlist.List { return update(b, nil, readPart(b, name)) })
	if list.Len() != 1_000_000 {
		b.Fatal(list.Len())
	}
}

// BenchmarkReloadOneLine reads the file again, after one line in its midst has changed.
func BenchmarkReloadOneLine(b *testing.B) {
	name := millionFile(b)
	list := update(b, nil, readPart(b, name))
	part := readPart(b, name)
	half := len(part.Text)/2 + slices.Index(part.Text[len(part.Text)/2:], '\n') + 1
	text := slices.Concat(part.Text[:half], []byte("changed.example\n"), part.Text[half+slices.Index(part.Text[half:], '\n')+1:])
	if err := os.WriteFile(name, text, 0o600); err != nil {
		b.Fatal(err)
	}
	part, text = watchlist.Part{}, nil
	next := measure(b, func() *watchlist.List { return update(b, list, readPart(b, name)) })
	if next.Len() != 1_000_000 || !next.MatchName([]byte("changed.example")) {
		b.Fatal(next.Len())
	}
}

// BenchmarkFloorMillionLines reads the file, and makes a map of its lines.
func BenchmarkFloorMillionLines(b *testing.B) {
	name := millionFile(b)
	lines := measure(b, func() map[string]struct{} {
		out := make(map[string]struct{}, 1_000_000)
		for line := range strings.Lines(string(readPart(b, name).Text)) {
			out[line] = struct{}{}
		}
		return out
	})
	if len(lines) != 1_000_000 {
		b.Fatal(len(lines))
	}
}
