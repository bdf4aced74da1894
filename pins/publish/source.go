package publish

import (
	"context"
	"errors"
	"strings"
	"time"

	"ctwatch/pins"
)

// A Publication is a pin document of an app, with what its other forms are made of. It
// does not change once a Source has returned it.
type Publication struct {
	pins.Document

	RefreshAfter time.Time
	Expires      time.Time

	Set    pins.Set    // from which Payload made the document's payload
	Leaves []pins.Leaf // the certificates that are served now, and known ones to come

	// NoFiles is why the unsigned forms are withheld although the signed ones are not: a
	// file that is built into an app cannot leave a host's pins open. The same holds for
	// a Wultra document without certificates. Nil if they are served.
	NoFiles *Withheld
}

// A Source has the publications of apps. Its methods are called concurrently, for every
// request, with names of apps that anyone may choose.
type Source interface {
	// Publication returns what is published of an app. It fails with ErrNoApp if there
	// is no such app, and with a *Withheld if nothing may be published of it now.
	Publication(ctx context.Context, app string) (*Publication, error)
}

// ErrNoApp means that there is no such app.
var ErrNoApp = errors.New("no such app")

// A Withheld is why nothing, or one form not, is published of an app now: a set without
// the key that is served would break the app. Devices keep what they have.
type Withheld struct {
	Reasons []string // one for each host; public
}

func (w *Withheld) Error() string {
	return "the pins are withheld: " + strings.Join(w.Reasons, "; ")
}
