package main

import (
	"flag"
	"fmt"
	"os"
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
	testscript.Main(leakChecked{m}, map[string]func(){"ctwatch": main})
}

// leakChecked fails a run of tests that leaves goroutines behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintf(os.Stderr, "goroutines are left behind: %v\n", err)
		return 1
	}
	return code
}
