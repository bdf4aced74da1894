package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

func (a *app) pinsRetireCommand() *cobra.Command {
	var reason string
	var compromised, yes bool
	c := &cobra.Command{
		Use: "retire PIN", Short: "Retire a key, or report it compromised", Args: cobra.ExactArgs(1),
		Long: `retire removes a key from the pins that new app versions should have. While the key is
served, it stays in pin sets; after that it is retired.

With --compromised, the key is no longer trusted, at once, and signed pin documents list
it as revoked. While it is served, ctwatch writes no pin set for its hosts: serve another
key first. This cannot be undone. It needs --reason, and either --yes or a confirmation
on a terminal, which lists the apps and hosts that lose the key.`,
		Example: `  ctwatch pins retire sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --reason "rotated"
  ctwatch pins retire sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --compromised --reason "backup tape lost, ticket 4712" --yes`,
		RunE: func(c *cobra.Command, args []string) error {
			pin, err := parseKnownPin(args[0])
			if err != nil {
				return err
			}
			if compromised && strings.TrimSpace(reason) == "" {
				return usagef("retire --compromised needs --reason, for the audit trail: it cannot be undone")
			}
			return a.session(c.Context(), func(s *session) error {
				what := ""
				if compromised {
					what = "is compromised"
					loss, err := s.Loss(c.Context(), pin)
					if err != nil {
						return err
					}
					if err := a.confirm(c.Context(), yes, lossText(loss)); err != nil {
						return err
					}
				}
				if err := s.Retire(c.Context(), a.by(), pin, compromised, reason); err != nil {
					return refusal(err)
				}
				return a.printKey(c.Context(), s, pin, what)
			})
		},
	}
	c.Flags().BoolVar(&compromised, "compromised", false, "the private key is, or may be, compromised; needs --reason")
	c.Flags().StringVar(&reason, "reason", "", "reason, for the audit trail")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation of --compromised, for scripts")
	return a.jsonFlag(c, "print the key as JSON")
}

// lossText returns the consequences of reporting a key compromised, for the confirmation.
func lossText(l operator.Loss) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s will be compromised: no app may pin it, and it can never be approved again.", l.Pin)
	for _, k := range l.Keys {
		fmt.Fprintf(&b, "\n- It is the key of %s, and is %s", map[pins.Role]string{pins.RoleLeaf: "servers", pins.RoleIssuer: "an issuer"}[k.Role], k.State)
		if len(k.ApprovedFor) > 0 {
			fmt.Fprintf(&b, " (for %s)", words.Short(strings.Split(terminal.List(k.ApprovedFor), ", "), 5))
		}
		b.WriteString(".")
	}
	for _, u := range l.Uses {
		var parts []string
		if u.Served {
			parts = append(parts, "served now; no pins are exported until another key is served")
		}
		if len(u.Versions) > 0 {
			parts = append(parts, "shipped with "+words.Short(u.Versions, 5))
		}
		fmt.Fprintf(&b, "\n- %s, %s: %s.", ctwatch.Printable(u.App, 100), u.Host, strings.Join(parts, "; "))
	}
	switch {
	case len(l.Keys) == 0:
		b.WriteString("\n- This key is not recorded: check the pin.")
	case len(l.Uses) == 0:
		b.WriteString("\n- No app ships it, and no host of an app serves it.")
	}
	b.WriteString("\n- Signed pin documents of the apps that it was approved for list it as revoked.")
	return b.String()
}
