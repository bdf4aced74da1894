package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync/atomic"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A Live is the policy in force: it judges for the store and can be replaced while it is
// in use. Any number of goroutines may use it at once.
type Live struct {
	CAs *CAs
	// CAA remembers records that were looked up, for certificates whose own are not
	// known yet. Optional.
	CAA *Checker
	// Version is that of the program: another one may judge differently. Optional.
	Version string

	policy atomic.Pointer[Policy]
}

// NewLive returns a Live of rules and the built-in CAs.
func NewLive(rules []Rule, version string) *Live {
	l := &Live{CAs: NewCAs(), Version: version}
	l.Replace(rules)
	return l
}

// Replace puts other rules in force. The store goes on with verdicts by the old ones
// until Apply.
func (l *Live) Replace(rules []Rule) { l.policy.Store(New(rules, l.CAs)) }

// Policy returns the policy in force.
func (l *Live) Policy() *Policy { return l.policy.Load() }

// Judge implements ctwatch.Judge by the policy in force.
func (l *Live) Judge(c *ctwatch.Certificate, s ctwatch.Standing) ctwatch.Judgment {
	p := l.Policy()
	remembered := ""
	if s.CAA == "" && l.CAA != nil {
		remembered = l.CAA.remembered(p.CAANames(c))
		s.CAA = remembered
	}
	j := p.Judge(c, s)
	j.Records = remembered
	return j
}

// A Store keeps the issuing keys that were learned, and has certificates judged again.
type Store interface {
	// Keys returns the issuing keys that CAs.Shown found in earlier runs.
	Keys(ctx context.Context) ([]ctwatch.IssuerKey, error)
	// Claims returns the CAs to which earlier versions assigned issuing keys by name.
	Claims(ctx context.Context) (map[pins.Pin]string, error)
	// RejudgeAll judges all certificates again, unless it last did so for the same digest.
	RejudgeAll(ctx context.Context, digest string) error
	// RejudgeNew judges the certificates of learned keys again, if that is due.
	RejudgeNew(ctx context.Context) error
}

// Recall learns again what earlier runs learned about issuing keys.
func (l *Live) Recall(ctx context.Context, store Store) error {
	learned, err := store.Keys(ctx)
	if err != nil {
		return err
	}
	l.CAs.Add(learned...)
	claims, err := store.Claims(ctx)
	for pin, name := range claims {
		l.CAs.Claim(pin, name)
	}
	return err
}

// Apply has the store judge by the policy in force.
func (l *Live) Apply(ctx context.Context, store Store) error {
	if err := l.Recall(ctx, store); err != nil {
		return err
	}
	if err := store.RejudgeAll(ctx, l.digest()); err != nil {
		return err
	}
	return store.RejudgeNew(ctx)
}

// semantics changes when the same rules give another verdict, so that all certificates
// are judged again.
const semantics = "issuers by signature;"

// digest identifies by what certificates are judged.
func (l *Live) digest() string {
	b, _ := json.Marshal(l.Policy().rules) // texts and numbers
	sum := sha256.Sum256(append(b, semantics+l.Version...))
	return hex.EncodeToString(sum[:])
}
