package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ctwatch/pins"
)

// ours is ctwatch's own JSON format:
//
//	{"app": "shop", "pin": "leaf", "plan": "…", "as_of": "…", "until": "…",
//	 "hosts": {"api.example.com": ["sha256/…"], "*.example.com": ["sha256/…"]},
//	 "revoked": ["sha256/…"]}
//
// A pattern "*.h" stands for each name one label below h. A pin is compared with every
// certificate of the chain. Of the patterns that match a host, only the most specific one
// applies. The payload of a signed document also has the members "app", "hosts" and
// "revoked", and others; unknown members are ignored, as in a JWT (RFC 7519 §4). Its "exp"
// does not end the pins: an app continues to pin when it finds no newer document. The
// value of "hosts" alone is a valid file, too.
func ours() Format {
	return Format{
		Name:      "json",
		Title:     "ctwatch pin JSON",
		Extension: ".json",
		MediaType: "application/json",
		Encode:    encodeJSON,
		Decode:    decodeJSON,
	}
}

// A document is what encodeJSON writes.
type document struct {
	App     string                `json:"app"`
	Pin     pins.Role             `json:"pin"`
	Plan    string                `json:"plan"`
	AsOf    time.Time             `json:"as_of"`
	Until   *time.Time            `json:"until,omitempty"`
	Hosts   map[string][]pins.Pin `json:"hosts"`
	Revoked []pins.Pin            `json:"revoked"`
}

func encodeJSON(set pins.Set) ([]byte, error) {
	always := func(pins.HostSet) bool { return true }
	return encode("json", set, always, decodeJSON, func(hosts []hostPins, _ []string) ([]byte, error) {
		doc := document{
			App:     set.App,
			Pin:     set.Role,
			Plan:    set.Plan,
			AsOf:    set.AsOf.UTC().Truncate(time.Second),
			Hosts:   make(map[string][]pins.Pin, len(hosts)),
			Revoked: append([]pins.Pin{}, set.Revoked...), // [] rather than null
		}
		if !set.Until.IsZero() {
			until := set.Until.UTC().Truncate(time.Second)
			doc.Until = &until
		}
		for _, h := range hosts {
			doc.Hosts[h.Pattern.String()] = h.Pins
		}
		return writeJSON(doc)
	})
}

// writeJSON returns a value as indented JSON, with sorted members.
func writeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

func decodeJSON(data []byte) (pins.Rules, error) {
	isDocument, err := hasHosts(data)
	if err != nil {
		return nil, err
	}
	r, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	var hosts []hostPins
	where := make(map[pins.Pin]int) // offsets of hosts' pins
	if !isDocument {
		if hosts, err = r.hosts(where); err != nil {
			return nil, err
		}
		return newTable(pins.Anywhere, hosts, false), nil
	}
	var revoked []pins.Pin
	err = r.object("a pin document", func(name string, at int) (err error) {
		switch name {
		case "hosts":
			hosts, err = r.hosts(where)
		case "revoked":
			revoked, err = r.pins("the revoked pins", fullPin, nil)
		default:
			err = r.skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, p := range revoked {
		if at, ok := where[p]; ok {
			return nil, clientErrAt(data, at, "the pin %s is revoked, but a host has it", p)
		}
	}
	return newTable(pins.Anywhere, hosts, false), nil
}

// hasHosts reports whether a JSON object has a member "hosts" that is an object.
func hasHosts(data []byte) (yes bool, err error) {
	r, err := readJSON(data)
	if err != nil {
		return false, err
	}
	err = r.object("a pin document, or pins by host", func(name string, at int) error {
		yes = yes || name == "hosts" && r.starts('{')
		return r.skip()
	})
	return yes, err
}

// hosts reads pins by host, and records the offset of each pin in where.
func (r *jsonReader) hosts(where map[pins.Pin]int) ([]hostPins, error) {
	var hosts []hostPins
	start := r.next()
	err := r.object("pins by host", func(name string, at int) error {
		p, err := parseHost(name)
		if err != nil {
			return clientErrAt(r.data, at, "%w", err)
		}
		list, err := r.pins("the pins of "+p.String(), fullPin, where)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return clientErrAt(r.data, at, "%s has no pins, and would not be pinned", p)
		}
		hosts = append(hosts, hostPins{p, list})
		return nil
	})
	if err == nil && len(hosts) == 0 {
		err = clientErrAt(r.data, start, "no host is named, and nothing would be pinned")
	}
	return hosts, err
}

// pins reads an array of pins, each once, and records the offset of each pin in where,
// unless that is nil.
func (r *jsonReader) pins(what string, parse func(string) (pins.Pin, error), where map[pins.Pin]int) ([]pins.Pin, error) {
	var list []pins.Pin
	err := r.texts(what, func(text string, at int) error {
		p, err := parse(text)
		if err != nil {
			return clientErrAt(r.data, at, "%w", err)
		}
		if where != nil {
			where[p] = at
		}
		list = append(list, p)
		return nil
	})
	return distinct(list), err
}

// parseHost reads "h" or "*.h" as clients compare it: byte by byte.
func parseHost(s string) (pins.Pattern, error) {
	if name, ok := strings.CutPrefix(s, "*."); ok {
		return pins.Pattern{Name: name, Reach: pins.OneBelow}, checkHost(name)
	}
	return pins.Pattern{Name: s}, checkHost(s)
}

// fullPin reads a pin with the prefix "sha256/".
func fullPin(s string) (pins.Pin, error) {
	b64, ok := strings.CutPrefix(s, "sha256/")
	if !ok {
		return pins.Pin{}, fmt.Errorf(`the pin %s: want "sha256/" before its base64`, quote(s))
	}
	return barePin(b64)
}
