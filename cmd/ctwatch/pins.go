package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/planner"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
	"ctwatch/store"
)

func (a *app) pinsCommand() *cobra.Command {
	return group(
		"pins", "Keys and their states; plans, gates and pin files for apps",
		a.pinsListCommand(), a.pinsApproveCommand(), a.pinsRetireCommand(), a.pinsHistoryCommand(),
		a.pinsPlanCommand(), a.pinsExportCommand(), a.pinsImportCommand(), a.pinsDropCommand(),
		a.pinsCheckCommand(), a.pinsGateCommand(),
	)
}

func (a *app) pinsListCommand() *cobra.Command {
	var limit int
	var after string
	c := &cobra.Command{
		Use: "list", Short: "List the keys of watched names and of their issuers, with their pins", Args: cobra.NoArgs,
		Long: `list prints every key that was declared, certified for a watched name or served by an
endpoint, and the keys of their issuers, oldest first. The states:

  declared     a person declared it before a certificate was issued for it
  seen         found in a log or on a server; not trusted
  approved     a person, or a rule that a person wrote, approved it for some hosts
  shipped      in a supported version of an app
  deployed     served now
  retiring     another trusted key replaced it
  retired      no longer in use
  compromised  never trusted again

It prints at most --limit keys. If there are more, a line on stderr says so, and how to
continue. Of a key with more than 2,000 certificates it prints that many, and the hosts
of these: those that expire last.`,
		Example: `  ctwatch pins list
  ctwatch pins list --json | jq -r '.[] | select(.state == "seen") | .pin'`,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: want a number of keys, or 0 for all", limit)
			}
			from, err := parseKey(after)
			if err != nil {
				return err
			}
			return a.read(c.Context(), func(db *store.DB) error { return a.listPins(c.Context(), db, from, limit) })
		},
	}
	c.Flags().IntVar(&limit, "limit", listLimit, "print at most this many; 0 prints all")
	c.Flags().StringVar(&after, "after", "", "continue after the `key` with this pin, the last of an earlier list; with \"sha256/… issuer\", after it as an issuer's key")
	return a.jsonFlag(c, "print a JSON array, one key on a line")
}

// parseKey reads a pin, and perhaps the role of a key after it.
func parseKey(s string) (key pins.PinRole, err error) {
	if s == "" {
		return key, nil
	}
	pin, role, _ := strings.Cut(s, " ")
	if key.Role = pins.Role(cmp.Or(role, string(pins.RoleLeaf))); key.Role != pins.RoleLeaf && key.Role != pins.RoleIssuer {
		return key, usagef("--after %s: want a pin, perhaps with leaf or issuer after it", ctwatch.Printable(s, 80))
	}
	key.Pin, err = parseKnownPin(pin)
	return key, err
}

func (a *app) listPins(ctx context.Context, db *store.DB, from pins.PinRole, limit int) error {
	shipped, err := a.shipped(ctx, db)
	if err != nil {
		return err
	}
	asked := limit
	if limit > 0 {
		asked++ // to know whether there are more
	}
	var last pins.Key
	more := false
	found := limited(keysFrom(ctx, db, from, asked, shipped), limit, &last, &more)
	if err = a.printKeys(found); err == nil && more {
		after := last.Pin.String()
		if last.Role != pins.RoleLeaf {
			after = "'" + after + " " + string(last.Role) + "'"
		}
		a.sayMore(limit, "key", after)
	}
	return err
}

// keyPage is how many keys are read at once.
const keyPage = 2000

// keysFrom reads keys, page by page, with the apps that ship them.
func keysFrom(ctx context.Context, db *store.DB, from pins.PinRole, limit int, shipped map[pins.Pin][]pins.AppVersion) iter.Seq2[pins.Key, error] {
	return func(yield func(pins.Key, error) bool) {
		for left := limit; ; left -= keyPage {
			n := keyPage
			if limit > 0 {
				n = min(n, left)
			}
			keys, err := db.Keys.List(ctx, from, n)
			if err != nil {
				yield(pins.Key{}, err)
				return
			}
			for _, k := range keys {
				k.Apps = append(k.Apps, shipped[k.Pin]...)
				slices.SortFunc(k.Apps, func(a, b pins.AppVersion) int {
					if a.Name != b.Name {
						return pins.CompareVersions(a.Name, b.Name)
					}
					return pins.CompareVersions(b.Version, a.Version)
				})
				if !yield(k, nil) {
					return
				}
				from = pins.PinRole{Pin: k.Pin, Role: k.Role}
			}
			if len(keys) < n || left == n {
				return
			}
		}
	}
}

func (a *app) printKeys(keys iter.Seq2[pins.Key, error]) error {
	if a.json {
		return terminal.PrintArray(a.Stdout, keys)
	}
	t := a.table("PIN", "ROLE", "ALGORITHM", "STATE", "HOSTS", "APPS", "FIRST SEEN")
	for k, err := range keys {
		if err != nil {
			return err
		}
		var apps []string
		for _, v := range k.Apps {
			apps = append(apps, v.Name+" "+v.Version)
		}
		t.Row(k.Pin.String(), string(k.Role), k.Algorithm, string(k.State), words.Short(k.Hosts, 3), words.Short(apps, 3), terminal.Moment(k.FirstSeen))
	}
	return t.Flush()
}

// shipped lists the versions of apps that ship each pin.
func (a *app) shipped(ctx context.Context, db *store.DB) (map[pins.Pin][]pins.AppVersion, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	inv, err := setup.Read(cfg)
	if err != nil {
		return nil, err
	}
	if len(inv.Apps) == 0 {
		return nil, nil
	}
	op := inv.Operator(db, false)
	if err := op.Read(ctx); err != nil {
		return nil, err
	}
	plans, err := op.Plan("")
	var none *operator.Error
	if errors.As(err, &none) && none.Code == operator.NoApps {
		return nil, nil
	}
	return planner.Shipped(plans), err
}

func (a *app) pinsApproveCommand() *cobra.Command {
	var hosts []string
	var reason, role string
	var despite bool
	c := &cobra.Command{
		Use: "approve PIN", Short: "Approve a key, so that apps may pin it", Args: cobra.ExactArgs(1),
		Long: `approve confirms that a key is yours, or belongs to an issuer that you trust. Plans,
exports and pin documents may then use it for the hosts of --host, or for the watched
names that it was certified for. To declare a key before a certificate is issued for it,
use "ctwatch certs authorize".

A key with an unexpected certificate can still be yours: anyone who sees a public key can
have a certificate issued for it. In that case approve it with --reason, and reject the
certificate.

"ctwatch pins history" shows who approved what, when and why.`,
		Example: `  ctwatch pins approve sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --reason "new key, ticket 4711"
  ctwatch pins approve sha256/2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg= --host api.example.com`,
		RunE: func(c *cobra.Command, args []string) error {
			pin, err := parsePin(args[0])
			if err != nil {
				return err
			}
			patterns, err := parseHosts("host", hosts)
			if err != nil {
				return err
			}
			if role != "" && role != string(pins.RoleLeaf) && role != string(pins.RoleIssuer) {
				return usagef("--role %s: want leaf or issuer", ctwatch.Printable(role, 40))
			}
			return a.session(c.Context(), func(s *session) error {
				on, err := s.Approve(c.Context(), a.by(), operator.Approval{Pin: pin, Role: pins.Role(role), Hosts: patterns, Reason: reason, Despite: despite})
				if err != nil {
					return refusal(err)
				}
				return a.printKey(c.Context(), s, pin, "is approved for "+terminal.List(on))
			})
		},
	}
	c.Flags().StringArrayVar(&hosts, "host", nil, "`host` or pattern (\"*.example.com\") to approve it for (default: the names it was certified for)")
	c.Flags().StringVar(&reason, "reason", "", "reason, for the audit trail")
	despiteFlag(c, &despite)
	c.Flags().StringVar(&role, "role", "", "approve it only as a `leaf` or only as an issuer key, if it is recorded as both")
	return a.jsonFlag(c, "print the key as JSON")
}

func parsePin(s string) (pins.Pin, error) {
	pin, err := pins.Parse(s)
	if err != nil {
		return pin, &usageError{err}
	}
	return pin, nil
}

// parseKnownPin reads a pin that may be recorded, also one that parsePin refuses.
func parseKnownPin(s string) (pins.Pin, error) {
	pin, err := pins.ParseAny(s)
	if err != nil {
		return pin, &usageError{err}
	}
	return pin, nil
}

// printKey prints what a change did to a key, if anything is to be said of that, and its state.
func (a *app) printKey(ctx context.Context, s *session, pin pins.Pin, what string) error {
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	keys, err := s.Keys(ctx, pin)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(keys)
	}
	for _, k := range keys {
		switch {
		case what == "" && k.State == pins.StateRetiring:
			fmt.Fprintf(a.Stdout, "%s is retiring: it is still served or shipped\n", k.Pin)
			continue
		case what == "", strings.HasSuffix(what, "is "+string(k.State)): // nothing more to say
			fmt.Fprintf(a.Stdout, "%s is %s\n", k.Pin, k.State)
			continue
		}
		fmt.Fprintf(a.Stdout, "%s %s; its state is %s\n", k.Pin, ctwatch.Printable(what, 500), k.State)
	}
	return nil
}

func (a *app) pinsHistoryCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "history [PIN]", Short: "Show the audit trail: who changed trust in which key, when and why", Args: cobra.MaximumNArgs(1),
		Long:    `history prints the audit trail of one key or of all, oldest first.`,
		Example: `  ctwatch pins history --limit 20`,
		RunE: func(c *cobra.Command, args []string) error {
			var pin pins.Pin
			if len(args) > 0 {
				var err error
				if pin, err = parseKnownPin(args[0]); err != nil {
					return err
				}
			}
			return a.read(c.Context(), func(db *store.DB) error {
				records, err := db.Keys.History(c.Context(), pin, limit)
				if err != nil {
					return err
				}
				if a.json {
					if records == nil {
						records = []pins.Record{}
					}
					return a.printJSON(records)
				}
				t := a.table("TIME", "WHAT", "KEY OR SUBJECT", "BY", "REASON")
				for _, r := range records {
					what, subject := describeRecord(r)
					t.Row(terminal.Moment(r.At), what, subject, r.By+" ("+string(r.Actor)+")", r.Reason)
				}
				return t.Flush()
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 0, "print only the last `n` records (default all)")
	return a.jsonFlag(c, "print a JSON array")
}

func describeRecord(r pins.Record) (what, subject string) {
	what, subject = r.Action, r.Pin.String()
	switch r.Action {
	case "state":
		what = string(r.To)
		if r.From != pins.StateUnknown {
			what = string(r.From) + " → " + what
		}
	case "approve", "withdraw":
		what += " for " + terminal.List(r.Hosts)
	case "judge":
		what, subject = "judged "+r.Verdict, "certificate "+r.Certificate[:min(12, len(r.Certificate))]
	case "import", "drop":
		subject = r.App + " " + r.Version
	}
	return what, subject
}
