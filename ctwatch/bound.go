package ctwatch

import (
	"maps"
	"slices"
	"unicode/utf8"

	"ctwatch/pins"
)

// MaxEvent is the size limit of an event in JSON, whatever a certificate or a log contains,
// so that NATS servers (1 MiB by default), webhooks and hooks accept it.
const MaxEvent = 256 << 10

// What an event omits is counted in the member "omitted" of the object that lacks it; the
// store keeps everything. These limits together are less than MaxEvent.
const (
	maxListed    = 100      // entries of a list
	maxListBytes = 10 << 10 // bytes of a list in JSON
	maxIndexes   = 1000     // entries that cannot be parsed, which are listed nowhere else
	maxTextBytes = 2 << 10  // bytes of a text in JSON
	maxNameBytes = 600      // bytes of an entry of a list: a domain name has at most 253
	maxHeadBytes = 8 << 10  // bytes of a tree head in evidence, as the log served it
	maxLeafBytes = 48 << 10 // bytes of an entry in evidence
)

// bounded returns the data with lists and texts within the limits.
func (d EventData) bounded() EventData {
	o := omissions{}
	d.Summary = o.text("summary", d.Summary)
	d.By, d.ReportTo = o.text("by", d.By), o.text("report_to", d.ReportTo)
	d.App, d.Host, d.Endpoint = o.text("app", d.App), o.text("host", d.Host), o.text("endpoint", d.Endpoint)
	if n := len(d.Indexes) - maxIndexes; n > 0 {
		d.Indexes = d.Indexes[:maxIndexes]
		o["indexes"] = n
	}
	d.Omitted = o.with(d.Omitted)
	if d.Certificate != nil {
		c := d.Certificate.bounded()
		d.Certificate = &c
	}
	if d.Key != nil {
		k := boundedKey(*d.Key)
		d.Key = &k
	}
	if d.Log != nil {
		l := *d.Log // its texts are ours or a log list's, and are not counted
		l.Name, l.Operator, l.LastError = cutText(l.Name, maxTextBytes), cutText(l.Operator, maxTextBytes), cutText(l.LastError, maxTextBytes)
		d.Log = &l
	}
	if d.Evidence != nil {
		e := d.Evidence.bounded()
		d.Evidence = &e
	}
	return d
}

// bounded returns the certificate as events carry it: of the names, those that match the
// watch list come first.
func (c Certificate) bounded() Certificate {
	o := omissions{}
	c.Matches = o.matches(c.Matches)
	c.Names = o.names("names", c.Names, c.Matches)
	c.IPAddresses = o.names("ip_addresses", c.IPAddresses, c.Matches)
	c.Reasons = o.list("reasons", c.Reasons, maxTextBytes)
	c.Problems = o.list("problems", c.Problems, maxTextBytes)
	c.Sightings = o.sightings(c.Sightings)
	c.Serial, c.Subject = o.text("serial", c.Serial), o.text("subject", c.Subject)
	c.Issuer.Name, c.Issuer.CAA = o.text("issuer.name", c.Issuer.Name), o.text("issuer.caa", c.Issuer.CAA)
	c.Key.Algorithm = o.text("key.algorithm", c.Key.Algorithm)
	c.Omitted = o.with(c.Omitted)
	return c
}

func boundedKey(k pins.Key) pins.Key {
	o := omissions{}
	k.Hosts = o.list("hosts", k.Hosts, maxNameBytes)
	k.Certificates = o.list("certificates", k.Certificates, maxNameBytes)
	k.ApprovedFor = first(o, "approved_for", k.ApprovedFor, func(p pins.Pattern) int { return textSize(p.String()) })
	k.Apps = first(o, "apps", k.Apps, func(a pins.AppVersion) int { return textSize(a.Name) + textSize(a.Version) + 24 })
	k.Algorithm, k.By, k.Reason = o.text("algorithm", k.Algorithm), o.text("by", k.By), o.text("reason", k.Reason)
	k.Omitted = o.with(k.Omitted)
	return k
}

// bounded omits whole values that are too large: part of a signed text or of a leaf proves
// nothing.
func (e Evidence) bounded() Evidence {
	const most = 4
	o := omissions{}
	if n := len(e.Heads); n > most { // the oldest and the newest contradict each other
		e.Heads = append(slices.Clone(e.Heads[:1]), e.Heads[n-most+1:]...)
		o["heads"] = n - most
	}
	e.Heads = slices.Clone(e.Heads)
	for i := range e.Heads {
		if n := len(e.Heads[i].Raw); n > maxHeadBytes {
			e.Heads[i].Raw = []byte{}
			o["raw"] += n
		}
	}
	if e.Entry != nil && len(e.Entry.Leaf) > maxLeafBytes {
		entry := *e.Entry
		o["leaf_input"], entry.Leaf = len(entry.Leaf), []byte{}
		e.Entry = &entry
	}
	e.Cause = cutText(e.Cause, maxTextBytes)
	e.Omitted = o.with(e.Omitted)
	return e
}

// omissions counts what is omitted by member: entries of a list, bytes of a text.
type omissions map[string]int

// with adds what was omitted before, and returns nil if nothing was.
func (o omissions) with(before map[string]int) map[string]int {
	if len(o) == 0 {
		return before
	}
	all := maps.Clone(before)
	if all == nil {
		return o
	}
	for k, n := range o {
		all[k] += n
	}
	return all
}

func (o omissions) text(member, s string) string {
	out := cutText(s, maxTextBytes)
	if len(out) != len(s) {
		o[member] = len(s) - len(out) + len(ellipsis)
	}
	return out
}

// list bounds a list of texts, each in at most size bytes.
func (o omissions) list(member string, list []string, size int) []string {
	out := slices.Clone(list[:min(len(list), maxListed)])
	for i := range out {
		out[i] = cutText(out[i], size)
	}
	out = first(o, member, out, textSize)
	if n := len(list) - len(out); n > 0 {
		o[member] = n
	}
	return out
}

// names bounds a list of distinct names. If some are omitted, those that match come first.
func (o omissions) names(member string, names []string, matches []Match) []string {
	kept := o.list(member, names, maxNameBytes)
	if o[member] > 0 {
		matched := make(map[string]bool, len(matches))
		for _, m := range matches {
			matched[m.Name] = true
		}
		var front, rest []string
		for _, n := range names {
			if matched[cutText(n, maxNameBytes)] {
				front = append(front, n)
			} else if len(rest) < maxListed {
				rest = append(rest, n)
			}
		}
		kept = o.list(member, append(front, rest...), maxNameBytes)
	}
	seen := make(map[string]bool, len(kept))
	kept = slices.DeleteFunc(kept, func(n string) bool { was := seen[n]; seen[n] = true; return was }) // two may begin alike
	if n := len(names) - len(kept); n > 0 {
		o[member] = n
	}
	return kept
}

// matches bounds the matches. If some are omitted, one for each line of the watch list
// comes first, since filters of senders use these.
func (o omissions) matches(all []Match) []Match {
	size := func(m Match) int { return textSize(m.Watch) + textSize(m.Name) + 24 }
	bound := func(list []Match) []Match {
		list = slices.Clone(list[:min(len(list), maxListed)])
		for i, m := range list {
			list[i].Watch, list[i].Name = cutText(m.Watch, maxNameBytes), cutText(m.Name, maxNameBytes)
		}
		return first(omissions{}, "", list, size)
	}
	out := bound(all)
	if len(out) < len(all) {
		var front, rest []Match
		seen := make(map[string]bool)
		for _, m := range all {
			if !seen[m.Watch] {
				seen[m.Watch] = true
				front = append(front, m)
			} else if len(rest) < maxListed {
				rest = append(rest, m)
			}
		}
		out = bound(append(front, rest...))
		o["matches"] = len(all) - len(out)
	}
	return out
}

// sightings keeps the oldest sightings and the newest.
func (o omissions) sightings(all []Sighting) []Sighting {
	const most, maxLog = 50, 100
	out := slices.Clone(all)
	if n := len(all); n > most {
		out = append(out[:1], out[n-most+1:]...)
		o["sightings"] = n - most
	}
	for i := range out {
		out[i].Log = cutText(out[i].Log, maxLog)
	}
	return out
}

// first returns the first entries of a list that fit, and counts the others.
func first[T any](o omissions, member string, list []T, size func(T) int) []T {
	n, bytes := 0, 0
	for n < min(len(list), maxListed) {
		if bytes += size(list[n]) + 1; bytes > maxListBytes {
			break
		}
		n++
	}
	if n < len(list) {
		o[member] = len(list) - n
	}
	return list[:n:n]
}

const ellipsis = "…"

// cutText shortens a text to so many bytes of JSON, with an ellipsis.
func cutText(s string, limit int) string {
	size, cut := 0, 0
	for i, r := range s {
		if size+len(ellipsis) <= limit {
			cut = i
		}
		width := 1
		if r == utf8.RuneError {
			_, width = utf8.DecodeRuneInString(s[i:])
		}
		if size += runeSize(r, width); size > limit {
			return s[:cut] + ellipsis
		}
	}
	return s
}

// textSize returns how many bytes encoding/json writes for a text, without quotes.
func textSize(s string) (size int) {
	for _, r := range s {
		size += runeSize(r, 1)
	}
	return size
}

// runeSize returns how many bytes encoding/json writes for a character: it escapes those
// with a meaning in HTML, JavaScript or JSON. An ill-formed byte, of width 1, is escaped
// too.
func runeSize(r rune, width int) int {
	switch {
	case r == utf8.RuneError && width == 1, r < ' ', r == '<', r == '>', r == '&', r == 0x7f, r == '\u2028', r == '\u2029':
		return 6
	case r == '"', r == '\\':
		return 2
	}
	return utf8.RuneLen(r)
}
