package configs

// notYet are the settings that are read and checked, and that nothing acts upon in
// this version.
var notYet = []string{"fleet"}

// Unused lists the settings of the file that this version accepts without acting
// upon them, in the file's order. Nobody should rely on what is not there.
func (c *Config) Unused() Errors {
	if c.src == nil {
		return nil
	}
	var out Errors
	for _, path := range notYet {
		if p, ok := c.src.places[path]; ok {
			out = append(out, &Error{File: c.src.file, Line: p.line, Column: p.column, Msg: "setting " + path + " is accepted but not acted upon by this version"})
		}
	}
	return out.Sorted()
}
