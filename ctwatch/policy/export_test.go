package policy

import (
	"strings"

	"ctwatch/pins"
)

// ParsePermit is parsePermit, for fuzzing.
var ParsePermit = parsePermit

// Knowing returns the CAs of the table as if it also had these keys, each of the CA of
// that name.
func Knowing(keys map[pins.Pin]string) *CAs {
	table := builtin()
	for pin, name := range keys {
		for i := range table {
			if table[i].Name == name {
				table[i].keys = append(table[i].keys, strings.TrimPrefix(pin.String(), "sha256/"))
			}
		}
	}
	return newCAs(table)
}

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
