package configs_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
)

// Each file of testdata/bad has its mistakes in its first line:
//
//	# want: LINE:COLUMN: part of the message | LINE:COLUMN: part of another
//
// where "…" stands for any text in between.
func TestEveryMistakeNamesItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bad files:", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			first, ok := strings.CutPrefix(first, "# want: ")
			if !ok {
				t.Fatal("the first line does not say what is wanted")
			}
			want := strings.Split(first, " | ")
			_, err = configs.Load(file, env("", nil), setup.Check)
			var got configs.Errors
			if !errors.As(err, &got) {
				t.Fatalf("Load() = %v, want Errors", err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d mistakes, want %d:\n%v", len(got), len(want), err)
			}
			for i, e := range got {
				rest, ok := strings.CutPrefix(e.Error(), file+":")
				for j, part := range strings.Split(want[i], "…") {
					at := strings.Index(rest, part)
					ok = ok && at >= 0 && (j > 0 || at == 0)
					rest = rest[max(at, 0):]
				}
				if !ok || !strings.Contains(e.Msg, "; want ") {
					t.Errorf("%v\nwant %s", e, want[i])
				}
			}
		})
	}
}

// hostile are files that are small to write and large to read.
var hostile = map[string]string{
	"too large":        "# " + strings.Repeat("x", 1<<20),
	"nested brackets":  "watch: " + strings.Repeat("[", 1<<16),
	"nested braces":    strings.Repeat("{a: ", 1<<15),
	"nested dashes":    strings.Repeat("- ", 1<<16) + "x",
	"nested questions": strings.Repeat("? ", 1<<16) + "x",
	"keys in a row":    strings.Repeat("a: ", 1<<15),
	"anchors in a row": "a: " + strings.Repeat("&a ", 1<<15),
	"nested lines":     nestedLines(1400),
	"cyclic alias":     "watch: &a [{domain: a.example, issuers: *a}]\n",
	"self alias":       "watch: &a *a\n",
	"alias bomb":       "watch:\n  - {domain: a.example, issuers: &i [" + strings.Repeat("x.example,", 1000) + "]}\n" + strings.Repeat("  - {domain: a.example, issuers: *i}\n", 3000),
	"many tokens":      strings.Repeat("x: 1\n", 20000),
	"many mistakes":    strings.Repeat("x: 1\n", 10000),
	"many empty lists": "watch:\n" + strings.Repeat("- -\n", 12000),
	"not UTF-8":        "data_dir: \"\xff\"\n",
	"NUL":              "data_dir: \"\x00\"\n",
}

func nestedLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestHostileFilesAreRefusedSoon(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := configs.LoadBytes("f", []byte(text), env("/", nil))
			var list configs.Errors
			if !errors.As(err, &list) {
				t.Fatalf("LoadBytes() = %v, want Errors", err)
			}
			if len(list) > 51 {
				t.Errorf("%d mistakes reported", len(list))
			}
			if len(err.Error()) > 51*400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			// Generous, for the race detector on a busy machine: without the bounds it
			// would be hours.
			if took := time.Since(start); took > 10*time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func FuzzLoadBytes(f *testing.F) {
	f.Add([]byte(configs.Example))
	f.Add(uncommented())
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	for _, text := range hostile {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	e := env("/home/me", map[string]string{"A": "/a", "B": "true", "C": "x.example"})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := configs.LoadBytes("f", data, e)
		if err != nil {
			var list configs.Errors
			if !errors.As(err, &list) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		shown := c.Show()
		again, err := configs.LoadBytes("f", shown, e)
		if err != nil {
			t.Fatalf("what Show wrote is refused: %v\n%s", err, shown)
		}
		twice := again.Show()
		if string(twice) != string(shown) {
			t.Errorf("Show, loaded and shown again:\n%s\nwas\n%s", twice, shown)
		}
		c.Unused()
	})
}

// TestInspectReturnsWhatIsRight: beside all mistakes, of which there may be many, it returns
// what could be read, and knows which settings a further mistake would only repeat.
func TestInspectReturnsWhatIsRight(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ctwatch.yaml")
	text := "watch:\n  - example.com\n  - {domain: example.net, issuers: ['https://x'], keys: [x]}\nwatch_files: [" + strings.Repeat("'',", 99) + "a.txt]\ncolor: red\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Inspect(file, env("", nil), setup.Check)
	var all configs.Errors
	if !errors.As(err, &all) || len(all) != 102 || c == nil || len(c.Watch) != 2 || c.Watch[0].Domain != "example.com" {
		t.Fatalf("%d mistakes, %v", len(all), c)
	}
	for path, want := range map[string]bool{
		"watch[0].domain": false, "watch[1].domain": false, "watch[1].issuers[0]": true, "watch[1].issuers[1]": false,
		"watch[1].keys": true, "watch[1]": true, "watch_files[99]": false, "watch_files[0]": true, "logs.poll": false,
	} {
		if got := c.Spoiled(path); got != want {
			t.Errorf("spoiled %s: %v", path, got)
		}
	}
	if c, err := configs.Load(file, env("", nil), setup.Check); c != nil || !errors.As(err, &all) || len(all) != 51 || !strings.Contains(all[50].Msg, "52 more mistakes") {
		t.Errorf("Load: %v, %d mistakes", c, len(all))
	}
	if configs.Default().Spoiled("watch") {
		t.Error("a default is a mistake")
	}
}
