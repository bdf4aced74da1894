package policy

import (
	"ctwatch/pins"
)

// ParsePermit is parsePermit, for fuzzing.
var ParsePermit = parsePermit

// BadKeys lists the keys of the table that cannot be parsed, or are there twice.
func BadKeys() (bad []string) {
	seen := make(map[string]bool)
	for _, ca := range builtin() {
		for _, key := range ca.keys {
			if _, err := pins.Parse("sha256/" + key); err != nil || seen[key] {
				bad = append(bad, key)
			}
			seen[key] = true
		}
	}
	return bad
}
