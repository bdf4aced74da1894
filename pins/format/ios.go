package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/pins"
)

// ios is identity pinning by App Transport Security, iOS 14 and later: the
// dictionary NSPinnedDomains within NSAppTransportSecurity of an app's Info.plist.
//
//   - NSPinnedLeafIdentities are compared with the leaf, NSPinnedCAIdentities with
//     every certificate after it; where a host has both, both have to match.
//   - NSIncludesSubdomains adds the names one level below, not deeper ones.
//   - A host that has an entry of its own, and is one below another that includes
//     subdomains, has the pins of both.
//   - Pins do not expire.
//
// The platform silently drops what it cannot read, and then does not pin the host; Decode
// fails in these cases. It reads a whole Info.plist, or only the dictionary of
// NSAppTransportSecurity.
func ios() Format {
	return Format{
		Name: "ios", Title: "App Transport Security property list (NSPinnedDomains)",
		Extension: ".plist", MediaType: "application/x-plist",
		Encode: encodeIOS, Decode: decodeIOS,
	}
}

// The keys of App Transport Security.
const (
	atsKey      = "NSAppTransportSecurity"
	pinnedKey   = "NSPinnedDomains"
	includesKey = "NSIncludesSubdomains"
	leafKey     = "NSPinnedLeafIdentities"
	caKey       = "NSPinnedCAIdentities"
	spkiKey     = "SPKI-SHA256-BASE64"
)

func encodeIOS(set pins.Set) ([]byte, error) {
	// The format can express "a name and those one below" if all of them have the same
	// pins. Otherwise it would unite the pins.
	withApex := func(h pins.HostSet) bool {
		return samePinsBelow(set, h) && slices.ContainsFunc(set.Hosts, func(apex pins.HostSet) bool {
			return apex.Pattern == pins.Pattern{Name: h.Pattern.Name} && samePins(apex.Pins, h.Pins)
		})
	}
	list := leafKey
	if set.Role == pins.RoleIssuer {
		list = caKey
	}
	return encode("ios", set, withApex, decodeIOS, func(hosts []hostPins, comment []string) ([]byte, error) {
		var b strings.Builder
		b.WriteString(plistHead + xmlComment(comment) + "<plist version=\"1.0\">\n<dict>\n")
		b.WriteString("  <key>" + atsKey + "</key>\n  <dict>\n    <key>" + pinnedKey + "</key>\n    <dict>\n")
		for i, h := range hosts {
			if h.Pattern.Reach == pins.OneBelow {
				continue // written with its apex, which sorts before it
			}
			below := i+1 < len(hosts) && hosts[i+1].Pattern == pins.Pattern{Name: h.Pattern.Name, Reach: pins.OneBelow}
			fmt.Fprintf(&b, "      <key>%s</key>\n      <dict>\n        <key>%s</key>\n        <%t/>\n", h.Pattern.Name, includesKey, below)
			fmt.Fprintf(&b, "        <key>%s</key>\n        <array>\n", list)
			for _, p := range h.Pins {
				fmt.Fprintf(&b, "          <dict>\n            <key>%s</key>\n            <string>%s</string>\n          </dict>\n", spkiKey, base64Of(p))
			}
			b.WriteString("        </array>\n      </dict>\n")
		}
		b.WriteString("    </dict>\n  </dict>\n</dict>\n</plist>\n")
		return []byte(b.String()), nil
	})
}

func decodeIOS(data []byte) (pins.Rules, error) {
	app, err := readApp(data)
	if err != nil {
		return nil, err
	}
	if app.ats == nil {
		return nil, &ClientError{errors.New("there is no " + pinnedKey + " in " + atsKey + ", so the platform pins nothing")}
	}
	return app.rules(), nil
}

// readATS returns the pins for App Transport Security; nil if there are none.
func readATS(root *plistValue) (pins.Rules, error) {
	ats, err := root.dict(atsKey)
	if err != nil {
		return nil, err
	}
	if ats == nil {
		ats = root // perhaps only that dictionary
	}
	domains, err := ats.dict(pinnedKey)
	if domains == nil || err != nil {
		return nil, err
	}
	return readPinnedDomains(domains)
}

// An atsDomain is an entry of NSPinnedDomains.
type atsDomain struct{ leaf, ca []pins.Pin }

func (d atsDomain) requirements() (rs []pins.Requirement) {
	if len(d.leaf) > 0 {
		rs = append(rs, pins.Requirement{At: pins.AtLeaf, Pins: d.leaf})
	}
	if len(d.ca) > 0 {
		rs = append(rs, pins.Requirement{At: pins.AtIssuers, Pins: d.ca})
	}
	return rs
}

// and returns the pins of both.
func (d atsDomain) and(e atsDomain) atsDomain {
	return atsDomain{distinct(slices.Concat(d.leaf, e.leaf)), distinct(slices.Concat(d.ca, e.ca))}
}

func readPinnedDomains(domains *plistValue) (pins.Rules, error) {
	if len(domains.keys) == 0 {
		return nil, domains.errorf("there are no domains, so the platform pins nothing")
	}
	own := make(map[string]atsDomain, len(domains.keys))
	r := &atsRules{exact: make(map[string][]pins.Requirement, len(own)), below: make(map[string][]pins.Requirement)}
	err := domains.entries(func(name string, v *plistValue) error {
		if err := checkHost(name); err != nil {
			return v.errorf("%w", err)
		}
		if err := v.want(plistDict); err != nil {
			return err
		}
		d, subdomains, err := readPinnedDomain(v)
		if err != nil {
			return err
		}
		own[name] = d
		r.patterns = append(r.patterns, pins.Pattern{Name: name})
		if subdomains {
			r.below[name] = d.requirements()
			r.patterns = append(r.patterns, pins.Pattern{Name: name, Reach: pins.OneBelow})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	united := 0
	for name, d := range own {
		if _, parent, _ := strings.Cut(name, "."); r.below[parent] != nil {
			d = d.and(own[parent])
			if united += len(d.leaf) + len(d.ca); united > maxValues {
				return nil, domains.errorf("more than %d pins", maxValues)
			}
		}
		r.exact[name] = d.requirements()
	}
	slices.SortFunc(r.patterns, comparePatterns)
	return r, nil
}

func readPinnedDomain(v *plistValue) (d atsDomain, subdomains bool, err error) {
	includes, err := v.get(includesKey)
	if err != nil {
		return d, false, err
	}
	if includes != nil {
		if err := includes.want(plistBool); err != nil {
			return d, false, err // the platform would read it as false
		}
		subdomains = includes.yes
	}
	if d.leaf, err = readIdentities(v, leafKey); err != nil {
		return d, false, err
	}
	if d.ca, err = readIdentities(v, caKey); err != nil {
		return d, false, err
	}
	if d.leaf == nil && d.ca == nil {
		return d, false, v.errorf("there is neither %s nor %s, so the platform does not pin the domain", leafKey, caKey)
	}
	return d, subdomains, nil
}

// readIdentities reads one of the two lists of pins; nil if it is missing.
func readIdentities(domain *plistValue, key string) ([]pins.Pin, error) {
	list, err := domain.get(key)
	if list == nil || err != nil {
		return nil, err
	}
	if err := list.want(plistArray); err != nil {
		return nil, err
	}
	if len(list.values) == 0 {
		return nil, list.errorf("the list is empty, and the platform does not define what that means")
	}
	var out []pins.Pin
	for i, v := range list.values {
		v = list.at(fmt.Sprint(i), v)
		if err := v.want(plistDict); err != nil {
			return nil, err
		}
		spki, err := v.get(spkiKey)
		if err != nil {
			return nil, err
		}
		if spki == nil {
			return nil, v.errorf("there is no %s, so the platform drops the pin", spkiKey)
		}
		if err := spki.want(plistString); err != nil {
			return nil, err
		}
		p, err := barePin(spki.text)
		if err != nil {
			return nil, spki.errorf("%w", err)
		}
		out = append(out, p)
	}
	return distinct(out), nil
}

// atsRules match as Security.framework does for the SSL policy.
type atsRules struct {
	exact    map[string][]pins.Requirement // united with those of the name above
	below    map[string][]pins.Requirement // by the name above
	patterns []pins.Pattern
}

func (r *atsRules) Requirements(host string, _ time.Time) []pins.Requirement {
	if rs, ok := r.exact[host]; ok {
		return rs
	}
	_, parent, _ := strings.Cut(host, ".")
	return r.below[parent]
}

// Unpinned implements pins.Explainer.
func (r *atsRules) Unpinned(host string, _ time.Time) string {
	for name := range parents(host) {
		switch {
		case r.below[name] != nil:
			return fmt.Sprintf("Its entry for %s is for names one level below, not deeper.", name)
		case r.exact[name] != nil:
			return fmt.Sprintf("Its entry for %s does not include subdomains (%s).", name, includesKey)
		}
	}
	return ""
}

func (r *atsRules) Ends(string) time.Time { return time.Time{} }

func (r *atsRules) Patterns() []pins.Pattern { return r.patterns }
