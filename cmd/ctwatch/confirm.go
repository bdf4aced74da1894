package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"ctwatch/cmd/ctwatch/terminal"
)

// confirm asks for confirmation of a change that cannot be undone, on a terminal; scripts
// confirm with --yes.
func (a *app) confirm(ctx context.Context, yes bool, what string) error {
	switch {
	case yes:
		return nil
	case !terminal.Is(a.Stdin):
		return usagef("%s\nNothing was changed. This cannot be undone: to proceed, add --yes", what)
	}
	line, err := a.ask(ctx, what+"\nThis cannot be undone. To proceed, type yes: ")
	if err != nil {
		return err
	}
	if line = strings.ToLower(line); line == "yes" || line == "y" {
		return nil
	}
	return errors.New("nothing was changed")
}

// ask asks a person at a terminal, and returns the line that they type.
func (a *app) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.Stderr, question)
	answer := make(chan string, 1)
	go func() { // the terminal is read whether or not the program is to end
		line, _ := bufio.NewReader(io.LimitReader(a.Stdin, 1000)).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case line := <-answer:
		return line, nil
	}
}
