package main

import (
	"github.com/spf13/cobra"

	"ctwatch/configs"
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
		Long: `check reads a configuration and every file that it names: watch files, what apps ship,
secrets, keys and certificates. It prints all mistakes at once, each as
FILE:LINE:COLUMN, in the order of the file, and exits with status 2 if there are any.

A configuration without mistakes can still have warnings: a watched public suffix (such as
co.uk, below which everyone has names), "never" names and endpoints outside their domain,
hosts of apps that nothing watches or looks at, and what is listed twice.`,
		Example: `  ctwatch config check
  ctwatch config check /etc/ctwatch/ctwatch.yaml
  ctwatch config check --json | jq -r '.mistakes[], .warnings[] | .message'`,
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
	return group("config", "Write, check and show the configuration", initialise, a.jsonFlag(check, "print a JSON object with mistakes and warnings"), show)
}
