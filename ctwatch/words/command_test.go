package words_test

import (
	"os/exec"
	"strings"
	"testing"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

// hostile are values that a shell, a terminal or a reader could take for something else.
var hostile = []string{
	"", "shop", "my app", "it's", `"quoted"`, "$HOME", "$(touch pwned)", "`touch pwned`", "; touch pwned", "a && b", "a | b",
	"> file", "*", "?", "[a-z]", "{a,b}", "~", "~root", "!!", "#", "-n", "--help", "=ls", "%1", `back\slash`, `end\`, "'", "''", `'\''`,
	"a\nb", "a\x00b", "\x1b[2J", "\u202egnp.exe", "ünïcödé", "日本", "\xff\xfe", "a\tb", "(sub)", "&", "a=b",
}

// A shell gets back the words that were quoted, as they are printed, and runs nothing.
func TestShellRunsNothingHostile(t *testing.T) {
	for _, value := range hostile {
		cmd := exec.Command("sh", "-c", words.Shell("printf", "<%s>", "before", value, "after"))
		cmd.Dir = t.TempDir()
		out, err := cmd.Output()
		if want := "<before><" + ctwatch.Printable(value, 1000) + "><after>"; err != nil || string(out) != want {
			t.Errorf("%q as %s: %q, %v; want %q", value, words.Quote(value), out, err, want)
		}
		if after, _ := exec.Command("ls", cmd.Dir).Output(); len(after) > 0 {
			t.Errorf("%q made a file: %s", value, after)
		}
	}
}

// What needs no quotes has none, so that commands are easy to read.
func TestQuoteOnlyWhereNeeded(t *testing.T) {
	for _, plain := range []string{"shop", "5.10-ios", "sha256/AbC+/x=", "api.example.com", "KEY.csr", "2026-11-27T10:00:00Z"} {
		if got := words.Quote(plain); got != plain {
			t.Errorf("%s became %s", plain, got)
		}
	}
	if got, want := words.Quote("*.example.com"), "'*.example.com'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Each command passes its values as one argument each, whatever they are.
func TestCommandQuotesItsValues(t *testing.T) {
	for _, value := range hostile {
		for _, verb := range []pins.Verb{pins.DropVersion, pins.ReimportVersion, pins.ImportVersion, pins.ShowPlan, pins.ExportPins} {
			if value == "" {
				continue
			}
			a := pins.Action{Do: verb, App: value, Version: value}
			out, err := exec.Command("sh", "-c", "ctwatch() { for a; do printf '<%s>' \"$a\"; done; }; "+words.Command(a)).Output()
			if want := "<" + ctwatch.Printable(value, 1000) + ">"; err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s of %q: %q, %v", verb, value, out, err)
			}
		}
	}
}
