// Package format writes pin sets in the formats that clients read, and reads what apps
// ship, one file for each format:
//
//	android   Android network security configuration (XML)
//	ios       NSAppTransportSecurity / NSPinnedDomains (property list)
//	trustkit  TrustKit's TSKConfiguration (property list)
//	okhttp    OkHttp's CertificatePinner (Kotlin; Java can be read, too)
//	approov   Approov's pin JSON
//	curl      the value of curl's --pinnedpubkey
//	tlsa      DANE TLSA records (RFC 6698, RFC 7671)
//	json      ctwatch's own
//
// Each file holds Encode, Decode, and the client's own way to match hosts and chains as
// pins.Rules, since clients differ in what their formats mean. Encode reads back what it
// wrote by the same rules, so that no file loses or widens what the set says. A host
// pattern that a format cannot express is written host by host if the hosts are known,
// and refused with the reason if they are not.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/pins"
)

// A Format reads and writes pin sets for one kind of client. Its functions may be called
// concurrently.
type Format struct {
	Name      string // as commands and the configuration name it
	Title     string // for people
	Extension string // of files, with the dot
	MediaType string

	// Encode returns the file for a set: the same bytes for the same set. It fails with a
	// *RefusedError for a set that the format cannot express.
	Encode func(pins.Set) ([]byte, error)

	// Decode returns the rules in a file that an app ships. Errors about a place in the
	// file are *SyntaxErrors. A *ClientError means that the client would fail, or silently
	// not pin; other errors mean that the file cannot be read.
	Decode func(data []byte) (pins.Rules, error)
}

// MaxSize bounds the files that Decode accepts, in bytes.
const MaxSize = 4 << 20

// All returns the formats, in the order of help texts.
func All() []Format {
	return []Format{android(), ios(), trustkit(), okhttp(), approov(), curl(), tlsa(), ours()}
}

// Names returns the names of all formats.
func Names() []string {
	var out []string
	for _, f := range All() {
		out = append(out, f.Name)
	}
	return out
}

// Find returns the format of a name.
func Find(name string) (Format, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, fmt.Errorf("no pin format is called %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return all[i], nil
}

// ErrUnknown is the error of Detect for a file in no known format.
var ErrUnknown = errors.New("not in a known pin format")

// A SyntaxError is an error at a place in a file.
type SyntaxError struct {
	Line, Column int // from 1; 0 when unknown
	Err          error
}

// Error returns "line:column: message", for a caller to prefix with the file's name.
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

// A ClientError is about a file that can be read, but that its client would ignore, or
// crash on: it is not safe to ship.
type ClientError struct{ Err error }

func (e *ClientError) Error() string { return e.Err.Error() }

func (e *ClientError) Unwrap() error { return e.Err }

// A RefusedError is the reason why a format cannot express a set.
type RefusedError struct {
	Format string
	Host   string // the host or pattern concerned; "" for the set as a whole
	Reason string // a sentence, with what to do
}

func (e *RefusedError) Error() string {
	if e.Host == "" {
		return fmt.Sprintf("%s: %s", e.Format, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", e.Format, e.Host, e.Reason)
}
