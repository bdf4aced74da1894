package ctwatch_test

import (
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// The repository, as seen from here.
const repository = ".."

// rooms reads the imports of every package of ours, by its folder. It reads the
// files itself, unlike "go list", so that the test's result is never one cached
// from before a change.
func rooms(t *testing.T) map[string]*build.Package {
	t.Helper()
	all := make(map[string]*build.Package)
	err := filepath.WalkDir(repository, func(dir string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return err
		case dir != repository && (d.Name()[0] == '.' || d.Name() == "testdata"):
			return filepath.SkipDir
		}
		p, err := build.ImportDir(dir, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			return nil
		}
		folder, _ := filepath.Rel(repository, dir)
		all[filepath.ToSlash(folder)] = p
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ours returns the folders of those imports that are packages of ours.
func ours(imports ...string) (folders []string) {
	for _, path := range imports {
		if folder, ok := strings.CutPrefix(path, "ctwatch/"); ok {
			folders = append(folders, folder)
		}
	}
	return folders
}

func architecture(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| ([^|]*) \\|$")
	quoted   = regexp.MustCompile("`([^`]+)`")
)

// TestRoomsImportOnlyWhatTheyMay compares every package with the table of
// rooms in ARCHITECTURE.md, and the table against the packages.
func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	allowed := make(map[string][]string)
	for _, row := range tableRow.FindAllStringSubmatch(architecture(t), -1) {
		room := row[1]
		allowed[room] = []string{}
		for _, q := range quoted.FindAllStringSubmatch(row[2], -1) {
			allowed[room] = append(allowed[room], q[1])
		}
	}
	packages := rooms(t)
	for room, p := range packages {
		may, ok := allowed[room]
		switch {
		case !ok:
			t.Errorf("%s has no row in ARCHITECTURE.md", room)
			continue
		case room == "cmd/ctwatch": // its commands use all of them
			continue
		}
		does := ours(p.Imports...)
		for _, other := range does {
			if !slices.Contains(may, other) {
				t.Errorf("%s imports %s, which its row in ARCHITECTURE.md does not allow", room, other)
			}
		}
		for _, other := range may {
			if !slices.Contains(does, other) {
				t.Errorf("%s does not import %s, though its row in ARCHITECTURE.md says that it may: take it out", room, other)
			}
		}
	}
	for room := range allowed {
		if packages[room] == nil {
			t.Errorf("ARCHITECTURE.md has a row for %s, which is not a package", room)
		}
	}
}

var dependencyLine = regexp.MustCompile("(?m)^- `([^`]+)` (v[^:]+): ")

// TestEveryDependencyIsExplained compares the modules that our code imports with
// the list in ARCHITECTURE.md, with the versions of go.mod.
func TestEveryDependencyIsExplained(t *testing.T) {
	name := filepath.Join(repository, "go.mod")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse(name, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	version := make(map[string]string)
	for _, r := range mod.Require {
		version[r.Mod.Path] = r.Mod.Version
	}
	needed := make(map[string]bool)
	need := func(importPath string) {
		// The module is the longest prefix of the path that go.mod knows.
		for m := importPath; m != ""; m = m[:max(0, strings.LastIndexByte(m, '/'))] {
			if version[m] != "" {
				needed[m] = true
				return
			}
		}
	}
	for _, p := range rooms(t) {
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			need(path)
		}
	}
	for _, tool := range mod.Tool {
		need(tool.Path)
	}

	explained := make(map[string]bool)
	for _, line := range dependencyLine.FindAllStringSubmatch(architecture(t), -1) {
		path, v := line[1], line[2]
		explained[path] = true
		if !needed[path] {
			t.Errorf("ARCHITECTURE.md explains %s, which nothing imports", path)
		} else if version[path] != v {
			t.Errorf("ARCHITECTURE.md says %s %s; go.mod has %s", path, v, version[path])
		}
	}
	for path := range needed {
		if !explained[path] {
			t.Errorf("ARCHITECTURE.md does not say why %s %s is needed", path, version[path])
		}
	}
}
