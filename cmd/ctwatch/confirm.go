package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm has a person agree to what cannot be undone. On a terminal it says what will
// happen and asks; scripts agree beforehand with --yes.
func (a *app) confirm(ctx context.Context, yes bool, what string) error {
	switch {
	case yes:
		return nil
	case !isTerminal(a.Stdin):
		return usagef("%s\nNothing was changed. This cannot be undone: to go on, add --yes", what)
	}
	fmt.Fprintf(a.Stderr, "%s\nThis cannot be undone. Go on? Type yes: ", what)
	answer := make(chan string, 1)
	go func() { // the terminal is read whether or not the program is to end
		line, _ := bufio.NewReader(io.LimitReader(a.Stdin, 100)).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-answer:
		if line == "yes" || line == "y" {
			return nil
		}
		return errors.New("nothing was changed")
	}
}
