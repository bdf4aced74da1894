package format

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestApproovWritesTheGoldenFiles(t *testing.T) { checkGolden(t, approov()) }

func TestApproovFallsBackToManagedRoots(t *testing.T) {
	bare := strings.NewReplacer("$A", textA[7:], "$B", textB[7:])
	rules, err := decodeApproov([]byte(bare.Replace(`{"h.test": [], "i.test": ["$A"], "*": ["$B"]}`)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"h.test": "B", "i.test": "A", "other.test": "", "x.h.test": ""}
	if diff := cmp.Diff(want, wanted(t, rules, "h.test", "i.test", "other.test", "x.h.test")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestApproovErrorsHaveAPlace(t *testing.T) {
	for name, tt := range map[string]struct{ data, want string }{
		"no JSON":               {`{"h.test"`, "1:9: not JSON"},
		"no domains":            {`{"*": ["` + textA[7:] + `"]}`, "1:1: no domain is named"},
		"no managed roots":      {"{\n \"h.test\": [], \"*\": []}", "2:2: h.test has no pins"},
		"a prefix":              {"{\"h.test\": [\n  \"" + textA + "\"]}", "2:3: the pin"},
		"a pattern":             {`{"*.h.test": ["` + textA[7:] + `"]}`, "1:2: the name \"*.h.test\" has a wildcard"},
		"a domain twice":        {`{"h.test": ["` + textA[7:] + `"], "h.test": []}`, "occurs twice"},
		"a short hash":          {`{"h.test": ["AAAA"]}`, "1:13: the pin"},
		"the managed roots bad": {`{"h.test": [], "*": ["x"]}`, "1:22: the pin"},
	} {
		_, err := decodeApproov([]byte(tt.data))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestApproovKeepsTheSet(t *testing.T) {
	checkClient(t, approov(), anywhere, always, 1)
}

func FuzzDecodeApproov(f *testing.F) {
	f.Add([]byte(`{"h.test": ["` + textA[7:] + `"], "i.test": [], "*": ["` + textB[7:] + `"]}`))
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeApproov, data) })
}
