package pins

import "time"

// A Set is the pins that an app should ship or load, for each of its hosts. Only
// keys that were approved for a host are in its pins. Recommend makes sets for files,
// in which every host has what its servers serve now, and Publish for signed documents,
// which say why they say nothing new of a host.
type Set struct {
	App  string
	Role Role // whether the pins are of leaf or issuer keys

	// Plan names what the set rests on: a hash, the same for the same pins.
	Plan string
	// AsOf is when the last thing that the set rests on became known. It does not
	// change as long as the set does not.
	AsOf time.Time
	// Until is when the first certificate that is served now ends: what the set
	// says should be looked at again before. Zero when nothing served is known.
	Until time.Time

	Hosts []HostSet // sorted by pattern
	// Algorithms has those of the pins' keys, as Key.Algorithm names them, where they
	// are known: not every client can hash every key.
	Algorithms map[Pin]string
	// Revoked are compromised keys. They are in no host's pins.
	Revoked []Pin // sorted

	// Withheld are the hosts for which no new pins are published, and Warnings what is
	// wrong with those that are: sorted by host. A host that is withheld is among Hosts
	// with what was published of it before, less what is not good any more; or not at
	// all, if nothing is left of that.
	Withheld, Warnings []Finding
}

// A HostSet is the pins of one host, or of all hosts that a pattern stands for.
type HostSet struct {
	Pattern Pattern // Exact or OneBelow, as configured
	Pins    []Pin   // those served now first, then the others; each part sorted
	// Names are the hosts known to exist that the pattern stands for, sorted. A
	// format that cannot express the pattern spells these out instead.
	Names []string
}
