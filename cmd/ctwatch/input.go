package main

import (
	"fmt"
	"io"

	"ctwatch/files"
)

// readInput reads a file of at most so many bytes that the command line names. "-" is
// stdin. That, and what a shell puts for <(command), may never end, and then waits for
// no longer than the process is to run.
func (a *app) readInput(name string, limit int64) ([]byte, error) {
	isStdin := name == "-" && a.Stdin != nil
	if !isStdin && !files.IsStream(name) {
		return files.Read(name, limit)
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		if !isStdin {
			data, err := files.Read(name, limit)
			done <- result{data, err}
			return
		}
		data, err := io.ReadAll(io.LimitReader(a.Stdin, limit+1))
		switch {
		case err != nil:
			err = fmt.Errorf("reading stdin: %w", err)
		case int64(len(data)) > limit:
			err = fmt.Errorf("stdin has more than %d bytes", limit)
		}
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-a.ended:
		return nil, fmt.Errorf("reading %s: interrupted before its end", name)
	}
}
