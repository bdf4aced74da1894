package ctwatch_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts calls f for every text file of the repository that a person writes: code, documents,
// configuration and scripts.
func texts(t *testing.T, f func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, repository+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != repository && (d.Name()[0] == '.' || name == "bin"):
			return filepath.SkipDir
		case d.IsDir() && d.Name() == "testdata" && name != "cmd/ctwatch/testdata":
			return filepath.SkipDir
		case !d.Type().IsRegular() || !slices.Contains([]string{".go", ".md", ".yaml", ".txt"}, filepath.Ext(path)) && d.Name() != "Makefile":
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			f(name, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)

// A test's name fits into a line of output: at most 50 characters. What it promises is its
// comment.
func TestNamesOfTestsAreShort(t *testing.T) {
	texts(t, func(path string, content []byte) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, m := range testName.FindAllSubmatch(content, -1) {
			if n := len(m[1]); n > 50 {
				t.Errorf("%s: %s has %d characters, not 50 at the most", path, m[1], n)
			}
		}
	})
}

// British spellings, and words that a reader of other monitors' code does not know.
var strangeWords = regexp.MustCompile(`(?i)\b(?:` + strings.Join([]string{
	`(?:un|re|pre)?(?:author|recogn|organ|normal|initial|serial|canonical|international|minim|optim|summar|synchron)is(?:e|ed|es|ing|ations?)`,
	`behaviours?`, `colou?red? in`, `colours?`, `neighbours?`, `honours?`, `favours?`, `cancell(?:ed|ing)`, `dialled`, `whilst`, `licence`, `catalogue`,
	`whoever`, `whomever`, `whatsoever`, `anew`, `for ever`, `lest`, `hitherto`, `thereof`, `therein`,
	`estates?`, `tellers?`, `reckon(?:s|ed|ing)?`, `one by one`, `vouch(?:e|ed|es|ing)?`,
	`(?:is|are|was|were|be|been) told(?: of)?`, `tells? of`, `cuts? off`,
}, "|") + `)\b`)

// stems are in every text that strangeWords finds. Most lines have none, and looking for them
// costs much less.
var stems = bytes.Split([]byte("authoris,recognis,organis,normalis,initialis,serialis,canonicalis,internationalis,minimis,optimis,summaris,synchronis,behaviour,colour,color,neighbour,honour,favour,cancell,dialled,whilst,licence,catalogue,whoever,whomever,whatsoever,anew,for ever,lest,hitherto,thereof,therein,estate,teller,reckon,one by one,vouch,told,tell of,tells of,cut off,cuts off"), []byte(","))

// vouchedColumn is a column of the database, in SQL.
var vouchedColumn = regexp.MustCompile(`c\.vouched\b|\bvouched (?:<>|=) |, vouched\)`)

func hasStem(text []byte) bool {
	return slices.ContainsFunc(stems, func(stem []byte) bool { return bytes.Contains(text, stem) })
}

// Code and documents are in American English, in the words of the field.
func TestWordsArePlain(t *testing.T) {
	texts(t, func(path string, content []byte) {
		if strings.HasSuffix(path, "ctwatch/language_test.go") {
			return
		}
		lower := bytes.ToLower(content)
		if !hasStem(lower) {
			return
		}
		for i, line := range bytes.Split(lower, []byte("\n")) {
			if !hasStem(line) {
				continue
			}
			if word := strangeWords.Find(vouchedColumn.ReplaceAll(line, nil)); word != nil {
				t.Errorf("%s:%d: %q", path, i+1, word)
			}
		}
	})
}

var (
	codeFile = regexp.MustCompile("`([a-z0-9_/]+\\.(?:go|md|txt|yaml|sql))`")
	unspaced = regexp.MustCompile(`\s+`)
)

// Every file that a document names exists.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	var all []string
	texts(t, func(path string, _ []byte) { all = append(all, "/"+path) })
	texts(t, func(path string, content []byte) {
		if filepath.Ext(path) != ".md" || path == "CHANGELOG.md" {
			return
		}
		for _, m := range codeFile.FindAllSubmatch(unspaced.ReplaceAll(content, []byte(" ")), -1) {
			name := string(m[1])
			installed := strings.HasPrefix(name, "/etc/") || name == "ctwatch.yaml"
			if !installed && !slices.ContainsFunc(all, func(p string) bool { return strings.HasSuffix(p, "/"+name) }) {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	})
}

var namedTest = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]+`)

// Every test that a document names, or begins to, exists.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	var all []string
	texts(t, func(path string, content []byte) {
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range testName.FindAllSubmatch(content, -1) {
				all = append(all, string(m[1]))
			}
		}
	})
	texts(t, func(path string, content []byte) {
		if filepath.Ext(path) != ".md" || path == "CHANGELOG.md" {
			return
		}
		for _, name := range namedTest.FindAllString(string(content), -1) {
			if !slices.ContainsFunc(all, func(test string) bool { return strings.HasPrefix(test, name) }) {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	})
}
