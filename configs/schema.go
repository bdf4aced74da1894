package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A field is a setting of a struct.
type field struct {
	name  string
	index []int  // as in reflect.Value.FieldByIndex
	opts  string // comma-separated
}

func (f field) has(option string) bool { return hasOption(f.opts, option) }

func hasOption(opts, option string) bool {
	return slices.Contains(strings.Split(opts, ","), option)
}

// fieldsOf lists the settings of a struct in their order, with those of embedded structs.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for _, f := range reflect.VisibleFields(t) {
		if tag, ok := f.Tag.Lookup("yaml"); ok {
			name, opts, _ := strings.Cut(tag, ",")
			out = append(out, field{name, f.Index, secretOption(f.Type, opts)})
		}
	}
	return out
}

// secretOption adds the option "secret" for fields that have two settings, NAME and
// NAME_file.
func secretOption(t reflect.Type, opts string) string {
	if t == reflect.TypeFor[Secret]() {
		return opts + ",secret"
	}
	return opts
}

// find returns the field of a key; asFile is set for the NAME_file of a secret.
func find(fields []field, key string) (f field, asFile, ok bool) {
	for _, f := range fields {
		if f.name == key {
			return f, false, true
		}
		if f.has("secret") && f.name+"_file" == key {
			return f, true, true
		}
	}
	return field{}, false, false
}

// names lists the keys of a struct.
func names(fields []field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.name)
		if f.has("secret") {
			out = append(out, f.name+"_file")
		}
	}
	return out
}

// suggest returns which settings an unknown key may mean.
func suggest(fields []field, key string) string {
	best, bestDistance := "", 3
	for _, name := range names(fields) {
		if d := distance(key, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("perhaps %q", best)
	}
	return "one of " + strings.Join(names(fields), ", ")
}

// distance returns the number of letters to insert, delete or replace to get from a to b,
// at most 3.
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], 3)
}

// expected describes the values of a type.
func expected(t reflect.Type) string {
	if l, ok := leafOf(reflect.New(t).Elem()); ok {
		return l.want
	}
	if t == reflect.TypeFor[Watch]() {
		return "a domain, or a mapping with \"domain\""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Struct:
		return "a mapping with " + strings.Join(names(fieldsOf(t)), ", ")
	case reflect.Map:
		return "a mapping"
	}
	return "a list"
}

// newDefault returns a pointer to a new value with its defaults.
func newDefault(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if v, ok := p.Interface().(interface{ setDefaults() }); ok {
		v.setDefaults()
	}
	return p
}

// quote quotes text of the file for an error, at most 60 characters of it.
func quote(s string) string {
	const limit = 60
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
