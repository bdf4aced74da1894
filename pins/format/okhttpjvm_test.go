package format

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ctwatch/pins"
)

// OkHttp and what it needs, where Debian's libokhttp-java and libokio-java put them.
var okhttpJars = []string{"/usr/share/java/okhttp.jar", "/usr/share/java/okio.jar"}

// compileJava compiles Java into a directory, with OkHttp, and returns the class path to
// run it.
func compileJava(t *testing.T, dir string, files ...string) string {
	t.Helper()
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("javac is not installed (on Debian, default-jdk-headless), so what OkHttp makes of our files is not known")
	}
	for _, jar := range okhttpJars {
		if _, err := os.Stat(jar); err != nil {
			t.Skipf("OkHttp is not installed (on Debian, libokhttp-java and libokio-java), so what it makes of our files is not known: %v", err)
		}
	}
	path := strings.Join(append(slices.Clone(okhttpJars), dir), string(filepath.ListSeparator))
	args := []string{"-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-encoding", "UTF-8", "-nowarn", "-proc:none", "-d", dir, "-cp", path}
	if out, err := program(t, nil, "javac", append(args, files...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// askOkHttp compiles exported pinners, starts one JVM, and returns its answer to each
// command of testdata/java/Client.java.
func askOkHttp(t *testing.T, exports [][]byte, commands []string) []string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "Exports.java")
	if err := os.WriteFile(source, javaOf(t, exports), 0o600); err != nil {
		t.Fatal(err)
	}
	path := compileJava(t, dir, source, filepath.Join("testdata", "java", "Client.java"))
	out, err := program(t, []byte(strings.Join(commands, "\n")+"\n"), "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, "Client")
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(commands) {
		t.Fatalf("%d answers to %d commands: %q", len(answers), len(commands), answers)
	}
	return answers
}

// javaOf makes a class of what was exported as Kotlin: the expression is the same in
// Java but for the word new.
func javaOf(t *testing.T, exports [][]byte) []byte {
	t.Helper()
	var b strings.Builder
	b.WriteString("import okhttp3.CertificatePinner;\n\nfinal class Exports {\n  static CertificatePinner pinner(int i) {\n    switch (i) {\n")
	for i, kotlin := range exports {
		head, expression, ok := strings.Cut(string(kotlin), "\nval certificatePinner: CertificatePinner = ")
		if !ok || !strings.HasSuffix(head, "\nimport okhttp3.CertificatePinner\n") {
			t.Fatalf("want an import and a val in\n%s", kotlin)
		}
		fmt.Fprintf(&b, "    case %d:\n      return new %s;\n", i, strings.TrimSpace(expression))
	}
	b.WriteString("    default:\n      throw new IndexOutOfBoundsException();\n    }\n  }\n}\n")
	return []byte(b.String())
}

func TestRealOkHttpDecidesTheSame(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	type question struct{ command, want string }
	questions := []question{
		{"trust\t" + s.root, "ok"},
		{"chain\tright\t" + s.right.file, "ok"},
		{"chain\twrong\t" + s.wrong.file, "ok"},
	}

	// What is exported: accepted for the right chain, refused for another, and no
	// hosts pinned but those of the patterns.
	const refused = "SSLPeerUnverifiedException"
	var exports [][]byte
	for i, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		list := []pins.Pin{s.right.chain.Of(role), testPin(0)}
		data, err := encodeOkHttp(pins.Set{
			App: `shop "live" \u000a */ $app`, Role: role, Plan: "5f", AsOf: asOf,
			Hosts: []pins.HostSet{host(t, "*.example.org", list), host(t, "api.example.com", list)},
		})
		if err != nil {
			t.Fatal(err)
		}
		exports = append(exports, data)
		for host, pinned := range map[string]bool{
			"api.example.com": true, "www.example.org": true, "img.example.org": true,
			"example.org": false, "a.b.example.org": false, "x.api.example.com": false,
		} {
			connect := fmt.Sprintf("connect\t%d\t%s\t", i, host)
			want := "ok"
			if pinned {
				want = refused
			}
			questions = append(questions, question{connect + s.right.port, "ok"}, question{connect + s.wrong.port, want})
		}
	}

	// Compare our rules with OkHttp's, at random. The OkHttp 3 of Debian has no "**.".
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	spell := func(p pins.Pin) string {
		s := p.String()
		switch random.IntN(6) {
		case 0:
			return strings.TrimRight(s, "=")
		case 1:
			return "sha256/" + strings.NewReplacer("+", "-", "/", "_").Replace(base64Of(p))
		case 2:
			return s[:20] + " " + s[20:]
		}
		return s
	}
	known := append(append([]pins.Pin{testPin(0), testPin(1)}, s.right.chain.Pins...), s.wrong.chain.Pins...)
	chains := map[string]pins.Chain{"right": s.right.chain, "wrong": s.wrong.chain}
	// No client connects to "test" here: until 4.3, "*.test" was for it, too.
	names := []string{"h.test", "a.h.test", "b.a.h.test", "xh.test", "test", "A.H.Test", "bücher.test", "a.xn--bcher-kva.test"}
	for range 400 {
		chain, name := pick("right", "wrong"), strings.ToLower(pick(names[:4]...))
		if random.IntN(8) == 0 {
			name = "a.xn--bcher-kva.test"
		}
		command, source := []string{"check", chain, name}, "CertificatePinner.Builder()"
		for range 1 + random.IntN(3) {
			pattern, pin := pick("", "*.")+pick(names...), spell(known[random.IntN(len(known))])
			command = append(command, pattern, pin)
			source += ".add(" + kotlinText(pattern) + ", " + kotlinText(pin) + ")"
		}
		rules, err := decodeOkHttp([]byte(source + ".build()"))
		if err != nil {
			t.Fatalf("%v in %s", err, source)
		}
		want := refused
		if pins.Accepts(rules.Requirements(name, asOf), chains[chain]) {
			want = "ok"
		}
		questions = append(questions, question{strings.Join(command, "\t"), want})
	}

	// What makes the app crash is an error here.
	for _, pin := range []string{base64Of(testPin(0)), "sha256/*", "sha512/AAAA", "sha256/AAAAA"} {
		if _, err := okhttpPin(pin); err == nil {
			t.Errorf("the pin %q is read", pin)
		}
		questions = append(questions, question{"check\tright\th.test\th.test\t" + pin, "IllegalArgumentException"})
	}
	// So is what would silently pin nothing, or never match.
	for _, pattern := range []string{"api.*.test", "h.test.", "*"} {
		if _, err := okhttpPattern(pattern); err == nil {
			t.Errorf("the pattern %q is read", pattern)
		}
		questions = append(questions, question{"check\tright\tapi.h.test\t" + pattern + "\t" + testPin(0).String(), "ok"})
	}
	if _, err := okhttpPin("sha256/AAAA"); err == nil {
		t.Error("a pin of three bytes is read")
	}
	questions = append(questions, question{"check\tright\th.test\th.test\tsha256/AAAA", refused})

	var commands []string
	for _, q := range questions {
		commands = append(commands, q.command)
	}
	for i, answer := range askOkHttp(t, exports, commands) {
		if answer != questions[i].want {
			t.Errorf("%s: OkHttp says %s, and we say %s", strconv.Quote(commands[i]), answer, questions[i].want)
		}
	}
}
