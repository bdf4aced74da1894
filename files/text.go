package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a text in UTF-8, without a byte order mark. It decodes UTF-16, with or
// without such a mark: no text begins with a null character, or has one after its first
// letter. It leaves other encodings unchanged. Carriage returns that end lines, as on early
// Macintoshes, become line feeds.
func Text(data []byte) ([]byte, error) {
	text, err := decode(data)
	if err == nil && bytes.IndexByte(text, '\n') < 0 {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	return text, err
}

func decode(data []byte) ([]byte, error) {
	order := utf16Order(data)
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return nil, errors.New("the file is in UTF-32: save it as UTF-8")
	case order == nil:
		return bytes.TrimPrefix(data, []byte("\uFEFF")), nil
	case len(data)%2 != 0:
		return nil, errors.New("the file is in UTF-16 and ends within a character: it is cut short, or damaged")
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i += 2 {
		r := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if i+3 < len(data) {
				low = rune(order.Uint16(data[i+2:]))
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, errors.New("the file is in UTF-16 and has half a character: it is damaged")
			}
			i += 2
		}
		if i > 0 || r != '\uFEFF' {
			out = utf8.AppendRune(out, r)
		}
	}
	return out, nil
}

// IsUTF16 reports whether Text decodes data as UTF-16.
func IsUTF16(data []byte) bool { return utf16Order(data) != nil }

func utf16Order(data []byte) binary.ByteOrder {
	switch {
	case len(data) < 2:
		return nil
	case data[0] == 0xfe && data[1] == 0xff, data[0] == 0 && data[1] != 0:
		return binary.BigEndian
	case data[0] == 0xff && data[1] == 0xfe, data[0] != 0 && data[1] == 0:
		return binary.LittleEndian
	}
	return nil
}
