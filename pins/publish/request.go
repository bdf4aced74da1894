package publish

import (
	"mime"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The paths of the handler.
const (
	pathPrefix = "/pins/"
	pathJWKS   = "jwks.json"
)

// maxApp bounds the name of an app in a path, in bytes.
const maxApp = 512

// A target is what a path names: the keys, or a form of an app's pins.
type target struct {
	jwks bool
	app  string
	file string // the format's name, or a file's extension without the dot
}

// parsePath parses the escaped path of a request:
//
//	/pins/jwks.json     the keys
//	/pins/{app}.{file}  split at the last dot
//	/pins/{app}/wultra  the same as /pins/{app}.wultra
//
// A slash in the name of an app is written %2F.
func parsePath(escaped string) (t target, ok bool) {
	rest, ok := strings.CutPrefix(escaped, pathPrefix)
	if !ok || rest == pathJWKS {
		return target{jwks: ok}, ok
	}
	first, second, folder := strings.Cut(rest, "/")
	name, err := url.PathUnescape(first)
	if err != nil || !utf8.ValidString(name) {
		return target{}, false
	}
	t.app, t.file = name, second
	if !folder {
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return target{}, false
		}
		t.app, t.file = name[:i], name[i+1:]
	} else if second != kindWultra {
		return target{}, false
	}
	return t, t.app != "" && len(t.app) <= maxApp
}

// maxAccept bounds an Accept header field, in bytes.
const maxAccept = 1 << 10

// prefers reports whether an Accept header field (RFC 9110 §12.5.1) prefers one media type
// to another: by a higher quality, or by the same quality and a more precise name.
func prefers(accept, one, other string) bool {
	if len(accept) > maxAccept {
		return false
	}
	q1, precise1 := quality(accept, one)
	q2, precise2 := quality(accept, other)
	return q1 > q2 || q1 == q2 && q1 > 0 && precise1 > precise2
}

// quality returns the quality of a media type, from 0 to 1, and how precisely the header
// field names it.
func quality(accept, mediaType string) (q float64, precise int) {
	for part := range strings.SplitSeq(accept, ",") {
		wanted, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		p := 0
		switch wanted {
		case mediaType:
			p = 3
		case mediaType[:strings.IndexByte(mediaType, '/')] + "/*":
			p = 2
		case "*/*":
			p = 1
		}
		if p <= precise {
			continue
		}
		q, precise = 1, p
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil || !(q >= 0 && q <= 1) {
				q = 0
			}
		}
	}
	return q, precise
}
