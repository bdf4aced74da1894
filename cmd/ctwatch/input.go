package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/files"
)

// readInput reads a file of the command line, up to a limit in bytes; "-" is stdin. Stdin and
// a shell's <(command) may never end: readInput returns when the process is interrupted.
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

// readSubject reads an ID, a pin or a file. From a file it takes the server's key, or a CA's
// if issuer is set.
func (a *app) readSubject(arg string, issuer bool) (keyfile.Subject, error) {
	if strings.HasPrefix(arg, "sha256/") {
		pin, err := parsePin(arg)
		return keyfile.Subject{Pin: pin, What: "the pin"}, err
	}
	if _, err := os.Stat(arg); err != nil && arg != "-" {
		id := strings.ToLower(arg)
		if digits := id + strings.Repeat("0", len(id)%2); len(id) >= 8 && len(id) <= 64 {
			if _, err := hex.DecodeString(digits); err == nil {
				return keyfile.Subject{Certificate: id}, nil
			}
		}
		if err := namesCA(arg); err != nil {
			return keyfile.Subject{}, err
		}
		return keyfile.Subject{}, usagef("%s is neither a file, nor a pin (\"sha256/…\"), nor a certificate's ID of 8 to 64 hex digits", ctwatch.Printable(arg, 100))
	}
	data, err := a.readInput(arg, keyfile.MaxSize)
	if err != nil {
		return keyfile.Subject{}, err
	}
	return keyfile.Parse(arg, data, issuer)
}

// readChain reads the certificates of a file, the server's own first; "-" is stdin.
func (a *app) readChain(file string) ([][]byte, error) {
	data, err := a.readInput(file, keyfile.MaxSize)
	if err != nil {
		return nil, err
	}
	return keyfile.Chain(file, data)
}
