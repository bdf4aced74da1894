package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/configs"
)

func (a *app) configCommand() *cobra.Command {
	var contact string
	initialize := &cobra.Command{
		Use: "init", Short: "Print a commented configuration file to start with", Args: cobra.NoArgs,
		Long: `init prints a commented configuration file with every setting. On a terminal it asks for
the address at which log operators reach you, and writes it as logs.contact. Many static
logs let all clients without one share 75 requests a second.`,
		Example: `  ctwatch config init > ctwatch.yaml
  ctwatch config init --contact ct@YOUR-DOMAIN > ctwatch.yaml`,
		RunE: func(c *cobra.Command, _ []string) error { return a.initConfig(c.Context(), contact) },
	}
	initialize.Flags().StringVar(&contact, "contact", "", contactHelp)
	check := &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration: file:line:column of each mistake", Args: cobra.MaximumNArgs(1),
		Long: `check reads a configuration and every file that it names: watch files, what apps ship,
secrets, keys and certificates. It prints all mistakes at once, each as
FILE:LINE:COLUMN, in the order of the file, and exits with status 2 if there are any.

A configuration without mistakes can still have warnings: a watched public suffix (such as
co.uk, below which everyone has names), "never" names and endpoints outside their domain,
hosts of apps that are not watched or not probed, and what is listed twice.`,
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
			_, err = a.Stdout.Write(cfg.Show())
			return err
		},
	}
	return group("config", "Write, check and show the configuration", initialize, a.jsonFlag(check, "print a JSON object with mistakes and warnings"), show)
}

const contactHelp = "e-mail `address` or https:// URL at which log operators reach you"

// initConfig prints the example, with a contact if there is one.
func (a *app) initConfig(ctx context.Context, contact string) error {
	if contact == "" && terminal.Is(a.Stdin) {
		var err error
		if contact, err = a.ask(ctx, "E-mail address or https:// URL at which log operators reach you (empty for none): "); err != nil {
			return err
		}
	}
	if err := checkContact(contact); err != nil {
		return err
	}
	if contact == "" {
		fmt.Fprintln(a.Stderr, "No logs.contact: many static logs let all anonymous clients share 75 requests a second. Add it later, or use --contact.")
	}
	_, err := a.Stdout.Write(configs.ExampleWith(contact))
	return err
}

// checkContact checks a contact from the command line; "" is valid.
func checkContact(contact string) error {
	if contact == "" {
		return nil
	}
	if err := configs.CheckContact(contact); err != nil {
		return usagef("contact: %w", err)
	}
	return nil
}
