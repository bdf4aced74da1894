package watchlist

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"ctwatch/pins"
)

// MaxFile bounds a watch-list file, in bytes. One of a million domains has some 20 MB.
const MaxFile = 256 << 20

// MaxRules bounds the rules of a list: 10 million take some 900 MB.
const MaxRules = 10_000_000

// maxLine bounds a line of a watch-list file, in bytes. After maxMistakes mistakes reading
// stops.
const (
	maxLine     = 4096
	maxMistakes = 20
)

var (
	errLongLine = fmt.Errorf("the line is longer than %d bytes: write one domain per line", maxLine)
	errTooMany  = fmt.Errorf("the watch list has more than %d names: watch domains with all names below them (.example.com) instead of single names", MaxRules)
)

// readText adds the rules of a text in Cert Spotter's syntax, from one line to another, to
// those of a part. The error has all mistakes, with file, line and column.
func (l *List) readText(part int, from, to uint32) error {
	p := &l.parts[part]
	var mistakes []error
	line := 1 + bytes.Count(p.Text[:from], []byte("\n"))
	for start, text := range linesOf(p.Text[:to], int(from)) {
		column, err := l.readLine(part, start, text)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s:%d:%d: %w", p.Name, line, column, err))
			if errors.Is(err, errTooMany) {
				break
			}
			if len(mistakes) == maxMistakes {
				mistakes = append(mistakes, fmt.Errorf("%s: too many mistakes, reading stopped at line %d", p.Name, line))
				break
			}
		}
		line++
	}
	return errors.Join(mistakes...)
}

// linesOf yields the lines of a text, from one that begins at an offset, each with where it
// begins, without the newline and a byte order mark.
func linesOf(text []byte, from int) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		if bom := []byte("\ufeff"); from == 0 && bytes.HasPrefix(text, bom) {
			from = len(bom)
		}
		for from < len(text) {
			end := bytes.IndexByte(text[from:], '\n')
			if end < 0 {
				end = len(text) - from
			}
			if !yield(from, text[from:from+end]) {
				return
			}
			from += end + 1
		}
	}
}

// readLine adds the rule of a line, which begins at an offset of its part's text, if it has
// one. The column of a mistake counts characters from 1.
func (l *List) readLine(part, start int, line []byte) (column int, err error) {
	if len(line) > maxLine {
		return 1, errLongLine
	}
	at, watch := watchOf(line)
	if len(watch) == 0 {
		return 1, nil
	}
	place := rule{part: uint32(part), at: uint32(start + at)}
	if name := bytes.TrimPrefix(watch, []byte(".")); pins.CanonicalHost(name) {
		return utf8.RuneCount(line[:at]) + 1, l.add(l.growName(name), place)
	}
	r, column, err := parseLine(line, at, string(watch))
	if err == nil {
		err = l.add(l.growRule(r), place)
	}
	return column, err
}

// watchOf returns what a line watches, as it is written, and where that begins. It is empty
// for a line that is blank or has only a comment.
func watchOf(line []byte) (at int, watch []byte) {
	line, _, _ = bytes.Cut(line, []byte("#"))
	watch = bytes.TrimLeftFunc(line, unicode.IsSpace)
	at = len(line) - len(watch)
	return at, bytes.TrimRightFunc(watch, unicode.IsSpace)
}

// parseLine returns the rule of a line that watches something, and the column of the rule or
// mistake.
func parseLine(line []byte, at int, watch string) (r Rule, column int, err error) {
	column = utf8.RuneCount(line[:at]) + 1
	if i := strings.IndexFunc(watch, unicode.IsSpace); i >= 0 {
		rest := strings.TrimLeftFunc(watch[i:], unicode.IsSpace)
		column += utf8.RuneCountInString(watch[:len(watch)-len(rest)])
		return r, column, fmt.Errorf("%.100q after the domain: options are not supported, write one domain per line", rest)
	}
	if r, err = NewRule(watch, watch[0] == '.'); err != nil {
		return r, column, fmt.Errorf("%.100q %w", watch, err)
	}
	return r, column, nil
}
