package configs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/configs"
)

// TestMistakesAreSorted: mistakes that several checks find come in the order of the file,
// each with its place, and each once.
func TestMistakesAreSorted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ctwatch.yaml")
	if err := os.WriteFile(file, []byte("watch:\n  - example.com\n  - example.net\nhooks: [a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(file, configs.ProcessEnv())
	if err != nil {
		t.Fatal(err)
	}
	wrong := configs.Mistakes{Config: cfg}
	wrong.At(nil, "watch")
	if err := wrong.Err(); err != nil {
		t.Fatalf("no mistake is an error: %v", err)
	}
	wrong.At(errors.New("is not a directory"), "hooks[%d]", 0)
	wrong.At(errors.Join(errors.New("has no CA"), errors.New("has no key")), "watch[1]")
	wrong.At(cfg.Errorf("watch[0]", "names its place itself"), "hooks")
	wrong.Add(cfg.Errorf("watch[0]", "names its place itself"))
	wrong.Add(configs.Errors{{File: file, Line: 4, Column: 9, Msg: "hooks: another"}})
	var all configs.Errors
	if !errors.As(wrong.Err(), &all) {
		t.Fatalf("%v is not configs.Errors", wrong.Err())
	}
	var got []string
	for _, e := range all {
		got = append(got, e.Error())
	}
	want := []string{
		file + ":2:5: watch[0]: names its place itself",
		file + ":3:5: watch[1]: has no CA",
		file + ":3:5: watch[1]: has no key",
		file + ":4:9: hooks[0]: is not a directory",
		file + ":4:9: hooks: another",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMistakesWithoutConfig: what is wrong with a file that cannot be read has no place.
func TestMistakesWithoutConfig(t *testing.T) {
	var wrong configs.Mistakes
	wrong.Add(errors.New("no such file"))
	if got, want := wrong.Err().Error(), "built-in configuration: no such file"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
