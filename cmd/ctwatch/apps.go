package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/files"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

// configuredApps reads the apps of the configuration, with the versions and files
// that it names. With an error, which has all mistakes, it returns what is right.
func configuredApps(cfg *configs.Config) ([]pins.App, error) {
	var out []pins.App
	wrong := configs.Mistakes{Config: cfg}
	for i, c := range cfg.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		app := pins.App{Name: c.Name, Role: c.Pin, MinPins: c.Min, LeadTime: c.LeadTime}
		seen := make(map[pins.Pattern]bool)
		for j, h := range c.Hosts {
			p, err := parseHost(h)
			wrong.At(err, "%s.hosts[%d]", at, j)
			if err == nil && !seen[p] {
				seen[p] = true
				app.Hosts = append(app.Hosts, p)
			}
		}
		for j, s := range c.Shipped {
			rules, err := shippedRules(s)
			wrong.At(err, "%s.shipped[%d]", at, j)
			app.Versions = append(app.Versions, pins.Version{Name: s.Version, Rules: rules})
		}
		out = append(out, app)
	}
	return out, wrong.Err()
}

// shippedRules reads what the configuration says that a version ships.
func shippedRules(s configs.Shipped) (pins.Rules, error) {
	if s.File != "" {
		data, err := files.Read(s.File, format.MaxSize)
		if err != nil {
			return nil, err
		}
		_, rules, err := parsePinFile(s.File, data, "")
		return rules, err
	}
	of := make(map[pins.Pattern][]pins.Pin)
	for host, list := range s.Pins {
		p, err := parseHost(host)
		if err != nil {
			return nil, err
		}
		of[p] = append(of[p], list...)
	}
	return format.Listed(of), nil
}

// parseHost reads a host, or a pattern such as "*.example.com", that a person wrote.
func parseHost(s string) (pins.Pattern, error) {
	p, err := pins.ParsePattern(s)
	if err == nil && p.Reach == pins.AllBelow {
		err = errors.New("begins with a dot; want one host, or a pattern such as \"*.example.com\"")
	}
	if err != nil {
		return pins.Pattern{}, fmt.Errorf("host %.100q %w", s, err)
	}
	return p, nil
}

// parseHosts reads the hosts of a flag.
func parseHosts(flag string, words []string) ([]pins.Pattern, error) {
	var out []pins.Pattern
	for _, w := range words {
		p, err := parseHost(w)
		if err != nil {
			return nil, usagef("--%s: %w", flag, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// readPinFile reads a file that an app ships as parsePinFile does; "-" is stdin.
func (a *app) readPinFile(name, formatName string) (data []byte, f format.Format, rules pins.Rules, err error) {
	if data, err = a.readInput(name, format.MaxSize); err != nil {
		return nil, f, nil, err
	}
	f, rules, err = parsePinFile(name, data, formatName)
	return data, f, rules, err
}

// parsePinFile reads what an app ships, in the format with a name, or in the one that it
// is found to be in. Errors begin with the file's name.
func parsePinFile(name string, data []byte, formatName string) (f format.Format, rules pins.Rules, err error) {
	if formatName == "" {
		f, rules, err = format.Detect(data)
	} else if f, err = format.Find(formatName); err != nil {
		return f, nil, &usageError{err}
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

// withImported adds to apps what was recorded by "pins import". A version that the
// configuration names as well is what the configuration says. What can no longer be
// read, since readers have become stricter, is unreadable: nothing that is asked of all
// versions is then known, and all else is.
func withImported(ctx context.Context, db *store.DB, apps []pins.App) ([]pins.App, error) {
	shipped, err := db.Apps.Shipped(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]pins.App, len(apps))
	for i, app := range apps {
		app.Versions, app.Unreadable = app.Versions[:len(app.Versions):len(app.Versions)], nil
		for _, s := range shipped {
			if s.App != app.Name || hasVersion(app, s.Version) {
				continue
			}
			rules, err := importedRules(s)
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

// importedRules reads what was recorded of a version.
func importedRules(s store.Shipped) (pins.Rules, error) {
	f, err := format.Find(s.Format)
	if err != nil {
		return nil, err
	}
	return f.Decode(s.Content)
}

// logUnreadable logs the versions that cannot be read whenever they are others than
// before.
func logUnreadable(logger *slog.Logger, apps []pins.App, before *string) {
	var all []string
	for _, app := range apps {
		for _, u := range app.Unreadable {
			all = append(all, fmt.Sprintf("%s %s: %s", app.Name, u.Name, u.Why))
		}
	}
	now := strings.Join(all, "; ")
	if now != *before && now != "" {
		logger.Error("what was imported for some versions cannot be read, so it is unknown what breaks them: import it again with --replace, or drop it (ctwatch pins drop)", "versions", now)
	}
	*before = now
}

func hasVersion(app pins.App, version string) bool {
	for _, v := range app.Versions {
		if v.Name == version {
			return true
		}
	}
	return false
}

// findApp returns the app with a name.
func findApp(apps []pins.App, name string) (*pins.App, error) {
	var names []string
	for i := range apps {
		if apps[i].Name == name {
			return &apps[i], nil
		}
		names = append(names, apps[i].Name)
	}
	if names == nil {
		return nil, usagef("there is no app %q: the configuration names none (apps:)", name)
	}
	return nil, usagef("there is no app %q in the configuration; there are %s", name, strings.Join(names, ", "))
}
