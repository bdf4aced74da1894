package format

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"ctwatch/pins"
)

// curl is the value of --pinnedpubkey of curl and wget: "sha256//" and base64 for each key,
// separated by a semicolon and nothing else. Only the leaf's key is compared. The value
// names no host, app, plan or time, and has no comments.
func curl() Format {
	return Format{
		Name:      "curl",
		Title:     "curl and wget --pinnedpubkey",
		Extension: ".txt",
		MediaType: "text/plain; charset=utf-8",
		Encode:    encodeCurl,
		Decode:    decodeCurl,
	}
}

// curlPrefix is the prefix of each hash; without it curl takes the value for the name of a
// file.
const curlPrefix = "sha256//"

func encodeCurl(set pins.Set) ([]byte, error) {
	if err := checkSet("curl", set); err != nil {
		return nil, err
	}
	if set.Role == pins.RoleIssuer {
		return nil, &RefusedError{Format: "curl", Reason: "curl and wget compare only the leaf's key, and would reject every server with pins of issuers; set the app's pin to leaf"}
	}
	first := set.Hosts[0]
	for _, h := range set.Hosts[1:] {
		if !samePins(h.Pins, first.Pins) {
			return nil, &RefusedError{Format: "curl", Reason: fmt.Sprintf(
				"the value names no host, and %s and %s have different pins; write one value for each host with --host",
				first.Pattern, h.Pattern)}
		}
	}
	var b bytes.Buffer
	for i, p := range first.Pins {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(curlPrefix + base64Of(p))
	}
	b.WriteByte('\n')

	rules, err := decodeCurl(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("curl: reading back what was written: %w", err)
	}
	if err := asks(rules, set, first.Pattern.Name, first.Pins); err != nil {
		return nil, fmt.Errorf("curl: read back, what was written is not what the set says: %w", err)
	}
	return b.Bytes(), nil
}

// decodeCurl reads the value as curl compares it: byte by byte, so that a pin with an
// extra space or without a slash never matches.
func decodeCurl(data []byte) (pins.Rules, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	value := strings.TrimRight(string(data), "\r\n") // as "$(cat file)" leaves it
	var list []pins.Pin
	at := 0
	for one := range strings.SplitSeq(value, ";") {
		b64, ok := strings.CutPrefix(one, curlPrefix)
		if !ok {
			return nil, clientErrAt(data, at, "want %q and the base64 of a SHA-256 for each key, with a semicolon and no space between them", curlPrefix)
		}
		p, err := barePin(b64)
		if err != nil {
			return nil, clientErrAt(data, at, "%w", err)
		}
		list = append(list, p)
		at += len(one) + 1
	}
	return everywhere{{At: pins.AtLeaf, Pins: distinct(list)}}, nil
}

// everywhere are rules for all hosts.
type everywhere []pins.Requirement

func (r everywhere) Requirements(string, time.Time) []pins.Requirement { return r }

func (r everywhere) Ends(string) time.Time { return time.Time{} }

func (r everywhere) Patterns() []pins.Pattern { return nil }
