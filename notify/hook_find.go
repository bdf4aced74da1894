package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FindHooks lists executables, each once, by absolute paths of them or of directories
// that hold them: in the order of the paths, and in a directory by name. Files of a
// directory that are not executable, and those whose names begin with "." or end in
// "~", are no hooks, so that a README can lie beside them. Links to files are not
// followed, and what others than root and ourselves could change, or replace, is not
// run: each such file, or directory, is a problem, and the rest is found all the same.
// Hooks that come later are found when it is called again.
func FindHooks(in ...string) (paths []string, problems []error) {
	asked, seen := make(map[string]bool), make(map[string]bool)
	for _, path := range in {
		path = filepath.Clean(path)
		if asked[path] {
			continue
		}
		asked[path] = true
		found, problem := findHooks(path)
		for _, f := range found {
			if !seen[f] {
				seen[f] = true
				paths = append(paths, f)
			}
		}
		problems = append(problems, problem...)
	}
	return paths, problems
}

func findHooks(path string) (paths []string, problems []error) {
	if !filepath.IsAbs(path) {
		return nil, []error{fmt.Errorf("hooks %s: want an absolute path", path)}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	if info.IsDir() {
		return findHooksIn(path, info)
	}
	if err := checkHook(path); err != nil {
		return nil, []error{err}
	}
	dir := filepath.Dir(path)
	if info, err = os.Stat(dir); err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	if err := checkOwner("hooks "+dir, info); err != nil {
		return nil, []error{err}
	}
	return []string{path}, nil
}

func findHooksIn(dir string, info os.FileInfo) (paths []string, problems []error) {
	if err := checkOwner("hooks "+dir, info); err != nil {
		return nil, []error{err}
	}
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		switch {
		case err != nil, e.IsDir(), strings.HasPrefix(e.Name(), "."), strings.HasSuffix(e.Name(), "~"):
			continue // err: it is gone
		case info.Mode().IsRegular() && info.Mode()&0o111 == 0:
			continue
		}
		if err := checkHook(path); err != nil {
			problems = append(problems, err)
			continue
		}
		paths = append(paths, path)
	}
	return paths, problems
}
