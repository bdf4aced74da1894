package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Find returns the paths of executables, each once. Its arguments are absolute paths of
// executables, or of directories with them; the result has their order, and in a
// directory the order of names.
//
// In a directory it skips files that are not executable, and those whose names begin with
// "." or end in "~", so that a README can lie beside hooks. It also skips names that are
// not usual for hooks (see namePattern), and returns a problem that lists them. Links to
// files are not followed, and files that users other than root and ourselves could change
// or replace are not run: each is a problem, as is such a directory. Find has to be called
// again to find new hooks.
func Find(in ...string) (paths []string, problems []error) {
	asked, seen := make(map[string]bool), make(map[string]bool)
	for _, path := range in {
		path = filepath.Clean(path)
		if asked[path] {
			continue
		}
		asked[path] = true
		found, problem := find(path)
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

func find(path string) (paths []string, problems []error) {
	if !filepath.IsAbs(path) {
		return nil, []error{fmt.Errorf("hooks %s: want an absolute path", path)}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	if info.IsDir() {
		return findIn(path, info)
	}
	if err := checkFile(path); err != nil {
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

func findIn(dir string, info os.FileInfo) (paths []string, problems []error) {
	if err := checkOwner("hooks "+dir, info); err != nil {
		return nil, []error{err}
	}
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, []error{fmt.Errorf("hooks: %w", err)}
	}
	var odd []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		switch {
		case err != nil, e.IsDir(), strings.HasPrefix(e.Name(), "."), strings.HasSuffix(e.Name(), "~"):
			continue // err: it is gone
		case info.Mode().IsRegular() && info.Mode()&0o111 == 0:
			continue
		}
		if !namePattern.MatchString(e.Name()) {
			odd = append(odd, strconv.Quote(e.Name()))
			continue
		}
		if err := checkFile(path); err != nil {
			problems = append(problems, err)
			continue
		}
		paths = append(paths, path)
	}
	if len(odd) > 0 {
		problems = append(problems, fmt.Errorf("hooks %s: executable, and not run because of their names: %s. Editors and package managers leave such copies: remove them, or rename a hook to letters, digits, \"_\" and \"-\", and an extension such as .sh or .py", dir, strings.Join(odd[:min(len(odd), maxOdd)], ", ")+more(len(odd)-maxOdd)))
	}
	return paths, problems
}

// maxOdd bounds how many names that are not of hooks are listed.
const maxOdd = 20

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more", n)
}

// namePattern matches the names that run-parts(8) runs, also with the extension of a
// language. It leaves out the copies that lie beside files in such directories: of editors
// (x.swp, #x#, x.save), patch (x.orig, x.rej), dpkg and ucf (x.dpkg-old, x.ucf-dist), rpm
// (x.rpmnew), and people (x.bak, x.old, x.disabled, x.2026-11-27).
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.(sh|bash|dash|ksh|zsh|fish|py|pl|rb|js|mjs|ts|php|lua|tcl|awk|exe|bin))?$`)
