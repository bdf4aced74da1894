package pemfile_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ctwatch/pins/pemfile"
)

func block(kind, content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
}

const mark = "\uFEFF"

var (
	leaf = block("CERTIFICATE", "the server's own")
	ca   = block("CERTIFICATE", "its issuer's")
)

// TestReadAcceptsCommonFiles: marks at the beginning, foreign line ends and text between
// blocks hide nothing.
func TestReadAcceptsCommonFiles(t *testing.T) {
	for name, data := range map[string]string{
		"plain":               leaf + ca,
		"byte order mark":     mark + leaf + ca,
		"Windows":             strings.ReplaceAll(leaf+ca, "\n", "\r\n"),
		"early Macintosh":     strings.ReplaceAll(leaf+ca, "\n", "\r"),
		"no last line break":  strings.TrimSuffix(leaf+ca, "\n"),
		"text":                "Bag Attributes\n    friendlyName: a - b\nsubject=CN = the end\n" + leaf + "\n# the CA's\n\n" + ca + "\nbye - end\n",
		"trailing spaces":     strings.ReplaceAll(leaf+ca, "-----\n", "----- \t\n"),
		"blank lines":         strings.ReplaceAll(leaf+ca, "-----\n", "-----\n\n"),
		"indented base64":     strings.ReplaceAll(leaf+ca, "-----\n", "-----\n  "),
		"a column of base64":  strings.ReplaceAll(leaf+ca, "c", "c\n"),
		"a byte order, twice": mark + "# made by a tool\n" + leaf + ca,
	} {
		if name == "indented base64" {
			data = strings.ReplaceAll(data, "  -----", "-----")
		}
		blocks, err := pemfile.Read([]byte(data))
		if err != nil || len(blocks) != 2 || string(blocks[0].Bytes) != "the server's own" || string(blocks[1].Bytes) != "its issuer's" {
			t.Errorf("%s: %v, %v", name, blocks, err)
		}
	}
	old := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	if blocks, err := pemfile.Read([]byte(old)); err != nil || !blocks[0].Encrypted || len(blocks[0].Bytes) != 3 {
		t.Errorf("%+v, %v", blocks, err)
	}
	if blocks, err := pemfile.Read([]byte("\x30\x03\x02\x01\x01")); err != nil || blocks[0].Type != "" || len(blocks[0].Bytes) != 5 {
		t.Errorf("DER: %+v, %v", blocks, err)
	}
}

// TestReadSkipsNoBlock: what was meant to be a block and cannot be read is an error
// that names its line.
func TestReadSkipsNoBlock(t *testing.T) {
	joined := strings.TrimSuffix(leaf, "\n") + ca
	for name, c := range map[string]struct {
		data string
		line int
		says string
	}{
		"a mark between files":   {leaf + mark + ca, 4, "byte order mark"},
		"a mark after text":      {"# leaf\n" + mark + leaf + ca, 2, "byte order mark"},
		"two marks":              {mark + mark + leaf + ca, 1, "byte order mark"},
		"no line break":          {joined, 3, "one line"},
		"text before":            {"cert: " + leaf + ca, 1, "looks like"},
		"an indented block":      {"  " + leaf + ca, 1, "looks like"},
		"text after":             {strings.Replace(leaf, "CERTIFICATE-----\n", "CERTIFICATE----- #\n", 1) + ca, 1, "looks like"},
		"four dashes":            {leaf[1:] + ca, 1, "looks like"},
		"six dashes":             {"-" + leaf + ca, 1, "looks like"},
		"typographic dashes":     {strings.ReplaceAll(leaf, "-----", "—–") + ca, 1, "looks like"},
		"lower case":             {strings.ToLower(leaf) + ca, 1, "looks like"},
		"no space":               {strings.Replace(leaf, "BEGIN ", "BEGIN", 1) + ca, 1, "looks like"},
		"no BEGIN":               {leaf[strings.Index(leaf, "\n")+1:] + ca, 2, "without a BEGIN line"},
		"no END":                 {ca + leaf[:strings.Index(leaf, "-----END")], 4, "no END line"},
		"no END before the next": {leaf[:strings.Index(leaf, "-----END")] + ca, 3, "before the block in line 1 ends"},
		"another END":            {strings.Replace(leaf, "END CERTIFICATE", "END PUBLIC KEY", 1) + ca, 3, "ends as PUBLIC KEY"},
		"no base64":              {strings.Replace(leaf, "\n", "\nAA*A", 1) + ca, 2, `'*'`},
		"a mark in the base64":   {strings.Replace(leaf, "\n", "\n"+mark, 1) + ca, 2, `'\ufeff'`},
		"a letter less":          {strings.Replace(leaf, "\n", "\nA", 1) + ca, 1, "base64"},
		"padding in the middle":  {strings.Replace(leaf, "\n", "\nAA==\n", 1) + ca, 1, "base64"},
		"nothing in it":          {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + ca, 1, "this block is empty"},
		"some carriage returns":  {strings.ReplaceAll(leaf, "\n", "\r") + "\n" + ca, 1, "carriage returns"},
	} {
		blocks, err := pemfile.Read([]byte(c.data))
		var at *pemfile.Error
		if !errors.As(err, &at) || at.Line != c.line || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want line %d: %q", name, blocks, err, c.line, c.says)
		}
	}
	for name, c := range map[string]struct{ data, says string }{
		"empty":  {"", "want PEM"},
		"text":   {"Dear server,\nhere is my certificate.\n", "want PEM"},
		"UTF-16": {"\xff\xfe-\x00-\x00", "UTF-16"},
	} {
		if blocks, err := pemfile.Read([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want %q", name, blocks, err, c.says)
		}
	}
}

// FuzzRead: whatever is read, encoding/pem finds the same blocks in it, and never one
// more.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", leaf + ca, mark + leaf + ca, leaf + mark + ca, strings.TrimSuffix(leaf, "\n") + ca, leaf[1:] + ca,
		strings.ReplaceAll(leaf+ca, "\n", "\r\n"), "text\n" + leaf + "\ntext - end\n" + ca, leaf[:40],
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
		"\x30\x03\x02\x01\x01", "\x30\n" + leaf,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := pemfile.Read(data)
		if err != nil {
			return
		}
		if len(blocks) == 0 {
			t.Fatal("neither a block nor an error")
		}
		if blocks[0].Type == "" {
			if p, _ := pem.Decode(data); p != nil {
				t.Fatalf("taken for DER, and PEM is in it: %q", data)
			}
			return
		}
		rest := bytes.TrimPrefix(data, []byte(mark))
		if bytes.IndexByte(rest, '\n') < 0 {
			rest = bytes.ReplaceAll(rest, []byte("\r"), []byte("\n"))
		}
		for i := 0; ; i++ {
			var p *pem.Block
			p, rest = pem.Decode(rest)
			switch {
			case p == nil && i == len(blocks):
				return
			case p == nil || i == len(blocks):
				t.Fatalf("%d blocks, and encoding/pem finds another number: %q", len(blocks), data)
			case p.Type != blocks[i].Type || !bytes.Equal(p.Bytes, blocks[i].Bytes):
				t.Fatalf("block %d: %s and %s", i, fmt.Sprint(blocks[i]), fmt.Sprint(p))
			}
		}
	})
}
