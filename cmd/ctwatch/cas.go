package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
	"ctwatch/pins"
)

func (a *app) casCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list [CA]...", Short: "List the CAs that rules can name, or everything about some of them",
		Long: `list prints the certification authorities that "issuers" in the watch list can name: by
a CAA identity, by the name, or by the pin of the key that signs the certificate. The
keys are those of roots and of some intermediates; ctwatch learns other intermediates by
the signatures in the chains that logs show.

A CA that is not listed can be named by the pin of its issuing key, which
"ctwatch certs show" prints for a certificate of that CA. With names or CAA identities of
CAs, list prints all identities and keys of these.`,
		Example: `  ctwatch cas list
  ctwatch cas list amazontrust.com
  ctwatch cas list --json | jq -r '.[] | [.name, .caa[0]] | @tsv'`,
		RunE: func(_ *cobra.Command, args []string) error { return a.listCAs(args) },
	}
	return group("cas", "The certification authorities that rules can name", a.jsonFlag(list, "print a JSON array"))
}

// A knownCA is a CA of the table, as JSON.
type knownCA struct {
	Name          string     `json:"name"`
	CAA           []string   `json:"caa"`           // identities, the usual one first
	Organizations []string   `json:"organizations"` // its names in certificates; a rule cannot name these
	ReportTo      string     `json:"report_to,omitempty"`
	Keys          []pins.Pin `json:"keys"`
}

func (a *app) listCAs(names []string) error {
	cas, err := chosenCAs(policy.NewCAs(), names)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(cas)
	}
	if len(names) > 0 {
		return a.showCAs(cas)
	}
	t := a.table("NAME", "CAA IDENTITIES", "KEYS")
	for _, ca := range cas {
		t.Row(ca.Name, words.Short(ca.CAA, 3), fmt.Sprint(len(ca.Keys)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "\nA rule names a CA by an identity, by its name in quotes, or by the pin of its issuing key:\n  issuers: [%s, %q, \"sha256/…\"]\n", cas[0].CAA[0], cas[len(cas)-1].Name)
	return nil
}

func (a *app) showCAs(cas []knownCA) error {
	for i, ca := range cas {
		if i > 0 {
			fmt.Fprintln(a.Stdout)
		}
		t := a.table("Name", ca.Name)
		for j, identity := range ca.CAA {
			t.Row(first(j, "CAA identities"), identity)
		}
		for j, o := range ca.Organizations {
			t.Row(first(j, "Calls itself"), o)
		}
		if ca.ReportTo != "" {
			t.Row("Report to", ca.ReportTo)
		}
		for j, key := range ca.Keys {
			t.Row(first(j, "Keys"), key.String())
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// chosenCAs returns the CAs that names and CAA identities stand for; all for none.
func chosenCAs(cas *policy.CAs, names []string) ([]knownCA, error) {
	var out []knownCA
	add := func(ca *policy.CA) {
		out = append(out, knownCA{Name: ca.Name, CAA: ca.CAA, Organizations: ca.Organizations, ReportTo: ca.Report, Keys: ca.Keys()})
	}
	if len(names) == 0 {
		for i := range cas.All() {
			add(&cas.All()[i])
		}
		return out, nil
	}
	var wrong []error
	for _, name := range names {
		ca, ok := cas.Named(name)
		if !ok {
			issuer, err := policy.ParseIssuer(name)
			switch {
			case err != nil:
				wrong = append(wrong, err)
			case !issuer.Pin.IsZero():
				wrong = append(wrong, fmt.Errorf("%s: want the name or a CAA identity of a CA, not a pin", issuer))
			default:
				wrong = append(wrong, cas.Check(issuer))
			}
			continue
		}
		add(ca)
	}
	if len(wrong) > 0 {
		return nil, &usageError{errors.Join(wrong...)}
	}
	return out, nil
}

// namesCA returns an error for what was to be a certificate, a key or a pin of a CA, and
// is the name of a CA; nil otherwise.
func namesCA(arg string) error {
	ca, ok := policy.NewCAs().Named(arg)
	if !ok {
		return nil
	}
	return usagef("%s is a CA with several keys, and apps pin one key: give its pin or its certificate. The keys that are known: ctwatch cas list %s. To say that this CA may issue, name it under \"issuers\" in the watch list", ca.Name, ca.CAA[0])
}
