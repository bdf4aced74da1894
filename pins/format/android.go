package format

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ctwatch/pins"
)

// android is the network security configuration of Android 7 and later, as
// android.security.net.config reads it:
//
//   - The platform throws on what it cannot read, and the app is unusable; so Decode
//     fails, too. Both skip unknown tags.
//   - A name has one entry in the whole file. A host has the entry of its own name, or
//     else that of the longest name above it that includes subdomains, and no other. An
//     entry without pins has those of the domain-config around it.
//   - A pin matches any certificate of the validated chain.
//   - An empty or expired pin-set pins nothing.
//
// Debug-overrides are skipped, as in every released app. Elsewhere, overridePins would
// accept certificates of some trust anchors without pins, so Decode fails on it.
func android() Format {
	return Format{
		Name: "android", Title: "Android network security configuration",
		Extension: ".xml", MediaType: "application/xml",
		Encode: encodeAndroid, Decode: decodeAndroid,
	}
}

// encodeAndroid writes one domain-config for all hosts with the same pins. No pin-set
// expires: devices would silently pin nothing afterwards.
func encodeAndroid(set pins.Set) ([]byte, error) {
	// includeSubdomains is all levels, and the name itself.
	return encode("android", set, noPattern, decodeAndroid, func(hosts []hostPins, comment []string) ([]byte, error) {
		var b strings.Builder
		b.WriteString(xml.Header + xmlComment(comment) + "<network-security-config>\n")
		written := make([]bool, len(hosts))
		for i, h := range hosts {
			if written[i] {
				continue
			}
			b.WriteString("  <domain-config>\n")
			for j, same := range hosts[i:] {
				if slices.Equal(same.Pins, h.Pins) {
					fmt.Fprintf(&b, "    <domain includeSubdomains=\"false\">%s</domain>\n", same.Pattern.Name)
					written[i+j] = true
				}
			}
			b.WriteString("    <pin-set>\n")
			for _, p := range h.Pins {
				fmt.Fprintf(&b, "      <pin digest=\"SHA-256\">%s</pin>\n", base64Of(p))
			}
			b.WriteString("    </pin-set>\n  </domain-config>\n")
		}
		b.WriteString("</network-security-config>\n")
		return []byte(b.String()), nil
	})
}

func decodeAndroid(data []byte) (pins.Rules, error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	p := androidParser{xmlReader: newXMLReader(data, ""), seen: make(map[string]bool)}
	if err := p.document(); err != nil {
		return nil, err
	}
	return p.rules()
}

// An androidParser reads a file.
type androidParser struct {
	*xmlReader
	domains []androidDomain
	seen    map[string]bool // names, in whichever domain-config
}

type androidDomain struct {
	name       string
	subdomains bool
	pos        position
	config     *androidConfig
}

// An androidConfig is a domain-config.
type androidConfig struct {
	parent *androidConfig // around it; nil for none
	pins   *androidPins   // nil for those of the parent
}

type androidPins struct {
	requirements []pins.Requirement // none, or one
	expires      time.Time          // 00:00 of the day, as if in UTC; zero for never
	line         int                // of the pin-set; 0 if there is none
}

// The kinds of configuration, by their tags.
const (
	baseConfig     = "base-config"
	domainConfig   = "domain-config"
	debugOverrides = "debug-overrides"
)

func (p *androidParser) document() error {
	root, err := p.root()
	if err != nil {
		return err
	}
	if root.Name.Local != "network-security-config" {
		return p.pos.errorf("the root element is <%s>, and should be <network-security-config>", plain(brief(root.Name.Local)))
	}
	once := make(map[string]bool)
	err = p.children(func(e xml.StartElement) error {
		tag := e.Name.Local
		if tag == baseConfig || tag == debugOverrides {
			if once[tag] {
				return p.pos.client("a second <%s>; only one is allowed", tag)
			}
			once[tag] = true
		}
		switch tag {
		case baseConfig, domainConfig:
			return p.config(tag, nil)
		case debugOverrides:
			return p.skip() // as every released app does
		}
		return p.unknown(e)
	})
	if err != nil {
		return err
	}
	return p.end()
}

// config reads a base-config, or a domain-config and those in it.
func (p *androidParser) config(tag string, parent *androidConfig) error {
	begin := p.pos
	c := &androidConfig{parent: parent}
	domains, anchors := 0, false
	err := p.children(func(e xml.StartElement) error {
		if tag == baseConfig && slices.Contains([]string{"domain", "pin-set", domainConfig}, e.Name.Local) {
			return p.pos.client("<%s> is not allowed in <%s>", e.Name.Local, tag)
		}
		switch e.Name.Local {
		case "domain":
			domains++
			return p.domain(e, c)
		case "trust-anchors":
			if anchors {
				return p.pos.client("a second <trust-anchors> in one <%s>", tag)
			}
			anchors = true
			return p.trustAnchors()
		case "pin-set":
			if c.pins != nil {
				return p.pos.client("a second <pin-set> in one <%s>", tag)
			}
			var err error
			c.pins, err = p.pinSet(e)
			return err
		case domainConfig:
			return p.config(domainConfig, c)
		}
		return p.unknown(e)
	})
	if err == nil && tag == domainConfig && domains == 0 {
		return begin.client("a <domain-config> without a <domain>")
	}
	return err
}

// unknown skips an element as the platform does. It fails where that would skip a pin.
func (p *androidParser) unknown(e xml.StartElement) error {
	if e.Name.Local == "pin" {
		return p.pos.client("the platform ignores a <pin> here; it belongs in a <pin-set> of a <domain-config> in <network-security-config>")
	}
	return p.children(p.unknown)
}

func (p *androidParser) domain(e xml.StartElement, c *androidConfig) error {
	d := androidDomain{pos: p.pos, config: c}
	var err error
	if d.subdomains, err = p.boolean(e, "includeSubdomains"); err != nil {
		return err
	}
	name, err := p.text("domain")
	if err != nil {
		return err
	}
	d.name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case d.name == "":
		return d.pos.client("a <domain> without a name")
	case p.seen[d.name]:
		return d.pos.client("the domain %s is listed twice; a name may occur once in the file", quote(d.name))
	}
	p.seen[d.name] = true
	p.domains = append(p.domains, d)
	return nil
}

func (p *androidParser) pinSet(e xml.StartElement) (*androidPins, error) {
	set := &androidPins{line: p.pos.line}
	if s, ok := attr(e, "expiration"); ok {
		var err error
		if set.expires, err = androidDay(s); err != nil {
			return nil, p.pos.client("expiration: %w", err)
		}
	}
	var list []pins.Pin
	err := p.children(func(e xml.StartElement) error {
		if e.Name.Local != "pin" {
			return p.unknown(e)
		}
		pos := p.pos
		if digest, _ := attr(e, "digest"); !strings.EqualFold(digest, "SHA-256") {
			return pos.client(`the digest of a pin is %s, but the platform supports only "SHA-256"`, quote(digest))
		}
		s, err := p.text("pin")
		if err != nil {
			return err
		}
		pin, err := androidPin(s)
		if err != nil {
			return pos.client("%w", err)
		}
		list = append(list, pin)
		return nil
	})
	if len(list) > 0 {
		set.requirements = []pins.Requirement{{At: pins.Anywhere, Pins: distinct(list)}}
	}
	return set, err
}

// androidPin reads a pin as the platform does, which ignores white space and missing
// padding.
func androidPin(s string) (pins.Pin, error) {
	bare := strings.TrimRight(strings.Join(strings.Fields(s), ""), "=")
	if b, err := base64.RawStdEncoding.DecodeString(bare); err == nil && len(b) == pins.Size {
		return barePin(base64Of(pins.Pin(b)))
	}
	return barePin(strings.TrimSpace(s))
}

// androidDay reads the expiration of a pin-set as a SimpleDateFormat that is not lenient
// reads "yyyy-MM-dd": numbers may be shorter or longer than the pattern, and what follows
// the day is ignored, but the day must exist.
func androidDay(s string) (time.Time, error) {
	var n [3]int
	rest := s
	for i := range n {
		if i > 0 {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, "-"); !ok {
				return time.Time{}, notDate(s)
			}
		}
		rest = strings.TrimLeft(rest, " \t")
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		var err error
		if n[i], err = strconv.Atoi(digits); err != nil || len(digits) > 9 {
			return time.Time{}, notDate(s)
		}
		rest = rest[len(digits):]
	}
	const lastYear = 9999 // no pins expire later
	t := time.Date(min(n[0], lastYear), time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	if n[0] == 0 || int(t.Month()) != n[1] || t.Day() != n[2] {
		return time.Time{}, notDate(s)
	}
	return t, nil
}

// trustAnchors fails on what the platform throws on, and on overridePins.
func (p *androidParser) trustAnchors() error {
	return p.children(func(e xml.StartElement) error {
		if e.Name.Local != "certificates" {
			return p.skip()
		}
		src, _ := attr(e, "src")
		if !slices.Contains([]string{"system", "user", "wfa"}, src) && !strings.HasPrefix(src, "@") {
			return p.pos.client("the src of <certificates> is %s; want system, user or a resource such as @raw/ca", quote(src))
		}
		override, err := p.boolean(e, "overridePins")
		if err != nil {
			return err
		}
		if override {
			return p.pos.client("overridePins accepts what these certificates issued without pins; it belongs in <debug-overrides>")
		}
		return p.skip()
	})
}

// boolean reads an attribute as the resource compiler and the platform do, but fails on
// what they would silently take for false.
func (p *androidParser) boolean(e xml.StartElement, name string) (bool, error) {
	s, ok := attr(e, name)
	if !ok {
		return false, nil
	}
	switch s {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	if n, err := strconv.ParseInt(s, 0, 32); err == nil {
		return n != 0, nil
	}
	return false, p.pos.client("%s is %s; want true or false", name, quote(s))
}

// rules returns the pins of each domain.
func (p *androidParser) rules() (pins.Rules, error) {
	r := &androidRules{
		exact: make(map[string]*androidPins, len(p.domains)),
		below: make(map[string]*androidPins),
	}
	for _, d := range p.domains {
		c := d.config
		for c.pins == nil && c.parent != nil {
			c = c.parent
		}
		set := c.pins
		if set == nil {
			set = &androidPins{} // its own entry, even if a name above it has pins
		} else if err := checkHost(d.name); err != nil {
			return nil, d.pos.client("%w", err)
		} else {
			r.patterns = append(r.patterns, subtree(d.name, d.subdomains))
		}
		r.exact[d.name] = set
		if d.subdomains {
			r.below[d.name] = set
		}
	}
	slices.SortFunc(r.patterns, comparePatterns)
	return r, nil
}

// androidRules match as android.security.net.config.ApplicationConfig does.
type androidRules struct {
	exact    map[string]*androidPins
	below    map[string]*androidPins // by the name that includes subdomains
	patterns []pins.Pattern
}

// Pins expire when the day begins in the time zone of the device.
const (
	firstZone = 14 * time.Hour // UTC+14, where a day begins first
	lastZone  = 12 * time.Hour // UTC-12, where it begins last
)

func (r *androidRules) Requirements(host string, at time.Time) []pins.Requirement {
	set := r.find(host)
	if set == nil || !set.expires.IsZero() && at.After(set.expires.Add(lastZone)) {
		return nil
	}
	return set.requirements
}

func (r *androidRules) Ends(host string) time.Time {
	set := r.find(host)
	if set == nil || set.expires.IsZero() || len(set.requirements) == 0 {
		return time.Time{}
	}
	return set.expires.Add(-firstZone)
}

// Unpinned implements pins.Explainer.
func (r *androidRules) Unpinned(host string, at time.Time) string {
	set := r.find(host)
	switch {
	case set == nil:
		for name := range parents(host) {
			if _, ok := r.exact[name]; ok {
				return fmt.Sprintf("Its entry for %s does not include subdomains.", name)
			}
		}
		return ""
	case set.line == 0:
		return "Its <domain> has no <pin-set>, in its own <domain-config> or around it."
	case len(set.requirements) == 0:
		return fmt.Sprintf("Its <pin-set> in line %d is empty, so the platform pins nothing.", set.line)
	}
	return fmt.Sprintf("Its <pin-set> in line %d expired on %s, and the platform has pinned nothing since.", set.line, set.expires.Format(time.DateOnly))
}

func (r *androidRules) Patterns() []pins.Pattern { return r.patterns }

func (r *androidRules) find(host string) *androidPins {
	if set, ok := r.exact[host]; ok {
		return set
	}
	for name := range parents(host) {
		if set, ok := r.below[name]; ok {
			return set
		}
	}
	return nil
}
