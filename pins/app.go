package pins

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An App pins keys for some hosts, as its owner configured it.
type App struct {
	Name  string
	Hosts []Pattern // Exact or OneBelow
	Role  Role      // whether it pins leaf or issuer keys
	// MinPins is how many pins to ship for each host, at least 1. With 2
	// or more, one must be a backup: not in the chain that is served.
	MinPins int
	// LeadTime is how long it takes from a new pin to an app version that most
	// people run.
	LeadTime time.Duration

	// Versions are the released versions that are still supported.
	Versions []Version
	// Unreadable are supported versions whose file cannot be read. While there are any,
	// nothing that depends on all versions is known.
	Unreadable []Unreadable
}

// A Version is a released version of an app.
type Version struct {
	Name  string
	Rules Rules // what it ships
}

// An Unreadable is a released version of an app whose recorded file cannot be read.
type Unreadable struct {
	Name string // of the version
	Why  string // what is wrong with the file, for a person
}

// SortVersions sorts versions, the newest first: by their numbers, part by part,
// so that 5.10 is newer than 5.9.
func SortVersions(vs []Version) {
	slices.SortFunc(vs, func(a, b Version) int { return CompareVersions(b.Name, a.Name) })
}

// CompareVersions compares two names of versions by their parts between dots,
// numbers as numbers and the rest as text.
func CompareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		c := cmp.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}
