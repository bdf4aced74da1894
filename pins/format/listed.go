package format

import "ctwatch/pins"

// Listed returns the rules of a client of no particular kind that has some pins for
// some hosts: any of them anywhere in the chain will do, and the entry that fits a
// host best counts alone. It is what a bare list of pins means.
func Listed(of map[pins.Pattern][]pins.Pin) pins.Rules {
	var hosts []hostPins
	for p, list := range of {
		hosts = append(hosts, hostPins{p, list})
	}
	return newTable(pins.Anywhere, hosts, false)
}
