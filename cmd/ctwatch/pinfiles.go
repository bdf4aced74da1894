package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/pins"
	"ctwatch/pins/format"
	"ctwatch/store"
)

func (a *app) pinsDropCommand() *cobra.Command {
	var app, version, reason string
	c := &cobra.Command{
		Use: "drop --app NAME --version V", Short: "Mark an imported version as no longer supported", Args: cobra.NoArgs,
		Long:    `drop removes an imported version from plans and gates.`,
		Example: `  ctwatch pins drop --app shop --version 4.9 --reason "blocked by the update wall"`,
		RunE: func(c *cobra.Command, _ []string) error {
			if app == "" || version == "" {
				return usagef("drop needs --app and --version")
			}
			// The imported files are not read, so an unreadable one can be dropped, too.
			return a.write(c.Context(), func(db *store.DB) error {
				op := operator.New(operator.Options{Versions: db.Apps})
				if err := op.Drop(c.Context(), a.by(), app, version, reason); err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "version %s of %s is no longer supported\n", ctwatch.Printable(version, 60), ctwatch.Printable(app, 100))
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&app, "app", "", "name of the `app`")
	f.StringVar(&version, "version", "", "`version` to drop")
	f.StringVar(&reason, "reason", "", "reason, for the audit trail")
	return c
}

// writeFile replaces a file atomically.
func writeFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".ctwatch-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return os.Rename(tmp.Name(), file)
}

// readPinFile reads a file that an app ships as format.ReadFile does; "-" is stdin.
func (a *app) readPinFile(name, formatName string) (data []byte, f format.Format, rules pins.Rules, err error) {
	if formatName != "" {
		if _, err := format.Find(formatName); err != nil {
			return nil, f, nil, &usageError{err}
		}
	}
	if data, err = a.readInput(name, format.MaxSize); err != nil {
		return nil, f, nil, err
	}
	f, rules, err = format.ReadFile(name, data, formatName)
	return data, f, rules, err
}

// parseHosts reads the hosts of a flag.
func parseHosts(flag string, words []string) ([]pins.Pattern, error) {
	var out []pins.Pattern
	for _, w := range words {
		p, err := setup.ParseHost(w)
		if err != nil {
			return nil, usagef("--%s: %w", flag, err)
		}
		out = append(out, p)
	}
	return out, nil
}
