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
		Use: "plan", Short: "Compare the pins that apps ship with current and upcoming certificates", Args: cobra.NoArgs,
		Long: `plan compares, for each app and host, the pins of every supported version with the
certificates served now and those that may be deployed next, by the rules of the version's
client. It shows which pins to add to the next version, which ones it can drop, and the
date by which to release it.

  ok          every supported version accepts the certificates, and has a backup pin
  no_backup   a version has no backup pin: all its pins are in the chain served now, or
              not usable (unknown, unapproved, rejected or retiring)
  expiring    pins end before a new version could help; or renewal of the served
              certificate is due (the last third of its life, at most the lead time or two
              weeks before its end), and no successor is known
  will_break  a supported version refuses a certificate that may be deployed next; or a
              compromised key or a rejected certificate is served now
  broken      a supported version refuses a certificate that is served now
  unknown     too little is known about the served certificates or the shipped pins

To allow a rollback, plan lists a key that is no longer served under REMOVE only after the
lead time has passed and all its certificates have expired. While an unapproved key is
served, it lists none. Below the table it explains which keys are kept, and why signed
documents withhold a host.

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
	c.Flags().StringVar(&name, "app", "", "only this `app`")
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

// fewPins shortens pins for a table, to their first characters.
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
