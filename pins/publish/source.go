package publish

import (
	"context"
	"errors"
	"strings"
	"time"

	"ctwatch/pins"
)

// A Document is what is published of an app now. It is not changed once a Source has
// returned it.
type Document struct {
	App     string
	Serial  int64 // greater than that of every earlier document of the app
	Set     pins.Set
	Payload []byte // made by Payload, of this set

	Issued       time.Time
	RefreshAfter time.Time
	Expires      time.Time

	Leaves []Leaf // of the certificates served now, and of those to come if known

	// NoFiles says why the forms that are not signed are withheld, although the signed
	// ones are not: a file that is built into an app cannot say that it says nothing of
	// a host. So is a Wultra document without certificates. Nil if they are served.
	NoFiles *Withheld
}

// A Source knows the documents of apps. Its methods are called concurrently, for
// every request, with names of apps that strangers choose.
type Source interface {
	// Document returns what is published of an app. It fails with ErrNoApp if there
	// is no such app, and with a *Withheld if nothing may be published of it now.
	Document(ctx context.Context, app string) (*Document, error)
}

// ErrNoApp says that there is no such app.
var ErrNoApp = errors.New("no such app")

// A Withheld says why nothing is published of an app now, or nothing in a form: a set
// that lacks the key that is served would break the app. Devices keep what they have.
type Withheld struct {
	Reasons []string // for each host, which everybody may read
}

func (w *Withheld) Error() string {
	return "the pins are withheld: " + strings.Join(w.Reasons, "; ")
}
