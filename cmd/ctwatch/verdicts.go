package main

import (
	"context"
	"log/slog"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/policy"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/pins"
	"ctwatch/store"
)

// policyRules lists what the watch list of the configuration says of who may issue
// what. The lines of files, of which there can be a million, and those of --watch say
// nothing of it.
func (e *estate) policyRules(wrong *configs.Mistakes) []policy.Rule {
	cas := policy.NewCAs()
	var out []policy.Rule
	for i := range e.cfg.Watch {
		rule := silentRule(e.rules[i])
		e.policyRule(&rule, i, cas, wrong)
		out = append(out, rule)
	}
	return out
}

// silentRule is what a line of the watch list says of who may issue: nothing, but whom
// it is about.
func silentRule(r watchlist.Rule) policy.Rule {
	p, _ := rulePattern(r) // a network's subject is a name, too
	return policy.Rule{Pattern: p, Where: r.Domain + " in the watch list"}
}

// policyRule fills in what entry i of the configuration's watch list says.
func (e *estate) policyRule(rule *policy.Rule, i int, cas *policy.CAs, wrong *configs.Mistakes) {
	w := e.cfg.Watch[i]
	rule.Keys, rule.MaxValidity, rule.Wildcards, rule.CAA = w.Keys, w.MaxValidity, w.Wildcards, w.CAA
	for j, s := range w.Issuers {
		issuer, err := policy.ParseIssuer(s)
		if err == nil {
			err = cas.Check(issuer)
		}
		wrong.At(err, "watch[%d].issuers[%d]", i, j)
		rule.Issuers = append(rule.Issuers, issuer)
	}
	for j, s := range w.Algorithms {
		wrong.At(policy.CheckAlgorithm(s), "watch[%d].algorithms[%d]", i, j)
		rule.Algorithms = append(rule.Algorithms, s)
	}
	for j, s := range w.Never {
		var never pins.Pattern
		err := never.UnmarshalText([]byte(s))
		wrong.At(err, "watch[%d].never[%d]", i, j)
		rule.Never = append(rule.Never, never)
	}
}

// newPolicy puts the rules of an estate in force.
func newPolicy(e *estate) *policy.Live {
	return policy.NewLive(e.verdictRules, setup.BuildVersion().Version)
}

// A teacher has the rules know the CAs whose certificates logs show in chains. It
// implements follow.Issuers.
type teacher struct {
	cas    *policy.CAs
	db     *store.DB
	logger *slog.Logger
}

// Learn implements follow.Issuers.
func (t *teacher) Learn(ctx context.Context, c *ctwatch.Certificate, chain [][]byte) error {
	learned := t.cas.Learn(c, chain...)
	if len(learned) == 0 {
		return nil
	}
	var issuers []pins.Pin
	for _, l := range learned {
		t.logger.Info("an issuing key is now known by the signature of its CA", "key", l.Pin, "signed_by", l.Anchor)
		issuers = append(issuers, l.Pin)
	}
	if err := t.db.Issuers.AddKeys(ctx, learned...); err != nil {
		return err
	}
	return t.db.Issuers.Rejudge(ctx, issuers...)
}
