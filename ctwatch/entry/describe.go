package entry

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// MaxNames bounds the names, and the addresses, in a description; maxNamesLength bounds all
// of them together, in bytes.
const (
	MaxNames       = 1 << 16
	maxNamesLength = 4 << 20
)

// Describe returns a certificate with all that its TBSCertificate contains. Each part is read
// independently; Problems has a sentence, without text of the certificate, for each that
// could not be read. The caller adds what a certificate does not contain: the issuer's key,
// matches, verdict, sightings and fingerprints.
//
// Names are in canonical form (see Candidates), each once, those from subject alternative
// names first; valid UTF-8 has no form as Latin-1 here. They are printable ASCII, and not
// escaped for HTML, Slack or anything else. Names that are addresses are among the addresses.
func Describe(tbs []byte) ctwatch.Certificate {
	var c ctwatch.Certificate
	problem := func(part string, err error) {
		if err != nil {
			c.Problems = append(c.Problems, part+": "+err.Error())
		}
	}
	var err error
	c.ID, _, err = Identity(tbs)
	problem("identity", err)

	var l lister
	problem("names", l.read(tbs))
	c.Names, c.IPAddresses = l.names, l.addresses
	if l.badAddress != nil {
		problem("IP addresses", l.badAddress)
	}
	if l.tooMany {
		problem("names", errors.New("there are more than are listed"))
	}

	f, err := split(tbs)
	problem("structure", err)
	c.Serial, err = serial(f.serial)
	problem("serial number", err)
	c.Subject, err = distinguishedName(f.subject)
	problem("subject", err)
	c.Issuer.Name, err = distinguishedName(f.issuer)
	problem("issuer", err)
	c.NotBefore, c.NotAfter, err = validity(f.validity)
	problem("validity", err)
	key, err := TBSKey(tbs)
	if err == nil {
		c.Key.Pin = pins.FromSPKI(key)
		c.Key.Algorithm, err = Algorithm(key)
	}
	problem("public key", err)
	if err := Encoding(tbs); err != nil {
		c.Problems = append(c.Problems, ProblemEncoding+err.Error())
	}
	return c
}

// A lister collects names and addresses.
type lister struct {
	plain            [MaxPlain]byte // what ordinary names are written into
	names, addresses []string
	seen             map[string]bool
	length           int // of all names and addresses
	badAddress       error
	tooMany          bool
}

func (l *lister) read(tbs []byte) error {
	l.seen = make(map[string]bool)
	var common [][]byte // after the others
	err := Visitor{
		Name: l.certified,
		CommonName: func(name []byte) {
			if l.tooMany = l.tooMany || len(common) == MaxNames; !l.tooMany {
				common = append(common, name)
			}
		},
		IP: func(ip []byte) {
			if addr, ok := IP(ip); ok {
				l.address(addr)
			} else {
				l.badAddress = errors.New("one has neither 4 nor 16 octets")
			}
		},
	}.Visit(tbs)
	for _, name := range common {
		l.certified(name)
	}
	return err
}

// certified lists the forms of a name in a certificate.
func (l *lister) certified(name []byte) {
	if c, _, ok := Plain(&l.plain, name); !ok {
		likely(name, l.name)
	} else if len(c) > 0 {
		l.name(c)
	}
}

func (l *lister) name(name []byte) {
	if !l.seen[string(name)] {
		l.add(&l.names, string(name), "")
	}
	if addr, ok := Address(name); ok {
		l.address(addr)
	}
}

func (l *lister) address(addr netip.Addr) {
	// The space distinguishes an address from a name with the same spelling.
	l.add(&l.addresses, addr.String(), " ")
}

// add adds s to a list unless it is there already; kind distinguishes the lists.
func (l *lister) add(list *[]string, s, kind string) {
	switch {
	case l.seen[kind+s]:
	case len(*list) == MaxNames || l.length+len(s) > maxNamesLength:
		l.tooMany = true
	default:
		l.seen[kind+s] = true
		l.length += len(s)
		*list = append(*list, s)
	}
}

// maxSerial bounds the octets of a serial number that are shown; RFC 5280 §4.1.2.2 allows 20.
const maxSerial = 64

// serial writes a serial number in hex, as it is encoded, without leading zero
// octets.
func serial(b []byte) (string, error) {
	content := inside(b, tagInteger)
	if len(content) == 0 {
		return "", errors.New("it is no INTEGER")
	}
	content = bytes.TrimLeft(content, "\x00")
	if len(content) == 0 {
		content = []byte{0}
	}
	if len(content) > maxSerial {
		return hex.EncodeToString(content[:maxSerial]), fmt.Errorf("it has %d octets, of which only %d are shown", len(content), maxSerial)
	}
	return hex.EncodeToString(content), nil
}

// validity reads both times of a Validity; one that cannot be read is zero.
func validity(b []byte) (notBefore, notAfter time.Time, err error) {
	b = inside(b, tagSequence)
	if len(b) == 0 {
		return notBefore, notAfter, errors.New("it is no SEQUENCE")
	}
	tag, start, stop, end, _ := header(b)
	notBefore, err = parseTime(tag, b[start:stop])
	if err != nil {
		err = fmt.Errorf("not before: %w", err)
	}
	if b = b[end:]; len(b) > 0 {
		tag, start, stop, _, _ = header(b)
		b = b[start:stop]
	}
	notAfter, afterErr := parseTime(tag, b)
	if afterErr != nil {
		afterErr = fmt.Errorf("not after: %w", afterErr)
	}
	switch {
	case err == nil:
		err = afterErr
	case afterErr != nil:
		err = fmt.Errorf("%w; %w", err, afterErr)
	}
	return notBefore, notAfter, err
}

// parseTime reads a UTCTime or GeneralizedTime, in parts or not. The number of digits says
// which: the tag may be wrong. As in BER, seconds are optional and an offset is allowed;
// without a zone it is UTC.
func parseTime(tag byte, b []byte) (time.Time, error) {
	const longest = len("20060102150405.999999999-0700")
	if tag&constructed != 0 {
		b, _ = joined(b)
	}
	s := string(b[:min(len(b), longest+1)])
	for _, layout := range []string{
		"060102150405Z0700", "20060102150405Z0700", "0601021504Z0700", "200601021504Z0700",
		"060102150405", "20060102150405",
	} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		t = t.UTC()
		if layout[:2] == "06" && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0) // RFC 5280 §4.1.2.5.1: 50 to 99 are 19xx
		}
		if t.Year() < 1 || t.Year() > 9999 {
			break
		}
		return t, nil
	}
	return time.Time{}, errors.New("it is no time")
}
