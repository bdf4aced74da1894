package terminal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTableFitsTerminal: on a terminal no line is wider than it; what can be missed is
// left out first, and wide characters count as two.
func TestTableFitsTerminal(t *testing.T) {
	long := "sha256/kdvgiNQ5mGA0idH0H45Q3R6E/VMxCqGIEG7/s0b70hM="
	rows := [][]string{
		{"ID", "NAMES", "KEY", "VERDICT", "FIRST SEEN"},
		{"3f9a1c22aabb", "api.example.com, www.example.com", long, "unreviewed", "2026-11-27 12:00:00Z"},
		{"4f9a1c22aabb", "証明書.example.com, 監視", long, "unexpected", "2026-11-27 12:00:00Z"},
		{"5f9a1c22aabb", "e\u0301.example.com", long, "expected", "2026-11-27 12:00:00Z"},
	}
	for columns, want := range map[int]string{
		0: `ID            NAMES                             KEY                                                  VERDICT     FIRST SEEN
3f9a1c22aabb  api.example.com, www.example.com  sha256/kdvgiNQ5mGA0idH0H45Q3R6E/VMxCqGIEG7/s0b70hM=  unreviewed  2026-11-27 12:00:00Z
4f9a1c22aabb  証明書.example.com, 監視          sha256/kdvgiNQ5mGA0idH0H45Q3R6E/VMxCqGIEG7/s0b70hM=  unexpected  2026-11-27 12:00:00Z
5f9a1c22aabb  e` + "\u0301" + `.example.com                     sha256/kdvgiNQ5mGA0idH0H45Q3R6E/VMxCqGIEG7/s0b70hM=  expected    2026-11-27 12:00:00Z
`,
		80: `ID            NAMES                             VERDICT     FIRST SEEN
3f9a1c22aabb  api.example.com, www.example.com  unreviewed  2026-11-27 12:00:00Z
4f9a1c22aabb  証明書.example.com, 監視          unexpected  2026-11-27 12:00:00Z
5f9a1c22aabb  e` + "\u0301" + `.example.com                     expected    2026-11-27 12:00:00Z
`,
		40: `ID            NAMES           VERDICT
3f9a1c22aabb  api.example.c…  unreviewed
4f9a1c22aabb  証明書.exampl…  unexpected
5f9a1c22aabb  e` + "\u0301" + `.example.com   expected
`,
	} {
		var out strings.Builder
		tab := NewTable(&out, columns, rows[0]...)
		tab.Spare = []string{"KEY", "FIRST SEEN"}
		for _, r := range rows[1:] {
			tab.Row(append([]string{}, r...)...)
		}
		if err := tab.Flush(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%d columns (-want +got):\n%s", columns, diff)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if columns > 0 && shownWidth(line) > columns {
				t.Errorf("wider than %d: %q", columns, line)
			}
		}
	}
}

// TestNarrowTerminalShowsSomething: no terminal is too narrow for an answer.
func TestNarrowTerminalShowsSomething(t *testing.T) {
	var out strings.Builder
	tab := NewTable(&out, 5, "A", "B", "C")
	tab.Spare = []string{"A", "B"}
	tab.Row("a", "b", "証明書の監視")
	tab.Row("short")
	if err := tab.Flush(); err != nil || !strings.Contains(out.String(), "証明書…") {
		t.Errorf("%v: %q", err, out.String())
	}
}

// TestLongTableIsPrintedInBlocks: a long table is printed while its rows come, with the
// same columns throughout and one header.
func TestLongTableIsPrintedInBlocks(t *testing.T) {
	for _, columns := range []int{0, 30} {
		var out strings.Builder
		tab := NewTable(&out, columns, "NAME", "SPARE", "LAST")
		tab.Spare = []string{"SPARE"}
		for i := range 1200 {
			tab.Row(strings.Repeat("n", 12+i/400), strings.Repeat("s", 20), "last")
			if i == 600 && !strings.Contains(out.String(), "last") {
				t.Errorf("%d columns: nothing is printed after %d rows", columns, i)
			}
		}
		if err := tab.Flush(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 1201 || strings.Count(out.String(), "NAME") != 1 {
			t.Errorf("%d columns: %d lines, want 1201 with one header", columns, len(lines))
		}
		for _, line := range lines {
			if hasSpare := strings.Contains(line, "ss") || strings.Contains(line, "SPARE"); hasSpare != (columns == 0) {
				t.Fatalf("%d columns: %q", columns, line)
			}
			if columns > 0 && shownWidth(line) > columns {
				t.Fatalf("wider than %d: %q", columns, line)
			}
		}
	}
}
