package format

import (
	"ctwatch/pins"
)

// approov is what Approov.getPins("public-key-sha256") of Approov's SDK returns:
// {"domain": ["base64", …]}. Apps put it into OkHttp's pinner, or compare in the same
// way, so a pin matches any certificate of the chain. A domain with an empty list has the
// pins of "*", the managed roots. Domains are host names without patterns.
//
// The format has no comments.
func approov() Format {
	return Format{
		Name:      "approov",
		Title:     "Approov pins (JSON)",
		Extension: ".json",
		MediaType: "application/json",
		Encode:    encodeApproov,
		Decode:    decodeApproov,
	}
}

// managed is the name of the pins for domains without pins of their own.
const managed = "*"

func encodeApproov(set pins.Set) ([]byte, error) {
	return encode("approov", set, noPattern, decodeApproov, func(hosts []hostPins, _ []string) ([]byte, error) {
		domains := make(map[string][]string, len(hosts))
		for _, h := range hosts {
			for _, p := range h.Pins {
				domains[h.Pattern.Name] = append(domains[h.Pattern.Name], base64Of(p))
			}
		}
		return writeJSON(domains)
	})
}

func decodeApproov(data []byte) (pins.Rules, error) {
	r, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	var hosts []hostPins
	var roots []pins.Pin
	empty := make(map[int]int) // index in hosts → offset
	err = r.object("pins by domain", func(name string, at int) error {
		list, err := r.pins("the pins of "+name, barePin, nil)
		if err != nil {
			return err
		}
		if name == managed {
			roots = list
			return nil
		}
		if err := checkHost(name); err != nil {
			return clientErrAt(data, at, "%w", err)
		}
		if len(list) == 0 {
			empty[len(hosts)] = at
		}
		hosts = append(hosts, hostPins{pins.Pattern{Name: name}, list})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range hosts {
		if at, ok := empty[i]; ok {
			if len(roots) == 0 {
				return nil, clientErrAt(data, at, "%s has no pins, and there are no managed roots (%q): it would not be pinned", hosts[i].Pattern, managed)
			}
			hosts[i].Pins = roots
		}
	}
	if len(hosts) == 0 {
		return nil, clientErrAt(data, 0, "no domain is named, and nothing would be pinned")
	}
	return newTable(pins.Anywhere, hosts, false), nil
}
