package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

func (a *app) pinsRetireCommand() *cobra.Command {
	var reason string
	var compromised, yes bool
	c := &cobra.Command{
		Use: "retire PIN", Short: "Retire a key, or report it compromised", Args: cobra.ExactArgs(1),
		Long: `retire takes a key out of what apps should add. While it is served it stays in pin
sets, which must not lack the key served now; after that it is retired.

With --compromised the key is trusted no more from this moment on, and signed pin
documents list it as revoked. No set that needs it is made: serve another key first.
This cannot be undone. It needs --reason; on a terminal it says which apps and hosts
lose the key and asks, and elsewhere it needs --yes.`,
		Example: `  ctwatch pins retire sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --reason "rotated"
  ctwatch pins retire sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --compromised --reason "backup tape lost, ticket 4712" --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			pin, err := parseKnownPin(args[0])
			if err != nil {
				return err
			}
			if compromised && strings.TrimSpace(reason) == "" {
				return usagef("retire --compromised needs --reason: it cannot be undone, and the audit trail says why")
			}
			return a.desk(c.Context(), func(d *desk) error {
				if compromised {
					if err := a.confirm(c.Context(), yes, whatIsLost(d, pin)); err != nil {
						return err
					}
				}
				return a.retire(c.Context(), d, pin, compromised, reason)
			})
		},
	}
	c.Flags().BoolVar(&compromised, "compromised", false, "the private key is, or may be, in wrong hands; needs --reason")
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before --compromised, for scripts")
	return a.jsonFlag(c, "print the key as JSON")
}

func (a *app) retire(ctx context.Context, d *desk, pin pins.Pin, compromised bool, reason string) error {
	err := d.db.Keys.Retire(ctx, pin, compromised, a.person(), orDefault(reason, "retired on the command line"))
	if errors.Is(err, ctwatch.ErrNotFound) {
		return fmt.Errorf("no key with the pin %s is known: ctwatch pins list", pin)
	} else if err != nil {
		return err
	}
	what := "is to be retired"
	if compromised {
		what = "is compromised"
	}
	return a.tellKey(ctx, d, pin, what)
}

// whatIsLost says what follows when a key is reported compromised: for a person to
// read before it is done.
func whatIsLost(d *desk, pin pins.Pin) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s will be compromised: no app may pin it, and it can never be approved again.", pin)
	known := false
	for _, role := range []pins.Role{pins.RoleLeaf, pins.RoleIssuer} {
		if k := d.view.Key(pin, role); k != nil {
			known = true
			fmt.Fprintf(&b, "\n- It is known as the key of %s, and is %s", map[pins.Role]string{pins.RoleLeaf: "servers", pins.RoleIssuer: "an issuer"}[role], k.State)
			if len(k.ApprovedFor) > 0 {
				fmt.Fprintf(&b, " (for %s)", words.Short(strings.Split(terminal.List(k.ApprovedFor), ", "), 5))
			}
			b.WriteString(".")
		}
	}
	used := false
	for _, p := range d.plans() {
		var parts []string
		if slices.Contains(p.Deployed, pin) {
			parts = append(parts, "served now, and no pins are exported while it is")
		}
		var versions []string
		for name, list := range p.Shipped {
			if slices.Contains(list, pin) {
				versions = append(versions, name)
			}
		}
		if len(versions) > 0 {
			slices.SortFunc(versions, func(a, b string) int { return pins.CompareVersions(b, a) })
			parts = append(parts, "shipped with "+words.Short(versions, 5))
		}
		if len(parts) > 0 {
			used = true
			fmt.Fprintf(&b, "\n- %s, %s: %s.", ctwatch.Printable(p.App, 100), p.Host, strings.Join(parts, "; "))
		}
	}
	switch {
	case !known:
		b.WriteString("\n- No such key is known here: make sure of the pin.")
	case !used:
		b.WriteString("\n- No app ships it, and none of their hosts serves it.")
	}
	b.WriteString("\n- Signed pin documents of the apps that it was approved for list it as revoked.")
	return b.String()
}
