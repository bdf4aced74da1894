package format

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ctwatch/pins"
)

func TestOkHttpReadsChains(t *testing.T) {
	source := func(s string) string {
		return strings.NewReplacer("$A", textA, "$B", textB, "$C", textC, "BARE_A", strings.TrimPrefix(textA, "sha256/")).Replace(s)
	}
	for name, tt := range map[string]struct {
		source string
		want   map[string]string
	}{
		"one line": {
			`val p = CertificatePinner.Builder().add("api.example.com", "$A", "$B").build()`,
			map[string]string{"api.example.com": "AB", "x.api.example.com": "", "example.com": ""},
		},
		"Java": {
			`class X { CertificatePinner p = new CertificatePinner.Builder().add("h.test", "$A").add("h.test", "$B").build(); }`,
			map[string]string{"h.test": "AB"},
		},
		"Java with the package": {
			`Object p = new okhttp3.CertificatePinner.Builder().add("h.test", "$A").build();`,
			map[string]string{"h.test": "A"},
		},
		"white space and comments": {
			"/* CertificatePinner.Builder().add(\"no.test\", \"x\") /* nested */ still */ val p = okhttp3 . CertificatePinner // one\n\t.Builder( /* none */ )\n  .add ( \"h.test\" // host\n , \"$A\" , )\n\n\t.build ( )\n// CertificatePinner.Builder()",
			map[string]string{"h.test": "A", "no.test": ""},
		},
		"comments of Java end at the first mark": {
			`/* /* */ Object p = new CertificatePinner.Builder().add("h.test", "$A").build();`,
			map[string]string{"h.test": "A"},
		},
		"one level below": {
			`CertificatePinner.Builder().add("*.h.test", "$A").build()`,
			map[string]string{"h.test": "", "a.h.test": "A", "b.a.h.test": "", "xh.test": ""},
		},
		"all levels below": {
			`CertificatePinner.Builder().add("**.h.test", "$A").build()`,
			map[string]string{"h.test": "A", "a.h.test": "A", "b.a.h.test": "A", "xh.test": "", "test": ""},
		},
		"all patterns that match are united": {
			`CertificatePinner.Builder().add("**.h.test", "$A").add("*.h.test", "$B").add("a.h.test", "$C").add("**.z.h.test", "$C").build()`,
			map[string]string{"h.test": "A", "a.h.test": "CBA", "b.h.test": "BA", "z.h.test": "BCA", "y.z.h.test": "CA", "x.y.h.test": "A"},
		},
		"a pattern below one for all": {
			`CertificatePinner.Builder().add("**.z.h.test", "$C").add("*.h.test", "$B").build()`,
			map[string]string{"z.h.test": "BC", "y.h.test": "B", "y.z.h.test": "C"},
		},
		"upper case and other scripts": {
			`CertificatePinner.Builder().add("API.Example.COM", "$A").add("*.bücher.test", "$B").build()`,
			map[string]string{"api.example.com": "A", "x.xn--bcher-kva.test": "B"},
		},
		"base64 as Okio takes it": {
			`CertificatePinner.Builder().add("h.test", "sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg", "sha256/yMXAjbqvikZMSSMbYQfzb_aSU5-JXaVHoiw9ld2IwWw=").build()`,
			map[string]string{"h.test": "AB"},
		},
		"joined literals": {
			`CertificatePinner.Builder().add("h" + (".te" + "st"), "sha256/" + "BARE_A").build()`,
			map[string]string{"h.test": "A"},
		},
		"named arguments": {
			`CertificatePinner.Builder().add(pins = arrayOf("$A", "$B"), pattern = "h.test").build()`,
			map[string]string{"h.test": "AB"},
		},
		"raw texts": {
			`CertificatePinner.Builder().add("""h.test""", """$A""").build()`,
			map[string]string{"h.test": "A"},
		},
		"escapes of Kotlin": {
			`CertificatePinner.Builder().add("b\u00fccher.test", "$A").build()`,
			map[string]string{"xn--bcher-kva.test": "A"},
		},
		"constants of Kotlin": {
			`const val HOST = "h.test"
			private val PIN: String = "sha256/" + BARE
			const val BARE = "BARE_A"
			class Client { companion object { const val OTHER: kotlin.String? = "$B"; } val p = CertificatePinner.Builder().add(HOST, PIN, OTHER, Client.OTHER).build() }`,
			map[string]string{"h.test": "AB"},
		},
		"constants in objects": {
			`object Prod { const val PIN = "$A" }
			object Staging { const val PIN = "$B" }
			val p = CertificatePinner.Builder().add("h.test", Prod.PIN).add("s.test", Staging.PIN).build()`,
			map[string]string{"h.test": "A", "s.test": "B"},
		},
		"each function has its own": {
			`fun a() { val host = "a.test"; CertificatePinner.Builder().add(host, "$A").build() }
			fun b() { val host = "b.test"; client(host) }`,
			map[string]string{"a.test": "A", "b.test": ""},
		},
		"templates": {
			`object Keys { const val LEAF = "BARE_A" }
			const val NAME = "h"
			val p = CertificatePinner.Builder().add("$NAME.test", "sha256/${Keys.LEAF}").build()`,
			map[string]string{"h.test": "A"},
		},
		"lists of Kotlin": {
			`val PINS = listOf("$A", "$B",)
			private val MORE = arrayOf(*PINS.toTypedArray(), "$C")
			val p = CertificatePinner.Builder().add("h.test", *PINS.toTypedArray()).add("i.test", *MORE).add("j.test", *arrayOf("$C")).build()`,
			map[string]string{"h.test": "AB", "i.test": "ABC", "j.test": "C"},
		},
		"constants of Java": {
			`class Pinning {
				private static final String HOST = "h.test";
				private static final String[] PINS = {"$A", "$B"};
				static CertificatePinner make() {
					String other = "i.test";
					return new CertificatePinner.Builder().add(HOST, PINS).add(Pinning.HOST, "$C").add(other, new String[]{"$C"}).build();
				}
			}`,
			map[string]string{"h.test": "ABC", "i.test": "C"},
		},
		"a dollar is nothing special in Java": {
			`class A { static final String H$1 = "h.test"; Object p = new CertificatePinner.Builder().add(H$1, "$A").build(); String s = "${"; }`,
			map[string]string{"h.test": "A"},
		},
		"what looks like code in texts": {
			`val s = "CertificatePinner.Builder().x"; val c = '"'; val r = """ " CertificatePinner.Builder().y """"
			 val p = CertificatePinner.Builder().add("h.test", "$A").build()`,
			map[string]string{"h.test": "A"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := decodeOkHttp([]byte(source(tt.source)))
			if err != nil {
				t.Fatal(err)
			}
			hosts := make([]string, 0, len(tt.want))
			for h := range tt.want {
				hosts = append(hosts, h)
			}
			if diff := cmp.Diff(tt.want, wanted(t, rules, hosts...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOkHttpErrors(t *testing.T) {
	pinner := func(args string) string {
		return "val p = CertificatePinner.Builder()\n  .add(" + args + ")\n  .build()"
	}
	for name, tt := range map[string]struct{ source, want string }{
		"no pinner":                 {"val x = 1", "CertificatePinner.Builder() is not called"},
		"an empty pinner":           {"val p = CertificatePinner.Builder().build()", "1:27: no pins are added"},
		"a host without pins":       {pinner(`"h.test"`), `2:7: "h.test" has no pins`},
		"a constant from elsewhere": {pinner(`"h.test", BuildConfig.PIN`), "2:18: BuildConfig.PIN is not a constant of this file"},
		"a call":                    {pinner(`"h.test", pin("x")`), "2:18: what pin() returns cannot be known"},
		"a call on a text":          {pinner(`"h.test".lowercase(), "` + textA + `"`), "2:16: this cannot be read"},
		"a template from elsewhere": {pinner(`"h.test", "sha256/${key()}"`), "2:28: what key() returns"},
		"a variable":                {"var host = \"h.test\"\n" + pinner(`host, "x"`), "3:8: the value of host cannot be known: it is a variable"},
		"a parameter":               {"fun f(host: String) {\n" + pinner(`host, "x"`) + "}", "3:8: the value of host cannot be known: it is a parameter"},
		"a parameter's default":     {"class P(private val host: String = \"h.test\") {\n" + pinner(`host, "x"`) + "}", "it is a parameter"},
		"a loop":                    {"for (pin in list) {\n" + pinner(`"h.test", pin`) + "}", "2:9: it is not certain what happens to this pinner in the block that begins at 1:19"},
		"a lambda's parameter":      {"const val pin = \"x\"\nlist.map { host, pin -> \n" + pinner(`"h.test", pin`) + "}", "3:9: it is not certain what happens to this pinner in the block that begins at 2:10"},
		"a getter":                  {"val pin: String get() = \"x\"\n" + pinner(`"h.test", pin`), "it is computed"},
		"a changed constant":        {"val pin = \"x\".trim()\n" + pinner(`"h.test", pin`), "1:14: this cannot be read"},
		"an infix after a constant": {"val pin = \"x\" to \"y\"\n" + pinner(`"h.test", pin`), "1:15: this cannot be read"},
		"a condition":               {"val pin = if (debug) \"x\" else \"y\"\n" + pinner(`"h.test", pin`), "1:11: what if() returns"},
		"itself":                    {"val a = b + \"x\"\nval b = a + \"y\"\n" + pinner(`"h.test", a`), "depends on itself"},
		"declared twice":            {"val a = \"x\"\nval a = \"y\"\n" + pinner(`"h.test", a`), "a is declared twice"},
		"another name":              {"import okhttp3.CertificatePinner as P\nval p = P.Builder().add(x, y)", "under another name"},
		"a builder by itself":       {"import okhttp3.CertificatePinner.Builder\nval p = Builder().add(x, y)", "1:1: CertificatePinner under another name or in parts"},
		"a builder in a variable":   {"val b = CertificatePinner.Builder()\nb.add(\"h.test\", \"x\")", "2:1: how the file uses the builder cannot be followed"},
		"apply":                     {"CertificatePinner.Builder().apply { add(\"h.test\", \"x\") }.build()", "1:29: only add and build can be read"},
		"assigned to later":         {"class A { String host = \"h.test\"; void f() { host = \"i.test\"; }\n Object p = new CertificatePinner.Builder().add(host, \"x\").build(); }", "2:49: the value of host cannot be known: it may be assigned to; make it final"},
		"a parameter of Java":       {"class A { Object f(String host) {\n return new CertificatePinner.Builder().add(host, \"x\").build(); } }", "2:45: the value of host cannot be known"},
		"a text block of Java":      {"Object p = new CertificatePinner.Builder().add(\"\"\"\nh.test\"\"\", \"x\").build();", "1:48: the text cannot be read: text blocks"},
		"an escaped quote of Java":  {`Object p = new CertificatePinner.Builder().add("h.test\u0022, "x").build();`, "1:55: the escape of an ASCII character"},
		"an escape":                 {pinner(`"h.test\q", "x"`), "2:8: the text cannot be read: it has an unknown escape"},
		"an unclosed text":          {"val p = \"abc\n", "1:9: the text is not closed"},
		"an unclosed comment":       {"val p = 1\n /* /* */", "2:2: the comment is not closed"},
		"an unclosed template":      {`val p = "${abc"`, "is not closed"},
		"an unclosed block":         {"class A {", "1:9: the { is not closed"},
		"an unclosed chain":         {"val p = CertificatePinner.Builder().add(\"h.test\", ", "1:40: the ( is not closed"},

		"a wildcard in the middle": {pinner(`"api.*.test", "` + textA + `"`), `2:8: pattern "api.*.test": OkHttp supports no wildcard except`},
		"a wildcard alone":         {pinner(`"*", "` + textA + `"`), `2:8: pattern "*"`},
		"two wildcards":            {pinner(`"*.*.test", "` + textA + `"`), `2:8: pattern "*.*.test"`},
		"three stars":              {pinner(`"***.test", "` + textA + `"`), `2:8: pattern "***.test"`},
		"a dot at the end":         {pinner(`"h.test.", "` + textA + `"`), `2:8: pattern "h.test.": a pattern with a dot at the end matches no host`},
		"a URL":                    {pinner(`"https://h.test", "` + textA + `"`), "2:8: pattern"},
		"a name that moved":        {pinner(`"straße.test", "` + textA + `"`), "versions of OkHttp differ"},
		"no prefix":                {pinner(`"h.test", "2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="`), "2:18: pin \"2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=\": want \"sha256/\""},
		"bad base64":               {pinner(`"h.test", "sha256/2dxO*"`), "2:18: pin \"sha256/2dxO*\": this is not base64"},
		"a short hash":             {pinner(`"h.test", "sha256/AAAA"`), "it would never match"},
		"SHA-1":                    {pinner(`"h.test", "sha1/BOGUSBOGUSBOGUSBOGUSBOGUSBO="`), "pin by sha256/"},
		"a placeholder":            {pinner(`"h.test", "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`), "a placeholder that no key has"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeOkHttp([]byte(tt.source))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOkHttpWritesTheGoldenFiles(t *testing.T) { checkGolden(t, okhttp()) }

func TestOkHttpKeepsTheSet(t *testing.T) {
	spells := func(set pins.Set, h pins.HostSet) bool {
		return h.Pattern.Reach == pins.OneBelow && !samePinsBelow(set, h)
	}
	checkClient(t, okhttp(), anywhere, spells, 1)
}

func TestKotlinTextsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		tokens, err := lex([]byte(kotlinText(want)), false)
		if err != nil || len(tokens) != 2 {
			t.Fatal(tokens, err)
		}
		got, err := (&cursor{source: &source{}}).text(tokens[0])
		if err != nil || got != want {
			t.Fatalf("%q is read as %q, %v", want, got, err)
		}
	})
}

// Files that repeat one thing many times take no more steps than there is a bound for.
func TestOkHttpWorkIsBounded(t *testing.T) {
	const chain = `CertificatePinner.Builder().add("h.test", "` + textA + `").build()`
	for name, tt := range map[string]struct{ before, again, after string }{
		"statements":  {"fun f() {", "\n" + chain, "}"},
		"arguments":   {"val x = f(1", ", " + chain, ")"},
		"calls":       {"val x = a", ".f(" + chain + ")", ""},
		"names":       {"val x = CertificatePinner.Builder()", `.add(H, "` + textA + `")`, ".build()\nconst val H = \"h.test\""},
		"assignments": {"class A { void f() {", "x = new " + chain + ";", "} }"},
		"methods":     {"class A {", "Object f() { return new " + chain + "; }", "}"},
		"lists":       {"private val P = arrayOf(\"" + textA + "\")\nval x = CertificatePinner.Builder()", `.add("h.test", *arrayOf(*P))`, ".build()"},
		"braces":      {"", "class A {", ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := min((MaxSize-len(tt.before)-len(tt.after))/len(tt.again), maxPins)
			src, err := readSource([]byte(tt.before + strings.Repeat(tt.again, n) + tt.after))
			if err == nil {
				_, err = src.pinners()
			}
			if src != nil && src.work > maxWork+4*maxTokens {
				t.Errorf("%d steps, and then %v", src.work, err)
			}
		})
	}
}

func FuzzDecodeOkHttp(f *testing.F) {
	f.Add([]byte(`val p = CertificatePinner.Builder().add("**.h.test", "` + textA + `", *PINS).build()` + "\nval PINS = arrayOf(\"" + textB + "\")"))
	f.Add([]byte(`class A { static final String H = "h.test"; Object p = new CertificatePinner.Builder().add(H, new String[]{"` + textA + `"}).build(); }`))
	f.Add([]byte(`const val A = "$B${C.D}"; /* /* */ */ val p = CertificatePinner.Builder().add(pattern = """x""", pins = listOf("a" + 'b')).build()`))
	for _, s := range []string{
		"$I\nclass A(val x: Int) : B<C>(), D {\n private val K = arrayOf(\"$A\")\n fun <T> T.f(k: Int): CertificatePinner? { val h = \"h.test\"; return $P }\n}",
		"$I;\n@A({\"x\"}) class A<T> extends B implements C, D { static { } A() throws E { this.p = new OkHttpClient.Builder().f($P, new int[] {1}).g(); } }",
		"$I\nval p: CertificatePinner by lazy { $P }\n private get() = 1",
		"val p = a.b(c, d { e }.f[0].g($P))",
		"/* /* */ new CertificatePinner */ val p = $Q",
		"$I\nval p = CertificatePinner.Builder().add(pins = *arrayOf(*listOf(\"$A\").toTypedArray()), pattern = (\"h\" + \".test\")).build()",
	} {
		f.Add(pinText(s))
		f.Add(pinText(strings.ReplaceAll(s, "$P", "new $P")))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeOkHttp, data) })
}
