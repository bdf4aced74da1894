package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// update makes the scripts take what the program prints for what it should print.
var update = flag.Bool("update", false, "update the golden files in the scripts")

// TestMain makes the program itself available to tests as the command "ctwatch",
// which is this test binary under another name: scripts run it, and tests that
// kill it do.
func TestMain(m *testing.M) {
	endWithParent() // with "go test", or with the tests
	testscript.Main(leakChecked{m}, map[string]func(){"ctwatch": main})
}

// built compiles the program as users get it, once: without the race detector, of
// which children that are killed can tell nothing, and which takes much memory and a
// tenth of a second to start.
var built = sync.OnceValues(func() (path string, err error) {
	if builtDir, err = os.MkdirTemp("", "ctwatch-built-"); err != nil {
		return "", err
	}
	path = filepath.Join(builtDir, "ctwatch")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as "make build" has it
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var builtDir string

// thorough reports whether tests that are as good the more they do are to do much:
// with "make test THOROUGH=1".
func thorough() bool { return os.Getenv("CTWATCH_TEST_THOROUGH") != "" }

// leakChecked fails a run of tests that leaves goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	os.Setenv("TEST_SLACK_TOKEN", "xoxb-test") // configurations hold no secrets
	checks := "4"                              // each runs many commands; more of them: -rapid.checks
	if thorough() {
		checks = "16"
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	code := l.m.Run()
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintf(os.Stderr, "goroutines are left behind: %v\n", err)
		return 1
	}
	return code
}
