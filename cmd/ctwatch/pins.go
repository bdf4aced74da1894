package main

import (
	"context"

	"github.com/spf13/cobra"

	"ctwatch/pins"
	"ctwatch/store"
)

func (a *app) pinsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the keys of watched names and of their issuers, with their pins", Args: cobra.NoArgs,
		Long: `list prints every key that was certified for a watched name, and every key of an
issuer, in the order in which they were first seen. A key is "seen" until a
person, or a rule that a person wrote, says more of it.`,
		Example: `  ctwatch pins list
  ctwatch pins list --json | jq -r '.[] | select(.role == "leaf") | .pin'`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.read(c.Context(), func(db *store.DB) error { return a.listPins(c.Context(), db) })
		},
	}
	return group("pins", "Keys, and where each stands", a.jsonFlag(list, "print a JSON array"))
}

func (a *app) listPins(ctx context.Context, db *store.DB) error {
	keys, err := db.Keys(ctx)
	if err != nil {
		return err
	}
	if a.json {
		if keys == nil {
			keys = []pins.Key{}
		}
		return a.printJSON(keys)
	}
	t := a.table("PIN", "ROLE", "ALGORITHM", "STATE", "HOSTS", "FIRST SEEN")
	for _, k := range keys {
		t.row(k.Pin.String(), string(k.Role), k.Algorithm, string(k.State), few(k.Hosts, 3), moment(k.FirstSeen))
	}
	return t.flush()
}
