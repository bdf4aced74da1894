package format

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A javaProgram is a class Main of a package, and the other code of the package.
type javaProgram struct{ main, base, evil string }

// javaSource is where a pin of a program comes from. Its text has PIN for the literal
// that is meant to be seen, and OTHER for one that is not.
type javaSource struct {
	fields string // of a class
	locals string // before the pinner
	params string // of the method around it
	args   string // for these
	expr   string // the last arguments of add
}

// javaSources are good and bad ways to name a pin.
var javaSources = [...]javaSource{
	{expr: `PIN`},
	{expr: `PIN`},
	{expr: `"" + PIN`},
	{expr: `PIN, PIN2`},
	{expr: `(PIN)`},
	{expr: `Base.ON ? OTHER : PIN`},
	{expr: `Base.pin()`},
	{expr: `UNICODE`},
	{expr: `PIN /* \u002a/ + Base.EMPTY /* */`},
	{expr: `/* \u002a/ OTHER /* */, PIN`},
	{expr: `PIN // \u000a , OTHER`},
	{expr: `new String[] {PIN}`},
	{expr: `new String[] {PIN, PIN2}`},
	{expr: `K`, fields: `private static final String K = PIN;`},
	{expr: `K, PIN2`, fields: `static final String J = PIN; static final String K = "" + J;`},
	{expr: `K`, fields: `static String K = PIN;`},
	{expr: `K`, fields: `static String K = PIN; static { K = OTHER; }`},
	{expr: `K`, fields: `static final String K; static { K = Base.ON ? OTHER : PIN; }`},
	{expr: `K`, fields: `static final String J = PIN, K = OTHER;`},
	{expr: `K`, fields: `static final String K = PIN.substring(0);`},
	{expr: `K`, fields: `static final String K = PIN;`, params: `String K`, args: `OTHER`},
	{expr: `K`, params: `String K`, args: `OTHER`},
	{expr: `K`, fields: `static final String K = PIN;`, locals: `String K = OTHER;`},
	{expr: `K`, fields: `static final String K = PIN;`, locals: `String[] K = {OTHER};`},
	{expr: `K`, locals: `String K = PIN;`},
	{expr: `K`, locals: `final String K = PIN;`},
	{expr: `K`, locals: `String K = PIN; K = OTHER;`},
	{expr: `K`, locals: `String K = PIN; if (Base.ON) { K = OTHER; }`},
	{expr: `K`, locals: `String K; K = OTHER;`},
	{expr: `K`, fields: `static final String K = PIN;`, locals: `for (String L : new String[] {OTHER}) { String K2 = L; }`},
	{expr: `KS`, fields: `private static final String[] KS = {PIN};`},
	{expr: `KS`, fields: `private static final String KS[] = {PIN, PIN2};`},
	{expr: `KS`, fields: `private static final String[] KS = {PIN}; static { KS[0] = OTHER; }`},
	{expr: `KS`, fields: `private static final String[] KS = {PIN}; private static final String[] L = KS; static { L[0] = OTHER; }`},
	{expr: `KS`, fields: `private static final String[] KS = {PIN}; static { java.util.Arrays.fill(KS, OTHER); }`},
	{expr: `KS`, fields: `private static String[] KS = {PIN}; static { KS = new String[] {OTHER}; }`},
	{expr: `KS`, locals: `String[] KS = {PIN};`},
	{expr: `KS`, locals: `String[] KS = {PIN}; KS[0] = OTHER;`},
	{expr: `INHERITED`},
	{expr: `Keys.K`, fields: `static class Keys { static final String K = PIN; }`},
	{expr: `Keys.K`, fields: `interface Keys { String K = PIN; }`},
	{expr: `Keys.K`, fields: `static class Keys { static String K = PIN; static { K = OTHER; } }`},
	{expr: `Keys.K`, fields: `static class Keys extends Base { static final String J = PIN; }`},
	{expr: `Keys.K`, fields: `static class Keys { String K = OTHER; } static final Keys Keys = new Keys();`},
	{expr: `LATE[0]`, fields: `static final String[] LATE = {OTHER};`},
}

// javaPlaces are good and bad ways to have a pinner, which used() returns. Their text
// has CHAIN for it, and TYPE for its type.
var javaPlaces = [...]string{
	`static final TYPE P = CHAIN; static TYPE used() { return P; }`,
	`static final TYPE P = CHAIN; static TYPE used() { return P; }`,
	`static TYPE P = CHAIN; static TYPE used() { return P; }`,
	`static TYPE P = CHAIN; static TYPE used() { P = Base.OTHERS; return P; }`,
	`static final TYPE P; static { LOCALS P = CHAIN; } static TYPE used() { return P; }`,
	`static TYPE make(PARAMS) { LOCALS return CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS return CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS TYPE p = CHAIN; return p; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS TYPE p = CHAIN; p = Base.OTHERS; return p; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS return new okhttp3.OkHttpClient.Builder().certificatePinner(CHAIN).build().certificatePinner(); } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS return java.util.Objects.requireNonNull(CHAIN, "none"); } static TYPE used() { return make(ARGS); }`,
	`TYPE make(PARAMS) { LOCALS return CHAIN; } static TYPE used() { return new SELF().make(ARGS); }`,
	`TYPE p; { } SELF() { LOCALS2 } TYPE make(PARAMS) { LOCALS this.p = CHAIN; return p; } static TYPE used() { return new SELF().make(ARGS); }`,
	`TYPE make(PARAMS) { LOCALS return CHAIN; } static TYPE used() { return new SELF() { @Override TYPE make(PARAMS) { return Base.OTHERS; } }.make(ARGS); }`,
	`TYPE make(PARAMS) { LOCALS return CHAIN; } static class Sub extends SELF { @Override TYPE make(PARAMS) { return Base.OTHERS; } } static TYPE used() { return new Sub().make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS if (Base.ON) return Base.OTHERS; return CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS if (Base.ON) { return Base.OTHERS; } return CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS if (Base.ON) return Base.OTHERS; else return CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS if (!Base.ON) { return CHAIN; } return Base.OTHERS; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS TYPE p = Base.OTHERS; if (!Base.ON) p = CHAIN; return p; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS return Base.ON ? Base.OTHERS : CHAIN; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS boolean b = Base.ON || Base.use(CHAIN); return Base.OTHERS; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS for (int i = 0; i < 0; i++) { return CHAIN; } return Base.OTHERS; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS while (!Base.ON) return CHAIN; return Base.OTHERS; } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS try { Base.fail(); return CHAIN; } catch (RuntimeException e) { return Base.OTHERS; } } static TYPE used() { return make(ARGS); }`,
	`static TYPE make(PARAMS) { LOCALS switch (Base.pin().length()) { case 0: return CHAIN; default: return Base.OTHERS; } } static TYPE used() { return make(ARGS); }`,
	`static java.util.function.Supplier<TYPE> s = () -> CHAIN; static TYPE used() { return Base.OTHERS; }`,
	`static Object o = new Object() { TYPE p = CHAIN; }; static TYPE used() { return Base.OTHERS; }`,
	`static final TYPE P = Base.ON ? Base.OTHERS : CHAIN; static TYPE used() { return P; }`,
	`static final TYPE LIVE = CHAIN; static final TYPE NONE = new PINNER.Builder().build(); static TYPE get(boolean on) { return on ? LIVE : NONE; } static TYPE used() { return get(true); }`,
	`static final TYPE P = CHAIN; static final TYPE Q = new PINNER.Builder().add("h.test", OTHER).build(); static TYPE used() { return Q; }`,
	`static final TYPE P = CHAIN; static final TYPE Q = CHAIN; static TYPE used() { return Q; }`,
	`static TYPE used() { PINNER.Builder b = new PINNER.Builder(); b.add("h.test", OTHER); return b.build(); }`,
	`enum E { ONE { TYPE p() { return Base.OTHERS; } }; TYPE p() { return CHAIN; } } static TYPE used() { return E.ONE.p(); }`,
	`static final TYPE P; static final TYPE Q; static { P = CHAIN; Q = Base.OTHERS; } static TYPE used() { return P; }`,
}

// javaNoise is code that must not confuse a reader.
var javaNoise = [...]string{
	"", "", "", "",
	`/* new CertificatePinner.Builder().add("h.test", OTHER).build(); */`,
	`/** Takes image/* and others. */`,
	`// static final CertificatePinner X = new CertificatePinner.Builder().add("h.test", OTHER).build();`,
	`static final String NOISE = "new CertificatePinner.Builder().add(\"h.test\", \"\").build() /* ";`,
	`static final char QUOTE = '"', BACK = '\\', ONE = '\'';`,
	`static final String DOLLAR = "${";`,
	`@SuppressWarnings({"unused", "static final String K = 1;"}) static void more() { if (Base.ON) { return; } }`,
	`static int K(int i) { return i; } int[] ks(int ks) { return null; }`,
}

// javaPrograms returns programs of which the pins are certain or not: each source of
// pins and each place in a plain program, each meaning of the name CertificatePinner,
// and some of these together at random.
func javaPrograms(random *rand.Rand) (all []javaProgram) {
	const (
		plain, constant = 0, 13 // in javaSources
		field, method   = 0, 5  // in javaPlaces
		own             = 4     // a name that is OkHttp's
	)
	add := func(source, where, name int) {
		of := javaSources[source]
		for of.locals+of.params != "" && !strings.Contains(javaPlaces[where], "PARAMS") {
			where = random.IntN(len(javaPlaces))
		}
		all = append(all, drawJava(random, len(all), of, javaPlaces[where], name))
	}
	for i := range javaSources {
		add(i, method, own)
		add(i, field, own)
	}
	for i := range javaPlaces {
		add(plain, i, own)
		add(constant, i, own)
	}
	for i := range own {
		add(plain, method, i)
		add(constant, field, i)
	}
	for range 40 {
		add(random.IntN(len(javaSources)), random.IntN(len(javaPlaces)), random.IntN(4*own))
	}
	return all
}

// drawJava draws a program of package number n.
func drawJava(random *rand.Rand, n int, source javaSource, where string, name int) javaProgram {
	order := random.Perm(len(javaNoise))
	noise := func() (s string) {
		s, order = javaNoise[order[0]]+"\n", order[1:]
		return s
	}
	p := javaProgram{base: `package p%d;
class Base {
	static final String K = OTHER, INHERITED = OTHER, EMPTY = "";
	static boolean ON = !Base.class.getName().isEmpty();
	static final okhttp3.CertificatePinner OTHERS = new okhttp3.CertificatePinner.Builder().add("h.test", OTHER).build();
	static String pin() { return OTHER; }
	static boolean use(Object o) { return true; }
	static void fail() { if (ON) throw new IllegalStateException(); }
}
`}
	header, fields, self := "import okhttp3.CertificatePinner;\n", source.fields, "Main"
	const evil = `	public static final class Builder {
		public Builder add(String pattern, String... pins) { return this; }
		public okhttp3.CertificatePinner build() { return new okhttp3.CertificatePinner.Builder().add("h.test", OTHER).build(); }
	}
}
`
	pinner, kind := "CertificatePinner", "okhttp3.CertificatePinner"
	switch name {
	case 0:
		header, p.evil = "import okhttp3.*;\n", "package p%d;\nclass CertificatePinner {\n"+evil
	case 1:
		header, p.evil = "import p%d.evil.CertificatePinner;\n", "package p%d.evil;\npublic class CertificatePinner {\n"+evil
	case 2:
		header, fields = "", fields+"static class CertificatePinner {\n"+evil
	case 3:
		header, pinner = "", "okhttp3.CertificatePinner"
	default:
		kind = "CertificatePinner"
	}
	chain := `new PINNER.Builder().add("h.test", ` + source.expr + ")"
	if random.IntN(3) == 0 {
		chain += "\n.add(\"*.i.test\", PIN3)"
	}
	chain += ".build()"
	extends := [...]string{"", "", "", " extends Base"}
	if source.expr == "INHERITED" {
		extends = [...]string{" extends Base", " extends Base", " extends Base", " extends Base"}
	}
	body := noise() + where + noise()
	if random.IntN(4) == 0 {
		self = "In"
		body = "static class In" + extends[random.IntN(4)] + " {\n" + body + "}\nstatic okhttp3.CertificatePinner used() { return In.used(); }\n"
	}
	p.main = "package p%d;\n" + header + noise()
	if strings.Contains(p.main, "static") { // which is for classes
		p.main = "package p%d;\n" + header
	}
	p.main += "class Main" + extends[random.IntN(4)] + " {\n" + noise() + fields + "\n" + body + noise() + "}\n"
	text := func(i int) string { return `"` + testPin(i).String() + `"` }
	replace := strings.NewReplacer(
		"TYPE", kind, "PINNER", pinner, "LOCALS2", "", "LOCALS", source.locals, "PARAMS", source.params, "ARGS", source.args, "SELF", self,
	)
	literals := strings.NewReplacer(
		"PIN3", text(3), "PIN2", text(2), "PIN", text(1), "OTHER)", text(4)+")", "OTHER;", text(4)+";", "OTHER,", text(4)+",",
		"OTHER}", text(4)+"}", "OTHER ", text(4)+" ", "UNICODE", `"\u0073`+text(1)[2:], "p%d", fmt.Sprint("p", n),
	)
	p.main = replace.Replace(strings.ReplaceAll(p.main, "CHAIN", chain))
	p.main, p.base, p.evil = literals.Replace(p.main), literals.Replace(p.base), literals.Replace(p.evil)
	return p
}

// TestJavaProgramsHaveTheReadPins: the pins that we read from random programs are those of
// the compiled program, by OkHttp itself.
func TestJavaProgramsHaveTheReadPins(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 7))
	dir, sources := t.TempDir(), t.TempDir()
	programs := javaPrograms(random)
	count := len(programs)
	var files, classes []string
	write := func(path, text string) {
		if text == "" {
			return
		}
		path = filepath.Join(sources, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	for n, p := range programs {
		classes = append(classes, fmt.Sprintf("p%d.Main", n))
		write(fmt.Sprintf("p%d/Main.java", n), p.main)
		write(fmt.Sprintf("p%d/Base.java", n), p.base)
		if strings.Contains(p.evil, ".evil;") {
			write(fmt.Sprintf("p%d/evil/CertificatePinner.java", n), p.evil)
		} else {
			write(fmt.Sprintf("p%d/CertificatePinner.java", n), p.evil)
		}
	}
	path := compileJava(t, dir, append(files, filepath.Join("testdata", "java", "Pins.java"))...)
	out, err := program(t, nil, "java", append([]string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, "Pins"}, classes...)...)
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != count {
		t.Fatalf("%d answers about %d programs", len(answers), count)
	}
	read := 0
	for n, p := range programs {
		rules, err := decodeOkHttp([]byte(p.main))
		if err != nil {
			continue
		}
		read++
		var believed []string
		for _, host := range []string{"h.test", "*.i.test"} {
			for _, r := range rules.Requirements(strings.Replace(host, "*", "x", 1), asOf) {
				for _, pin := range r.Pins {
					believed = append(believed, host+" "+pin.String())
				}
			}
		}
		slices.Sort(believed)
		if got := strings.Split(answers[n], "\t"); !slices.Equal(got, believed) {
			t.Errorf("the program has %q, and we read %q:\n%s", got, believed, p.main)
		}
		if len(rules.Patterns()) == 0 {
			t.Errorf("nothing is believed of\n%s", p.main)
		}
	}
	t.Logf("%d of %d programs are read", read, count)
	if read < count/5 {
		t.Errorf("only %d of %d programs are read", read, count)
	}
}
