package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"sync/atomic"

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
		never, err := pins.ParsePattern(s)
		wrong.At(err, "watch[%d].never[%d]", i, j)
		rule.Never = append(rule.Never, never)
	}
}

// verdicts are the rules in force. They judge for the store.
type verdicts struct {
	cas    *policy.CAs
	caa    *policy.Checker // what it remembers is gone by at once; nil for nothing
	policy atomic.Pointer[policy.Policy]
	digest atomic.Pointer[string] // of the rules
}

func newVerdicts(e *estate) *verdicts {
	v := &verdicts{cas: policy.NewCAs()}
	v.replace(e)
	return v
}

// judging changes when the same rules come to another verdict, so that all certificates
// are judged again.
const judging = "issuers by signature;"

// replace puts the rules of an estate in force.
func (v *verdicts) replace(e *estate) {
	v.policy.Store(policy.New(e.verdictRules, v.cas))
	b, _ := json.Marshal(e.verdictRules) // texts and numbers
	sum := sha256.Sum256(append(b, judging+setup.BuildVersion().Version...))
	digest := hex.EncodeToString(sum[:])
	v.digest.Store(&digest)
}

// judge is the ctwatch.Judge of the store.
func (v *verdicts) judge(c *ctwatch.Certificate, s ctwatch.Standing) ctwatch.Judgement {
	rules, k := v.policy.Load(), known(s)
	var records string
	if s.CAA == "" && v.caa != nil {
		k.CAA, records = v.remembered(rules.CAANames(c))
	}
	j := rules.Judge(c, k)
	out := ctwatch.Judgement{Verdict: j.Verdict, Reasons: j.Reasons, Details: j.Details, Grants: j.Grants, Records: records}
	out.ReportTo = v.reportTo(c)
	if cas := v.cas.Of(c); c.Issuer.Proven {
		out.IssuerKnown = len(cas) > 0 || rules.Lists(c.Issuer.Pin)
		if len(cas) > 0 && len(cas[0].CAA) > 0 {
			out.CAA = cas[0].CAA[0]
		}
	}
	return out
}

// remembered returns the CAA records of domains, also as JSON, if those of all are
// remembered.
func (v *verdicts) remembered(domains []string) (map[string]policy.CAAResult, string) {
	if len(domains) == 0 {
		return nil, ""
	}
	found := make(map[string]policy.CAAResult, len(domains))
	for _, d := range domains {
		r, ok := v.caa.Remembered(d)
		if !ok {
			return nil, ""
		}
		found[d] = r
	}
	b, err := json.Marshal(found)
	if err != nil {
		return nil, ""
	}
	return found, string(b)
}

// reportTo returns where a certificate's CA takes reports; "" when unknown.
func (v *verdicts) reportTo(c *ctwatch.Certificate) string {
	if !c.Issuer.Proven {
		return ""
	}
	for _, ca := range v.cas.Of(c) {
		if ca.Report != "" {
			return ca.Report
		}
	}
	return ""
}

func known(s ctwatch.Standing) policy.Known {
	k := policy.Known{Trusted: s.ApprovedFor, Served: s.ServedFor, Compromised: s.Compromised, OtherIssuers: s.OtherIssuers}
	if s.CAA != "" {
		_ = json.Unmarshal([]byte(s.CAA), &k.CAA) // what policy.CAACollector wrote; without it nothing is known
	}
	return k
}

// recall takes in whose the issuing keys are that were learned before.
func (v *verdicts) recall(ctx context.Context, db *store.DB) error {
	learned, err := db.Learned(ctx)
	if err != nil {
		return err
	}
	v.cas.Restore(learned...)
	claims, err := db.IssuerClaims(ctx)
	for pin, name := range claims {
		v.cas.Claim(pin, name)
	}
	return err
}

// apply has the store judge by the rules in force.
func (v *verdicts) apply(ctx context.Context, db *store.DB) error {
	if err := v.recall(ctx, db); err != nil {
		return err
	}
	if err := db.Rejudge(ctx, *v.digest.Load()); err != nil {
		return err
	}
	return db.RejudgeLearned(ctx)
}

// A teacher has the rules know the CAs whose certificates logs show in chains. It
// implements follow.Issuers.
type teacher struct {
	*verdicts
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
	if err := t.db.Learn(ctx, learned...); err != nil {
		return err
	}
	return t.db.RejudgeIssuers(ctx, issuers...)
}
