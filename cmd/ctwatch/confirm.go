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

// confirm asks a person before what cannot be undone. On a terminal it says what will
// happen and asks; scripts agree with --yes.
func (a *app) confirm(ctx context.Context, yes bool, what string) error {
	switch {
	case yes:
		return nil
	case !terminal.Is(a.Stdin):
		return usagef("%s\nNothing was changed. This cannot be undone: to go on, add --yes", what)
	}
	line, err := a.ask(ctx, what+"\nThis cannot be undone. Go on? Type yes: ")
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
