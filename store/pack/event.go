package pack

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

//go:embed events.txt
var eventSamples string

//go:embed logs.txt
var knownLogs string

// eventDictionary is the dictionary of events: names and IDs of logs, and a sample of each
// kind of event, the most frequent last.
var eventDictionary = lazily(func() []byte {
	var out []byte
	for line := range strings.Lines(knownLogs) {
		id, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		out = appendPacked(out, []byte(`"log":"`+name+`","log_id":"`+id+`","index":`))
	}
	for line := range strings.Lines(eventSamples) {
		out = appendPacked(out, []byte(strings.TrimSuffix(line, "\n")))
	}
	return out
})

// Event encodes the JSON of an event.
func Event(json []byte) []byte {
	if len(json) > maxEvent {
		return plain(json)
	}
	packed := appendPacked(make([]byte, 0, len(json)), json) // ambiguous if it has codes, which JSON has not
	return smaller(compressed(event1, eventDictionary(), packed), json, EventJSON)
}

// EventJSON returns the JSON that Event encoded. It may share memory with b.
func EventJSON(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errDamaged
	}
	switch b[0] {
	case Plain:
		return b[1:], nil
	case event1:
		packed, err := decompressed(eventDictionary(), b[1:], maxEvent)
		if err != nil {
			return nil, err
		}
		return appendUnpacked(make([]byte, 0, 2*len(packed)), packed)
	}
	return nil, unknown(b[0])
}

// Codes in packed text, which has no bytes below a space otherwise.
const (
	codeHex    = 1 // the number of bytes follows, and these: they are written in hex
	codeBase64 = 2 // 32 bytes follow, written in base64
)

const (
	minHex    = 16               // digits that are worth packing
	maxHex    = 2 * 255          // digits of one code
	base64Len = (32 + 2) / 3 * 4 // characters of 32 bytes in base64, the last being '='
)

// Classes of characters.
const (
	hexDigit  = 1 << iota // of lower-case hex
	base64Any             // of base64, without padding
)

var class = func() (c [256]byte) {
	for _, b := range []byte("0123456789abcdef") {
		c[b] |= hexDigit
	}
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		c[b] |= base64Any
	}
	return c
}()

// appendPacked appends text with its hashes packed: base64 of 32 bytes, and lower-case hex
// of 8 bytes and more.
func appendPacked(dst, text []byte) []byte {
	for {
		end := bytes.IndexByte(text, '=') + 1
		if end == 0 {
			return appendHexPacked(dst, text)
		}
		start := end - base64Len
		var b [base64Len / 4 * 3]byte
		if start >= 0 && isHash(&b, text[start:end]) {
			dst = appendHexPacked(dst, text[:start])
			dst = append(append(dst, codeBase64), b[:32]...)
		} else {
			dst = appendHexPacked(dst, text[:end])
		}
		text = text[end:]
	}
}

// isHash decodes text if it is 32 bytes in base64, as an encoder writes them.
func isHash(b *[base64Len / 4 * 3]byte, text []byte) bool {
	for _, c := range text[:len(text)-1] {
		if class[c]&base64Any == 0 {
			return false
		}
	}
	n, err := base64.StdEncoding.Strict().Decode(b[:], text)
	return err == nil && n == 32
}

// appendHexPacked appends text with its hex packed. Hex that is long enough includes every
// so many-th character, so that it need not look at the others.
func appendHexPacked(dst, text []byte) []byte {
	done := 0
	for i := minHex - 1; i < len(text); i += minHex {
		if class[text[i]]&hexDigit == 0 {
			continue
		}
		start, end := i, i+1
		for start > done && class[text[start-1]]&hexDigit != 0 {
			start--
		}
		for end < len(text) && end-start < maxHex && class[text[end]]&hexDigit != 0 {
			end++
		}
		n := (end - start) &^ 1
		if n < minHex {
			continue
		}
		dst = append(dst, text[done:start]...)
		dst = append(dst, codeHex, byte(n/2))
		dst, _ = hex.AppendDecode(dst, text[start:start+n])
		done = start + n
		i = done - 1
	}
	return append(dst, text[done:]...)
}

// appendUnpacked reverses appendPacked.
func appendUnpacked(dst, packed []byte) ([]byte, error) {
	for i := 0; i < len(packed); {
		c := packed[i]
		if c >= ' ' {
			from := i
			for i++; i < len(packed) && packed[i] >= ' '; i++ {
			}
			dst = append(dst, packed[from:i]...)
			continue
		}
		i++
		n := 32
		if c == codeHex && i < len(packed) {
			n = int(packed[i])
			i++
		}
		if c > codeBase64 || c == 0 || n > len(packed)-i {
			return nil, errDamaged
		}
		if c == codeHex {
			dst = hex.AppendEncode(dst, packed[i:i+n])
		} else {
			dst = base64.StdEncoding.AppendEncode(dst, packed[i:i+n])
		}
		i += n
	}
	return dst, nil
}
