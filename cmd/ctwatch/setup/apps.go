package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/files"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
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
		_, rules, err := ParsePinFile(s.File, data, "")
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

// ParsePinFile reads what an app ships, in a format, or in the one that it recognizes
// for "". Errors begin with the file's name.
func ParsePinFile(name string, data []byte, formatName string) (f format.Format, rules pins.Rules, err error) {
	if formatName == "" {
		f, rules, err = format.Detect(data)
	} else if f, err = format.Find(formatName); err != nil {
		return f, nil, err
	} else {
		rules, err = f.Decode(data)
	}
	if errors.Is(err, format.ErrUnknown) {
		return f, nil, fmt.Errorf("%s: %w; want one of %s", name, err, strings.Join(format.Names(), ", "))
	} else if err != nil {
		var at *format.SyntaxError
		if errors.As(err, &at) && at.Line > 0 {
			return f, nil, fmt.Errorf("%s:%w", name, err)
		}
		return f, nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, rules, nil
}

// AllApps returns the apps with the versions that "pins import" recorded as well. The
// configuration wins over an import of the same version. An import that can no longer be
// read, since readers have become stricter, is among the app's unreadable versions.
func (inv *Inventory) AllApps(ctx context.Context, db *store.DB) ([]pins.App, error) {
	shipped, err := db.Apps.Shipped(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pins.App, len(inv.Apps))
	for i, app := range inv.Apps {
		app.Versions, app.Unreadable = app.Versions[:len(app.Versions):len(app.Versions)], nil
		for _, s := range shipped {
			if s.App != app.Name || slices.ContainsFunc(inv.Apps[i].Versions, func(v pins.Version) bool { return v.Name == s.Version }) {
				continue
			}
			rules, err := ImportedRules(s)
			if err != nil {
				app.Unreadable = append(app.Unreadable, pins.Unreadable{
					Name: ctwatch.Printable(s.Version, 60), Why: fmt.Sprintf("%s: %s", ctwatch.Printable(s.Name, 100), ctwatch.Printable(err.Error(), 500)),
				})
				continue
			}
			app.Versions = append(app.Versions, pins.Version{Name: s.Version, Rules: rules})
		}
		pins.SortVersions(app.Versions)
		out[i] = app
	}
	return out, nil
}

// ImportedRules reads what was recorded of a version.
func ImportedRules(s store.Shipped) (pins.Rules, error) {
	f, err := format.Find(s.Format)
	if err != nil {
		return nil, err
	}
	return f.Decode(s.Content)
}
