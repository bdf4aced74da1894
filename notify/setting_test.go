package notify

import (
	"strings"
	"testing"

	"ctwatch/ctwatch"
)

// Each mistake names its setting, by its path below the sender.
func TestSettingsNameEachMistake(t *testing.T) {
	var wrong ctwatch.Settings
	if err := wrong.Err(); err != nil {
		t.Fatal(err)
	}
	wrong.Wrong("", "", "has both; want one")
	wrong.Wrong("name", "a b", "is not a name")
	wrong.Add("routes[1]", Filter{MinSeverity: "loud", Types: []string{"pin.*", "["}, Subjects: []string{".example.com"}}.Check())
	wrong.Add("", Filter{MinSeverity: ctwatch.Warning, Subjects: []string{"a b"}}.Check())
	wrong.Add("routes[2]", Filter{}.Check())
	want := []string{
		"has both; want one",
		`name: "a b" is not a name`,
		`routes[1].severity: "loud" is not known`,
		`routes[1].types[1]: "[" is not a pattern; want a word in which * stands for any characters, such as "certificate.*"`,
		`routes[1].watch[0]: ".example.com" is not a pattern`,
		`watch[0]: "a b" is not a pattern`,
	}
	got := strings.Split(wrong.Err().Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d mistakes, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%s, want %s", got[i], want[i])
		}
	}
}
