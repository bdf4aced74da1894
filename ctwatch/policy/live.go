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

// A Live is the policy in force: it judges for the store, and can be replaced while in use.
// It is safe for concurrent use.
type Live struct {
	CAs *CAs
	// CAA caches records that were looked up, for certificates without records of their
	// own. Optional.
	CAA *Checker
	// Version is the program's: another version may judge differently. Optional.
	Version string

	policy atomic.Pointer[Policy]
}

// NewLive returns a Live with rules and the built-in CAs.
func NewLive(rules []Rule, version string) *Live {
	l := &Live{CAs: NewCAs(), Version: version}
	l.Replace(rules)
	return l
}

// Replace puts other rules in force. The store keeps verdicts by the old ones until Apply.
func (l *Live) Replace(rules []Rule) { l.policy.Store(New(rules, l.CAs)) }

// Policy returns the policy in force.
func (l *Live) Policy() *Policy { return l.policy.Load() }

// Judge judges a certificate by the policy in force. It is a ctwatch.Judge.
func (l *Live) Judge(c *ctwatch.Certificate, s ctwatch.Standing) ctwatch.Judgment {
	p := l.Policy()
	cached := ""
	if s.CAA == "" && l.CAA != nil {
		cached = l.CAA.cachedJSON(p.CAANames(c))
		s.CAA = cached
	}
	j := p.Judge(c, s)
	j.Records = cached
	return j
}

// A Store keeps the issuing keys that were learned, and judges certificates again.
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

// Recall loads what earlier runs learned about issuing keys.
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

// Apply judges the store's certificates by the policy in force.
func (l *Live) Apply(ctx context.Context, store Store) error {
	if err := l.Recall(ctx, store); err != nil {
		return err
	}
	if err := store.RejudgeAll(ctx, l.digest()); err != nil {
		return err
	}
	return store.RejudgeNew(ctx)
}

// semantics changes when the same rules give other verdicts, so that all certificates are
// judged again.
const semantics = "issuers by signature;"

// digest identifies the rules, the version and the semantics.
func (l *Live) digest() string {
	b, _ := json.Marshal(l.Policy().rules) // texts and numbers
	sum := sha256.Sum256(append(b, semantics+l.Version...))
	return hex.EncodeToString(sum[:])
}
