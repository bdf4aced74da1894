package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"ctwatch/pins"
)

// tlsa is DANE TLSA records (RFC 6698, RFC 7671) as lines of a zone file (RFC 1035 §5.1):
//
//	_443._tcp.api.example.com. IN TLSA 3 1 1 <SHA-256 of the SPKI, in hex>
//
// Usage 3 (DANE-EE) names the leaf's key, usage 2 (DANE-TA) a key above the leaf, in a
// certificate that the server sends (RFC 7671 §5.2). Selector 1 is the SPKI, and matching
// type 1 is SHA-256: only such records are pins. A wildcard cannot express "one level
// below", since _443._tcp would have to precede it; so patterns are written host by host.
//
// One matching record of a host is enough; each is only compared with the keys of its
// usage. Clients add no certificate of their own trust store to the chain, so a root with
// usage 2 has to be sent.
func tlsa() Format {
	return Format{
		Name:      "tlsa",
		Title:     "DANE TLSA records",
		Extension: ".zone",
		MediaType: "text/dns; charset=utf-8", // RFC 4027
		Encode:    encodeTLSA,
		Decode:    decodeTLSA,
	}
}

// The usages of pins (RFC 6698 §2.1.1), by their names in RFC 7218.
const (
	daneTA = 2
	daneEE = 3
)

func encodeTLSA(set pins.Set) ([]byte, error) {
	return encode("tlsa", set, noPattern, decodeTLSA, func(hosts []hostPins, comment []string) ([]byte, error) {
		usage := daneEE
		advice := []string{
			"Before a server gets its next key: publish the record of that key beside these,",
			"wait for two TTLs, and only then deploy the key (RFC 7671 §8.1).",
			"The zone must be signed (DNSSEC).",
		}
		if set.Role == pins.RoleIssuer {
			usage = daneTA
			advice = append(advice, "The servers must send the certificate whose key is named here (RFC 7671 §5.2).")
		}
		var b bytes.Buffer
		for _, line := range slices.Concat(comment, advice) {
			fmt.Fprintf(&b, "; %s\n", line)
		}
		for _, h := range hosts {
			owner := "_443._tcp." + h.Pattern.Name
			if len(owner) > 253 {
				return nil, &RefusedError{Format: "tlsa", Host: h.Pattern.Name, Reason: "with _443._tcp before it the name is longer than DNS allows"}
			}
			for _, p := range h.Pins {
				fmt.Fprintf(&b, "%s. IN TLSA %d 1 1 %x\n", owner, usage, p[:])
			}
		}
		return b.Bytes(), nil
	})
}

// decodeTLSA reads the TLSA records of a zone file, and ignores others. All ports of a host
// must have the same records, since apps pin hosts.
func decodeTLSA(data []byte) (pins.Rules, error) {
	data, err := readText(data)
	if err != nil {
		return nil, err
	}
	records, err := readTLSA(data)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("the file has no TLSA record")
	}
	var order []service
	services := make(map[service]*keys)
	for _, r := range records {
		k := services[r.service]
		if k == nil {
			k = &keys{at: r.at}
			services[r.service] = k
			order = append(order, r.service)
		}
		if r.usage == daneEE {
			k.ee = append(k.ee, r.pin)
		} else {
			k.ta = append(k.ta, r.pin)
		}
	}

	ports := make(map[string]string) // by host, the first of its ports
	t := newTable(pins.AtLeaf, nil, false)
	for _, s := range order {
		k := services[s]
		k.ee, k.ta = sortedUnique(k.ee), sortedUnique(k.ta)
		if port, ok := ports[s.host]; ok {
			other := services[service{s.host, port}]
			if !slices.Equal(k.ee, other.ee) || !slices.Equal(k.ta, other.ta) {
				return nil, errAt(data, k.at, "%s has other records on port %s than on port %s, and apps pin a host on all ports alike; keep those of one port", s.host, s.port, port)
			}
			continue
		}
		ports[s.host] = s.port
		r := pins.Requirement{At: pins.AtSent, Pins: slices.Concat(k.ee, k.ta), Leaves: len(k.ee)}
		if len(k.ta) == 0 {
			r = pins.Requirement{At: pins.AtLeaf, Pins: k.ee}
		}
		p := pins.Pattern{Name: s.host}
		t.asked[p] = []pins.Requirement{r}
		t.patterns = append(t.patterns, p)
	}
	slices.SortFunc(t.patterns, comparePatterns)
	return t, nil
}

// sortedUnique sorts pins and drops duplicates.
func sortedUnique(list []pins.Pin) []pins.Pin {
	slices.SortFunc(list, func(a, b pins.Pin) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(list)
}

// A service is what TLSA records belong to.
type service struct{ host, port string }

// keys are the pins of a service, by usage.
type keys struct {
	ee, ta []pins.Pin
	at     int // offset of the first record
}

// A record is a TLSA record.
type record struct {
	service
	usage uint8 // daneTA or daneEE
	pin   pins.Pin
	at    int // offset of the record
}

// noOrigin is the origin before a zone file sets one: names below it are relative.
const noOrigin = "no-origin.invalid."

// readTLSA lists the TLSA records of a zone file.
func readTLSA(data []byte) ([]record, error) {
	in := bytes.NewReader(data)
	zone := dns.NewZoneParser(in, noOrigin, "")
	zone.SetDefaultTTL(3600) // a file need not state one
	var records []record
	for {
		at, err := nextRecord(data, len(data)-in.Len())
		if err != nil {
			return nil, err
		}
		rr, ok := zone.Next()
		if !ok {
			return records, zoneError(zone.Err())
		}
		switch rr := rr.(type) {
		case *dns.TLSA:
			r, err := tlsaRecord(data, at, rr)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		case *dns.CNAME, *dns.DNAME:
			if owner := rr.Header().Name; strings.HasPrefix(owner, "_") {
				return nil, errAt(data, at, "the TLSA records of %s are behind an alias, which is not followed; write them here", quote(owner))
			}
		}
	}
}

// nextRecord returns the offset of the first record at or after the start of a line. It
// fails at a directive that includes or generates records.
func nextRecord(data []byte, at int) (int, error) {
	for at < len(data) {
		line, _, _ := bytes.Cut(data[at:], []byte("\n"))
		text := strings.TrimLeft(string(line), " \t\r")
		directive, _, _ := strings.Cut(text, " ")
		switch directive = strings.ToUpper(strings.TrimSpace(directive)); {
		case text == "" || text[0] == ';', directive == "$ORIGIN", directive == "$TTL":
			at += len(line) + 1
		case text[0] == '$':
			return 0, errAt(data, at, "%s is not followed, so there may be records that are not seen; write them here", quote(directive))
		default:
			return at + len(line) - len(text), nil
		}
	}
	return at, nil
}

var zonePlace = regexp.MustCompile(`^dns: (.*) at line: (\d+):(\d+)$`)

// zoneError returns an error of the zone parser as a SyntaxError.
func zoneError(err error) error {
	if err == nil {
		return nil
	}
	m := zonePlace.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	line, _ := strconv.Atoi(m[2])
	column, _ := strconv.Atoi(m[3])
	return &SyntaxError{Line: line, Column: column, Err: errors.New(m[1])}
}

// tlsaRecord checks that a TLSA record at an offset is a pin.
func tlsaRecord(data []byte, at int, rr *dns.TLSA) (r record, err error) {
	r = record{usage: rr.Usage, at: at}
	if r.service, err = serviceOf(rr.Hdr.Name); err != nil {
		return r, errAt(data, at, "%w", err)
	}
	switch {
	case rr.Usage != daneEE && rr.Usage != daneTA:
		return r, errAt(data, at, "usage %d: only 3 (the leaf's key) and 2 (an issuer's key) are pins of their own", rr.Usage)
	case rr.Selector != 1:
		return r, errAt(data, at, "selector %d: only 1, the public key, is a pin; others change with every certificate", rr.Selector)
	case rr.MatchingType != 1:
		return r, errAt(data, at, "matching type %d: only 1, SHA-256, is a pin", rr.MatchingType)
	}
	sum, err := hex.DecodeString(rr.Certificate)
	if err != nil || len(sum) != pins.Size {
		return r, errAt(data, at, "want the 64 hexadecimal digits of a SHA-256")
	}
	r.pin = pins.Pin(sum)
	if err := r.pin.Check(); err != nil {
		return r, errAt(data, at, "want the 64 hexadecimal digits of the SHA-256 of a key: %w", err)
	}
	return r, nil
}

// serviceOf parses the owner of a TLSA record: "_443._tcp.host.".
func serviceOf(owner string) (service, error) {
	name := strings.ToLower(owner)
	if relative, ok := strings.CutSuffix(name, "."+noOrigin); ok || name == "" {
		return service{}, fmt.Errorf("%s is not a whole name: end it with a dot, or begin with a line $ORIGIN", quote(relative))
	}
	port, rest, _ := strings.Cut(strings.TrimSuffix(name, "."), ".")
	protocol, host, _ := strings.Cut(rest, ".")
	number, ok := strings.CutPrefix(port, "_")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" || protocol != "_tcp" || !pins.ValidHost(host) {
		return service{}, fmt.Errorf("%s: want the name of a TLSA record, such as _443._tcp.api.example.com", quote(owner))
	}
	return service{host, number}, nil
}
