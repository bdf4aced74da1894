package setup

import (
	"errors"
	"fmt"
	"slices"

	"ctwatch/configs"
	"ctwatch/files"
	"ctwatch/pins"
	"ctwatch/pins/format"
)

// configuredApps reads the apps of a configuration, with the versions and files that it
// names, and adds its mistakes to wrong.
func configuredApps(cfg *configs.Config, wrong *configs.Mistakes) []pins.App {
	var out []pins.App
	for i, c := range cfg.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		app := pins.App{Name: c.Name, Role: c.Pin, MinPins: c.Min, LeadTime: c.LeadTime}
		for _, h := range c.Hosts {
			if h.Name != "" && !slices.Contains(app.Hosts, h) { // else a mistake
				app.Hosts = append(app.Hosts, h)
			}
		}
		for j, s := range c.Shipped {
			rules, err := shippedRules(s)
			wrong.At(err, "%s.shipped[%d]", at, j)
			app.Versions = append(app.Versions, pins.Version{Name: s.Version, Rules: rules})
		}
		out = append(out, app)
	}
	return out
}

// shippedRules reads what the configuration says that a version ships.
func shippedRules(s configs.Shipped) (pins.Rules, error) {
	if s.File != "" {
		data, err := files.Read(s.File, format.MaxSize)
		if err != nil {
			return nil, err
		}
		_, rules, err := format.ReadFile(s.File, data, "")
		return rules, err
	}
	return format.Listed(s.Pins), nil
}

// ParseHost reads a host, or a pattern such as "*.example.com", that a person wrote.
func ParseHost(s string) (pins.Pattern, error) {
	p, err := pins.ParsePattern(s)
	if err == nil && p.Reach == pins.AllBelow {
		err = errors.New("begins with a dot; want one host, or a pattern such as \"*.example.com\"")
	}
	if err != nil {
		return pins.Pattern{}, fmt.Errorf("host %.100q %w", s, err)
	}
	return p, nil
}
