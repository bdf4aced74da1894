package configs

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Show writes the effective configuration as YAML that Load accepts again, with
// paths made absolute. Secrets appear as the configuration has them: a file's name
// or ${NAME}, as does every other value that came from the environment. User names
// and passwords in URLs are hidden.
func (c *Config) Show() ([]byte, error) {
	s := shower{src: c.src}
	s.object("", reflect.ValueOf(c).Elem(), 0)
	if s.err != nil {
		return nil, s.err
	}
	return s.Bytes(), nil
}

// A shower writes YAML in block style. It is our own for the sake of the places
// where values came from, and because it quotes whatever could be misread.
type shower struct {
	bytes.Buffer
	src *source
	err error
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
	switch {
	case isLeaf(v.Type()):
		fmt.Fprintf(s, " %s\n", s.scalar(path, v))
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
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			s.line(indent+2, quoteYAML(k.String())+":")
			s.value(path+"["+k.String()+"]", v.MapIndex(k), indent+2)
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
	if isLeaf(v.Type()) {
		s.line(indent, "- "+s.scalar(path, v)+"\n")
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
	case secret.IsSet(): // by NewSecret, which has nothing to show for it
		s.line(indent, "# "+name+": "+hidden+"\n")
	}
}

func (s *shower) line(indent int, text string) {
	s.WriteString(strings.Repeat(" ", indent))
	s.WriteString(text)
}

// scalar writes a single value.
func (s *shower) scalar(path string, v reflect.Value) string {
	if s.src != nil {
		if w, ok := s.src.written[path]; ok && w.is(fmt.Sprint(plain(v))) {
			switch v.Interface().(type) {
			case URL:
				return quoteYAML(redact(w.text, onlyReferences))
			case SecretURL:
				return quoteYAML(redactSecret(w.text, onlyReferences))
			}
			return quoteYAML(w.text)
		}
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case URL:
		return quoteYAML(escape(x.Redacted()))
	case SecretURL:
		return quoteYAML(escape(x.Redacted()))
	case []byte:
		return quoteYAML(base64.StdEncoding.EncodeToString(x))
	case bool, int, Start:
		return fmt.Sprint(x)
	case fmt.Stringer:
		return quoteYAML(x.String())
	}
	if v.Kind() == reflect.String {
		return quoteYAML(escape(v.String()))
	}
	s.err = fmt.Errorf("showing %s: no way to write a %s", path, v.Type())
	return ""
}

// onlyReferences reports whether the secret in a URL's user part is from the
// environment as a whole, so that writing it as it is in the file tells nothing.
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

// A plainText needs no quotes: it can be nothing but a string.
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
