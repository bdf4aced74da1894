package pins

import (
	"errors"
	"fmt"
	"time"
)

// An Approval says that a key may be pinned for hosts.
type Approval struct {
	Pin       Pin
	Role      Role   // optional: every role the key is known in, or else leaf
	Algorithm string // optional: recorded where it is not known
	Hosts     []Pattern
	// Declare makes an unknown key known.
	Declare bool
	Actor   Actor  // Person or Policy
	By      string // who
	Reason  string
	// Despite approves a key of which nothing is known but certificates that should not
	// exist.
	Despite bool
}

// Errors of an approval and of other changes of a key.
var (
	// ErrState says that the state of a key does not allow the change.
	ErrState = errors.New("the key's state forbids it")
	// ErrUnexpected says that a key has a certificate which should not exist, and that a
	// person who approves it has to confirm that.
	ErrUnexpected = errors.New("it is unexpected, so its key cannot be approved")
)

// A stateError says why a change is not allowed. It is ErrState.
type stateError string

func (e stateError) Error() string        { return string(e) }
func (e stateError) Is(target error) bool { return target == ErrState }

// Check returns an error for an approval that is incomplete or that nobody may give.
func (a *Approval) Check() error {
	switch {
	case a.Pin.IsZero():
		return errors.New("there is no pin to approve")
	case a.Pin.Check() != nil:
		return a.Pin.Check()
	case len(a.Hosts) == 0:
		return errors.New("a key is approved for hosts: name at least one")
	case a.Actor != Person && a.Actor != Policy:
		return stateError(fmt.Sprintf("only a person or a policy approves, and not %q", a.Actor))
	case a.Role != "" && a.Role != RoleLeaf && a.Role != RoleIssuer:
		return fmt.Errorf("role %q: want %q or %q", a.Role, RoleLeaf, RoleIssuer)
	}
	return nil
}

// ShippedFile is the pin file of one released version of an app, in a client's own format,
// as it was read.
type ShippedFile struct {
	App, Version string
	Format       string
	Name         string // of the file
	Content      []byte
	By           string // who imported it

	ImportedAt time.Time // set when it is read
}
