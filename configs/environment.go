package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Env is the part of the process's environment that the configuration depends on.
type Env struct {
	// LookupEnv returns an environment variable. Optional: default no variables.
	LookupEnv func(name string) (string, bool)
	// WorkDir is the directory of relative names. Default the process's own.
	WorkDir string
	// SystemDir is the last directory that Find searches. Default /etc/ctwatch.
	SystemDir string
}

// ProcessEnv returns the environment of this process.
func ProcessEnv() Env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "" // relative names stay relative
	}
	return Env{LookupEnv: os.LookupEnv, WorkDir: dir}
}

func (e Env) lookup(name string) (string, bool) {
	if e.LookupEnv == nil {
		return "", false
	}
	return e.LookupEnv(name)
}

// dirs returns the directories of a variable that systemd sets: absolute paths,
// separated by colons.
func (e Env) dirs(name string) []string {
	var out []string
	list, _ := e.lookup(name)
	for _, dir := range filepath.SplitList(list) {
		if dir != "" {
			out = append(out, e.abs(dir))
		}
	}
	return out
}

// abs makes a path absolute, as far as the working directory is known.
func (e Env) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.WorkDir, path)
}

// variable is a reference to the environment, or the escape of one.
var variable = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*)?\}?`)

var errReference = errors.New("a malformed reference to the environment; want ${NAME}, or $${ for a literal ${")

// references lists the variables that a value refers to.
func references(text string) ([]string, error) {
	var out []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		switch {
		case strings.HasPrefix(m[0], "$$"):
		case m[1] == "" || !strings.HasSuffix(m[0], "}"):
			return nil, errReference
		default:
			out = append(out, m[1])
		}
	}
	return out, nil
}

// expand replaces references by the values of variables; fromEnv reports whether there
// were any. The error contains no value.
func (d *decoder) expand(text string) (value string, fromEnv bool, err error) {
	if !strings.Contains(text, "${") {
		return text, false, nil
	}
	if _, err := references(text); err != nil {
		return "", false, err
	}
	value = variable.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		fromEnv = true
		name := strings.TrimSuffix(strings.TrimPrefix(m, "${"), "}")
		v, ok := d.env.lookup(name)
		if !ok && err == nil {
			err = fmt.Errorf("the environment variable %s is not set; want it set, or another value here", name)
		}
		return v
	})
	return value, fromEnv, err
}

// escape writes a value so that expand returns it.
func escape(value string) string { return strings.ReplaceAll(value, "${", "$${") }
