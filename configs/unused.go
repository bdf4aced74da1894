package configs

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// notYet are the settings that are read and checked, and that nothing acts upon in
// this version.
var notYet = map[string]bool{
	"email": true, "webhooks": true, "hooks": true, "http.public_url": true, "fleet": true,
}

var anyIndex = regexp.MustCompile(`\[[0-9]+\]`)

// Unused lists the settings of the file that this version accepts without acting
// upon them, each as "FILE:LINE:COL: setting X is accepted but not acted upon by
// this version", in the file's order. Nobody should rely on what is not there.
func (c *Config) Unused() []string {
	if c.src == nil {
		return nil
	}
	var paths []string
	for path := range c.src.places {
		if notYet[anyIndex.ReplaceAllString(path, "[]")] {
			paths = append(paths, path)
		}
	}
	for i, w := range c.Watch {
		for j, issuer := range w.Issuers {
			// Of issuers, those named by their key are acted upon.
			path := fmt.Sprintf("watch[%d].issuers[%d]", i, j)
			if _, ok := c.src.places[path]; ok && !strings.HasPrefix(issuer, "sha256/") {
				paths = append(paths, path)
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		p, q := c.src.at(a), c.src.at(b)
		return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column), cmp.Compare(a, b))
	})
	var out []string
	for _, path := range paths {
		p := c.src.at(path)
		e := Error{File: c.src.file, Line: p.line, Column: p.column, Msg: "setting " + path + " is accepted but not acted upon by this version"}
		out = append(out, e.Error())
	}
	return out
}
