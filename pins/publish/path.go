package publish

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// The paths of what is served.
const (
	pathPrefix = "/pins/"
	pathJWKS   = "jwks.json"
)

// maxApp bounds the name of an app in a path, in bytes.
const maxApp = 512

// A target is what a path names: the keys, or a document of an app.
type target struct {
	jwks bool
	app  string
	file string // the format's name, or a file's extension without the dot
}

// parsePath reads the path of a request, as it is escaped there:
//
//	/pins/jwks.json     the keys
//	/pins/{app}.{file}  where the last dot is the one that counts
//	/pins/{app}/wultra  the same as /pins/{app}.wultra
//
// In the name of an app a slash is written %2F.
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
