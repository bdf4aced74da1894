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
are equal. While much is left to read, it says what limits the speed.`,
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
	if err := t.Flush(); err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	fmt.Fprint(a.Stdout, behind(logs, cfg.Logs.MaxRate))
	return nil
}

// manyEntries is how far logs are behind before it matters how fast they are read.
const manyEntries = 100_000

// behind says how far logs are behind, and what bounds the speed of catching up; "" if that
// is little.
func behind(logs []ctwatch.LogStatus, maxRate int) string {
	var n, entries uint64
	for _, l := range logs {
		if l.Position < l.TreeSize {
			n++
			entries += l.TreeSize - l.Position
		}
	}
	if entries < manyEntries {
		return ""
	}
	return fmt.Sprintf("\n%d entries of %d logs are not read yet. ctwatch makes at most %d requests/s to the logs of one operator\n"+
		"(logs.max_rate), and so reads at most %d entries/s of a static log. Raise it if the operator allows more.\n", entries, n, maxRate, maxRate*256)
}
