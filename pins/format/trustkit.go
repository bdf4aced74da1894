package format

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"ctwatch/pins"
)

// trustkit is the configuration of TrustKit (github.com/datatheorem/TrustKit), the
// dictionary TSKConfiguration of an app's Info.plist, as parse_configuration.m and
// configuration_utils.m read it:
//
//   - TrustKit throws at launch on a name without a registry suffix, on a pin that
//     is not 32 bytes, and on fewer than two distinct pins where it enforces them.
//   - A host has the entry of its own name, or else of a name above it that includes
//     subdomains and has the same registry suffix. Of several such names TrustKit uses
//     the first in a dictionary, whose order is undefined: so here the host has to
//     satisfy all of them.
//   - A pin matches any certificate of the validated chain.
//   - It throws on a key that it cannot hash: tskAlgorithms.
//   - TSKExpirationDate is in UTC. TrustKit ignores a date that it cannot read; Decode
//     fails on it.
//   - With TSKEnforcePinning false, TrustKit reports and does not pin.
//   - TSKExcludeSubdomainFromParentPolicy excludes a host from the entries above it.
func trustkit() Format {
	return Format{
		Name: "trustkit", Title: "TrustKit property list (TSKConfiguration)",
		Extension: ".plist", MediaType: "application/x-plist",
		Encode: encodeTrustKit, Decode: decodeTrustKit,
	}
}

// tskAlgorithms returns the algorithms of keys that TrustKit can hash, as in pins.Key: it
// has the headers of their SubjectPublicKeyInfo built in (TSKSPKIHashCache.m), and throws
// on any other. From the trust anchor down, it hashes each key of a chain until one is
// pinned (ssl_pin_verifier.m).
func tskAlgorithms() []string {
	return []string{"RSA 2048", "RSA 3072", "RSA 4096", "ECDSA P-256", "ECDSA P-384"}
}

// The keys of TrustKit.
const (
	tskKey         = "TSKConfiguration"
	tskDomainsKey  = "TSKPinnedDomains"
	tskIncludesKey = "TSKIncludeSubdomains"
	tskEnforceKey  = "TSKEnforcePinning"
	tskExpiresKey  = "TSKExpirationDate"
	tskHashesKey   = "TSKPublicKeyHashes"
	tskExcludeKey  = "TSKExcludeSubdomainFromParentPolicy"
	tskReportKey   = "TSKDisableDefaultReportUri"
	tskSwizzleKey  = "TSKSwizzleNetworkDelegates"
)

// encodeTrustKit writes pins that do not expire, without reports: the default report URI
// belongs to a third party.
func encodeTrustKit(set pins.Set) ([]byte, error) {
	// TSKIncludeSubdomains is all levels, and the name itself.
	return encode("trustkit", set, noPattern, decodeTrustKit, func(hosts []hostPins, comment []string) ([]byte, error) {
		for _, h := range hosts {
			if err := checkRegistry(h.Pattern.Name, false); err != nil {
				return nil, &RefusedError{Format: "trustkit", Host: h.Pattern.String(), Reason: err.Error()}
			}
			if len(h.Pins) < 2 {
				return nil, &RefusedError{
					Format: "trustkit", Host: h.Pattern.String(),
					Reason: "an app with fewer than two pins for a host crashes at launch; declare or approve a backup key",
				}
			}
		}
		var b strings.Builder
		b.WriteString(plistHead + xmlComment(comment) + "<plist version=\"1.0\">\n<dict>\n")
		fmt.Fprintf(&b, "  <key>%s</key>\n  <dict>\n    <key>%s</key>\n    <false/>\n    <key>%s</key>\n    <dict>\n", tskKey, tskSwizzleKey, tskDomainsKey)
		for _, h := range hosts {
			fmt.Fprintf(&b, "      <key>%s</key>\n      <dict>\n", h.Pattern.Name)
			for _, setting := range []struct {
				key string
				on  bool
			}{{tskIncludesKey, false}, {tskEnforceKey, true}, {tskReportKey, true}} {
				fmt.Fprintf(&b, "        <key>%s</key>\n        <%t/>\n", setting.key, setting.on)
			}
			fmt.Fprintf(&b, "        <key>%s</key>\n        <array>\n", tskHashesKey)
			for _, p := range h.Pins {
				fmt.Fprintf(&b, "          <string>%s</string>\n", base64Of(p))
			}
			b.WriteString("        </array>\n      </dict>\n")
		}
		b.WriteString("    </dict>\n  </dict>\n</dict>\n</plist>\n")
		return []byte(b.String()), nil
	})
}

func decodeTrustKit(data []byte) (pins.Rules, error) {
	app, err := readApp(data)
	if err != nil {
		return nil, err
	}
	if app.trustkit == nil {
		return nil, &ClientError{errors.New("there is no " + tskDomainsKey + " in " + tskKey + ", so TrustKit pins nothing")}
	}
	return app.rules(), nil
}

// reserved are the top-level names for tests and examples (RFC 6761). TrustKit would reject
// them, since no registry has them, but no released app uses them.
var reserved = []string{"test", "example", "invalid", "localhost"}

// checkRegistry fails for a name that TrustKit throws on.
func checkRegistry(name string, subdomains bool) error {
	suffix, icann := publicsuffix.PublicSuffix(name)
	listed := icann || strings.Contains(suffix, ".") || slices.Contains(reserved, suffix)
	_, notAddress := netip.ParseAddr(name)
	switch {
	case notAddress == nil || !listed || !strings.Contains(name, "."):
		return errors.New("TrustKit crashes at launch for a name without a public suffix, such as an address or an internal name")
	case subdomains && suffix == name:
		return errors.New("TrustKit crashes at launch for " + tskIncludesKey + " on a public suffix")
	}
	return nil
}

// readTrustKit returns the pins for TrustKit; nil if there are none.
func readTrustKit(root *plistValue) (pins.Rules, error) {
	config, err := root.dict(tskKey)
	if err != nil {
		return nil, err
	}
	if config == nil {
		config = root // perhaps only that dictionary
	}
	domains, err := config.dict(tskDomainsKey)
	if err != nil {
		return nil, err
	}
	switch {
	case domains == nil && config != root:
		return nil, config.errorf("there is no %s, and TrustKit crashes at launch", tskDomainsKey)
	case domains == nil:
		return nil, nil
	case len(domains.keys) == 0:
		return nil, domains.errorf("there are no domains, and TrustKit crashes at launch")
	}
	r := &tskRules{exact: make(map[string]*tskDomain, len(domains.keys)), below: make(map[string]*tskDomain)}
	err = domains.entries(func(name string, v *plistValue) error {
		if err := checkHost(name); err != nil {
			return v.errorf("%w", err)
		}
		if err := v.want(plistDict); err != nil {
			return err
		}
		exclude, err := tskBool(v, tskExcludeKey, false)
		if err != nil {
			return err
		}
		if exclude && len(v.keys) > 1 {
			return v.errorf("no other key is allowed next to %s; TrustKit crashes at launch", tskExcludeKey)
		}
		subdomains, err := tskBool(v, tskIncludesKey, false)
		if err != nil {
			return err
		}
		if err := checkRegistry(name, subdomains); err != nil {
			return v.errorf("%w", err)
		}
		d := &tskDomain{name: name, excluded: exclude}
		r.exact[name] = d
		if exclude {
			return nil
		}
		if subdomains {
			r.below[name] = d
		}
		r.patterns = append(r.patterns, subtree(name, subdomains))
		return d.read(v)
	})
	if err != nil {
		return nil, err
	}
	err = domains.entries(func(name string, v *plistValue) error {
		if r.exact[name].excluded && r.first("a"+name) == nil {
			return v.errorf("no name above it includes subdomains, so it cannot be excluded from one; TrustKit crashes at launch")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.patterns, comparePatterns)
	return r, nil
}

// A tskDomain is an entry of TSKPinnedDomains.
type tskDomain struct {
	name         string
	excluded     bool               // from the entries above it: not pinned
	requirements []pins.Requirement // none, or one
	expires      time.Time          // zero for never
}

func (d *tskDomain) read(v *plistValue) error {
	enforce, err := tskBool(v, tskEnforceKey, true)
	if err != nil {
		return err
	}
	date, err := v.get(tskExpiresKey)
	if err != nil {
		return err
	}
	if date != nil {
		if err := date.want(plistString); err != nil {
			return err
		}
		if d.expires, err = parseDay(date.text); err != nil {
			return date.errorf("%w; TrustKit would silently ignore it", err)
		}
	}
	hashes, err := v.get(tskHashesKey)
	if err != nil {
		return err
	}
	var list []pins.Pin
	if hashes != nil {
		if err := hashes.want(plistArray); err != nil {
			return err
		}
		for i, h := range hashes.values {
			h = hashes.at(fmt.Sprint(i), h)
			if err := h.want(plistString); err != nil {
				return err
			}
			p, err := barePin(h.text)
			if err != nil {
				return h.errorf("%w", err)
			}
			list = append(list, p)
		}
	}
	list = distinct(list)
	switch {
	case enforce && len(list) < 2:
		return v.errorf("TrustKit crashes at launch with fewer than two distinct pins in %s; there are %d", tskHashesKey, len(list))
	case len(list) == 0:
		return v.errorf("TrustKit crashes at launch without pins in %s", tskHashesKey)
	case enforce:
		d.requirements = []pins.Requirement{{At: pins.Anywhere, Pins: list, Algorithms: tskAlgorithms()}}
	}
	return nil
}

// tskBool reads a setting, which may be a boolean or a number.
func tskBool(v *plistValue, key string, otherwise bool) (bool, error) {
	b, err := v.get(key)
	if b == nil || err != nil {
		return otherwise, err
	}
	if b.kind != plistInteger {
		if err := b.want(plistBool); err != nil {
			return otherwise, err
		}
	}
	return b.yes, nil
}

// tskRules match as getPinningConfigurationKeyForDomain does.
type tskRules struct {
	exact    map[string]*tskDomain
	below    map[string]*tskDomain // by the name that includes subdomains
	patterns []pins.Pattern
}

func (r *tskRules) Requirements(host string, at time.Time) (out []pins.Requirement) {
	for d := range r.find(host) {
		switch {
		case !d.expires.IsZero() && at.After(d.expires), len(d.requirements) == 0:
		case out == nil:
			out = d.requirements
		default:
			out = append(slices.Clip(out), d.requirements...)
		}
	}
	return out
}

// Unpinned implements pins.Explainer.
func (r *tskRules) Unpinned(host string, at time.Time) string {
	for d := range r.find(host) {
		switch {
		case d.excluded:
			return fmt.Sprintf("Its entry for %s excludes it from the entries above (%s).", d.name, tskExcludeKey)
		case len(d.requirements) == 0:
			return fmt.Sprintf("Its entry for %s only reports (%s is false).", d.name, tskEnforceKey)
		case !d.expires.IsZero() && at.After(d.expires):
			return fmt.Sprintf("Its entry for %s expired on %s, and TrustKit has pinned nothing since.", d.name, d.expires.Format(time.DateOnly))
		}
	}
	for name := range parents(host) {
		if r.exact[name] != nil && !r.exact[name].excluded {
			return fmt.Sprintf("Its entry for %s does not include subdomains (%s).", name, tskIncludesKey)
		}
	}
	return ""
}

func (r *tskRules) Ends(host string) (end time.Time) {
	for d := range r.find(host) {
		if len(d.requirements) > 0 {
			end = earlier(end, d.expires)
		}
	}
	return end
}

func (r *tskRules) Patterns() []pins.Pattern { return r.patterns }

// find yields the entries that TrustKit may use for a host: that of its own name, or all
// above it that include subdomains.
func (r *tskRules) find(host string) iter.Seq[*tskDomain] {
	return func(yield func(*tskDomain) bool) {
		if d, ok := r.exact[host]; ok {
			yield(d)
			return
		}
		for name := range parents(host) {
			if d := r.below[name]; d != nil && sameSuffix(host, name) && !yield(d) {
				return
			}
		}
	}
}

// first returns the first entry that find yields, or nil.
func (r *tskRules) first(host string) *tskDomain {
	for d := range r.find(host) {
		return d
	}
	return nil
}

// sameSuffix reports whether two names are under the same registry suffix.
func sameSuffix(a, b string) bool {
	s, _ := publicsuffix.PublicSuffix(a)
	t, _ := publicsuffix.PublicSuffix(b)
	return s == t
}
