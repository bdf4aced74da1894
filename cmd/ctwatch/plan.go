package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

func (a *app) pinsPlanCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "plan", Short: "Hold what apps ship against what is served and what is coming", Args: cobra.NoArgs,
		Long: `plan says for each app and host how its supported versions stand with what servers
serve now and with the certificates that may be deployed next, each version judged
by the rules of the client that its pins are for; what to add to the next version,
what may be left out of it, and by when it has to be released.

  ok          accepted by every supported version, with another pin to fall back on
  no_backup   a version has no pin to fall back on: each is in the chain served now, or
              is one that nobody vouches for (unknown, unapproved, rejected, on its way out)
  expiring    pins end before a new version could help; or renewal of the certificate
              served is due (the last third of its life, at most the lead time or two
              weeks before its end), and no successor is known
  will_break  a supported version refuses a certificate that may be deployed next; or a
              compromised key, or a certificate that was rejected, is served now
  broken      a supported version refuses what is served now
  unknown     too little is known of what is served or shipped

A key that went out of service is not to be left out (REMOVE) before the lead time has
passed and no certificate for it is good any more, so that a rollback is possible; while
a key is served that nobody approved, none is. What is kept for that is said below the
table, and so is why signed documents withhold a host.

Exit status 3 if an app is broken or will break.`,
		Example: `  ctwatch pins plan
  ctwatch pins plan --app shop --json | jq -r '.[] | select(.status != "ok") | .why'`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.sessionFor(c.Context(), setup.View, func(s *session) error {
				plans, err := s.Plan(name)
				if err != nil {
					return refusal(err)
				}
				return a.printPlans(plans)
			})
		},
	}
	c.Flags().StringVar(&name, "app", "", "plan for this `app` alone")
	return a.jsonFlag(c, "print a JSON array")
}

func (a *app) printPlans(plans []pins.HostPlan) error {
	bad := false
	for _, p := range plans {
		bad = bad || p.Status == pins.StatusBroken || p.Status == pins.StatusWillBreak
	}
	if a.json {
		if err := a.printJSON(words.Plans(plans)); err != nil {
			return err
		}
	} else {
		t := a.table("APP", "HOST", "STATUS", "DEPLOYED", "ADD", "REMOVE", "RELEASE BY")
		for _, p := range plans {
			by := "-"
			if p.Deadline != nil {
				by = terminal.Day(*p.Deadline)
			}
			t.Row(p.App, p.Host.String(), string(p.Status), fewPins(p.Deployed), fewPins(p.Add), fewPins(p.Remove), by)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, p := range plans {
			if p.Status != pins.StatusOK || len(p.Add)+len(p.Remove)+len(p.Keep) > 0 || p.Withheld+p.Warning != "" {
				fmt.Fprintf(a.Stdout, "\n%s\n", terminal.Paragraph(fmt.Sprintf("%s, %s: %s", p.App, p.Host, words.Why(p))))
			}
		}
	}
	if bad {
		return errNo
	}
	return nil
}

// fewPins writes pins for a table, by their first characters.
func fewPins(list []pins.Pin) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String()[:len("sha256/")+8]+"…")
	}
	if out == nil {
		return "-"
	}
	return words.Short(out, 2)
}
