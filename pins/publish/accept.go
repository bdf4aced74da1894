package publish

import (
	"mime"
	"strconv"
	"strings"
)

// maxAccept bounds what is read of an Accept header field, in bytes.
const maxAccept = 1 << 10

// prefers reports whether a client that sent this Accept header field (RFC 9110
// §12.5.1) would rather have one media type than another: of a higher quality, or of
// the same one and named more precisely.
func prefers(accept, one, other string) bool {
	if len(accept) > maxAccept {
		return false
	}
	q1, precise1 := quality(accept, one)
	q2, precise2 := quality(accept, other)
	return q1 > q2 || q1 == q2 && q1 > 0 && precise1 > precise2
}

// quality returns how much a media type is wanted, from 0 to 1, and how precisely
// what says so names it.
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
