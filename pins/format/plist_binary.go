package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// parseBinaryPlist reads a property list in Apple's binary form, "bplist00": a header,
// objects, a table of their offsets, and a trailer with the offset of the table. Objects
// may be referenced several times, so a small file can expand to a huge one, or contain
// itself; the number of values and their depth are bounded.
func parseBinaryPlist(data []byte) (*plistValue, error) {
	const header, trailer = 8, 32
	if len(data) < header+trailer || string(data[:7]) != "bplist0" {
		return nil, &SyntaxError{Err: fmt.Errorf("binary property list: %w", errTruncated)}
	}
	end := data[len(data)-trailer:]
	r := plistBinary{
		data:       data,
		offsetSize: int(end[6]),
		refSize:    int(end[7]),
		count:      binary.BigEndian.Uint64(end[8:]),
		table:      binary.BigEndian.Uint64(end[24:]),
		leaves:     make(map[uint64]*plistValue),
	}
	room := uint64(len(data) - trailer)
	if r.offsetSize < 1 || r.offsetSize > 8 || r.refSize < 1 || r.refSize > 8 ||
		r.table < header || r.table > room || r.count > (room-r.table)/uint64(r.offsetSize) {
		return nil, &SyntaxError{Err: errors.New("binary property list: the trailer is damaged")}
	}
	v, err := r.object(binary.BigEndian.Uint64(end[16:]), 0)
	if err != nil {
		return nil, &SyntaxError{Err: fmt.Errorf("binary property list: %w", err)}
	}
	return v, nil
}

var errTruncated = errors.New("the file is truncated or damaged")

type plistBinary struct {
	data                []byte
	offsetSize, refSize int
	count               uint64 // of objects
	table               uint64 // where the table of offsets begins, and objects end
	values              int    // so far
	leaves              map[uint64]*plistValue
}

// object reads the object with a number.
func (r *plistBinary) object(ref uint64, depth int) (*plistValue, error) {
	if r.values++; r.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels, or an object contains itself", maxDepth)
	}
	if ref >= r.count {
		return nil, errTruncated
	}
	if v, ok := r.leaves[ref]; ok {
		return v, nil
	}
	at := r.table + ref*uint64(r.offsetSize)
	offset := bigEndian(r.data[at : at+uint64(r.offsetSize)])
	if offset >= r.table {
		return nil, errTruncated
	}
	marker, body := r.data[offset], r.data[offset+1:r.table]
	v := &plistValue{}
	var err error
	switch high := marker >> 4; high {
	case 0x0:
		if marker == 0x08 || marker == 0x09 {
			v.kind, v.yes = plistBool, marker == 0x09
		}
	case 0x1:
		var b []byte
		if b, err = take(body, 1<<(marker&0xF), 1); err == nil {
			v.kind = plistInteger
			for _, c := range b {
				v.yes = v.yes || c != 0
			}
		}
	case 0x5, 0x6:
		v.kind = plistString
		v.text, err = text(marker, body)
	case 0xA, 0xD:
		return v, r.container(v, marker, body, depth)
	}
	if err != nil {
		return nil, err
	}
	r.leaves[ref] = v
	return v, nil
}

// container reads an array, or a dictionary: first all its keys, then its values.
func (r *plistBinary) container(v *plistValue, marker byte, body []byte, depth int) error {
	n, body, err := length(marker, body)
	if err != nil {
		return err
	}
	v.kind = plistArray
	if marker>>4 == 0xD {
		v.kind = plistDict
		keys, err := take(body, n, r.refSize)
		if err != nil {
			return err
		}
		body = body[len(keys):]
		for ; len(keys) > 0; keys = keys[r.refSize:] {
			key, err := r.object(bigEndian(keys[:r.refSize]), depth+1)
			if err != nil {
				return err
			}
			if key.kind != plistString {
				return fmt.Errorf("a key is %s, and should be a string", plistKinds[key.kind])
			}
			v.keys = append(v.keys, key.text)
		}
	}
	refs, err := take(body, n, r.refSize)
	if err != nil {
		return err
	}
	for ; len(refs) > 0; refs = refs[r.refSize:] {
		value, err := r.object(bigEndian(refs[:r.refSize]), depth+1)
		if err != nil {
			return err
		}
		v.values = append(v.values, value)
	}
	return nil
}

// text reads a string in ASCII (0x5) or UTF-16 (0x6).
func text(marker byte, body []byte) (string, error) {
	n, body, err := length(marker, body)
	if err != nil {
		return "", err
	}
	if marker>>4 == 0x5 {
		b, err := take(body, n, 1)
		return string(b), err
	}
	b, err := take(body, n, 2)
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), err
}

// length reads the number of elements of an object: from its marker, or from an integer
// after it.
func length(marker byte, body []byte) (n uint64, rest []byte, err error) {
	if marker&0xF != 0xF {
		return uint64(marker & 0xF), body, nil
	}
	if len(body) == 0 || body[0]>>4 != 0x1 || body[0]&0xF > 3 {
		return 0, nil, errTruncated
	}
	b, err := take(body[1:], 1<<(body[0]&0xF), 1)
	if err != nil {
		return 0, nil, err
	}
	return bigEndian(b), body[1+len(b):], nil
}

// take returns the first n elements of a size in b.
func take(b []byte, n uint64, size int) ([]byte, error) {
	if n > uint64(len(b)/size) {
		return nil, errTruncated
	}
	return b[:n*uint64(size)], nil
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
