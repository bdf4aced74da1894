package configs

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Show returns the configuration in effect as YAML that Load accepts, with absolute paths.
// It does not contain secrets: they appear as in the file, as a file's name or ${NAME}, like
// all values from the environment. User names and passwords in URLs are hidden.
func (c *Config) Show() []byte {
	s := shower{src: c.src}
	s.object("", reflect.ValueOf(c).Elem(), 0)
	return s.Bytes()
}

// A shower writes YAML in block style, with references to the environment instead of their
// values, and with quotes around all that could be misread.
type shower struct {
	bytes.Buffer
	src *source
}

// object writes the settings of a struct, each on lines of its own.
func (s *shower) object(path string, v reflect.Value, indent int) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if secret, ok := fv.Interface().(Secret); ok {
			s.secret(f.name, secret, indent)
			continue
		}
		if fv.Kind() == reflect.Pointer && fv.IsNil() || f.has("omitempty") && isEmpty(fv) && !(f.has("auto") && !fv.IsNil()) {
			continue
		}
		sub := f.name
		if path != "" {
			sub = path + "." + f.name
		}
		s.line(indent, f.name+":")
		s.value(sub, reflect.Indirect(fv), indent)
	}
}

// value writes what follows a key, up to the end of the last line.
func (s *shower) value(path string, v reflect.Value, indent int) {
	if l, ok := leafOf(v); ok {
		fmt.Fprintf(s, " %s\n", s.scalar(path, v, l))
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		before := s.Len()
		s.WriteByte('\n')
		s.object(path, v, indent+2)
		if s.Len() == before+1 {
			s.Truncate(before)
			s.WriteString(" {}\n")
		}
	case v.Len() == 0 && v.Kind() == reflect.Slice:
		s.WriteString(" []\n")
	case v.Kind() == reflect.Map:
		s.WriteByte('\n')
		values := make(map[string]reflect.Value)
		for key, list := range v.Seq2() {
			value := reflect.New(list.Type()).Elem() // addressable
			value.Set(list)
			values[fmt.Sprint(key)] = value
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			s.line(indent+2, quoteYAML(key)+":")
			s.value(path+"["+key+"]", values[key], indent+2)
		}
	default:
		s.WriteByte('\n')
		for i := range v.Len() {
			s.element(index(path, i), v.Index(i), indent+2)
		}
	}
}

// element writes one element of a list. That of a struct begins on the dash's line.
func (s *shower) element(path string, v reflect.Value, indent int) {
	if l, ok := leafOf(v); ok {
		s.line(indent, "- "+s.scalar(path, v, l)+"\n")
		return
	}
	start := s.Len()
	s.object(path, v, indent+2)
	if written := s.Bytes()[start:]; len(written) > indent {
		written[indent] = '-'
	}
}

func (s *shower) secret(name string, secret Secret, indent int) {
	switch {
	case secret.file != "":
		s.line(indent, name+"_file: "+quoteYAML(secret.file)+"\n")
	case secret.text != "":
		s.line(indent, name+": "+quoteYAML(secret.text)+"\n")
	case secret.IsSet(): // by NewSecret
		s.line(indent, "# "+name+": "+hidden+"\n")
	}
}

func (s *shower) line(indent int, text string) {
	s.WriteString(strings.Repeat(" ", indent))
	s.WriteString(text)
}

// scalar writes a single value.
func (s *shower) scalar(path string, v reflect.Value, l leaf) string {
	text, keep := escape(l.text()), keepNothing
	w, written := written{}, false
	if s.src != nil {
		w, written = s.src.written[path]
	}
	if written && w.is(l.text()) {
		text, keep = w.text, onlyReferences
	} else if l.bare {
		return text
	}
	if secret, ok := v.Interface().(redacter); ok {
		text = secret.redact(text, keep)
	}
	return quoteYAML(text)
}

// onlyReferences reports whether the secret in a URL's user part consists of references to
// the environment, so that they can be shown.
func onlyReferences(user string) bool {
	secret := user
	if _, password, ok := strings.Cut(user, ":"); ok {
		secret = password
	}
	return secret != "" && variable.ReplaceAllString(secret, "") == "" && !strings.Contains(secret, "$$")
}

func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

// A plainText needs no quotes, unless it is a wordValue.
var (
	plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9._/-]*(://?[A-Za-z0-9._/-]+)?$`)
	wordValue = regexp.MustCompile(`(?i)^(null|true|false|yes|no|on|off|y|n)$`)
)

// quoteYAML writes a string, in double quotes where it could be misread.
func quoteYAML(s string) string {
	if plainText.MatchString(s) && !wordValue.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
