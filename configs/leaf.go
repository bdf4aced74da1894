package configs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ctwatch/ctwatch"
	"ctwatch/pins"
)

// A leaf reads and writes a setting that is a single value.
type leaf struct {
	want string                  // what is expected
	bare bool                    // written without quotes
	read func(text string) error // sets the setting; an errValue says why not
	text func() string           // the setting as the file has it
}

// An errValue says what is wrong with a value and what is wanted, and continues a sentence
// that begins with the value. Any other error of leaf.read means that leaf.want is wanted.
type errValue string

func (e errValue) Error() string { return string(e) }

// leafOf returns the leaf of a setting; ok is false for lists and mappings.
func leafOf(v reflect.Value) (l leaf, ok bool) {
	switch p := v.Addr().Interface().(type) {
	case *bool:
		return leafFor(p, "true or false", true, parseBool, strconv.FormatBool), true
	case *int:
		return leafFor(p, "a whole number", true, strconv.Atoi, strconv.Itoa), true
	case *time.Duration:
		return leafFor(p, "a duration with its unit, such as 30s, 10m, 336h or 14d", true, ctwatch.ParseDuration, ctwatch.FormatDuration), true
	case *ctwatch.Start:
		return leafFor(p, `"now", "beginning", or how far to look back, such as 720h or 30d`, true, ctwatch.ParseStart, ctwatch.Start.String), true
	case *pins.Pin:
		return leafFor(p, `a pin: "sha256/" and the base64 of a SHA-256, 44 characters`, false, parsePin, pins.Pin.String), true
	case *pins.Pattern:
		return leafFor(p, `a host, or a pattern such as "*.example.com"`, false, parsePattern, pins.Pattern.String), true
	case *pins.Endpoint:
		return leafFor(p, `host:port, such as "api.example.com:443"`, false, parseEndpoint, pins.Endpoint.HostPort), true
	case *[]byte:
		return leafFor(p, "base64", false, parseBase64, base64.StdEncoding.EncodeToString), true
	}
	if v.Kind() != reflect.String {
		return leaf{}, false
	}
	return leaf{
		want: "a text",
		read: func(text string) error { v.SetString(text); return nil },
		text: func() string { return reflect.ValueOf(v.Interface()).String() },
	}, true
}

func leafFor[T any](p *T, want string, bare bool, parse func(string) (T, error), format func(T) string) leaf {
	return leaf{
		want: want, bare: bare,
		read: func(text string) (err error) { *p, err = parse(text); return err },
		text: func() string { return format(*p) },
	}
}

// wrong returns what is wrong with a text, from the error of read.
func (l leaf) wrong(text string, err error) string {
	var said errValue
	if errors.As(err, &said) {
		return quote(text) + " " + string(said)
	}
	return quote(text) + " is not valid; want " + l.want
}

// isLeaf reports whether values of a type are written as a single value.
func isLeaf(t reflect.Type) bool {
	_, ok := leafOf(reflect.New(t).Elem())
	return ok
}

var errInvalid = errors.New("not valid")

func parseBool(text string) (bool, error) {
	is := strings.EqualFold(text, "true")
	if !is && !strings.EqualFold(text, "false") {
		return false, errInvalid
	}
	return is, nil
}

func parseBase64(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(b) == 0 {
		err = errInvalid
	}
	return b, err
}

func parsePin(text string) (pins.Pin, error) {
	pin, err := pins.Parse(text)
	if noKey := new(pins.NoKeyError); errors.As(err, &noKey) {
		err = errValue(fmt.Sprintf("is not valid; no key has this pin: it is %s; want the pin of a key", noKey.What))
	}
	return pin, err
}

func parsePattern(text string) (pins.Pattern, error) {
	p, err := pins.ParsePattern(text)
	if err != nil {
		err = errValue(err.Error() + `, or a pattern such as "*.example.com"`)
	}
	return p, err
}

func parseEndpoint(text string) (pins.Endpoint, error) {
	e, err := pins.ParseEndpoint(text)
	if err == nil {
		_, _, err = net.SplitHostPort(text)
	}
	if err != nil {
		err = errValue(`is not an endpoint; want host:port, such as "api.example.com:443"`)
	}
	return e, err
}

// A redacter is a type of texts that may contain secrets. redact hides those in a text of
// the type, except for what may be kept.
type redacter interface {
	redact(text string, keep func(part string) bool) string
}

// A URL may contain a user name and a password, or a token in their place. Printing it
// hides them; convert it to string to use it.
type URL string

// Redacted returns the URL, or several separated by commas, with what is before an "@"
// hidden. The result is a URL.
func (u URL) Redacted() string { return u.redact(string(u), keepNothing) }

func keepNothing(string) bool { return false }

// redact does not parse the URL: a malformed one may contain a secret, too.
func (URL) redact(urls string, keep func(user string) bool) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		start := 0
		if scheme := strings.Index(part, "://"); scheme >= 0 {
			start = scheme + len("://")
		}
		end := len(part)
		if n := strings.IndexAny(part[start:], "/?#"); n >= 0 {
			end = start + n
		}
		if at := strings.LastIndexByte(part[:end], '@'); at >= start && !keep(part[start:at]) {
			parts[i] = part[:start] + "xxxxx" + part[at:]
		}
	}
	return strings.Join(parts, ",")
}

// Format implements fmt.Formatter for every verb, with Redacted.
func (u URL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.Redacted()) }

// String returns Redacted.
func (u URL) String() string { return u.Redacted() }

// MarshalText returns Redacted.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.Redacted()), nil }

// LogValue returns Redacted.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.Redacted()) }

// A SecretURL is a URL in which everything after the host may be secret, as in those of
// incoming webhooks. Printing it hides that, and what is before an "@"; convert it to
// string to use it.
type SecretURL string

// Redacted returns the URL with what may be secret hidden. The result is a URL.
func (u SecretURL) Redacted() string { return u.redact(string(u), keepNothing) }

func (SecretURL) redact(url string, keep func(secret string) bool) string {
	url = URL("").redact(url, keep)
	start := 0
	if scheme := strings.Index(url, "://"); scheme >= 0 {
		start = scheme + len("://")
	}
	if n := strings.IndexAny(url[start:], "/?#"); n >= 0 {
		if secret := strings.Trim(url[start+n:], "/"); secret != "" && !keep(secret) {
			url = url[:start+n] + "/xxxxx"
		}
	}
	return url
}

// Format implements fmt.Formatter for every verb, with Redacted.
func (u SecretURL) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.Redacted()) }

// String returns Redacted.
func (u SecretURL) String() string { return u.Redacted() }

// MarshalText returns Redacted.
func (u SecretURL) MarshalText() ([]byte, error) { return []byte(u.Redacted()), nil }

// LogValue returns Redacted.
func (u SecretURL) LogValue() slog.Value { return slog.StringValue(u.Redacted()) }
