package policy

import (
	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// ParsePermit is parsePermit, for fuzzing.
var ParsePermit = parsePermit

// Learn adds the keys that a chain shows, and returns those that are new.
func (c *CAs) Learn(cert *ctwatch.Certificate, chain ...[]byte) []ctwatch.IssuerKey {
	return c.Add(c.Shown(cert, chain)...)
}

// Knowing returns the CAs of the table as if it also had these keys, each of the CA of
// that name.
func Knowing(keys map[pins.Pin]string) *CAs {
	table := builtin()
	for pin, name := range keys {
		for i := range table {
			if table[i].Name == name {
				table[i].Keys = append(table[i].Keys, pin)
			}
		}
	}
	return newCAs(table)
}

// ReadTable is readTable.
var ReadTable = readTable
