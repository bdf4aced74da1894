package entry

import "bytes"

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
// An error means that names may have gone unread, and is a Reason; those that could
// be read were visited all the same.
func Names(tbs []byte, visit func(name []byte)) error {
	return Visitor{Name: visit}.Visit(tbs)
}

// A Visitor is told what a certificate is for. Every function is optional.
type Visitor struct {
	// Name is told of dNSNames, and of common names unless CommonName is set.
	Name func(name []byte)
	// CommonName is told of common names that read as a name.
	CommonName func(name []byte)
	// IP is told of iPAddresses as they are encoded (see IP), and of the octets of
	// common names that are an address. A dNSName that is one is told to Name.
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
			err = TruncatedField
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
		err = TruncatedSubject
	}
	for rdns := name[start:end]; len(rdns) > 0; {
		_, start, end, ok := header(rdns)
		if !ok {
			err = TruncatedSubject
		}
		for attrs := rdns[start:end]; len(attrs) > 0; {
			_, start, end, ok := header(attrs)
			if !ok {
				err = TruncatedSubject
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

// commonName visits the value of a common name.
func (v Visitor) commonName(value []byte) error {
	if len(value) == 0 {
		return UnreadableCommonName
	}
	tag, start, end, ok := header(value)
	name, err := text(tag, value[start:end])
	ip, isAddress := Address(bytes.TrimSpace(name))
	switch {
	case isAddress:
		if v.IP != nil {
			v.IP(ip.AsSlice())
		}
	case readsAsName(name):
		v.CommonName(name)
	case bytes.IndexByte(name, ' ') >= 0:
		// "www.example.com and example.org": the words that can only be names.
		for word := range bytes.FieldsSeq(name) {
			if isHost(word) {
				v.CommonName(word)
			}
		}
	}
	switch {
	case err == errLong:
		return LongCommonName
	case err != nil || !ok:
		return UnreadableCommonName
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

// isHost reports whether a word among others is a host's name beyond doubt: of
// letters, digits, hyphens, underscores, wildcards and dots, with two labels at
// least, of which the last has two letters at least and nothing else.
func isHost(word []byte) bool {
	word = bytes.TrimRight(bytes.Trim(word, ",;()"), ".")
	dot := bytes.LastIndexByte(word, '.')
	if dot < 1 || len(word)-dot < 3 {
		return false
	}
	for i, c := range word {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i > dot || plainForm[c] == 0) {
			return false
		}
	}
	return true
}

// extensions visits the names in the content of [3], however many lists it holds.
func (v Visitor) extensions(lists []byte) error {
	var err error
	for len(lists) > 0 {
		_, start, end, ok := header(lists)
		if !ok {
			err = TruncatedExtensions
		}
		for list := lists[start:end]; len(list) > 0; {
			_, start, end, ok := header(list)
			if !ok {
				err = TruncatedExtensions
			}
			if ext := list[start:end]; len(ext) > 0 {
				tag, start, end, _ := header(ext)
				switch {
				case tag == tagOID && string(ext[start:end]) == oidSubjectAltName:
					if sanErr := v.altNames(ext[end:]); err == nil {
						err = sanErr
					}
				case err == nil && tag == tagOID && !isExtensionValue(ext[end:]):
					err = TruncatedExtensions // a length that lies may hide what follows it
				}
			}
			list = list[end:]
		}
		lists = lists[end:]
	}
	return err
}

// isExtensionValue reports whether b is what follows the OID of an extension, and
// nothing else: critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING.
func isExtensionValue(b []byte) bool {
	if len(b) > 0 && b[0] == tagBoolean {
		_, _, end, _ := header(b)
		b = b[end:]
	}
	if len(b) == 0 {
		return false
	}
	tag, _, end, ok := header(b)
	return ok && tag&^constructed == tagOctetString && end == len(b)
}

// altNames visits the names of a subject alternative name extension, given what
// follows its OID.
func (v Visitor) altNames(b []byte) error {
	if len(b) > 0 && b[0] == tagBoolean { // critical
		_, _, end, _ := header(b)
		b = b[end:]
	}
	if len(b) == 0 {
		return UnreadableAltName
	}
	var err error
	tag, start, end, ok := header(b)
	value := b[start:end]
	switch {
	case !ok:
		err = TruncatedAltName
	case tag == tagSequence: // the names themselves
		value, err = b[:end], UnreadableAltName
	case tag == tagOctetString|constructed:
		if value, ok = joined(value); !ok {
			err = UnreadableAltName
		}
	case tag != tagOctetString:
		err = UnreadableAltName
	}
	// One GeneralNames is expected. Further ones, and names that stand beside it,
	// are read too: some client may.
	for len(value) > 0 {
		tag, start, end, ok := header(value)
		if !ok {
			err = TruncatedAltName
		}
		if tag != tagSequence {
			v.generalName(tag, value[start:end])
		} else {
			for names := value[start:end]; len(names) > 0; {
				tag, start, end, ok := header(names)
				if !ok {
					err = TruncatedAltName
				}
				v.generalName(tag, names[start:end])
				names = names[end:]
			}
		}
		value = value[end:]
	}
	return err
}

// generalName visits one GeneralName if it is a name or an address.
func (v Visitor) generalName(tag byte, content []byte) {
	switch tag {
	case tagDNSName:
		v.Name(content)
	case tagIPAddress:
		if v.IP != nil {
			v.IP(content)
		}
	case tagDNSName | constructed, tagIA5, tagUTF8, tagPrintable, tagT61, tagVisible, tagBMP, tagUniversal:
		// In parts, tagged explicitly, or not tagged at all: wrong, and still a name.
		if name, _ := text(tag, content); len(name) > 0 {
			v.Name(name)
		}
	case tagDNSName &^ class, tagDNSName&^class | 0x40, tagDNSName | 0xc0:
		v.Name(content) // of another class, at which some parsers do not look
	case tagIPAddress &^ class, tagIPAddress&^class | 0x40, tagIPAddress | 0xc0:
		if v.IP != nil {
			v.IP(content)
		}
	case tagIPAddress | constructed:
		if ip, _ := joined(content); v.IP != nil {
			v.IP(ip)
		}
	}
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
		if len(b) == 0 || b[0]&^constructed != tagOctetString {
			continue
		}
		_, _, end, _ := header(b)
		_ = v.altNames(b[:end])
		tbs = b[end:]
	}
}
