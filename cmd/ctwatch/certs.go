package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/cmd/ctwatch/terminal"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/operator"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/ctwatch/words"
	"ctwatch/store"
)

func (a *app) certsCommand() *cobra.Command {
	return group("certs", "Certificates found for watched names",
		a.certsListCommand(), a.certsShowCommand(), a.certsAuthorizeCommand(), a.certsRejectCommand(),
	)
}

func (a *app) certsListCommand() *cobra.Command {
	var domain, verdict, since, log, after string
	var limit int
	var open, unproven, suggest bool
	c := &cobra.Command{
		Use: "list", Short: "List the certificates found, newest first", Args: cobra.NoArgs,
		Long: `list prints the certificates found, the last seen first: at most --limit of them. If there
are more, a line on stderr says so, and how to continue. --suggest reads as many.`,
		Example: `  ctwatch certs list
  ctwatch certs list --domain example.com --since 24h
  ctwatch certs list --open
  ctwatch certs list --verdict unreviewed --suggest
  ctwatch certs list --json | jq -r '.[].key.pin'`,
		RunE: func(c *cobra.Command, _ []string) error {
			f := store.Filter{Limit: limit, Verdict: ctwatch.Verdict(verdict), Open: open, Unproven: unproven}
			switch f.Verdict {
			case "", ctwatch.Expected, ctwatch.Unexpected, ctwatch.Unreviewed:
			default:
				return usagef("--verdict %s: want expected, unexpected or unreviewed", ctwatch.Printable(verdict, 40))
			}
			var err error
			if f.Since, err = ago(since, time.Now()); err != nil {
				return err
			}
			if domain != "" {
				rule, err := watchlist.NewRule(domain, true)
				if err != nil {
					return usagef("--domain: %.100q %w", domain, err)
				}
				f.Domain = rule.Domain
			}
			if limit < 0 {
				return usagef("--limit %d: want a number of certificates, or 0 for all", limit)
			}
			if suggest && (log != "" || after != "") {
				return usagef("--log and --after: not together with --suggest")
			}
			if after != "" {
				if err := store.CheckID(after); err != nil {
					return usagef("--after: %w", err)
				}
			}
			if suggest {
				return a.suggestRules(c.Context(), f)
			}
			return a.read(c.Context(), func(db *store.DB) error {
				if log != "" {
					var err error
					if f.Log, err = logNamed(c.Context(), db, log); err != nil {
						return err
					}
				}
				if after != "" {
					last, err := db.Certificates.Get(c.Context(), strings.ToLower(after))
					if err != nil {
						return fmt.Errorf("--after: %w", err)
					}
					f.After = last.ID
				}
				return a.listCerts(c.Context(), db, f)
			})
		},
	}
	c.Flags().StringVar(&domain, "domain", "", "only certificates for this `domain`, a name below it, or a watched address")
	c.Flags().StringVar(&verdict, "verdict", "", "only certificates with this `verdict`: expected, unexpected or unreviewed")
	c.Flags().BoolVar(&open, "open", false, "only certificates that need a decision: unexpected or unreviewed, without a verdict by a person")
	c.Flags().BoolVar(&unproven, "unproven", false, "only alarms that were not proven when they were raised and may be forged")
	c.Flags().StringVar(&log, "log", "", "only certificates in this `log`, given by name or by the first digits of its ID in hex")
	c.Flags().StringVar(&since, "since", "", "only certificates first seen since a `time`: 2026-11-01, an RFC 3339 time, or a duration before now such as 24h or 30d")
	c.Flags().IntVar(&limit, "limit", listLimit, "print at most this many; 0 prints all")
	c.Flags().StringVar(&after, "after", "", "continue after the certificate with this `ID`, the last of an earlier list")
	c.Flags().BoolVar(&suggest, "suggest", false, "print rules that would make these certificates expected, as YAML to review")
	return a.jsonFlag(c, "print a JSON array, one certificate on a line")
}

func (a *app) listCerts(ctx context.Context, db *store.DB, f store.Filter) error {
	var last ctwatch.Certificate
	more := false
	found := limited(db.Certificates.List(ctx, oneMore(f)), f.Limit, &last, &more)
	err := a.printCerts(found)
	if err == nil && more {
		a.sayMore(f.Limit, "certificate", last.ID.String()[:12])
	}
	return err
}

func (a *app) printCerts(found iter.Seq2[ctwatch.Certificate, error]) error {
	if a.json {
		return terminal.PrintArray(a.Stdout, found)
	}
	t := a.table("ID", "NAMES", "ISSUER", "NOT AFTER", "KEY", "VERDICT", "SEEN IN", "FIRST SEEN")
	t.Spare = []string{"KEY", "SEEN IN", "NOT AFTER", "FIRST SEEN"}
	for c, err := range found {
		if err != nil {
			return err
		}
		t.Row(c.ID.String()[:12], words.Short(shownNames(namesOf(&c), 2), 2), ctwatch.ShownText(c.Issuer.Name, 60), terminal.Day(c.NotAfter), c.Key.Pin.String(),
			string(c.Verdict), seenIn(c), terminal.Moment(c.FirstSeen))
	}
	return t.Flush()
}

// namesOf returns the names and addresses of a certificate, those that match first.
func namesOf(c *ctwatch.Certificate) []string {
	var out []string
	seen := make(map[string]bool)
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, m := range c.Matches {
		add(m.Name)
	}
	for _, n := range slices.Concat(c.Names, c.IPAddresses) {
		add(n)
	}
	return out
}

// shownNames makes the first n names safe to print, and marks homographs.
func shownNames(names []string, n int) []string {
	out := slices.Clone(names)
	for i := range out[:min(n, len(out))] {
		out[i] = ctwatch.ShownName(out[i], 60)
	}
	return out
}

// suggestRules prints rules that would make certificates expected.
func (a *app) suggestRules(ctx context.Context, f store.Filter) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	inv, err := setup.Read(cfg)
	if err != nil {
		return err
	}
	return a.read(ctx, func(db *store.DB) error {
		v := inv.NewPolicy()
		if err := v.Recall(ctx, db.Issuers); err != nil {
			return err
		}
		rules := inv.Policies()
		for part, line := range inv.List.Rules() {
			if part > 0 { // of a file: suggestions need an entry
				rules = append(rules, setup.NoPolicy(line))
			}
		}
		op := operator.New(operator.Options{Certificates: db.Certificates, Keys: db.Keys})
		var last ctwatch.Certificate
		matching, more := 0, false
		found := func(yield func(ctwatch.Certificate, error) bool) {
			for c, err := range limited(db.Certificates.List(ctx, oneMore(f)), f.Limit, &last, &more) {
				matching++
				if !yield(c, err) {
					return
				}
			}
		}
		s, n, err := op.Suggest(ctx, policy.New(rules, v.CAs), found, db.Certificates.List(ctx, store.Filter{Verdict: ctwatch.Unexpected}))
		if err != nil {
			return err
		}
		if more {
			a.sayMore(f.Limit, "certificate", "")
		}
		text := s.String()
		if text == "" {
			switch {
			case matching == 0:
				fmt.Fprintln(a.Stderr, "No certificates match; nothing to suggest.")
			case n == 0:
				fmt.Fprintf(a.Stderr, "%s %s; none needs a rule.\n", words.Count(matching, "certificate"), words.Plural(matching, "matches", "match"))
			default:
				fmt.Fprintf(a.Stderr, "%s, nothing to suggest.\n", words.Count(n, "certificate"))
			}
			return nil
		}
		fmt.Fprintf(a.Stdout, "# From %s. Each line trusts a CA or a key: keep only those that you want to trust.\n# They replace issuers and keys in the entries of the same domains; keep the other settings there.\n%s", words.Count(n, "certificate"), text)
		return nil
	})
}

// logNamed returns the ID of a log in the store, given its name or the first digits of its
// ID.
func logNamed(ctx context.Context, db *store.DB, s string) (ctwatch.LogID, error) {
	logs, err := db.Logs.List(ctx)
	if err != nil {
		return ctwatch.LogID{}, err
	}
	var found []ctwatch.LogStatus
	for _, l := range logs {
		if strings.EqualFold(l.Name, s) || l.ID.String() == s || len(s) >= 8 && strings.HasPrefix(l.ID.Hex(), strings.ToLower(s)) {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		have := "no log has"
		if len(found) > 1 {
			have = fmt.Sprintf("%d logs have", len(found))
		}
		return ctwatch.LogID{}, usagef("--log %s: %s this name or ID; to list all: ctwatch logs", ctwatch.Printable(s, 80), have)
	}
	return found[0].ID, nil
}

// seenIn returns the number of logs that have a certificate, marked if none is proven.
func seenIn(c ctwatch.Certificate) string {
	logs := make(map[ctwatch.LogID]bool)
	verified := false
	for _, s := range c.Sightings {
		logs[s.LogID] = true
		verified = verified || s.Verified
	}
	s := fmt.Sprintf("%d logs", len(logs))
	if len(logs) == 1 {
		s = "1 log"
	}
	if !verified {
		s += " (unverified)"
	}
	return s
}

func (a *app) certsShowCommand() *cobra.Command {
	var asPEM bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show a certificate, by its ID or the ID's first digits", Args: cobra.ExactArgs(1),
		Example: `  ctwatch certs show 3f9a1c22
  ctwatch certs show 3f9a1c22 --json
  ctwatch certs show 3f9a1c22 --pem | openssl x509 -noout -text`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.read(c.Context(), func(db *store.DB) error {
				cert, err := db.Certificates.Get(c.Context(), strings.ToLower(args[0]))
				if err != nil {
					return err
				}
				if asPEM {
					return a.printPEM(c.Context(), db, cert.ID)
				}
				judgments, err := db.Certificates.History(c.Context(), cert.ID)
				if err != nil {
					return err
				}
				cert.Judgments = []ctwatch.Judged{}
				for _, r := range judgments {
					cert.Judgments = append(cert.Judgments, ctwatch.Judged{At: r.At, Verdict: ctwatch.Verdict(r.Verdict), Actor: r.Actor, By: r.By, Reason: r.Reason})
				}
				if a.json {
					return a.printJSON(cert)
				}
				return a.showCert(cert)
			})
		},
	}
	c.Flags().BoolVar(&asPEM, "pem", false, "print the certificate (or precertificate, if no log has the certificate) in PEM")
	return a.jsonFlag(c, "print JSON")
}

func (a *app) printPEM(ctx context.Context, db *store.DB, id ctwatch.Hash) error {
	der, err := db.Certificates.DER(ctx, id)
	if err != nil {
		return err
	}
	b := der.Certificate
	if b == nil {
		b = der.Precertificate
	}
	if b == nil {
		return errors.New("no log served the whole certificate or precertificate, only what its tree hashes")
	}
	return pem.Encode(a.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: b})
}

func (a *app) showCert(c ctwatch.Certificate) error {
	t := a.list("Certificate", c.ID.String())
	add := func(label, value string) {
		if value != "" {
			t.Row(label, value)
		}
	}
	add("Subject", ctwatch.ShownText(c.Subject, 120))
	for i, n := range c.Names {
		t.Row(first(i, "Names"), ctwatch.ShownName(n, 100))
	}
	add("IP addresses", strings.Join(c.IPAddresses, ", "))
	add("Issuer", ctwatch.ShownText(c.Issuer.Name, 120))
	add("Serial", c.Serial)
	add("Valid", terminal.Day(c.NotBefore)+" to "+terminal.Day(c.NotAfter))
	add("Key", c.Key.Algorithm)
	for _, p := range c.Pins {
		add("Pin ("+string(p.Role)+")", p.Pin.String())
	}
	for i, m := range c.Matches {
		t.Row(first(i, "Matches"), m.Watch+" by "+m.Name)
	}
	add("Verdict", string(c.Verdict))
	add("Reasons", strings.Join(c.Reasons, ", "))
	for i, r := range c.Judgments {
		t.Row(first(i, "Judged"), fmt.Sprintf("%s %s by %s: %s", terminal.Moment(r.At), r.Verdict, r.By, r.Reason))
	}
	if c.DeployedAt != nil {
		add("Deployed", terminal.Moment(*c.DeployedAt))
	}
	add("First seen", terminal.Moment(c.FirstSeen))
	for i, s := range c.Sightings {
		proof := "verified"
		if !s.Verified {
			proof = "not verified"
		}
		t.Row(first(i, "Sightings"), fmt.Sprintf("%s, entry %d, %s: %s, %s", s.Log, s.Index, terminal.Moment(s.Timestamp), s.Kind, proof))
	}
	if fp := c.Fingerprints.Certificate; fp != nil {
		add("SHA-256", fp.String())
	}
	if fp := c.Fingerprints.Precertificate; fp != nil {
		add("SHA-256 (pre)", fp.String())
	}
	for i, p := range c.Problems {
		t.Row(first(i, "Problems"), p)
	}
	return t.Flush()
}

// first returns the label for the first of several rows, and "" for the others.
func first(i int, label string) string {
	if i == 0 {
		return label
	}
	return ""
}
