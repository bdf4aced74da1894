package format

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pinText writes source code with $A, $B and $C as pins, and $P and $Q as pinners that
// have pin A and B, in Kotlin; in Java with new before them.
func pinText(s string) []byte {
	return []byte(strings.NewReplacer(
		"$P", `CertificatePinner.Builder().add("h.test", "`+textA+`").build()`,
		"$Q", `CertificatePinner.Builder().add("h.test", "`+textB+`").build()`,
		"$I", "import okhttp3.CertificatePinner",
		"$A", textA, "$B", textB, "$C", textC,
	).Replace(s))
}

// TestOkHttpRefusesUncertainPinners: pins that a program may not use, or that may be others,
// are refused with the place and the reason.
func TestOkHttpRefusesUncertainPinners(t *testing.T) {
	const (
		builder = "val p = CertificatePinner.Builder()"
		java    = "$I;\n"
	)
	for name, tt := range map[string]struct{ source, want string }{
		// What the name CertificatePinner means.
		"import of the same name":    {"import com.evil.CertificatePinner\nval p = $P", "1:1: CertificatePinner is not OkHttp's"},
		"import of the name, Java":   {"import com.evil.CertificatePinner;\nclass A { Object p = new $P; }", "1:1: CertificatePinner is not OkHttp's"},
		"import as the name":         {"import com.evil.Pinner as CertificatePinner\nval p = $P", "1:1: CertificatePinner is not OkHttp's"},
		"import under an alias":      {"$I as P\nval p = P.Builder().add(\"h.test\", \"$A\").build()", "1:1: CertificatePinner under another name"},
		"import and an alias":        {"$I\n$I as P\nval p = $P", "2:1: CertificatePinner under another name"},
		"import of the builder":      {"$I\nimport okhttp3.CertificatePinner.Builder\nval p = $P", "2:1: CertificatePinner under another name or in parts"},
		"import of everything":       {"import okhttp3.*\nval p = $P", "2:9: it is not certain which CertificatePinner this is"},
		"import of everything, Java": {"import okhttp3.*;\nclass A { Object p = new $P; }", "2:26: it is not certain which"},
		"no import but a package":    {"package a\nval p = $P", "2:9: it is not certain which"},
		"no import of it":            {"import okhttp3.OkHttpClient\nval p = $P", "2:9: it is not certain which"},
		"an import of add":           {"$I\nimport com.evil.add\nval p = $P", "2:1: what add does is unknown"},
		"a class of the name":        {"$I\nclass CertificatePinner\nval p = $P", "2:7: this use of CertificatePinner"},
		"a class of it, Java":        {java + "class A { static class CertificatePinner {} Object p = new $P; }", "2:24: this use of CertificatePinner"},
		"an object of the name":      {"object CertificatePinner { fun Builder() = 1 }\nval p = $P", "1:8: this use of CertificatePinner"},
		"a typealias of the name":    {"typealias CertificatePinner = Evil\nval p = $P", "1:11: this use of CertificatePinner"},
		"a typealias of it":          {"$I\ntypealias P = CertificatePinner\nval p = $P", "2:15: this use of CertificatePinner"},
		"a typealias of the builder": {"$I\ntypealias B = CertificatePinner.Builder\nval p = $P\nval q = B().build()", "2:33: a builder that is passed around"},
		"a subclass of it":           {"$I\nclass Evil : CertificatePinner()\nval p = $P", "2:14: this use of CertificatePinner"},
		"a class in another":         {"val p = Evil.$P", "1:14: this CertificatePinner is not OkHttp's"},
		"another package":            {"val p = com.evil.okhttp3.$P", "this CertificatePinner is not OkHttp's"},
		"okhttp3 is not OkHttp's":    {"val okhttp3 = Evil\nval p = okhttp3.$P", "1:5: okhttp3 is not OkHttp's"},
		"in backticks":               {"class `CertificatePinner`\nval p = $P", "1:7: this use of"},
		"an extension of the name":   {"fun CertificatePinner.Builder.add(a: String, vararg b: String) = this\nval p = $P", "1:23: a builder that is passed around"},
		"a reference to it":          {"val b = CertificatePinner::Builder\nval p = $P", "1:9: this use of"},
		"an invisible character":     {"class Certificate\u200bPinner\nval p = $P", "1:18: a character that is invisible"},
		"a control character":        {"class A { Object Certificate\x01Pinner = new $P; }", `not a sign of Kotlin or Java`},

		// Comments, texts and escapes.
		"commented out in Kotlin only":    {"/* was /* in Java */\nnew $P */\nval p = 1", "Java and Kotlin differ"},
		"commented out in Kotlin, nearby": {"/* was /* in Java */\n new $P */\nval p = $Q", "2:2: Java and Kotlin differ"},
		"new in a comment of Kotlin":      {"fun f() {\n/* /* */ new // */\n$P; }", "Java and Kotlin differ"},
		"in a raw text of Kotlin only":    {"val s = \"\"\"\\\"\"\"; val p = $P; val r = \"\"\" \"\"\" // \"\"\"", "Java and Kotlin differ"},
		"a comment that Java ends":        {"/* \\u002a/ class A { Object p = new $P; } /* */", "1:4: the escape of an ASCII character"},
		"a line that Java ends":           {"// \\u000a class A { Object p = new $P; }", "1:4: the escape of an ASCII character"},
		"a template with a pinner":        {"val s = \"${$P}\"\nval p = $P", "a CertificatePinner in a text"},
		"a backslash":                     {"val p = \\u00e4 $P", "is not a sign of Kotlin or Java"},

		// What happens.
		"if":                     {"$I\nval p = if (DEBUG) $P else CertificatePinner.DEFAULT", "2:20: it is not certain that an app uses this pinner, because of the code at 2:18"},
		"else":                   {"$I\nval p = if (DEBUG) CertificatePinner.DEFAULT else $P", "because of the code at 2:46"},
		"if and else":            {"val p = if (DEBUG) $P else $Q", "it is not certain that an app uses"},
		"if on another line":     {"fun f(b: OkHttpClient.Builder) {\nif (DEBUG)\n  b.certificatePinner($P) }", "it is not certain that an app uses"},
		"if before return":       {"fun f(): Any? {\n if (DEBUG) return $P\n return null }", "because of the code at 2:13"},
		"if before return, Java": {java + "class A { Object f() { if (x) return new $P; return null; } }", "because of the code at 2:31"},
		"a return after elvis":   {"fun f(): Any? { val x = y ?: return $P; return x }", "it is not certain"},
		"if with a block":        {"fun f() { if (DEBUG) { return $P } }", "1:31: it is not certain what happens to this pinner in the block that begins at 1:22"},
		"after if else":          {"val p = if (DEBUG) { a } else { b }.certificatePinner($P)", "it is not certain"},
		"when":                   {"val p = when { DEBUG -> $P\n else -> CertificatePinner.DEFAULT }", "it is not certain"},
		"elvis":                  {"val p = mine ?: $P", "because of the code at 1:14"},
		"elvis after it":         {"val p = $P ?: other", "how the file uses the pinner"},
		"elvis on the next line": {"val p = $P\n ?: other", "how the file uses the pinner"},
		"a safe call":            {"val c = b?.certificatePinner($P)", "because of the code at 1:10"},
		"and":                    {"val c = DEBUG && f($P)", "because of the code at 1:15"},
		"a ternary":              {java + "class A { Object p = DEBUG ? new $P : null; }", "because of the code at 2:28"},
		"if of Java":             {java + "class A { void f() { Object p = null; if (DEBUG) p = new $P; } }", "it is not certain"},
		"switch of Java":         {java + "class A { Object f(int i) { switch (i) { case 1: return new $P; } return null; } }", "in the block that begins"},
		"a loop":                 {"fun f() { for (x in list) { use($P) } }", "in the block that begins at 1:27"},
		"a loop without braces":  {"fun f() {\nfor (x in list)\n use($P) }", "it is not certain"},
		"while":                  {"fun f() { while (x) { use($P) } }", "in the block that begins"},
		"a loop of Java":         {java + "class A { void f() { for (Object p = new $P; ;) {} } }", "it is not certain"},
		"an early return":        {"fun f(): CertificatePinner {\n if (DEBUG) return CertificatePinner.DEFAULT\n return $P }", "3:9: it is not certain that this pinner is made, because of return at 2:13"},
		"after a return":         {"fun f() {\n return\n $P }", "because of the code at 2:2"},
		"after a throw":          {java + "class A { Object f() { if (x) throw new E();\n Object p = new $P; return p; } }", "because of throw at 2:31"},
		"return in the call":     {"fun f() { b(x ?: return).certificatePinner($P) }", "because of return at 1:18"},
		"try":                    {"fun f() { try { return $P } catch (e: E) { } }", "in the block that begins"},
		"a lambda":               {"val f = { $P }", "in the block that begins"},
		"a lambda of Java":       {java + "class A { Supplier s = () -> new $P; }", "because of the code at 2:27"},
		"apply":                  {"val c = OkHttpClient.Builder().apply { certificatePinner($P) }.build()", "in the block that begins"},
		"run":                    {"val c = run { $P }", "in the block that begins"},
		"an anonymous object":    {"val c = object : Base() { val p = $P }", "in the block that begins"},
		"an anonymous class":     {java + "class A { Object b = new Base() { Object p = new $P; }; }", "in the block that begins"},
		"a default":              {"fun f(p: CertificatePinner = $P) {}", "it is not certain"},
		"another lazy":           {"fun lazy(f: () -> Any) = other\nval p by lazy { $P }", "lazy is not Kotlin's here"},
		"after an error":         {"fun f(): Any {\n TODO(\"later\")\n return $P }", "because of TODO at 2:2"},
		"a delegate":             {"val p by other { $P }", "in the block that begins"},

		// What a pinner is of.
		"an open property":          {"open class A { open val p = $P }", "it is open, so another"},
		"an overridden property":    {"class A : Base() { override val p = $P }", "it is override, so another"},
		"open on a line of its own": {"open class A {\n open\n val p = $P }", "it is open"},
		"an open function":          {"open class A { open fun p() = $P }", "is open, so another"},
		"an open function's block":  {"open class A { open fun p(): Any { return $P } }", "is open, so another"},
		"a function of an interface": {
			"interface A { fun p() = $P }", "a function of an interface may be overridden",
		},
		"a method overridden":       {java + "class A { Object p() { return new $P; } }\nclass B extends A { Object p() { return null; } }", "p is declared several times"},
		"overridden anonymously":    {java + "class A { Object p() { return new $P; } }\nclass B { A a = new A() { Object p() { return null; } }; }", "p is declared several times"},
		"a getter":                  {"val p = $P\n get() = other", "2:2: a property with a getter"},
		"a getter after all":        {"val p = $P; @Anno(\"x\") inline get() = other", "a property with a getter"},
		"a getter of a client":      {"val c = OkHttpClient.Builder()\n.certificatePinner($P)\n.build()\n get() = other", "4:2: a property with a getter"},
		"a getter of its own":       {"val p get() = $P\n", "it is not certain"},
		"a var":                     {"var p = $P", "1:5: it is not certain that p has these pins: it is a variable"},
		"a field assigned to":       {java + "class A { Object p = new $P; void f() { p = null; } }", "2:18: it is not certain that p has these pins, since it is assigned to at 2:"},
		"this field assigned to":    {java + "class A { Object p = new $P; void f() { this.p = null; } }", "since it is assigned to"},
		"two pinners":               {"val p = $P\nval q = $Q", "2:9: this pinner and the one at 1:9"},
		"two pinners, other hosts":  {"val p = $P\nval q = CertificatePinner.Builder().add(\"i.test\", \"$A\").build()", "have different pins"},
		"two pinners, one more pin": {"val p = $P\nval q = CertificatePinner.Builder().add(\"h.test\", \"$A\", \"$B\").build()", "have different pins"},

		"replaced by none":        {"val c = OkHttpClient.Builder().certificatePinner($P).certificatePinner(CertificatePinner.DEFAULT).build()", "replaces the one before it"},
		"replaced further on":     {"val c = OkHttpClient.Builder().certificatePinner($P).addInterceptor(x).certificatePinner(q).build()\nval q = $P", "replaces the one before it"},
		"a client with an empty":  {"val real = CertificatePinner.Builder().build()\nval unused = $P\nval c = OkHttpClient.Builder().certificatePinner(real).build()", "3:32: the clients of this file have pinners without pins"},
		"an empty with a type":    {"val real: CertificatePinner = CertificatePinner.Builder().build()\nval unused = $P\nval c = OkHttpClient.Builder().certificatePinner(real).build()", "pinners without pins"},
		"an empty in the call":    {"val unused = $P\nval c = OkHttpClient.Builder().certificatePinner(CertificatePinner.Builder().build()).build()", "pinners without pins"},
		"all clients by default":  {"val unused = $P\nval c = OkHttpClient.Builder().certificatePinner(CertificatePinner.DEFAULT).build()", "pinners without pins"},
		"an empty of Java":        {java + "class A { CertificatePinner p = new $P; CertificatePinner q = new CertificatePinner.Builder().build(); Object c = new OkHttpClient.Builder().certificatePinner(q).build(); }", "pinners without pins"},
		"a client with another":   {"val p = $P\nval c = OkHttpClient.Builder().certificatePinner(Legacy.pinner).build()", "2:57: this pinner is declared in another file"},
		"a client with another's": {java + "class A { Object p = new $P; Object c = new OkHttpClient.Builder().certificatePinner(Legacy.make()).build(); }", "this pinner is declared in another file"},

		// Builders.
		"with":               {"val p = with(CertificatePinner.Builder()) { add(\"h.test\", \"$A\"); build() }", "how the file uses the builder"},
		"apply on a builder": {builder + ".apply { add(\"h.test\", \"$A\") }.build()", "only add and build"},
		"let":                {builder + ".let { it.add(\"h.test\", \"$A\") }.build()", "only add and build"},
		"also after add":     {builder + ".add(\"h.test\", \"$A\").also { it.add(\"h.test\", \"$B\") }.build()", "only add and build"},
		"no build":           {builder + ".add(\"h.test\", \"$A\")", "how the file uses the builder"},
		"two from one":       {builder + ".add(\"h.test\", \"$A\")\nval q = p.build()", "how the file uses the builder"},
		"a builder given":    {"fun f(b: CertificatePinner.Builder) = b.add(\"h.test\", \"$A\").build()", "a builder that is passed around"},
		"a builder of Java":  {java + "class A { CertificatePinner.Builder b = new CertificatePinner.Builder(); }", "a builder that is passed around"},
		"after build":        {"val p = $P.also { other() }", "how the file uses the pinner"},
		"infix after build":  {"val p = $P to other", "how the file uses the pinner"},
		"a safe add":         {builder + "?.add(\"h.test\", \"$A\")?.build()", "how the file uses the builder"},
		"a trailing lambda":  {builder + ".add(\"h.test\", \"$A\") { }.build()", "how the file uses the builder"},
		"constructed":        {"val q = CertificatePinner(pins)\nval p = $P", "1:9: this use of"},
		"pins of its own":    {"val q = CertificatePinner.Pin(\"h.test\", \"$A\")\nval p = $P", "1:9: this use of"},
		"reflection":         {"val p = $P\nval f = p.javaClass.getDeclaredField(\"pins\")", "reflection (getDeclaredField) may change"},
		"reflection, import": {"$I\nimport java.lang.reflect.Field\nval p = $P", "reflection (reflect) may change"},
		"its class":          {"val p = $P\nval c = CertificatePinner::class", "this use of"},

		// Arguments.
		"a list not spread":       {builder + ".add(\"h.test\", listOf(\"$A\")).build()", "OkHttp's add takes texts, or one array"},
		"an array not spread":     {builder + ".add(\"h.test\", arrayOf(\"$A\")).build()", "OkHttp's add takes texts, or one array"},
		"a spread list":           {builder + ".add(\"h.test\", *listOf(\"$A\")).build()", "OkHttp's add takes texts, or one array"},
		"other names":             {builder + ".add(host = \"h.test\", pins = arrayOf(\"$A\")).build()", "named arguments cannot be read"},
		"a name twice":            {builder + ".add(pattern = \"h.test\", pattern = \"$A\").build()", "named arguments cannot be read"},
		"a pin as an object":      {builder + ".add(\"h.test\", Pin(\"$A\")).build()", "what Pin() returns"},
		"a pin made by if":        {builder + ".add(\"h.test\", if (DEBUG) \"$A\" else \"$B\").build()", "what if() returns"},
		"a pin made by a ternary": {java + "class A { Object p = new CertificatePinner.Builder().add(\"h.test\", X ? \"$A\" : \"$B\").build(); }", "X is not a constant of this file"},
		"another arrayOf":         {"fun arrayOf(vararg s: String) = other\n" + builder + ".add(\"h.test\", *arrayOf(\"$A\")).build()", "arrayOf is not Kotlin's here"},
		"an imported arrayOf":     {"$I\nimport com.evil.arrayOf\n" + builder + ".add(\"h.test\", *arrayOf(\"$A\")).build()", "arrayOf may not be Kotlin's"},
		"an import of everything": {"$I\nimport com.evil.*\n" + builder + ".add(\"h.test\", *arrayOf(\"$A\")).build()", "arrayOf may not be Kotlin's"},
		"an inherited arrayOf":    {"class A : Base() { " + builder + ".add(\"h.test\", *arrayOf(\"$A\")).build() }", "arrayOf may not be Kotlin's, because of what A inherits"},
		"an own toTypedArray":     {"fun <T> List<T>.toTypedArray() = other\n" + builder + ".add(\"h.test\", *listOf(\"$A\").toTypedArray()).build()", "toTypedArray is not Kotlin's"},
	} {
		t.Run(name, func(t *testing.T) { checkRefused(t, string(pinText(tt.source)), tt.want) })
	}
}

// TestOkHttpRefusesConstantsThatMayDiffer: constants that may have another value, or none
// yet, are refused where they are used.
func TestOkHttpRefusesConstantsThatMayDiffer(t *testing.T) {
	const (
		use  = "CertificatePinner.Builder().add(\"h.test\", PIN).build()"
		uses = "CertificatePinner.Builder().add(\"h.test\", PINS).build()"
		all  = "CertificatePinner.Builder().add(\"h.test\", *PINS).build()"
		java = "$I;\n"
	)
	for name, tt := range map[string]struct{ source, want string }{
		"open":                   {"open class A { open val PIN = \"$A\"; val p = " + use + " }", "the value of PIN cannot be known: it is open"},
		"overriding":             {"open class A : B() { override val PIN = \"$A\"; val p = " + use + " }", "it is override"},
		"a getter":               {"val PIN = \"$A\"\n get() = other\nval p = " + use, "a property with a getter"},
		"a private setter":       {"val PIN = \"$A\"; private set\nval p = " + use, "a property with a getter or setter"},
		"a getter alone":         {"val PIN get() = \"$A\"\nval p = " + use, "it is computed"},
		"a delegate":             {"val PIN by lazy { \"$A\" }\nval p = " + use, "it is computed"},
		"expect":                 {"expect val PIN: String\nval p = " + use, "defined elsewhere"},
		"actual":                 {"actual val PIN = \"$A\"\nval p = " + use, "it is actual"},
		"lateinit":               {"lateinit var PIN: String\nval p = " + use, "it is a variable"},
		"a var":                  {"var PIN = \"$A\"\nval p = " + use, "it is a variable"},
		"in init":                {"class A { val PIN: String\n init { PIN = \"$A\" }\n val p = " + use + " }", "it is computed"},
		"inherited":              {"const val PIN = \"$A\"\nclass A : Base() { val p = " + use + " }", "PIN may be something else here, because of what A inherits"},
		"inherited over one's":   {"class A : Base() { val p = " + use + "\n companion object { const val PIN = \"$A\" } }", "because of what A inherits; write A.PIN"},
		"by a companion":         {"const val PIN = \"$A\"\nclass A { val p = " + use + "\n companion object : Base() }", "because of what a companion object inherits"},
		"by a companion's body":  {"const val PIN = \"$A\"\nclass A { val p = " + use + "\n companion object : Base() { val x = 1 } }", "PIN may be something else here, because of what"},
		"a context of a class":   {"const val PIN = \"$A\"\ncontext(Other)\nopen class A { val p = " + use + " }", "because of its context"},
		"inherited, Java":        {java + "class O { static final String PIN = \"$A\"; class A extends Base { Object p = new " + use + "; } }", "because of what A inherits"},
		"implemented, Java":      {java + "class A implements Constants { Object p = new " + use + "; }", "PIN may be something else here"},
		"a receiver":             {"const val PIN = \"$A\"\nfun Other.p() = " + use, "because of the receiver of p"},
		"a context":              {"const val PIN = \"$A\"\ncontext(Other) fun p() = " + use, "in the context of something else"},
		"with":                   {"const val PIN = \"$A\"\nval p = with(other) { " + use + " }", "in the block that begins"},
		"imported":               {"$I\nimport com.evil.PIN\nconst val PIN = \"$A\"\nval p = " + use, "PIN is imported"},
		"imported as it":         {"$I\nimport com.evil.X as PIN\nconst val PIN = \"$A\"\nval p = " + use, "PIN is imported"},
		"imported, Java":         {java + "import static com.evil.Pins.PIN;\nclass A { Object p = new " + use + "; }", "PIN is imported"},
		"a parameter":            {"const val PIN = \"$A\"\nfun p(PIN: String) = " + use, "it is a parameter"},
		"a parameter, Java":      {java + "class A { static final String PIN = \"$A\"; Object p(String PIN) { return new " + use + "; } }", "it is a parameter"},
		"of a constructor":       {"class A(PIN: String) { val PIN = \"$A\"; val p = " + use + " }", "it is a parameter"},
		"a local of another way": {"const val PIN = \"$A\"\nfun p(): Any { val (x, PIN) = y; return " + use + " }", "PIN may be something else, or changed, because of the code at 2:24"},
		"a pattern of Java":      {java + "class A { static final String PIN = \"$A\"; Object p(Object o) { assert o instanceof String PIN; return new " + use + "; } }", "the value of PIN cannot be known"},
		"a local of another kind": {
			java + "class A { static final String PIN = \"$A\"; Object p() { CharSequence PIN = x; return new " + use + "; } }", "PIN may be something else, or changed",
		},
		"a field of another kind": {java + "class O { static final String PIN = \"$A\"; static class A { static Foo PIN = x; Object p = new " + use + "; } }", "PIN may be something else, because of the code at 2:"},
		"a second declarator":     {java + "class O { static final String PIN = \"$A\"; static class A { static final String X = \"$B\", PIN = \"$B\"; Object p = new " + use + "; } }", "PIN may be something else, because of the code"},
		"a local changed":         {java + "class A { void f() { String PIN = \"$A\"; PIN = other(); Object p = new " + use + "; } }", "PIN may be something else, or changed, because of"},
		"a local added to":        {java + "class A { void f() { String PIN = \"$A\"; PIN += x; Object p = new " + use + "; } }", "PIN may be something else, or changed, because of"},
		"not final":               {java + "class A { static String PIN = \"$A\"; Object p = new " + use + "; }", "it may be assigned to; make it final"},
		"final without value":     {java + "class A { final String PIN; A() { PIN = x; } Object p = new " + use + "; }", "it is assigned elsewhere"},
		"twice":                   {"val PIN = \"$A\"\nval PIN = \"$B\"\nval p = " + use, "PIN is declared twice"},
		"below":                   {"val p = " + use + "\nval PIN = \"$A\"", "PIN may not have its value yet; make it a const val"},
		"of an object, a circle":  {"object B { val x = A.p; val PIN = \"$A\" }\nobject A { val p = CertificatePinner.Builder().add(\"h.test\", \"${B.PIN}\").build() }", "PIN may not have its value yet"},
		"before a function runs":  {"object A { val p = f(); val PIN = \"$A\"; fun f() = " + use + " }", "PIN may not have its value yet"},
		"an else":                 {"val PIN = \"$A\" + if (DEBUG) \"\" else \"x\"\nval p = " + use, "what if() returns"},
		"cut":                     {"val PIN = \"$A\".drop(1)\nval p = " + use, "this cannot be read"},
		"cut on the next line":    {"val PIN = \"$A\"\n  .drop(1)\nval p = " + use, "this cannot be read"},
		"a plus that adds nothing": {
			"val PIN = \"$A\"\n  + \"x\"\nval p = " + use, "2:3: in Kotlin a + at the beginning of a line joins nothing",
		},
		"from elsewhere":      {"val p = CertificatePinner.Builder().add(\"h.test\", BuildConfig.PIN).build()", "BuildConfig.PIN is not a constant of this file"},
		"an array changed":    {"private val PINS = arrayOf(\"$A\")\nfun f() { PINS[0] = \"x\" }\nval p = " + all, "2:11: the list PINS may be changed here"},
		"in a text":           {"private val PINS = arrayOf(\"$A\")\nval s = \"${PINS.fill(\"x\")}\"\nval p = " + all, "2:12: the list PINS may be changed here"},
		"handed around":       {"private val PINS = arrayOf(\"$A\")\nval s = shuffle(PINS)\nval p = " + all, "the list PINS may be changed here"},
		"an alias":            {"private val X = arrayOf(\"$A\")\nprivate val PINS = X\nval p = " + all, "a list under two names"},
		"not private":         {"val PINS = arrayOf(\"$A\")\nval p = " + all, "1:5: other files may change the array PINS"},
		"a list cast":         {"val PINS = listOf(\"$A\")\nval s = (PINS as MutableList)\nval p = CertificatePinner.Builder().add(\"h.test\", *PINS.toTypedArray()).build()", "the list PINS may be changed here"},
		"an array, Java":      {java + "class A { private static final String[] PINS = {\"$A\"}; static { PINS[0] = \"x\"; } Object p = new " + uses + "; }", "the list PINS may be changed here"},
		"package array, Java": {java + "class A { static final String[] PINS = {\"$A\"}; Object p = new " + uses + "; }", "other files may change the array PINS"},
		"local array, Java":   {java + "class A { Object f() { String[] PINS = {\"$A\"}; PINS[0] = \"x\"; return new " + uses + "; } }", "PINS may be something else, or changed"},
		"captured array":      {java + "class A { void f() { String[] PINS = {\"$A\"}; class L { Object p() { return new " + uses + "; } } PINS[0] = \"x\"; } }", "the list PINS may be changed before this happens"},
		"below, Java":         {java + "class A { Object p = new " + strings.Replace(uses, "PINS", "A.PINS", 1) + "; private static final String[] PINS = {\"$A\"}; }", "PINS is declared below"},
		"a class's member":    {"class Keys { val PIN = \"$A\" }\nval p = CertificatePinner.Builder().add(\"h.test\", Keys.PIN).build()", "Keys.PIN is not a constant of this file"},
		"an entry of an enum": {"const val PIN = \"$A\"\nenum class E { PIN; val p = " + use + " }", "in the block that begins"},
		"an imported class":   {"$I\nimport com.evil.Keys\nobject Keys { const val PIN = \"$A\" }\nval p = CertificatePinner.Builder().add(\"h.test\", Keys.PIN).build()", "Keys is imported"},
		"a class shadowed":    {"object Keys { const val PIN = \"$A\" }\nfun f(Keys: Other) = CertificatePinner.Builder().add(\"h.test\", Keys.PIN).build()", "it is a parameter"},
	} {
		t.Run(name, func(t *testing.T) { checkRefused(t, string(pinText(tt.source)), tt.want) })
	}
}

func checkRefused(t *testing.T, source, want string) {
	t.Helper()
	if !strings.HasPrefix(source, "import") && strings.Contains(source, "\nimport") {
		t.Fatalf("an import must be first in\n%s", source)
	}
	rules, err := decodeOkHttp([]byte(source))
	var syntax *SyntaxError
	switch {
	case err == nil:
		t.Errorf("believed %v in\n%s", wanted(t, rules, "h.test"), source)
	case !errors.As(err, &syntax) || syntax.Column == 0:
		t.Errorf("%v does not say where, in\n%s", err, source)
	case !strings.Contains(err.Error(), want):
		t.Errorf("got %v\nwant %q in\n%s", err, want, source)
	}
}

// TestOkHttpReadsCertainPinners: common code is read if it is certain.
func TestOkHttpReadsCertainPinners(t *testing.T) {
	for name, source := range map[string]string{
		"a client":             "$I\nimport okhttp3.OkHttpClient\n\nclass Net {\n  private val client = OkHttpClient.Builder()\n      .certificatePinner(\n          CertificatePinner.Builder()\n              .add(\"h.test\", \"$A\")\n              .build())\n      .build()\n\n  fun run() { client.newCall(x).execute().use { if (!it.isSuccessful) throw IOException(\"$it\") } }\n}",
		"a client of Java":     "package a;\n\n$I;\nimport okhttp3.OkHttpClient;\n\npublic final class Net {\n  private final OkHttpClient client;\n\n  public Net() {\n    client = new OkHttpClient.Builder()\n        .certificatePinner(\n            new $P)\n        .build();\n  }\n\n  public void run() throws Exception { if (x) { throw new IOException(); } }\n}",
		"locals of Java":       "$I;\nclass A { public static void main(String... args) throws Exception {\n String hostname = \"h.test\";\n CertificatePinner pinner = new CertificatePinner.Builder()\n   .add(hostname, \"$A\")\n   .build();\n OkHttpClient client = new OkHttpClient.Builder().certificatePinner(pinner).build();\n Request r = new Request.Builder().url(\"https://\" + hostname).build(); } }",
		"a module":             "package a\n$I\n@Module @InstallIn(SingletonComponent::class)\nobject NetModule {\n  private const val HOST = \"h.test\"\n  @Provides @Singleton\n  fun pinner(): CertificatePinner = CertificatePinner.Builder().add(HOST, \"$A\").build()\n  @Provides fun client(p: CertificatePinner): OkHttpClient = OkHttpClient.Builder().certificatePinner(p).build()\n}",
		"a module of Java":     "package a;\n$I;\n@Module public class NetModule {\n  @Provides @Singleton CertificatePinner pinner() {\n    return new $P;\n  }\n}",
		"lazy":                 "$I\nval p: CertificatePinner by lazy {\n  val host = \"h.test\"\n  CertificatePinner.Builder().add(host, \"$A\").build()\n}",
		"lazy in a mode":       "$I\nclass A { private val p by lazy(LazyThreadSafetyMode.NONE) { $P } }",
		"a companion":          "$I\nclass Net {\n  fun p(): CertificatePinner { return CertificatePinner.Builder().add(HOST, PIN).build() }\n  companion object { private const val HOST = \"h.test\"\n private const val PIN = \"$A\" }\n}",
		"a companion by name":  "$I\nclass Net : Base() {\n  fun p() = CertificatePinner.Builder().add(Net.HOST, Net.PIN).build()\n  companion object { private const val HOST = \"h.test\"\n private const val PIN = \"$A\" }\n}",
		"a private val above":  "$I\nprivate const val X = 1\nprivate val PIN = \"$A\"\nclass Net { fun p() = CertificatePinner.Builder().add(\"h.test\", PIN).build() }",
		"a private array":      "$I\nobject Net {\n  private val PINS = arrayOf(\"$A\")\n  val p = CertificatePinner.Builder().add(\"h.test\", *PINS).build()\n}",
		"a list elsewhere":     "$I\nobject Keys { val PINS = listOf(\"$A\") }\nval p = CertificatePinner.Builder().add(\"h.test\", *Keys.PINS.toTypedArray()).build()",
		"a class that is one":  "$I\nclass App : Application() { val client = OkHttpClient.Builder().certificatePinner($P).build() }",
		"an argument":          "$I\nfun api(): Api {\n  val r = Retrofit.Builder().client(OkHttpClient.Builder().certificatePinner($P).build()).build()\n  return r.create(Api::class.java)\n}",
		"lambdas before":       "$I\nval c = OkHttpClient.Builder().addInterceptor { it.proceed(it.request()) }.certificatePinner($P).build()",
		"annotations":          "$I\n@Suppress(\"CertificatePinner.Builder().add(1)\", \"unused\") @JvmField\nval p: CertificatePinner = $P",
		"comments":             "// CertificatePinner.Builder()\n$I\n/** ${'$'} @see CertificatePinner.Builder */\nval p = /* new CertificatePinner.Builder().add() */ $P // .add(\"i.test\", \"$B\")",
		"nested in Kotlin":     "$I\n/* /* one */ val q = 1 */\nval p = $P",
		"media types, Java":    "$I;\n/** Accepts image/* and others. */\nclass A { Object p = new $P; }",
		"two that are equal":   "$I\nval p = $P\nval q = $P",
		"next to an empty one": "$I\nval p = $P\nval q = CertificatePinner.Builder().build()\nval r = CertificatePinner.DEFAULT\nfun get(on: Boolean) = if (on) p else q",
		"empty in a lambda":    "$I\nval p = $P\nval q = debug { CertificatePinner.Builder().build() }",
		"in the package":       "val p = okhttp3.$P",
		"named arguments":      "$I\nval p = CertificatePinner.Builder().add(pattern = \"h.test\", pins = arrayOf(\"$A\")).build()",
		"passed by name":       "$I\nval p = $P\nfun q() = p\nval c = OkHttpClient.Builder().certificatePinner(p).build()\nval d = OkHttpClient.Builder().certificatePinner(q()).build()\nval e = OkHttpClient.Builder().certificatePinner(CertificatePinner.DEFAULT).build()",
		"an initializer":       "$I\nclass A { private val c: OkHttpClient\n init {\n c = OkHttpClient.Builder().certificatePinner($P).build()\n } }",
		"static, Java":         "$I;\nclass A { static final CertificatePinner P; static { P = new $P; } }",
		"constants, Java":      "$I;\ninterface Keys { String HOST = \"h.test\"; }\nclass A { private static final String PIN = \"$A\"; final String URL = \"https://\" + Keys.HOST; Object p() { log(PIN); return null; } Object q() { return new CertificatePinner.Builder().add(Keys.HOST, A.PIN).build(); } }",
		"+ in parentheses":     "$I\nval p = CertificatePinner.Builder().add(\"h\"\n + \".test\", \"$A\").build()",
		"Windows lines":        "$I\r\nval p = $P\r\nval q = 1\r\n",
		"a mark of the order":  "\uFEFF$I\nval p = $P",
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := decodeOkHttp(pinText(strings.ReplaceAll(source, "${'$'}", "$")))
			if err != nil {
				t.Fatalf("%v in\n%s", err, pinText(source))
			}
			if diff := cmp.Diff(map[string]string{"h.test": "A", "i.test": ""}, wanted(t, rules, "h.test", "i.test")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestOkHttpReadsEnabledNextToDisabled: one pinner with pins next to one without is certain.
func TestOkHttpReadsEnabledNextToDisabled(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "okhttp", "LiveAndDisabled.java"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := decodeOkHttp(data)
	if err != nil {
		t.Fatal(err)
	}
	asked := rules.Requirements("api.example.test", asOf)
	if len(asked) != 1 || len(asked[0].Pins) != 2 {
		t.Errorf("asked for %v, want two pins", asked)
	}
}
