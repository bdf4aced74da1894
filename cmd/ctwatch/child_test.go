package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A child is the program in a process of its own, which can be killed.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout safeBuffer
	stderr safeBuffer
	done   chan struct{}
	status int // exit status once done is closed; -1 after a signal
}

// spawn runs the program with the environment of the test and some more of it.
func spawn(t *testing.T, program string, env []string, args ...string) *child {
	t.Helper()
	c := &child{t: t, done: make(chan struct{})}
	c.cmd = exec.Command(program, args...)
	// What make sets for compilers is not for the program.
	c.cmd.Env = append(append(os.Environ(), "GOGC=", "GOMEMLIMIT="), env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	endWithUs(c.cmd)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait()
		c.status = c.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("stderr of %s:\n%s", strings.Join(args, " "), c.stderr.tail())
		}
	})
	return c
}

// run starts the daemon as a child.
func (s *stage) run(config string, env ...string) *child {
	s.t.Helper()
	return s.runProgram("ctwatch", config, env...)
}

// runProgram starts the daemon that is in a file.
func (s *stage) runProgram(program, config string, env ...string) *child {
	s.t.Helper()
	c := spawn(s.t, program, env, "run", "--config", config)
	s.alive = func() error {
		select {
		case <-c.done:
			return fmt.Errorf("the daemon ended with status %d", c.status)
		default:
			return nil
		}
	}
	return c
}

// kill ends the child with SIGKILL, at once, and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// signal ends the child with a signal.
func (c *child) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
	c.wait()
}

// wait waits for the child to end by itself.
func (c *child) wait() {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatalf("the program does not end")
	}
}

// says waits until the child's log has a text, and returns all of it.
func (c *child) says(text string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		select {
		case <-c.done:
			if !c.stderr.contains(text) {
				return false, errors.New("it ended")
			}
		default:
		}
		return c.stderr.contains(text), nil
	})
	if err != nil {
		c.t.Fatalf("the program did not say %q: %v", text, err)
	}
	return c.stderr.String()
}

var embeddedURL = regexp.MustCompile(`embedded NATS server is ready" url=(\S+)`)

// natsURL returns where the child's NATS server listens.
func (c *child) natsURL() string {
	c.t.Helper()
	return embeddedURL.FindStringSubmatch(c.says("embedded NATS server is ready"))[1]
}
