package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ctwatch/files"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// fileName is the name of a configuration file in the directories that Find searches.
const fileName = "ctwatch.yaml"

// Find returns the name of the configuration file to read: the explicit one, or the first
// that exists of ./ctwatch.yaml, $CONFIGURATION_DIRECTORY/ctwatch.yaml and
// /etc/ctwatch/ctwatch.yaml, or "" if none exists. It fails if the explicit file does not
// exist, or if a directory cannot be searched: defaults must not silently replace a file.
func Find(explicit string, env Env) (string, error) {
	exists := func(path string) (bool, error) {
		_, err := os.Stat(env.abs(path))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, unreadable(path, err)
		}
		return true, nil
	}
	if explicit != "" {
		ok, err := exists(explicit)
		if err == nil && !ok {
			err = unreadable(explicit, fs.ErrNotExist)
		}
		if err != nil {
			return "", err
		}
		return explicit, nil
	}
	candidates := []string{fileName}
	for _, dir := range env.dirs("CONFIGURATION_DIRECTORY") {
		candidates = append(candidates, filepath.Join(dir, fileName))
	}
	system := env.SystemDir
	if system == "" {
		system = "/etc/ctwatch"
	}
	candidates = append(candidates, filepath.Join(system, fileName))
	for _, path := range candidates {
		ok, err := exists(path)
		if err != nil {
			return "", err
		}
		if ok {
			return path, nil
		}
	}
	return "", nil
}

// Load reads the configuration file at path, of at most 1 MiB; the path "" stands for an
// empty file. It opens no other file. The error has all mistakes, as Errors, including
// those that the checks add.
func Load(path string, env Env, checks ...func(*Config, *Mistakes)) (*Config, error) {
	return whole(Inspect(path, env, checks...))
}

// whole returns a configuration without mistakes, or its sorted mistakes.
func whole(c *Config, err error) (*Config, error) {
	var all Errors
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &all):
		err = all.Sorted()
	}
	return nil, err
}

// Inspect reads a file as Load does, for a search for further mistakes: with Errors, which
// are not sorted and not bounded, it returns a configuration as far as it could be read,
// nil if the file is not YAML. Settings with a mistake have any value (see Config.Spoiled).
func Inspect(path string, env Env, checks ...func(*Config, *Mistakes)) (*Config, error) {
	if path == "" {
		c := Default()
		c.DataDir = defaultDataDir(env)
		return c, nil
	}
	f, err := files.Open(env.abs(path))
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	return inspect(path, data, env, checks...)
}

// LoadBytes reads a configuration from memory, as Load does from a file. The name is that
// of the file, for errors and for relative paths.
func LoadBytes(name string, data []byte, env Env, checks ...func(*Config, *Mistakes)) (*Config, error) {
	return whole(inspect(name, data, env, checks...))
}

func inspect(name string, data []byte, env Env, checks ...func(*Config, *Mistakes)) (*Config, error) {
	d := &decoder{
		source: &source{
			file: name, places: map[string]place{}, written: map[string]written{},
			failed: map[string]bool{}, tainted: map[string]bool{},
			credentials: env.dirs("CREDENTIALS_DIRECTORY"),
		},
		env: env,
		dir: filepath.Dir(env.abs(name)),
	}
	root, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	c := Default()
	c.DataDir = defaultDataDir(env)
	c.src = d.source
	d.document(root, c)
	if _, ok := d.places["email.port"]; c.Email != nil && !ok {
		c.Email.Port = c.Email.defaultPort()
	}
	check(c, d)
	wrong := &Mistakes{Config: c, all: d.errs}
	for _, check := range checks {
		check(c, wrong)
	}
	for _, path := range wrong.paths {
		d.taint(path)
	}
	if len(wrong.all) > 0 {
		return c, wrong.all
	}
	return c, nil
}

// defaultDataDir is systemd's state directory, or DefaultDataDir.
func defaultDataDir(env Env) string {
	if dirs := env.dirs("STATE_DIRECTORY"); len(dirs) > 0 {
		return dirs[0]
	}
	return env.abs(DefaultDataDir)
}

// unreadable returns the error for a file that cannot be read.
func unreadable(path string, err error) error {
	reason := err.Error()
	var pe *fs.PathError
	if errors.As(err, &pe) {
		reason = pe.Err.Error() // the path is there already
	}
	return Errors{{File: path, Msg: fmt.Sprintf("cannot be read: %s; want a configuration file that this user may read", reason), Err: err}}
}

// resolve makes a path of the configuration absolute. If credential is set, a bare name
// is that of a credential of systemd, if it exists.
func (d *decoder) resolve(path string, credential bool) string {
	if path == "" {
		return ""
	}
	if dirs := d.env.dirs("CREDENTIALS_DIRECTORY"); credential && len(dirs) > 0 && !strings.ContainsRune(path, '/') {
		file := filepath.Join(dirs[0], path)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}
