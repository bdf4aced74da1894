package format

import (
	"slices"
	"strings"
)

// A plistSearch searches a property list for pins in places where neither the platform nor
// TrustKit reads them. Some generators put them among the exceptions for domains, for
// example, and both silently ignore them.
type plistSearch struct {
	alone bool // the property list is not an Info.plist, but one dictionary of it
	count int  // of values; a binary property list may have one in many places
}

// checkPlaces fails for pins in the wrong place.
func checkPlaces(root *plistValue) error {
	whole := slices.ContainsFunc(root.keys, func(k string) bool {
		return k == atsKey || k == tskKey || strings.HasPrefix(k, "CFBundle")
	})
	s := plistSearch{alone: !whole}
	return s.search(root, nil)
}

func (s *plistSearch) search(v *plistValue, path []string) error {
	if s.count++; s.count > maxValues {
		return v.pos.errorf("more than %d values", maxValues)
	}
	for i, value := range v.values {
		key := "[]" // of an array
		if v.kind == plistDict {
			key = v.keys[i]
		}
		if belongs := s.belongs(key, path); belongs != "" {
			at := *v
			at.path = strings.Join(path, "/")
			return at.at(key, value).errorf("apps ignore this here; it belongs in %s", belongs)
		}
		if err := s.search(value, append(path, key)); err != nil {
			return err
		}
	}
	return nil
}

// belongs returns where a misplaced key belongs; "" if it is in its place, or unrelated to
// pins.
func (s *plistSearch) belongs(key string, path []string) string {
	var parent string // "" for the root
	domain := false   // within the dictionary of a domain
	switch key {
	case pinnedKey:
		parent = atsKey
	case leafKey, caKey:
		parent, domain = pinnedKey, true
	case tskKey:
	case tskDomainsKey:
		parent = tskKey
	case tskHashesKey:
		parent, domain = tskDomainsKey, true
	default:
		return ""
	}
	if domain {
		if len(path) < 2 || path[len(path)-2] != parent {
			return "the dictionary of a domain within " + parent
		}
		return "" // search checks the place of that dictionary itself
	}
	switch {
	case parent == "" && len(path) == 0, len(path) == 1 && path[0] == parent, len(path) == 0 && s.alone:
		return ""
	case parent == "":
		return "the top level of the app's Info.plist"
	}
	return parent
}
