package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// An acmeClient is how a client runs the hook that it is given.
type acmeClient struct {
	line     *regexp.Regexp // of docs/pins.md; the hook is in the group
	variable string         // that says where the certificate is
	chain    string         // what the variable names: a directory with this file in it; "" for the file itself
	shell    bool           // whether sh reads the hook, or it is split at blanks
}

// The clients of docs/pins.md. certbot: certbot/compat/misc.py, execute_command. lego 4:
// cmd/hook.go, launchHook. lego 5: cmd/internal/hook/hook.go, Launch, and metadata.go.
var acmeClients = map[string]acmeClient{
	"certbot": {regexp.MustCompile(`(?m)^certbot renew --deploy-hook '([^']+)'$`), "RENEWED_LINEAGE", "fullchain.pem", true},
	"lego4":   {regexp.MustCompile(`(?m)^lego … renew --renew-hook ('[^']+'|\S+)`), "LEGO_CERT_PATH", "", false},
	"lego5":   {regexp.MustCompile(`(?m)^lego run … --deploy-hook ('[^']+'|\S+)`), "LEGO_HOOK_CERT_PATH", "", false},
}

// guideProgram is a program in docs/pins.md, and the file that it is to be in.
var guideProgram = regexp.MustCompile("(?s)```sh\n(#!/bin/sh\n# (/\\S+):.*?)```")

// scriptACME runs the hook of a client, with a program "systemctl" that creates the file
// "reloaded".
func scriptACME(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] acme CLIENT FILE.pem")
	}
	guide, err := os.ReadFile("../../docs/pins.md")
	ts.Check(err)
	client, ok := acmeClients[args[0]]
	found := client.line.FindSubmatch(guide)
	program := guideProgram.FindSubmatch(guide)
	if !ok || found == nil || program == nil {
		ts.Fatalf("docs/pins.md has no line for %s, or no program for lego", args[0])
	}
	dir := ts.MkAbs("acme")
	write := func(name string, content []byte, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(os.WriteFile(file, content, mode))
		return file
	}
	bin := filepath.Dir(write("bin/systemctl", fmt.Appendf(nil, "#!/bin/sh\ntest \"$*\" = 'reload nginx' && : > %q\n", ts.MkAbs("reloaded")), 0o700))
	installed := write(string(program[2]), program[1], 0o700)

	hook := strings.Trim(string(found[1]), "'")
	argv := []string{"sh", "-c", hook}
	if !client.shell {
		argv = strings.Fields(strings.ReplaceAll(hook, string(program[2]), installed))
	}
	cert := write("certificates/cert.pem", []byte(ts.ReadFile(args[1])), 0o600)
	if client.chain != "" {
		cert = filepath.Dir(write("live/api.example.com/"+client.chain, []byte(ts.ReadFile(args[1])), 0o600))
	}
	path := bin + string(filepath.ListSeparator) + ts.Getenv("PATH")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + path, "HOME=" + ts.Getenv("HOME"), "SSL_CERT_FILE=" + ts.Getenv("SSL_CERT_FILE"), "GORACE=" + ts.Getenv("GORACE"), client.variable + "=" + cert}
	out, err := cmd.CombinedOutput()
	ts.Logf("%s", out)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", args[0], err)
	}
}
