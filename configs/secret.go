package configs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"ctwatch/ctwatch"
	"ctwatch/files"
)

// maxSecret bounds a secret's file, in bytes.
const maxSecret = 64 << 10

// hidden is what secrets print.
const hidden = "(secret)"

// A Secret is a value that prints "(secret)" in every way. The zero Secret is unset.
type Secret struct {
	// reveal is a function, so that printing by reflection does not show the value.
	reveal func() (string, error)
	// file is the path of its file, and text the reference to the environment, as Show
	// writes them.
	file, text string
	// at is the absolute path of its file; "" if it has none.
	at string
	// path is that of its setting, such as "slack.token_file".
	path string
}

// NewSecret returns a Secret with a value, for configurations without a file. The value ""
// gives an unset Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{reveal: func() (string, error) { return value, nil }}
}

// IsSet reports whether a secret is configured. It may still be unreadable.
func (s Secret) IsSet() bool { return s.reveal != nil }

// Reveal returns the value: the only line of the file, of at most 64 KiB, or the variables
// of the environment; "" for an unset Secret. It reads the file each time, so that a secret
// can be replaced. The error is an *Error without the value.
func (s Secret) Reveal() (string, error) {
	if s.reveal == nil {
		return "", nil
	}
	return s.reveal()
}

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// String returns "(secret)".
func (Secret) String() string { return hidden }

// GoString returns "(secret)".
func (Secret) GoString() string { return hidden }

// MarshalText returns "(secret)", for JSON and every other encoding.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "(secret)".
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// readSecret reads a secret's file.
func readSecret(file string) (string, error) {
	f, err := files.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("the file is larger than %d bytes", maxSecret)
	}
	if b, err = files.Text(b); err != nil {
		return "", err
	}
	return oneLine(string(b))
}

// oneLine removes the end of the line, and fails if that leaves no secret of one line.
func oneLine(s string) (string, error) {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return "", errors.New("it is empty")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", errors.New("it has more than one line, or control characters")
	}
	return s, nil
}

// secret decodes NAME or NAME_file of a Secret. It does not read the secret.
func (d *decoder) secret(path string, n ast.Node, v reflect.Value, asFile bool) {
	text, _, ok := scalarText(n)
	if !ok {
		d.fail(path, "is %s; want %s", describe(n), secretWant(asFile))
		return
	}
	if asFile {
		var file string
		elem := reflect.ValueOf(&file).Elem()
		d.scalar(path, n, elem, "cred")
		if file == "" {
			return // unset, or a recorded mistake
		}
		shown := file
		if w, ok := d.written[path]; ok {
			shown = w.text
		}
		v.Set(reflect.ValueOf(Secret{path: path, file: shown, at: file, reveal: func() (string, error) {
			value, err := readSecret(file)
			if err != nil {
				e := d.errorf(path, "cannot be read: %v; want a file with the secret on one line", err)
				e.Err = err
				return "", e
			}
			return value, nil
		}}))
		return
	}
	if text == "" {
		return // unset
	}
	if names, err := references(text); err != nil || len(names) == 0 {
		d.fail(path, "a secret does not belong in this file; want %s", secretWant(asFile))
		return
	}
	v.Set(reflect.ValueOf(Secret{path: path, text: text, reveal: func() (string, error) {
		value, _, err := d.expand(text)
		if err == nil {
			value, err = oneLine(value)
		}
		if err != nil {
			e := d.errorf(path, "cannot be read: %v; want %s", err, secretWant(false))
			return "", e
		}
		return value, nil
	}}))
}

func secretWant(asFile bool) string {
	if asFile {
		return "the name of a file or of a credential"
	}
	return "${NAME} of an environment variable, or the setting that ends in _file"
}

// CheckSecrets reads all secrets. The error, Errors, has those that cannot be read, and
// files with secrets, and the data directory, if other users can read or change them.
func (c *Config) CheckSecrets() error {
	var errs Errors
	try := func(path string, s Secret, check func(string) string) {
		path = cmp.Or(s.path, path)
		value, err := s.Reveal()
		if err == nil && s.IsSet() && check != nil {
			if wrong := check(value); wrong != "" {
				err = c.Errorf(path, "%s", wrong)
			}
		}
		if err == nil && s.at != "" {
			if e := c.private(path, s.at); e != nil {
				err = e
			}
		}
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) {
			e = c.src.errorf(path, "cannot be read; want a secret of one line")
		}
		errs = append(errs, e)
	}
	web := func(v string) string {
		if _, err := ctwatch.ParseURL(v, "http", "https"); err != nil {
			return err.Error()
		}
		return ""
	}
	if s := c.Slack; s != nil {
		try("slack.token", s.Token, nil)
		try("slack.webhook_url", s.WebhookURL, web)
		try("slack.app_token", s.AppToken, nil)
	}
	if e := c.Email; e != nil {
		try("email.password", e.Password, nil)
	}
	for i, w := range c.Webhooks {
		try(fmt.Sprintf("webhooks[%d].secret", i), w.Secret, nil)
	}
	for i, s := range c.Services {
		try(fmt.Sprintf("services[%d].url", i), s.URL, nil)
	}
	try("heartbeat.url", c.Heartbeat.URL, web)
	errs = append(errs, c.checkPrivate()...)
	return errs.asError()
}

// checkPrivate returns errors about the data directory, and about files of keys and
// tokens, that other users can read or change. What does not exist yet will be created as
// private.
func (c *Config) checkPrivate() (errs Errors) {
	check := func(path, file string) {
		if e := c.private(path, file); e != nil {
			errs = append(errs, e)
		}
	}
	if info, err := os.Stat(c.DataDir); err == nil && info.IsDir() { // else it cannot be used at all
		check("data_dir", c.DataDir)
	}
	check("http.tokens_file", c.HTTP.TokensFile)
	if t := c.HTTP.TLS; t != nil {
		check("http.tls.key", t.Key)
	}
	check("nats.credentials_file", c.NATS.CredentialsFile)
	if t := c.NATS.TLS; t != nil {
		check("nats.tls.key", t.Key)
	}
	if key := c.Signing.KeyFile; key != "" {
		// While a key is replaced, the next one and the old one are beside it.
		for _, file := range []string{key, key + ".next", key + ".old"} {
			check("signing.key_file", file)
		}
	}
	return errs
}

// private returns an error about a setting whose file other users can read or change; nil
// if there is no file. systemd protects its credentials itself.
func (c *Config) private(path, file string) *Error {
	if file == "" || c.src != nil && slices.ContainsFunc(c.src.credentials, func(dir string) bool {
		return strings.HasPrefix(file, dir+string(filepath.Separator))
	}) {
		return nil
	}
	err := files.CheckPrivate(file)
	if err == nil {
		return nil
	}
	return c.src.errorf(path, "%w", err)
}
