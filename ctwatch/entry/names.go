package entry

import (
	"bytes"

	"ctwatch/pins"
)

// The encoded OIDs of the parts that name a subject.
const (
	oidCommonName     = "\x55\x04\x03" // 2.5.4.3
	oidSubjectAltName = "\x55\x1d\x11" // 2.5.29.17

	// subjectAltNameID includes the octet before it, which is the same for all forms of
	// tag and length.
	subjectAltNameID = "\x03" + oidSubjectAltName
)

// The GeneralName choices that matter here (RFC 5280 §4.2.1.6).
const (
	tagDNSName   = 0x82
	tagIPAddress = 0x87
)

// Names visits every name of a certificate: each dNSName of each subject alternative name
// extension, and each common name of the subject that reads as a host name. It visits names
// as they are encoded, in any spelling and perhaps more than once (see Candidates); common
// names in UTF-16 or UTF-32 are converted to UTF-8. visit must not keep a name after it
// returns.
//
// An error is a Reason, and means that names may be missing. Names that could be read are
// visited in any case.
func Names(tbs []byte, visit func(name []byte)) error {
	return Visitor{Name: visit}.Visit(tbs)
}

// A Visitor gets the names and addresses of a certificate. Every function is optional.
type Visitor struct {
	// Name gets dNSNames, and common names unless CommonName is set.
	Name func(name []byte)
	// CommonName gets common names that read as a host name.
	CommonName func(name []byte)
	// IP gets iPAddresses as they are encoded (see IP), and the octets of common names that
	// are an address. Name gets dNSNames that are an address.
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
	w := walk{err, f.form}
	v.subject(&w, f.subject)
	for b := f.tail; len(b) > 0; {
		tag, start, stop, end, form := header(b)
		if tag == tagExtensions {
			v.extensions(&w, b[start:stop])
		}
		w.met(form, TruncatedField)
		b = b[end:]
	}
	if w.err == nil && w.form&odd != 0 {
		return OddEncoding // which hid nothing
	}
	if w.err != nil {
		v.salvage(tbs)
	}
	return w.err
}

// A walk is the state of a visit.
type walk struct {
	err  error // the first reason why names may have gone unread
	form form  // of all elements
}

// met records the form of an element, and the reason if it is truncated.
func (w *walk) met(f form, short Reason) {
	if f != 0 {
		w.form |= f
		if f&truncated != 0 {
			w.note(short)
		}
	}
}

// note records a reason.
func (w *walk) note(r Reason) {
	if w.err == nil {
		w.err = r
	}
}

// subject visits the common names of a Name: however many in however many RDNs.
func (v Visitor) subject(w *walk, name []byte) {
	if len(name) == 0 {
		return // split has said so
	}
	_, start, stop, _, form := header(name)
	w.met(form, TruncatedSubject)
	for rdns := name[start:stop]; len(rdns) > 0; {
		_, start, stop, next, form := header(rdns)
		w.met(form, TruncatedSubject)
		for attrs := rdns[start:stop]; len(attrs) > 0; {
			_, start, stop, next, form := header(attrs)
			w.met(form, TruncatedSubject)
			if attr := attrs[start:stop]; len(attr) > 0 {
				tag, start, stop, end, form := header(attr)
				if tag == tagOID && string(attr[start:stop]) == oidCommonName {
					w.met(form, TruncatedSubject)
					v.commonName(w, attr[end:])
				}
			}
			attrs = attrs[next:]
		}
		rdns = rdns[next:]
	}
}

// commonName visits the value of a common name.
func (v Visitor) commonName(w *walk, value []byte) {
	if len(value) == 0 {
		w.note(UnreadableCommonName)
		return
	}
	tag, start, stop, _, form := header(value)
	w.met(form, UnreadableCommonName)
	name, err := text(tag, value[start:stop])
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
		w.note(LongCommonName)
	case err != nil:
		w.note(UnreadableCommonName)
	}
}

// readsAsName reports whether a common name is that of a host. It must have a dot, and
// neither space nor @ inside: "Example Inc", "J. Doe" and "localhost" are not names, since no
// public CA may certify a host without a domain. A NUL ends the name for some clients: then
// the part before it counts, too.
func readsAsName(cn []byte) bool {
	if i := bytes.IndexByte(cn, 0); i >= 0 && readsAsName(cn[:i]) {
		return true
	}
	cn = bytes.TrimRight(bytes.TrimSpace(cn), ".")
	if bytes.IndexByte(cn, '.') < 0 && !bytes.ContainsAny(cn, pins.OtherDots) {
		return false
	}
	return bytes.IndexByte(cn, ' ') < 0 && bytes.IndexByte(cn, '@') < 0
}

// isHost reports whether a word in a text is certainly a host name: letters, digits, hyphens,
// underscores, wildcards and dots, with at least two labels, of which the last has at least
// two letters and nothing else.
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

// extensions visits the names in the content of [3], with any number of lists.
func (v Visitor) extensions(w *walk, lists []byte) {
	for len(lists) > 0 {
		_, start, stop, next, form := header(lists)
		w.met(form, TruncatedExtensions)
		for list := lists[start:stop]; len(list) > 0; {
			_, start, stop, next, form := header(list)
			w.met(form, TruncatedExtensions)
			if ext := list[start:stop]; len(ext) > 0 {
				tag, start, stop, end, form := header(ext)
				switch {
				case tag == tagOID && string(ext[start:stop]) == oidSubjectAltName:
					w.met(form, TruncatedAltName)
					v.altNames(w, ext[end:])
				case tag == tagOID && w.err == nil && !isExtensionValue(ext[end:]):
					w.note(TruncatedExtensions) // a length that lies may hide what follows it
				}
			}
			list = list[next:]
		}
		lists = lists[next:]
	}
}

// isExtensionValue reports whether b is what follows the OID of an extension, and
// nothing else: critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING.
func isExtensionValue(b []byte) bool {
	if b = afterCritical(b); len(b) == 0 {
		return false
	}
	tag, _, _, end, form := header(b)
	return form&truncated == 0 && tag&^constructed == tagOctetString && end == len(b)
}

// afterCritical skips the BOOLEAN critical of an extension.
func afterCritical(b []byte) []byte {
	if tagOf(b) == tagBoolean {
		_, _, _, end, _ := header(b)
		return b[end:]
	}
	return b
}

// altNames visits the names of a subject alternative name extension, from the part after its
// OID.
func (v Visitor) altNames(w *walk, b []byte) {
	if tagOf(b) == tagBoolean { // critical
		_, _, _, end, form := header(b)
		w.met(form, TruncatedAltName)
		b = b[end:]
	}
	if len(b) == 0 {
		w.note(UnreadableAltName)
		return
	}
	tag, start, stop, end, form := header(b)
	w.met(form, TruncatedAltName)
	value := b[start:stop]
	switch {
	case form&truncated != 0: // which is recorded
	case tag == tagSequence: // the names themselves
		value = b[:end]
		w.note(UnreadableAltName)
	case tag == tagOctetString|constructed:
		all, parts := joined(value)
		w.met(parts, UnreadableAltName)
		value = all
	case tag != tagOctetString:
		w.note(UnreadableAltName)
	}
	// One GeneralNames is expected. Further ones, and names beside it, are read, too,
	// since clients may do so.
	for len(value) > 0 {
		tag, start, stop, next, form := header(value)
		w.met(form, TruncatedAltName)
		if tag != tagSequence {
			v.generalName(tag, value[start:stop])
		} else {
			for names := value[start:stop]; len(names) > 0; {
				tag, start, stop, next, form := header(names)
				w.met(form, TruncatedAltName)
				v.generalName(tag, names[start:stop])
				names = names[next:]
			}
		}
		value = value[next:]
	}
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
		// In parts, with an explicit tag, or without one: invalid, and still a name.
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

// salvage visits the names of everything that looks like a subject alternative name
// extension, in a TBSCertificate whose structure leads to none or not to all. It reads no
// byte twice.
func (v Visitor) salvage(tbs []byte) {
	for {
		i := bytes.Index(tbs, []byte(subjectAltNameID))
		if i < 0 {
			return
		}
		tbs = tbs[i+len(subjectAltNameID):]
		b := afterCritical(tbs)
		if tagOf(b)&^constructed != tagOctetString {
			continue
		}
		_, _, _, end, _ := header(b)
		v.altNames(new(walk), b[:end])
		tbs = b[end:]
	}
}
