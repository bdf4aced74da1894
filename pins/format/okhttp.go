package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"ctwatch/pins"
)

// OkHttp's CertificatePinner is configured in source code. A pattern is a host name,
// "*.h" for each name one label below h, or, since OkHttp 4.3, "**.h" for h and all
// below. A pin may stand anywhere in the chain, and a host has the pins of all
// patterns that match it. There is no expiry.
//
// What is written is Kotlin without a package. Kotlin and Java are read.
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
	hosts, notes, err := expand("okhttp", set, func(h pins.HostSet) bool {
		// Before 4.3, "*.h" stood for h itself, too, if there was no dot in h.
		return alone(set, h) && strings.Contains(h.Pattern.Name, ".")
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, line := range slices.Concat(header(set), notes) {
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
	rules, err := decodeOkHttp(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("okhttp: reading back what was written: %w", err)
	}
	return proven("okhttp", set, hosts, rules, b.Bytes())
}

// kotlinText writes a string literal of Kotlin, in which a $ begins a template.
func kotlinText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`).Replace(s) + `"`
}

// decodeOkHttp reads each chain CertificatePinner.Builder().add(…)….build() of a
// file. What stands in a chain and cannot be read is an error, since OkHttp may read
// it. If there are several chains, then there are several pinners, and no telling
// which client has which: a host has to satisfy each that pins it.
func decodeOkHttp(data []byte) (pins.Rules, error) {
	if err := checkSize(data); err != nil {
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
	var rules pinnerRules
	for _, adds := range pinners {
		var hosts []hostPins
		wild := 0
		for _, a := range adds {
			h, err := a.read(data)
			if err != nil {
				return nil, err
			}
			if h.Pattern.Reach != pins.Exact {
				wild += len(h.Pins)
			}
			hosts = append(hosts, h)
		}
		if wild*len(hosts) > maxWild {
			return nil, errors.New("there are too many patterns with too many pins")
		}
		rules = append(rules, newTable(pins.Anywhere, hosts, true))
	}
	switch len(rules) {
	case 0:
		return nil, errors.New("CertificatePinner.Builder() is not called in the file")
	case 1:
		return rules[0], nil
	}
	return rules, nil
}

// read reads the pattern and the pins of a call as OkHttp does.
func (a pinnerAdd) read(data []byte) (hostPins, error) {
	p, err := okhttpPattern(a.pattern.text)
	if err != nil {
		return hostPins{}, errAt(data, a.pattern.at, "pattern %s: %w", quote(a.pattern.text), err)
	}
	h := hostPins{Pattern: p}
	for _, l := range a.pins {
		pin, err := okhttpPin(l.text)
		if err != nil {
			return h, errAt(data, l.at, "pin %s: %w", quote(l.text), err)
		}
		h.Pins = append(h.Pins, pin)
	}
	return h, nil
}

// okhttpPattern reads a pattern. OkHttp 3 takes everything, and what it does not
// understand matches no host; OkHttp 4.3 and later throw.
func okhttpPattern(s string) (p pins.Pattern, err error) {
	name := s
	if below, ok := strings.CutPrefix(s, "**."); ok {
		name, p.Reach = below, pins.AllBelow
	} else if below, ok := strings.CutPrefix(s, "*."); ok {
		name, p.Reach = below, pins.OneBelow
	}
	switch {
	case strings.Contains(name, "*"):
		return p, errors.New(`OkHttp knows no wildcard but "*." or "**." at the beginning, and would not pin the host`)
	case strings.HasSuffix(name, "."):
		return p, errors.New("with a dot at the end it matches no host")
	}
	if p.Name = strings.ToLower(name); pins.ValidHost(p.Name) && !strings.Contains(p.Name, "xn--") {
		return p, nil
	}
	// OkHttp turns other scripts into punycode, by rules that changed over time: only
	// names on which they agree are read.
	if p.Name, err = punycode(name, idna.Transitional(false)); err != nil {
		return p, err
	}
	if old, err := punycode(name, idna.Transitional(true)); err != nil || old != p.Name {
		return p, errors.New("versions of OkHttp differ about this name; write it in punycode (xn--)")
	}
	if !pins.ValidHost(p.Name) {
		return p, errors.New("this is no host name")
	}
	return p, nil
}

func punycode(name string, processing idna.Option) (string, error) {
	ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(false), processing).ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("this is no host name: %w", err)
	}
	return ascii, nil
}

// okhttpPin reads a pin. Okio's base64 may be without padding, in the alphabet for
// URLs, and with white space. OkHttp also takes hashes of other lengths, which match
// no key.
func okhttpPin(s string) (pins.Pin, error) {
	if strings.HasPrefix(s, "sha1/") {
		return pins.Pin{}, errors.New("SHA-1 does not tell which keys it stands for, and is not safe; pin by sha256/")
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
		return pins.Pin{}, errors.New("this is no base64; OkHttp would throw IllegalArgumentException")
	case len(b) != pins.Size:
		return pins.Pin{}, fmt.Errorf("a SHA-256 has %d bytes, and this has %d: it would never match", pins.Size, len(b))
	case pins.Pin(b).IsZero():
		return pins.Pin{}, errors.New("this is a placeholder that no key has")
	}
	return pins.Pin(b), nil
}

// pinnerRules are the rules of several pinners, all of which a host has to satisfy.
type pinnerRules []*table

func (r pinnerRules) Requirements(host string, at time.Time) []pins.Requirement {
	var all []pins.Requirement
	for _, t := range r {
		for _, q := range t.Requirements(host, at) {
			same := func(other pins.Requirement) bool { return samePins(q.Pins, other.Pins) }
			if !slices.ContainsFunc(all, same) {
				all = append(all, q)
			}
		}
	}
	return all
}

func (r pinnerRules) Ends(string) time.Time { return time.Time{} }

func (r pinnerRules) Patterns() []pins.Pattern {
	var all []pins.Pattern
	for _, t := range r {
		all = append(all, t.patterns...)
	}
	slices.SortFunc(all, comparePatterns)
	return slices.Compact(all)
}
