package pins_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Package pins returns data: it holds no shell command and no sentence, which are for
// package words. Phrases in errors are no sentences.
func TestNoTextForPeople(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z%].* .*[.:!]$|[.:!] [A-Z]`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(s, "ctwatch ") || sentence.MatchString(s) {
				t.Errorf("%s: %q is for people", set.Position(lit.Pos()), s)
			}
			return true
		})
	}
}
