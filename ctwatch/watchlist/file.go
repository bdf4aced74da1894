package watchlist

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is the length in bytes of the longest line in a watch-list file, and
// maxErrors how many mistakes are told before reading stops.
const (
	maxLine   = 4096
	maxErrors = 20
)

// ParseFile reads a watch list in Cert Spotter's syntax: one domain a line, with a
// leading dot (".example.com") to watch everything below it too; # begins a
// comment, and blank lines mean nothing. Errors name the file, line and column of
// every mistake; with one there are no rules.
func ParseFile(r io.Reader, name string) ([]Rule, error) {
	var rules []Rule
	var mistakes []error
	br := bufio.NewReaderSize(r, maxLine)
	for line := 1; ; line++ {
		text, err := readLine(br)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return nil, fmt.Errorf("reading watch list %s: line %d: %w", name, line, err)
		}
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		column := 1
		if err == nil {
			var rule Rule
			var ok bool
			rule, column, ok, err = parseLine(string(text))
			if ok {
				rules = append(rules, rule)
			}
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s:%d:%d: %w", name, line, column, err))
			if len(mistakes) == maxErrors {
				mistakes = append(mistakes, fmt.Errorf("%s: too many mistakes, reading stopped at line %d", name, line))
				break
			}
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return rules, nil
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes: write one domain a line", maxLine)

// readLine reads up to the next newline. Of a line that is too long nothing is
// kept, and errLongLine returned.
func readLine(br *bufio.Reader) ([]byte, error) {
	text, err := br.ReadSlice('\n')
	switch {
	case err == io.EOF && len(text) > 0:
		return text, nil
	case !errors.Is(err, bufio.ErrBufferFull):
		return text, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = br.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return nil, errLongLine
}

// parseLine reads one line; ok is false for one without a rule. The column, in
// characters from 1, is where the mistake is.
func parseLine(line string) (rule Rule, column int, ok bool, err error) {
	line, _, _ = strings.Cut(line, "#")
	start := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsSpace(r) })
	if start < 0 {
		return rule, 1, false, nil
	}
	column = utf8.RuneCountInString(line[:start]) + 1
	domain := strings.TrimSpace(line)
	if i := strings.IndexFunc(domain, unicode.IsSpace); i >= 0 {
		rest := strings.TrimLeftFunc(domain[i:], unicode.IsSpace)
		column += utf8.RuneCountInString(domain[:len(domain)-len(rest)])
		return rule, column, false, fmt.Errorf("%.100q after the domain: options are not supported, write one domain a line", rest)
	}
	if rule, err = NewRule(domain, domain[0] == '.'); err != nil {
		return rule, column, false, fmt.Errorf("%.100q %w", domain, err)
	}
	return rule, column, true, nil
}
