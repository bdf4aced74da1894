package entry

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// The OIDs of what names a subject, as they are encoded.
const (
	oidCommonName     = "\x55\x04\x03" // 2.5.4.3
	oidSubjectAltName = "\x55\x1d\x11" // 2.5.29.17

	subjectAltNameID = "\x06\x03" + oidSubjectAltName // with its header
)

// The GeneralName choices that matter here (RFC 5280 §4.2.1.6).
const (
	tagDNSName   = 0x82
	tagIPAddress = 0x87
)

// Names visits every name that a certificate is for: each dNSName of each subject
// alternative name extension, and each common name of the subject that reads as a
// name. Names are visited as they are encoded, in whatever spelling and perhaps
// more than once (see Candidates); common names in UTF-16 or UTF-32 are converted
// to UTF-8. A name must not be kept after visit returns.
//
// An error means that names may have gone unread; those that could be read were
// visited all the same.
func Names(tbs []byte, visit func(name []byte)) error {
	return Visitor{Name: visit}.Visit(tbs)
}

// A Visitor is told what a certificate is for. Every function is optional.
type Visitor struct {
	// Name is told of dNSNames, and of common names unless CommonName is set.
	Name func(name []byte)
	// CommonName is told of common names that read as a name.
	CommonName func(name []byte)
	// IP is told of iPAddresses as they are encoded, 4 or 16 octets if they are
	// right; and of IP addresses written out in a dNSName or common name.
	IP func(ip []byte)
}

// Visit visits names and addresses as Names does.
func (v Visitor) Visit(tbs []byte) error {
	if v.Name == nil {
		v.Name = func([]byte) {}
	}
	if v.CommonName == nil {
		v.CommonName = v.Name
	}
	f, err := split(tbs)
	if cnErr := v.subject(f.subject); err == nil {
		err = cnErr
	}
	for b := f.tail; len(b) > 0; {
		tag, start, end, ok := header(b)
		if tag == tagExtensions {
			if extErr := v.extensions(b[start:end]); err == nil {
				err = extErr
			}
		}
		if !ok && err == nil {
			err = fmt.Errorf("the fields after the key: %w", errTruncated)
		}
		b = b[end:]
	}
	if err != nil {
		v.salvage(tbs)
	}
	return err
}

// subject visits the common names of a Name: however many in however many RDNs.
func (v Visitor) subject(name []byte) error {
	var err error
	if len(name) == 0 {
		return nil // split has said so
	}
	_, start, end, ok := header(name)
	if !ok {
		err = errSubject
	}
	for rdns := name[start:end]; len(rdns) > 0; {
		_, start, end, ok := header(rdns)
		if !ok {
			err = errSubject
		}
		for attrs := rdns[start:end]; len(attrs) > 0; {
			_, start, end, ok := header(attrs)
			if !ok {
				err = errSubject
			}
			if attr := attrs[start:end]; len(attr) > 0 {
				tag, start, end, _ := header(attr)
				if tag == tagOID && string(attr[start:end]) == oidCommonName {
					if cnErr := v.commonName(attr[end:]); err == nil {
						err = cnErr
					}
				}
			}
			attrs = attrs[end:]
		}
		rdns = rdns[end:]
	}
	return err
}

var errSubject = fmt.Errorf("the subject: %w", errTruncated)

// commonName visits the value of a common name.
func (v Visitor) commonName(value []byte) error {
	if len(value) == 0 {
		return errors.New("a common name has no value")
	}
	tag, start, end, ok := header(value)
	name, err := text(tag, value[start:end])
	if err == nil && !ok {
		err = errTruncated
	}
	switch {
	case v.address(name):
	case readsAsName(name):
		v.CommonName(name)
	}
	if err != nil {
		return fmt.Errorf("a common name: %w", err)
	}
	return nil
}

// readsAsName reports whether a common name is meant as a host's. It must have a
// dot, and neither space nor @ inside: "Example Inc", "J. Doe" and "localhost" are
// not names, since no public CA may certify a host without a domain. Where a NUL
// ends the name for some clients, what they read decides too.
func readsAsName(cn []byte) bool {
	if i := bytes.IndexByte(cn, 0); i >= 0 && readsAsName(cn[:i]) {
		return true
	}
	cn = bytes.TrimRight(bytes.TrimSpace(cn), ".")
	if bytes.IndexByte(cn, '.') < 0 && !bytes.ContainsAny(cn, otherDots) {
		return false
	}
	return bytes.IndexByte(cn, ' ') < 0 && bytes.IndexByte(cn, '@') < 0
}

// extensions visits the names in the content of [3], however many lists it holds.
func (v Visitor) extensions(lists []byte) error {
	var err error
	for len(lists) > 0 {
		_, start, end, ok := header(lists)
		if !ok {
			err = errExtensions
		}
		for list := lists[start:end]; len(list) > 0; {
			_, start, end, ok := header(list)
			if !ok {
				err = errExtensions
			}
			if ext := list[start:end]; len(ext) > 0 {
				tag, start, end, _ := header(ext)
				if tag == tagOID && string(ext[start:end]) == oidSubjectAltName {
					if sanErr := v.altNames(ext[end:]); err == nil {
						err = sanErr
					}
				}
			}
			list = list[end:]
		}
		lists = lists[end:]
	}
	return err
}

var errExtensions = fmt.Errorf("the extensions: %w", errTruncated)

// altNames visits the names of a subject alternative name extension, given what
// follows its OID.
func (v Visitor) altNames(b []byte) error {
	if len(b) > 0 && b[0] == tagBoolean { // critical
		_, _, end, _ := header(b)
		b = b[end:]
	}
	if len(b) == 0 {
		return errors.New("the subject alternative name has no value")
	}
	tag, start, end, ok := header(b)
	if tag != tagOctetString {
		return fmt.Errorf("the subject alternative name is no OCTET STRING but has tag %#02x", tag)
	}
	var err error
	if !ok {
		err = errAltNames
	}
	// One GeneralNames is expected. Further ones, and names that stand beside it,
	// are read too: some client may.
	for value := b[start:end]; len(value) > 0; {
		tag, start, end, ok := header(value)
		if !ok {
			err = errAltNames
		}
		if tag != tagSequence {
			v.generalName(tag, value[start:end])
		} else {
			for names := value[start:end]; len(names) > 0; {
				tag, start, end, ok := header(names)
				if !ok {
					err = errAltNames
				}
				v.generalName(tag, names[start:end])
				names = names[end:]
			}
		}
		value = value[end:]
	}
	return err
}

var errAltNames = fmt.Errorf("the subject alternative name: %w", errTruncated)

// generalName visits one GeneralName if it is a name or an address.
func (v Visitor) generalName(tag byte, content []byte) {
	switch tag {
	case tagDNSName:
		v.Name(content)
		v.address(content)
	case tagIPAddress:
		if v.IP != nil {
			v.IP(content)
		}
	case tagDNSName | constructed, tagIA5, tagUTF8, tagPrintable, tagT61, tagBMP, tagUniversal:
		// Tagged explicitly, or not tagged at all: wrong, and still a name.
		if tag == tagDNSName|constructed && len(content) > 0 {
			var start, end int
			tag, start, end, _ = header(content)
			content = content[start:end]
		}
		if name, _ := text(tag, content); len(name) > 0 {
			v.Name(name)
			v.address(name)
		}
	}
}

// address visits a name that is an IP address, and reports whether it is one.
func (v Visitor) address(name []byte) bool {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	if len(name) < len("::") || len(name) > longest {
		return false
	}
	// No top-level domain ends in a digit, so this settles nearly every name.
	if last := name[len(name)-1]; (last < '0' || last > '9') && bytes.IndexByte(name, ':') < 0 {
		return false
	}
	ip, err := netip.ParseAddr(string(name))
	if err != nil || ip.Zone() != "" {
		return false
	}
	if v.IP != nil {
		v.IP(ip.AsSlice())
	}
	return true
}

// salvage visits the names of whatever looks like a subject alternative name
// extension, for a TBSCertificate whose structure leads to none or not to all. It
// reads no byte twice.
func (v Visitor) salvage(tbs []byte) {
	for {
		i := bytes.Index(tbs, []byte(subjectAltNameID))
		if i < 0 {
			return
		}
		tbs = tbs[i+len(subjectAltNameID):]
		b := tbs
		if len(b) > 0 && b[0] == tagBoolean {
			_, _, end, _ := header(b)
			b = b[end:]
		}
		if len(b) == 0 || b[0] != tagOctetString {
			continue
		}
		_, _, end, _ := header(b)
		_ = v.altNames(b[:end])
		tbs = b[end:]
	}
}
