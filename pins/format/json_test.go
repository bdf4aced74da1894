package format

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ctwatch/pins"
)

func TestJSONWritesTheGoldenFiles(t *testing.T) { checkGolden(t, ours()) }

func TestJSONHasThreeForms(t *testing.T) {
	hosts := `{"h.test": ["` + textA + `", "` + textB + `"], "*.h.test": ["` + textC + `"], "a.h.test": ["` + textA + `", "` + textA + `"]}`
	want := map[string]string{"h.test": "AB", "a.h.test": "A", "b.h.test": "C", "b.a.h.test": "", "test": ""}
	for name, data := range map[string]string{
		"hosts alone":            hosts,
		"a document":             `{"app": "shop", "pin": "leaf", "plan": "5f", "as_of": "2026-07-01T12:00:00Z", "hosts": ` + hosts + `, "revoked": []}`,
		"a signed document":      `{"app":"shop","serial":7,"iat":1,"refresh_after":2,"exp":3,"revoked":["` + testPin(9).String() + `"],"hosts":` + hosts + `,"later":{"hosts":[{}]}}`,
		"hosts after all":        `{"revoked": ["` + testPin(9).String() + `"], "\u0068osts": ` + hosts + `}`,
		"hosts with white space": "\n\t" + strings.ReplaceAll(hosts, ",", "\r\n ,\t"),
	} {
		rules, err := decodeJSON([]byte(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, wanted(t, rules, "h.test", "a.h.test", "b.h.test", "b.a.h.test", "test")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestJSONErrorsHaveAPlace(t *testing.T) {
	for name, tt := range map[string]struct{ data, want string }{
		"empty":               {``, "1:1: not JSON"},
		"cut short":           {"{\n \"h.test\": [", "2:12: not JSON"},
		"two documents":       {`{} {}`, "1:4: not JSON"},
		"a list":              {"\n []", "2:2: want an object here"},
		"nothing":             {`{}`, "1:1: no host is named"},
		"no hosts":            {`{"app": "x", "hosts": {}}`, "1:23: no host is named"},
		"hosts misspelled":    {`{"app": "x", "host": {}}`, "1:9: want an array here: the pins of app"},
		"a host without pins": {"{\n  \"h.test\": []}", "2:3: h.test has no pins"},
		"a host twice":        {"{\"h.test\": [\"" + textA + "\"],\n \"h.test\": []}", `2:2: "h.test" occurs twice`},
		"hosts twice":         {`{"hosts": {"h.test": ["` + textA + `"]}, "hosts": {}}`, `"hosts" occurs twice`},
		"upper case":          {`{"H.test": ["` + textA + `"]}`, `1:2: the name "H.test" would never match: write "h.test"`},
		"all levels below":    {`{".h.test": ["` + textA + `"]}`, `1:2:`},
		"two wildcards":       {`{"*.*.test": ["` + textA + `"]}`, "1:2:"},
		"a pin is not a text": {"{\"h.test\": [\n 7]}", "2:2: want a text here"},
		"pins are not a list": {`{"h.test": "` + textA + `"}`, "1:12: want an array here: the pins of h.test"},
		"a pin without hash":  {`{"h.test": ["2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg="]}`, `1:13: the pin "2dxOSOerezHY5RX0FGbmk4Qh9KCtj1q1C2Nt/J/Ilxg=": want "sha256/"`},
		"unpadded":            {`{"h.test": ["` + strings.TrimRight(textA, "=") + `"]}`, "1:13: the pin"},
		"a revoked pin":       {"{\"hosts\": {\"h.test\": [\"" + textA + "\",\n\"" + textB + "\"]}, \"revoked\": [\"" + textB + "\"]}", "2:1: the pin " + textB + " is revoked"},
	} {
		_, err := decodeJSON([]byte(tt.data))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestJSONKeepsTheSet(t *testing.T) {
	checkClient(t, ours(), anywhere, func(pins.Set, pins.HostSet) bool { return false }, 1)
}

func TestHostsAreFoundWithoutAllocating(t *testing.T) {
	var hosts []hostPins
	for i := range 100 {
		hosts = append(hosts, hostPins{pins.Pattern{Name: testPin(i).String()[10:14] + ".h.test"}, []pins.Pin{testPin(i)}})
	}
	hosts = append(hosts, hostPins{pins.Pattern{Name: "h.test", Reach: pins.AllBelow}, []pins.Pin{testPin(0)}})
	rules := newTable(pins.Anywhere, hosts, true)
	if n := testing.AllocsPerRun(100, func() { rules.Requirements("a.long.name.below.h.test", asOf) }); n > 0 {
		t.Errorf("finding what is asked of a host takes %v allocations", n)
	}
}

func BenchmarkTable(b *testing.B) {
	rules := newTable(pins.Anywhere, []hostPins{{pins.Pattern{Name: "h.test", Reach: pins.AllBelow}, []pins.Pin{testPin(0)}}}, true)
	for b.Loop() {
		rules.Requirements("a.long.name.below.h.test", asOf)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"h.test": ["` + textA + `"], "*.h.test": ["` + textB + `"]}`))
	f.Add([]byte(`{"app": "x", "hosts": {"h.test": ["` + textA + `"]}, "revoked": ["` + textB + `"], "serial": 7}`))
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, decodeJSON, data) })
}
