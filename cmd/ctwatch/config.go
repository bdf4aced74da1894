package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"ctwatch/configs"
	"ctwatch/ctwatch/policy"
)

func (a *app) configCommand() *cobra.Command {
	initialise := &cobra.Command{
		Use: "init", Short: "Print a commented configuration file to begin with", Args: cobra.NoArgs,
		Example: `  ctwatch config init > ctwatch.yaml`,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Stdout.Write(configs.Example)
			return err
		},
	}
	check := &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration: file:line:column of each mistake", Args: cobra.MaximumNArgs(1),
		Example: `  ctwatch config check
  ctwatch config check /etc/ctwatch/ctwatch.yaml`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.configFile = args[0]
			}
			return a.checkConfig()
		},
	}
	show := &cobra.Command{
		Use: "show", Short: "Print the configuration in effect, with secrets hidden", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			b, err := cfg.Show()
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(b)
			return err
		},
	}
	return group("config", "Write, check and show the configuration", initialise, check, show)
}

// checkConfig checks all that can be known without a network: the file, the files
// that it names, and its secrets.
func (a *app) checkConfig() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	rules, err := watchRules(cfg, nil)
	if err != nil {
		return err
	}
	if err := cfg.CheckSecrets(); err != nil {
		return &usageError{err}
	}
	if _, err := extraLogs(cfg); err != nil {
		return err
	}
	e, err := newEstate(cfg, rules)
	if err != nil {
		return err
	}
	t, err := newTellers(cfg, nil, nil, a.logger())
	if err != nil {
		return err
	}
	t.close()
	if _, err := httpOptions(cfg, a.logger()); err != nil {
		return err
	}
	for _, u := range slices.Concat(e.strangers(policy.NewCAs()), e.blindHosts(), cfg.Unused()) {
		fmt.Fprintln(a.Stderr, u)
	}
	name := cfg.File()
	if name == "" {
		name = "no configuration file: the built-in defaults"
	}
	if len(rules) == 0 {
		fmt.Fprintf(a.Stderr, "%s: nothing is watched: add domains under \"watch\", or call 'ctwatch run --watch DOMAIN'\n", name)
	}
	fmt.Fprintf(a.Stdout, "%s: ok, %d watched names\n", name, len(rules))
	return nil
}
