package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FindHooks lists the executables in directories, which are absolute: in the order of
// the directories, and in each by name. Files that are not executable, and those whose
// names begin with "." or end in "~", are no hooks, so that a README can lie beside
// them. Links are not followed, and what others than root and ourselves could change
// is not run: each such file, or directory, is a problem, and the rest is found all
// the same. Hooks that come later are found when it is called again.
func FindHooks(dirs ...string) (paths []string, problems []error) {
	seen := make(map[string]bool)
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		if seen[dir] {
			continue
		}
		seen[dir] = true
		found, problem := findHooks(dir)
		paths = append(paths, found...)
		problems = append(problems, problem...)
	}
	return paths, problems
}

func findHooks(dir string) (paths []string, problems []error) {
	if !filepath.IsAbs(dir) {
		return nil, []error{fmt.Errorf("hooks %s: want an absolute path", dir)}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	if !info.IsDir() {
		return nil, []error{fmt.Errorf("hooks %s: not a directory", dir)}
	}
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
