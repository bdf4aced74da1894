package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"ctwatch/pins"
)

// maxValues bounds how many values a property list may hold.
const maxValues = 1 << 17

// A plistKind is the type of a value in a property list.
type plistKind uint8

const (
	plistOther plistKind = iota // data, dates, reals: nothing that pins are made of
	plistDict
	plistArray
	plistString
	plistInteger
	plistBool
)

var plistKinds = [...]string{"another type", "a dictionary", "an array", "a string", "an integer", "a boolean"}

// A plistValue is a value with its place: a position in XML, and the keys that lead to it.
// In a binary property list there are only the keys.
type plistValue struct {
	kind plistKind
	pos  position
	path string // such as "NSAppTransportSecurity/NSPinnedDomains"; set by get and entries
	text string // of a string
	yes  bool   // of a boolean, and of an integer that is not 0

	keys   []string // of a dictionary
	values []*plistValue
}

// parsePlist reads a property list in XML or binary form; its root is a dictionary.
func parsePlist(data []byte) (v *plistValue, err error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("bplist")) {
		v, err = parseBinaryPlist(data)
	} else {
		v, err = parseXMLPlist(data)
	}
	if err == nil && v.kind != plistDict {
		err = v.pos.errorf("the property list is %s, and should be a dictionary", plistKinds[v.kind])
	}
	return v, err
}

// errorf returns an error about what the client makes of the value.
func (v *plistValue) errorf(format string, args ...any) error {
	var err error = &ClientError{fmt.Errorf(format, args...)}
	if v.path != "" {
		err = fmt.Errorf("%s: %w", v.path, err)
	}
	return &SyntaxError{Line: v.pos.line, Column: v.pos.column, Err: err}
}

// want fails unless the value is of a kind.
func (v *plistValue) want(kind plistKind) error {
	if v.kind != kind {
		return v.errorf("this is %s, and should be %s", plistKinds[v.kind], plistKinds[kind])
	}
	return nil
}

// get returns the value of a key, or nil if the dictionary does not have it. It fails on
// duplicate keys, of which the platform's parsers silently choose one.
func (v *plistValue) get(key string) (*plistValue, error) {
	i := slices.Index(v.keys, key)
	if i < 0 {
		return nil, nil
	}
	at := v.at(key, v.values[i])
	if slices.Contains(v.keys[i+1:], key) {
		return nil, at.errorf("the key occurs twice")
	}
	return at, nil
}

// dict returns the dictionary of a key, or nil.
func (v *plistValue) dict(key string) (*plistValue, error) {
	d, err := v.get(key)
	if d == nil || err != nil {
		return nil, err
	}
	return d, d.want(plistDict)
}

// entries calls each for every entry of a dictionary.
func (v *plistValue) entries(each func(key string, value *plistValue) error) error {
	seen := make(map[string]bool, len(v.keys))
	for i, key := range v.keys {
		at := v.at(key, v.values[i])
		if seen[key] {
			return at.errorf("the key occurs twice")
		}
		seen[key] = true
		if err := each(key, at); err != nil {
			return err
		}
	}
	return nil
}

// at returns a copy of a value with its path: a binary property list may have a value in
// several places.
func (v *plistValue) at(step string, value *plistValue) *plistValue {
	if q := quote(step); q != `"`+step+`"` || strings.Contains(step, "/") {
		step = q
	}
	c := *value
	c.path = step
	if v.path != "" {
		c.path = v.path + "/" + step
	}
	return &c
}

// appPlist has the pins of a property list. Those for App Transport Security and those for
// TrustKit both apply, whichever of the two formats it is read as: an app's Info.plist is
// one file, and a connection must pass both.
type appPlist struct{ ats, trustkit pins.Rules }

// readApp reads an app's Info.plist, or a part of one.
func readApp(data []byte) (appPlist, error) {
	root, err := parsePlist(data)
	if err != nil {
		return appPlist{}, err
	}
	if err := checkPlaces(root); err != nil {
		return appPlist{}, err
	}
	var a appPlist
	if a.ats, err = readATS(root); err != nil {
		return appPlist{}, err
	}
	a.trustkit, err = readTrustKit(root)
	return a, err
}

func (a appPlist) rules() pins.Rules {
	switch {
	case a.trustkit == nil:
		return a.ats
	case a.ats == nil:
		return a.trustkit
	}
	return bothRules{a.ats, a.trustkit}
}

// bothRules are the rules of an app that pins in two ways at once.
type bothRules struct{ a, b pins.Rules }

func (r bothRules) Requirements(host string, at time.Time) []pins.Requirement {
	a, b := r.a.Requirements(host, at), r.b.Requirements(host, at)
	if len(a) == 0 {
		return b
	}
	return append(slices.Clip(a), b...)
}

// Unpinned implements pins.Explainer.
func (r bothRules) Unpinned(host string, at time.Time) string {
	var why []string
	for _, rules := range []pins.Rules{r.a, r.b} {
		if e, ok := rules.(pins.Explainer); ok {
			if s := e.Unpinned(host, at); s != "" {
				why = append(why, s)
			}
		}
	}
	return strings.Join(why, " ")
}

func (r bothRules) Ends(host string) time.Time { return earlier(r.a.Ends(host), r.b.Ends(host)) }

func (r bothRules) Patterns() []pins.Pattern {
	all := slices.Concat(r.a.Patterns(), r.b.Patterns())
	slices.SortFunc(all, comparePatterns)
	return slices.Compact(all)
}

// earlier returns the earlier of two times; zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// plistHead is the head of a property list in XML, as Apple's tools write it.
const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
`
