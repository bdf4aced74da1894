package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/words"
)

func (a *app) casCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list [CA]...", Short: "List the CAs that rules can name, or the details of some",
		Long: `list prints the certification authorities that "issuers" in the watch list can name, by
CAA identity or by name. With names or CAA identities as arguments, it prints all
identities and keys of these CAs. The keys are those of roots and of some intermediates;
ctwatch learns other intermediates from the signatures in logged chains.

For any other CA, use the pin of its issuing key, which "ctwatch certs show" prints for a
certificate of that CA.`,
		Example: `  ctwatch cas list
  ctwatch cas list amazontrust.com
  ctwatch cas list --json | jq -r '.[] | [.name, .caa[0]] | @tsv'`,
		RunE: func(_ *cobra.Command, args []string) error { return a.listCAs(args) },
	}
	return group("cas", "The certification authorities that rules can name", a.jsonFlag(list, "print a JSON array"))
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

func (a *app) showCAs(cas []policy.CA) error {
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

// chosenCAs returns the CAs with names or CAA identities; all if there are none.
func chosenCAs(cas *policy.CAs, names []string) ([]policy.CA, error) {
	if len(names) == 0 {
		return cas.All(), nil
	}
	var out []policy.CA
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
		out = append(out, *ca)
	}
	if len(wrong) > 0 {
		return nil, &usageError{errors.Join(wrong...)}
	}
	return out, nil
}

// namesCA returns an error if an argument that must be a certificate, a key or a pin is
// the name of a CA; nil otherwise.
func namesCA(arg string) error {
	ca, ok := policy.NewCAs().Named(arg)
	if !ok {
		return nil
	}
	return usagef("%s is a CA with several keys, and apps pin one key: give its pin or its certificate. Its known keys: ctwatch cas list %s. To let this CA issue, name it under \"issuers\" in the watch list", ca.Name, ca.CAA[0])
}
