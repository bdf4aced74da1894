package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/store"
)

func (a *app) logsCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "logs", Short: "Show the progress of each log", Args: cobra.NoArgs,
		Long: `logs prints for every log its tree size, the number of entries read, and the number of
entries proven to be in the tree that the log signed. When ctwatch is up to date, all three
are equal.`,
		Example: `  ctwatch logs
  ctwatch logs --json | jq '.[] | select(.healthy | not)'`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.read(c.Context(), func(db *store.DB) error { return a.printLogs(c.Context(), db) })
		},
	}
	return a.jsonFlag(c, "print a JSON array")
}

func (a *app) printLogs(ctx context.Context, db *store.DB) error {
	logs, err := db.Logs.List(ctx)
	if err != nil {
		return err
	}
	if a.json {
		if logs == nil {
			logs = []ctwatch.LogStatus{}
		}
		return a.printJSON(logs)
	}
	t := a.table("LOG", "KIND", "STATE", "HEALTHY", "TREE SIZE", "READ", "VERIFIED", "LAST HEAD", "ERROR")
	for _, l := range logs {
		head := ""
		if l.LastHeadAt != nil {
			head = terminal.Moment(*l.LastHeadAt)
		}
		healthy := "yes"
		if !l.Healthy {
			healthy = "NO"
		}
		t.Row(l.Name, string(l.Kind), l.State, healthy, fmt.Sprint(l.TreeSize), fmt.Sprint(l.Position), fmt.Sprint(l.Verified), head, l.LastError)
	}
	return t.Flush()
}
