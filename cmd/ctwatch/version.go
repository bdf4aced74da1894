package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
)

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Print version, commit and Go version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := setup.BuildVersion()
			if a.json {
				return a.printJSON(v)
			}
			fmt.Fprintf(a.Stdout, "ctwatch %s (commit %s, %s)\n", v.Version, v.Commit, v.Go)
			return nil
		},
	}
	return a.jsonFlag(c, "print JSON")
}
