// Package format writes pin sets in the forms that clients read, and reads what
// clients ship, one file for each form:
//
//	android   Android network security configuration (XML)
//	ios       NSAppTransportSecurity / NSPinnedDomains (property list)
//	trustkit  TrustKit's TSKConfiguration (property list)
//	okhttp    OkHttp's CertificatePinner (Kotlin; Java is read, too, where it is certain)
//	approov   Approov's pin JSON
//	curl      the value of curl's --pinnedpubkey
//	tlsa      DANE TLSA records (RFC 6698, RFC 7671)
//	json      ctwatch's own
//
// What a form means is decided by the rules of its own client, not by a rule that
// all have in common: each file holds Encode, Decode, and the client's way to match
// hosts and chains as pins.Rules. What is written is read back before it is
// returned, by the same rules, so that nothing leaves that loses or widens what the
// set says. A host pattern that a form cannot express is spelled out host by host
// where the hosts are known, and refused with the reason where they are not.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/pins"
)

// A Format is one form of pin set. Its functions may be called concurrently.
type Format struct {
	Name      string // as commands and the configuration name it
	Title     string // for people
	Extension string // of files, with the dot
	MediaType string

	// Encode writes a set, the same bytes for the same set. It fails with a
	// *RefusedError for a set that the form cannot express.
	Encode func(pins.Set) ([]byte, error)

	// Decode reads what an app ships. Its errors are *SyntaxErrors where they are
	// about a place in the file. What would make the client fail, or fall silently back
	// to no pinning, is a *ClientError; other errors are about what cannot be read.
	Decode func(data []byte) (pins.Rules, error)
}

// MaxSize bounds a file that is decoded, in bytes.
const MaxSize = 4 << 20

// All lists the formats, in the order in which help texts name them.
func All() []Format {
	return []Format{android(), ios(), trustkit(), okhttp(), approov(), curl(), tlsa(), ours()}
}

// Names lists the names of all formats.
func Names() []string {
	var out []string
	for _, f := range All() {
		out = append(out, f.Name)
	}
	return out
}

// Find returns the format with a name.
func Find(name string) (Format, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, fmt.Errorf("no pin format is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return all[i], nil
}

// ErrUnknown is returned by Detect for a file in no known format.
var ErrUnknown = errors.New("not in a known pin format")

// A SyntaxError is a mistake at a place in a file.
type SyntaxError struct {
	Line, Column int // from 1; 0 when unknown
	Err          error
}

// Error writes "line:column: message", for a caller to put the file's name before.
func (e *SyntaxError) Error() string {
	switch {
	case e.Line == 0:
		return e.Err.Error()
	case e.Column == 0:
		return fmt.Sprintf("%d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err)
}

func (e *SyntaxError) Unwrap() error { return e.Err }

// A ClientError is about a file that can be read, and whose client would ignore what it
// says, or end the app on it: the answer to whether it is safe to ship is no.
type ClientError struct{ Err error }

func (e *ClientError) Error() string { return e.Err.Error() }

func (e *ClientError) Unwrap() error { return e.Err }

// A RefusedError says why a set is not written in a form.
type RefusedError struct {
	Format string
	Host   string // the host or pattern concerned; "" for the set as a whole
	Reason string // a sentence for a person, which says what to do
}

func (e *RefusedError) Error() string {
	if e.Host == "" {
		return fmt.Sprintf("%s: %s", e.Format, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", e.Format, e.Host, e.Reason)
}
