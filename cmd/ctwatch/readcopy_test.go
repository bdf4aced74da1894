package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ctwatch/ctwatch/ctlogtest"
	"ctwatch/pins"
	"ctwatch/store"
)

// TestReadersTakeACopy: commands that only read work on a copy of the data that they
// cannot write, be it the file alone or with a write-ahead log left beside it, also by
// a configuration that trusts more than the copy does; and nothing of it changes.
func TestReadersTakeACopy(t *testing.T) {
	ca, err := ctlogtest.NewCA(ctlogtest.CAOptions{})
	must(t, err)
	key, err := ctlogtest.SeededKey("copy")
	must(t, err)
	const host = "api.example.com"
	cert, err := ca.Issue(ctlogtest.Request{Names: []string{host}, CommonName: host, Key: key})
	must(t, err)
	der, err := cert.Final()
	must(t, err)
	server, err := serveTLS()
	must(t, err)
	t.Cleanup(server.close)
	server.deploy(key, der, ca.Intermediate)

	// Others can reach it, unlike the directory of a test.
	dir, err := os.MkdirTemp("", "ctwatch-copy-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	backup := "sha256/EaP/GOoG6nUuuzrYWX8Hip7JLNpOw9qlDyE47lNBlO0="
	config := func(name string, keys ...string) string {
		return write(name, fmt.Sprintf(`watch: [{domain: %s, endpoints: [%q], keys: ["%s"]}]
apps: [{name: shop, hosts: [%s], lead_time: 48h}]
`, host, server.address, strings.Join(keys, `", "`), host))
	}
	before, after := config("before.yaml", cert.LeafPin.String()), config("after.yaml", cert.LeafPin.String(), backup)
	file := write("shop.json", fmt.Sprintf(`{"hosts": {%q: [%q, %q]}}`, host, cert.LeafPin, backup))
	var chain bytes.Buffer
	for _, b := range [][]byte{der, ca.Intermediate} {
		must(t, pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: b}))
	}
	chainFile := write("chain.pem", chain.String())

	data := filepath.Join(dir, "data")
	if status, out, errs := runCommand(t.Context(), before, "probe", "--record", "--data", data); status != exitDone {
		t.Fatalf("probe: exit status %d: %s%s", status, out, errs)
	}
	// As long as it is open, what was imported is in the write-ahead log alone.
	db, err := store.OpenShared(t.Context(), filepath.Join(data, "ctwatch.db"), store.Options{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	content, err := os.ReadFile(file)
	must(t, err)
	must(t, db.Apps.Import(t.Context(), pins.ShippedFile{App: "shop", Version: "1.0", Format: "json", Name: file, Content: content, By: "ada"}))
	logged, alone := filepath.Join(dir, "logged"), filepath.Join(dir, "alone")
	copyFiles(t, logged, filepath.Join(data, "ctwatch.db"), filepath.Join(data, "ctwatch.db-wal"))
	must(t, db.Close())
	copyFiles(t, alone, filepath.Join(data, "ctwatch.db"))
	commands := []struct {
		config, says string
		status       int
		args         []string
	}{
		{after, "is safe to ship", exitDone, []string{"pins", "check", "--app", "shop", file}},
		{before, backup, exitNo, []string{"pins", "check", "--app", "shop", file}},
		{after, "(1 app host checked)", exitDone, []string{"pins", "gate", chainFile}},
		{after, `"status": "ok"`, exitDone, []string{"pins", "plan", "--json"}},
		{after, backup, exitDone, []string{"pins", "export", "--app", "shop", "--format", "json"}},
		{after, cert.LeafPin.String(), exitDone, []string{"pins", "list"}},
		{after, "import", exitDone, []string{"pins", "history"}},
		{after, "", exitDone, []string{"certs", "list"}},
		{after, "", exitDone, []string{"logs"}},
		{after, "", exitDone, []string{"notify", "status"}},
	}
	for _, to := range []string{alone, logged} {
		t.Run(filepath.Base(to), func(t *testing.T) {
			want := listing(t, to)
			for _, c := range commands {
				status, out := asNobody(t, dir, append(c.args, "--config", c.config, "--data", to)...)
				if status != c.status || !strings.Contains(out, c.says) {
					t.Errorf("%v: exit status %d, want %d and %q:\n%s", c.args, status, c.status, c.says, out)
				}
			}
			if got := listing(t, to); got != want {
				t.Errorf("files were\n%s\nnow\n%s", want, got)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// copyFiles copies files into a directory that everyone may read and no one may write.
func copyFiles(t *testing.T, dir string, files ...string) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o444))
	}
	must(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
}

// listing lists the files of a directory with their types.
func listing(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	var out strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		fmt.Fprintf(&out, "%s %x\n", f.Name(), sha256.Sum256(b))
	}
	return out.String()
}

// asNobody runs a command as a user for whom permissions count, which they do not for
// root, and returns all that it prints.
func asNobody(t *testing.T, dir string, args ...string) (status int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = append([]string{"ctwatch"}, args...) // see TestMain
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin"}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}
