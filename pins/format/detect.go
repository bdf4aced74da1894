package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ctwatch/files"
	"ctwatch/pins"
)

// Detect reads a file and returns its format, which it recognizes by the content. It fails
// with ErrUnknown for a file in no known format, and with the format and its error for a
// file that cannot be read. A property list with pins for App Transport Security and for
// TrustKit is "ios": both formats read all of it, and both kinds of pins apply.
func Detect(data []byte) (Format, pins.Rules, error) {
	if err := checkSize(data); err != nil {
		return Format{}, nil, err
	}
	text, err := files.Text(data)
	if err != nil {
		return Format{}, nil, err
	}
	f, ok := looksLike(data, bytes.TrimSpace(text))
	if !ok {
		return Format{}, nil, ErrUnknown
	}
	rules, err := f.Decode(data)
	return f, rules, err
}

// looksLike guesses the format of a file by its text.
func looksLike(data, text []byte) (Format, bool) {
	switch {
	case bytes.HasPrefix(data, []byte("bplist")):
		return plistLike(data, data)
	case bytes.HasPrefix(text, []byte("<")):
		return xmlLike(data, text)
	case bytes.HasPrefix(text, []byte("{")):
		if doc, err := hasHosts(data); doc || err != nil {
			return ours(), true
		}
		return approov(), true
	case bytes.Contains(text, []byte("CertificatePinner")):
		return okhttp(), true
	case bytes.HasPrefix(text, []byte(curlPrefix)):
		return curl(), true
	case slices.ContainsFunc(strings.Fields(string(text)), func(word string) bool { return strings.EqualFold(word, "TLSA") }):
		return tlsa(), true
	}
	return Format{}, false
}

func xmlLike(data, text []byte) (Format, bool) {
	root, err := newXMLReader(data, "plist").root()
	switch {
	case root.Name.Local == "network-security-config":
		return android(), true
	case root.Name.Local == "plist":
		return plistLike(data, text)
	case err != nil && bytes.Contains(text, []byte("<network-security-config")):
		return android(), true
	case err != nil && bytes.Contains(text, []byte("<plist")):
		return plistLike(data, text)
	}
	return Format{}, false
}

// plistLike recognizes a property list by its keys, or by its text if it cannot be parsed.
func plistLike(data, text []byte) (Format, bool) {
	app, err := readApp(data)
	has := func(key string) bool { return bytes.Contains(text, []byte(key)) }
	switch {
	case err == nil && app.ats != nil:
		return ios(), true
	case err == nil && app.trustkit != nil:
		return trustkit(), true
	case has(atsKey), has(pinnedKey):
		return ios(), true
	case has(tskKey), has(tskDomainsKey):
		return trustkit(), true
	}
	return Format{}, false
}

// ReadFile reads the pins of a file that an app ships, in the format with a name, or, without
// one, in the format that it finds. Errors about the file begin with its name.
func ReadFile(name string, data []byte, formatName string) (f Format, rules pins.Rules, err error) {
	if formatName == "" {
		f, rules, err = Detect(data)
	} else if f, err = Find(formatName); err != nil {
		return f, nil, err
	} else {
		rules, err = f.Decode(data)
	}
	if errors.Is(err, ErrUnknown) {
		return f, nil, fmt.Errorf("%s: %w; want one of %s", name, err, strings.Join(Names(), ", "))
	} else if err != nil {
		var at *SyntaxError
		if errors.As(err, &at) && at.Line > 0 {
			return f, nil, fmt.Errorf("%s:%w", name, err)
		}
		return f, nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, rules, nil
}
