package configs

import (
	"cmp"
	"slices"
)

// notYet are the settings that are read and checked, and that nothing acts upon in
// this version.
var notYet = []string{"http.public_url", "fleet"}

// Unused lists the settings of the file that this version accepts without acting
// upon them, each as "FILE:LINE:COL: setting X is accepted but not acted upon by
// this version", in the file's order. Nobody should rely on what is not there.
func (c *Config) Unused() []string {
	if c.src == nil {
		return nil
	}
	var paths []string
	for _, path := range notYet {
		if _, ok := c.src.places[path]; ok {
			paths = append(paths, path)
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
