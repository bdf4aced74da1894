package format

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"ctwatch/pins"
)

// hostPins are the pins of a host or pattern in a file.
type hostPins struct {
	Pattern pins.Pattern
	Pins    []pins.Pin
}

// encode returns the file for a set, after it has read it back. write gets the hosts that
// expand lists, and lines for the comment.
func encode(name string, set pins.Set, expressible func(pins.HostSet) bool, decode func([]byte) (pins.Rules, error),
	write func(hosts []hostPins, comment []string) ([]byte, error),
) ([]byte, error) {
	hosts, notes, err := expand(name, set, expressible)
	if err != nil {
		return nil, err
	}
	data, err := write(hosts, append(header(set), notes...))
	if err != nil {
		return nil, err
	}
	rules, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: reading back what was written: %w", name, err)
	}
	if err := prove(name, set, hosts, rules); err != nil {
		return nil, err
	}
	return data, nil
}

// checkSet fails unless a set is valid for any client: every host has pins, and no pin is
// unknown or revoked.
func checkSet(name string, set pins.Set) error {
	refuse := func(host, reason string, args ...any) error {
		return &RefusedError{Format: name, Host: host, Reason: fmt.Sprintf(reason, args...)}
	}
	if set.Role != pins.RoleLeaf && set.Role != pins.RoleIssuer {
		return refuse("", "the role of the set is %q; want leaf or issuer", set.Role)
	}
	if len(set.Hosts) == 0 {
		return refuse("", "the set has no hosts, and a file without hosts pins nothing; add hosts to the app")
	}
	seen := make(map[pins.Pattern]bool, len(set.Hosts))
	for _, h := range set.Hosts {
		host := h.Pattern.String()
		switch {
		case !pins.ValidHost(h.Pattern.Name):
			return refuse(host, "this is not a host name in lower case and punycode")
		case h.Pattern.Reach != pins.Exact && h.Pattern.Reach != pins.OneBelow:
			return refuse(host, "want a host or *.name")
		case seen[h.Pattern]:
			return refuse(host, "the set lists the host twice")
		case len(h.Pins) == 0:
			return refuse(host, "the set has no pins for the host, so a client would not pin it")
		}
		seen[h.Pattern] = true
		for i, p := range h.Pins {
			switch {
			case p.IsZero():
				return refuse(host, "a pin is unknown")
			case slices.Contains(h.Pins[:i], p):
				return refuse(host, "the pin %s is listed twice", p)
			case slices.Contains(set.Revoked, p):
				return refuse(host, "the pin %s is revoked", p)
			}
		}
		for _, n := range h.Names {
			if h.Pattern.Reach == pins.OneBelow && (!h.Pattern.Matches(n) || !pins.ValidHost(n)) {
				return refuse(host, "%q is not one of its hosts", n)
			}
		}
	}
	return nil
}

// noPattern reports for expand that a format has no pattern for exactly one level.
func noPattern(pins.HostSet) bool { return false }

// samePinsBelow reports for expand whether every named host that the pattern of h covers
// has the pins of h. Formats need it whose clients unite the pins of all matching entries.
func samePinsBelow(set pins.Set, h pins.HostSet) bool {
	for _, other := range set.Hosts {
		if other.Pattern.Reach == pins.Exact && h.Pattern.Matches(other.Pattern.Name) && !samePins(h.Pins, other.Pins) {
			return false
		}
	}
	return true
}

// expand checks a set and lists what to write, sorted by name. A OneBelow pattern that the
// format cannot express is replaced by its known hosts; notes, lines for the comment, list
// them. A host that the set names itself keeps its own pins. Expand fails with a
// *RefusedError for a pattern that is neither expressible nor has known hosts.
func expand(name string, set pins.Set, expressible func(pins.HostSet) bool) (hosts []hostPins, notes []string, err error) {
	if err := checkSet(name, set); err != nil {
		return nil, nil, err
	}
	named := make(map[string]bool, len(set.Hosts))
	for _, h := range set.Hosts {
		if h.Pattern.Reach == pins.Exact {
			named[h.Pattern.Name] = true
		}
	}
	for _, h := range set.Hosts {
		if h.Pattern.Reach == pins.Exact || expressible(h) {
			hosts = append(hosts, hostPins{h.Pattern, h.Pins})
			continue
		}
		if len(h.Names) == 0 {
			return nil, nil, &RefusedError{
				Format: name, Host: h.Pattern.String(),
				Reason: "the format has no pattern for exactly one level; name the hosts individually in the app's hosts",
			}
		}
		names := slices.Clone(h.Names)
		slices.Sort(names)
		names = slices.Compact(names)
		names = slices.DeleteFunc(names, func(n string) bool { return named[n] })
		for _, n := range names {
			hosts = append(hosts, hostPins{pins.Pattern{Name: n}, h.Pins})
		}
		list := strings.Join(names, ", ")
		if list == "" {
			list = "each host that is known is named by itself"
		}
		notes = append(notes, fmt.Sprintf("%s is spelled out, since the format cannot express it: %s", h.Pattern, list))
	}
	slices.SortFunc(hosts, func(a, b hostPins) int { return comparePatterns(a.Pattern, b.Pattern) })
	return hosts, notes, nil
}

// header returns the lines of the comment at the head of a file: what it is for, and which
// plan it is from. Each is one line of printable text.
func header(set pins.Set) []string {
	lines := []string{
		fmt.Sprintf("Pins of %s keys for the app %s, made by ctwatch: do not edit.", set.Role, plain(set.App)),
		"Plan: " + plain(set.Plan),
		"As of: " + set.AsOf.UTC().Format(time.RFC3339),
	}
	if !set.Until.IsZero() {
		lines = append(lines, "Until: "+set.Until.UTC().Format(time.RFC3339)+", when the first certificate that is served now ends; look at the plan again before.")
	}
	return lines
}

// plain makes text from a person safe for a comment of any language: one line that does
// not end the comment. The files are compiled into apps. xmlComment handles hyphens.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\\', !unicode.IsPrint(r): // Java reads \u000a as the end of a line
			return '?'
		}
		return r
	}, s)
	return strings.ReplaceAll(strings.ReplaceAll(s, "*/", "* /"), "/*", "/ *")
}

// samePins reports whether two lists hold the same pins, in any order.
func samePins(a, b []pins.Pin) bool {
	if len(a) != len(b) {
		return false
	}
	for _, p := range a {
		if !slices.Contains(b, p) {
			return false
		}
	}
	return true
}

// prove fails unless the rules that were read back ask of each host exactly what the set
// says, without end, and ask nothing of the hosts next to it; hosts are those of expand.
// An error is a bug in this package.
func prove(name string, set pins.Set, hosts []hostPins, rules pins.Rules) error {
	said := make(map[pins.Pattern][]pins.Pin, len(hosts))
	for _, h := range hosts {
		said[h.Pattern] = h.Pins
	}
	check := func(host string) error {
		want, ok := said[pins.Pattern{Name: host}]
		if !ok {
			_, parent, _ := strings.Cut(host, ".")
			want = said[pins.Pattern{Name: parent, Reach: pins.OneBelow}]
		}
		if err := asks(rules, set, host, want); err != nil {
			return fmt.Errorf("%s: read back, what was written is not what the set says: host %s: %w", name, host, err)
		}
		return nil
	}
	probe := []string{"unrelated.invalid"}
	for _, h := range set.Hosts { // that expand lost nothing
		if h.Pattern.Reach == pins.Exact {
			said[h.Pattern] = h.Pins
		}
		probe = append(probe, h.Names...)
	}
	for _, h := range hosts { // and that the format says what expand gave it
		n := h.Pattern.Name
		probe = append(probe, n, "x."+n, "x.x."+n)
		if _, parent, ok := strings.Cut(n, "."); ok {
			probe = append(probe, parent, "x."+parent)
		}
	}
	for _, host := range probe {
		if err := check(host); err != nil {
			return err
		}
	}
	for _, h := range hosts {
		if err := hashable(name, set, h, rules); err != nil {
			return err
		}
	}
	return nil
}

// hashable refuses a set with the pin of a key that is known to have an algorithm that the
// client cannot hash.
func hashable(name string, set pins.Set, h hostPins, rules pins.Rules) error {
	host := h.Pattern.Name
	if h.Pattern.Reach == pins.OneBelow {
		host = "x." + host
	}
	for _, r := range rules.Requirements(host, set.AsOf) {
		for _, p := range r.Pins {
			if algorithm := set.Algorithms[p]; !r.Hashes(algorithm) {
				return &RefusedError{Format: name, Host: h.Pattern.String(), Reason: fmt.Sprintf(
					"the key %s is %s, and the app crashes when it meets such a key; its client can hash %s. Use a key of one of these, or another format",
					p, algorithm, strings.Join(r.Algorithms, ", "))}
			}
		}
	}
	return nil
}

// asks fails unless rules ask of a host for one of the pins, at the place of keys of the
// set's role, without end; or for nothing if there are no pins.
func asks(rules pins.Rules, set pins.Set, host string, want []pins.Pin) error {
	got := rules.Requirements(host, set.AsOf)
	if len(want) == 0 && len(got) == 0 {
		return nil
	}
	switch {
	case len(want) == 0:
		return fmt.Errorf("asks for %v, want nothing", pins.AllPins(got))
	case len(got) != 1 || !samePins(got[0].Pins, want):
		return fmt.Errorf("asks for %v, want %v", got, want)
	case got[0].Leaves > 0 || !got[0].At.Takes(set.Role):
		return fmt.Errorf("looks for pins of %s keys elsewhere in the chain", set.Role)
	case !rules.Ends(host).IsZero():
		return fmt.Errorf("ends at %v", rules.Ends(host))
	}
	return nil
}
