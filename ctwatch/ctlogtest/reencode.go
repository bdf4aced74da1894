package ctlogtest

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// A Form is an encoding of one element that BER allows and DER does not (X.690 §8.1, §10). Its
// zero value is DER.
type Form struct {
	TagOctets    int  // for the tag's number, after the first octet; all but the last are zeros
	LengthOctets int  // after the first, if that is more than the length needs
	Indefinite   bool // no length, but end-of-contents octets: of a constructed element
	Parts        int  // how many parts a primitive element is split into, which makes it constructed
	Nesting      int  // how deep the parts are nested in constructed elements
	PartTag      byte // of the parts; default OCTET STRING
}

// Reencode encodes an element in DER, and all that it contains, in the forms that form returns:
// path has the index of each element within its parent. The values of the extensions for
// alternative names and basic constraints are elements within their OCTET STRING.
func Reencode(der []byte, form func(path []int, tag byte) Form) ([]byte, error) {
	return reencode(der, nil, false, form)
}

func reencode(element []byte, path []int, wraps bool, form func([]int, byte) Form) ([]byte, error) {
	in := cryptobyte.String(element)
	var content cryptobyte.String
	var t tag.Tag
	if !in.ReadAnyASN1(&content, &t) || !in.Empty() {
		return nil, errDER
	}
	f := form(path, byte(t))
	if byte(t)&0x20 == 0 && !wraps {
		return f.encode(byte(t), content), nil
	}
	var body, first []byte
	for i := 0; !content.Empty(); i++ {
		var child cryptobyte.String
		var t tag.Tag
		if !content.ReadAnyASN1Element(&child, &t) {
			return nil, errDER
		}
		if i == 0 {
			first = child
		}
		id := string(first)
		wraps := t == tag.OCTET_STRING && (id == "\x06\x03\x55\x1d\x11" || id == "\x06\x03\x55\x1d\x13")
		b, err := reencode(child, append(slices.Clip(path), i), wraps, form)
		if err != nil {
			return nil, err
		}
		body = append(body, b...)
	}
	return f.encode(byte(t), body), nil
}

// encode encodes an element from its identifier octet in DER and its content.
func (f Form) encode(id byte, content []byte) []byte {
	if f.Parts > 0 && id&0x20 == 0 {
		content = f.cut(content)
		id |= 0x20
	}
	out := []byte{id}
	if f.TagOctets > 0 {
		out = append([]byte{id | 0x1f}, slices.Repeat([]byte{0x80}, f.TagOctets-1)...)
		out = append(out, id&0x1f)
	}
	if f.Indefinite && id&0x20 != 0 {
		return append(append(append(out, 0x80), content...), 0, 0)
	}
	if f.LengthOctets == 0 {
		return append(out, der(id, content)[1:]...)
	}
	out = append(out, 0x80|byte(f.LengthOctets))
	for i := f.LengthOctets - 1; i >= 0; i-- {
		b := byte(0)
		if i < 4 {
			b = byte(len(content) >> (8 * i))
		}
		out = append(out, b)
	}
	return append(out, content...)
}

// cut encodes the parts of a string.
func (f Form) cut(content []byte) (out []byte) {
	t := f.PartTag
	if t == 0 {
		t = 0x04
	}
	size := len(content)/f.Parts + 1
	for part := range slices.Chunk(content, size) {
		out = append(out, der(t, part)...)
	}
	for range f.Nesting {
		out = Form{Indefinite: f.Indefinite}.encode(t|0x20, out)
	}
	return out
}
