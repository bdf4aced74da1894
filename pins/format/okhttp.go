package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"ctwatch/pins"
)

// okhttp is OkHttp's CertificatePinner, which is configured in source code. A pattern is a
// host name, "*.h" for each name one label below h, or, since OkHttp 4.3, "**.h" for h and
// all names below. A pin matches any certificate of the chain, and a host has the pins of
// all patterns that match it. Pins do not expire.
//
// Encode writes Kotlin without a package. Decode reads Kotlin and Java where it is certain
// which pins a pinner has: see decodeOkHttp.
func okhttp() Format {
	return Format{
		Name:      "okhttp",
		Title:     "OkHttp CertificatePinner (Kotlin)",
		Extension: ".kt",
		MediaType: "text/x-kotlin; charset=utf-8",
		Encode:    encodeOkHttp,
		Decode:    decodeOkHttp,
	}
}

func encodeOkHttp(set pins.Set) ([]byte, error) {
	wildcard := func(h pins.HostSet) bool {
		// Before 4.3, "*.h" stood for h itself, too, if there was no dot in h.
		return samePinsBelow(set, h) && strings.Contains(h.Pattern.Name, ".")
	}
	return encode("okhttp", set, wildcard, decodeOkHttp, func(hosts []hostPins, comment []string) ([]byte, error) {
		var b bytes.Buffer
		for _, line := range comment {
			fmt.Fprintf(&b, "// %s\n", line)
		}
		b.WriteString("\nimport okhttp3.CertificatePinner\n\nval certificatePinner: CertificatePinner = CertificatePinner.Builder()\n")
		for _, h := range hosts {
			fmt.Fprintf(&b, "    .add(\n        %s", kotlinText(h.Pattern.String()))
			for _, p := range h.Pins {
				fmt.Fprintf(&b, ",\n        %s", kotlinText(p.String()))
			}
			b.WriteString("\n    )\n")
		}
		b.WriteString("    .build()\n")
		return b.Bytes(), nil
	})
}

// kotlinText returns a string literal of Kotlin, in which a $ starts a template.
func kotlinText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`).Replace(s) + `"`
}

// decodeOkHttp reads the one pinner with pins in a file, a chain
// CertificatePinner.Builder().add(…).build(). The file may have other pinners without
// pins, or with the same pins.
//
// It accepts only pins that the app certainly has. So the chain must certainly run: as the
// value of a property or field, in a function that reaches it, or as an argument. Its
// arguments are texts, and constants of the same file that cannot have another value.
// Everything else is an error with its place and reason: conditions, lambdas, builders
// that are passed around, members that may be overridden, arrays that may be changed,
// names that may mean something else, and a CertificatePinner that may not be OkHttp's.
// Other files are not considered.
func decodeOkHttp(data []byte) (pins.Rules, error) {
	data, err := readText(data)
	if err != nil {
		return nil, err
	}
	src, err := readSource(data)
	if err != nil {
		return nil, err
	}
	pinners, err := src.pinners()
	if err != nil {
		return nil, err
	}
	for i := range pinners {
		p := &pinners[i]
		wild := 0
		for _, a := range p.adds {
			h, err := a.read(data)
			if err != nil {
				return nil, err
			}
			if h.Pattern.Reach != pins.Exact {
				wild += len(h.Pins)
			}
			p.hosts = append(p.hosts, h)
		}
		if wild*len(p.hosts) > maxWild {
			return nil, errors.New("there are too many patterns with too many pins")
		}
	}
	if err := src.comparePinners(pinners); err != nil {
		return nil, err
	}
	return newTable(pins.Anywhere, pinners[0].hosts, true), nil
}

// read reads the pattern and the pins of a call as OkHttp does.
func (a pinnerAdd) read(data []byte) (hostPins, error) {
	p, err := okhttpPattern(a.pattern.text)
	if err != nil {
		return hostPins{}, clientErrAt(data, a.pattern.at, "pattern %s: %w", quote(a.pattern.text), err)
	}
	h := hostPins{Pattern: p}
	for _, l := range a.pins {
		pin, err := okhttpPin(l.text)
		if err != nil {
			return h, clientErrAt(data, l.at, "pin %s: %w", quote(l.text), err)
		}
		h.Pins = append(h.Pins, pin)
	}
	return h, nil
}

// okhttpPattern reads a pattern. OkHttp 3 accepts any text, and invalid patterns match no
// host; OkHttp 4.3 and later throw.
func okhttpPattern(s string) (p pins.Pattern, err error) {
	name := s
	if below, ok := strings.CutPrefix(s, "**."); ok {
		name, p.Reach = below, pins.AllBelow
	} else if below, ok := strings.CutPrefix(s, "*."); ok {
		name, p.Reach = below, pins.OneBelow
	}
	switch {
	case strings.Contains(name, "*"):
		return p, errors.New(`OkHttp supports no wildcard except "*." or "**." at the beginning, and would not pin the host`)
	case strings.HasSuffix(name, "."):
		return p, errors.New("a pattern with a dot at the end matches no host")
	}
	if p.Name = strings.ToLower(name); pins.ValidHost(p.Name) && !strings.Contains(p.Name, "xn--") {
		return p, nil
	}
	// OkHttp converts other scripts to punycode, by rules that changed over time: only
	// names on which they agree are accepted.
	if p.Name, err = punycode(name, idna.Transitional(false)); err != nil {
		return p, err
	}
	if old, err := punycode(name, idna.Transitional(true)); err != nil || old != p.Name {
		return p, errors.New("versions of OkHttp differ about this name; write it in punycode (xn--)")
	}
	if !pins.ValidHost(p.Name) {
		return p, errors.New("this is not a host name")
	}
	return p, nil
}

func punycode(name string, processing idna.Option) (string, error) {
	ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), processing).ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("this is not a host name: %w", err)
	}
	return ascii, nil
}

// okhttpPin reads a pin. Okio accepts base64 without padding, in the alphabet for URLs, and
// with white space. OkHttp also accepts hashes of other lengths, which match no key.
func okhttpPin(s string) (pins.Pin, error) {
	if strings.HasPrefix(s, "sha1/") {
		return pins.Pin{}, errors.New("SHA-1 is not safe, and cannot be matched to keys; pin by sha256/")
	}
	b64, ok := strings.CutPrefix(s, "sha256/")
	if !ok {
		return pins.Pin{}, errors.New(`want "sha256/" and the base64 of a SHA-256; OkHttp would throw IllegalArgumentException`)
	}
	b64 = strings.TrimRight(b64, "= \t\r\n")
	b64 = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", "-", "+", "_", "/").Replace(b64)
	b, err := base64.RawStdEncoding.DecodeString(b64)
	switch {
	case err != nil:
		return pins.Pin{}, errors.New("this is not base64; OkHttp would throw IllegalArgumentException")
	case len(b) != pins.Size:
		return pins.Pin{}, fmt.Errorf("a SHA-256 has %d bytes, and this has %d: it would never match", pins.Size, len(b))
	}
	return pins.Pin(b), pins.Pin(b).Check()
}
