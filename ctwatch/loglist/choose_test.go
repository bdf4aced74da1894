package loglist

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ctwatch/ctwatch"
)

// Choose selects logs by state, name, ID and operator, and returns the words that match no
// log.
func TestChoose(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	log := func(n byte, operator, name, state string, end time.Time) ctwatch.Log {
		return ctwatch.Log{ID: ctwatch.LogID{n, 0xab}, Operator: operator, Name: name, State: state, IntervalEnd: end}
	}
	logs := []ctwatch.Log{
		log(1, "Google", "Google 'Argon2026h1' log", "usable", now.AddDate(0, 1, 0)),
		log(2, "Google", "Google 'Argon2025h1' log", "usable", now.AddDate(-1, 0, 0)),
		log(3, "Google", "Google 'Submariner' log", "", time.Time{}),
		log(4, "Geomys", "Bogus placeholder", "retired", now.AddDate(-6, 0, 0)),
		log(5, "Geomys", "Geomys Navigli2027h1", "pending", now.AddDate(1, 0, 0)),
		log(6, "Let's Encrypt", "Let's Encrypt 'Oak2026h2'", "retired", now.AddDate(0, 1, 0)),
		log(7, "Sectigo", "Sectigo 'Tiger2026h1'", "rejected", time.Time{}),
		log(8, "Geomys", "Geomys 'Tuscolo2027h1'", "qualified", time.Time{}),
		log(9, "Geomys", "Geomys 'Tuscolo2026h1'", "readonly", time.Time{}),
	}
	defaults := []string{"qualified", "usable", "readonly", "retired"}
	for name, test := range map[string]struct {
		choice    Choice
		want      string // first bytes of the IDs
		unmatched []string
	}{
		"states of the default, without retired logs of the past": {Choice{States: defaults}, "12689", nil},
		"one state":                 {Choice{States: []string{"pending"}}, "5", nil},
		"logs without a state":      {Choice{States: []string{""}}, "3", nil},
		"no state":                  {Choice{}, "", nil},
		"operator in those states":  {Choice{States: defaults, Only: []string{"geomys"}}, "89", nil},
		"name in any state":         {Choice{States: defaults, Only: []string{"google 'submariner' LOG"}}, "3", nil},
		"short name":                {Choice{States: defaults, Only: []string{" argon2026H1 ", "Oak2026h2", "navigli2027h1"}}, "156", nil},
		"ID in hex":                 {Choice{Only: []string{"07AB" + strings.Repeat("00", 30)}}, "7", nil},
		"ID in base64":              {Choice{Only: []string{ctwatch.LogID{4, 0xab}.String()}}, "4", nil},
		"an operator and a log":     {Choice{States: []string{"readonly"}, Only: []string{"Geomys", "Tiger2026h1"}}, "79", nil},
		"words that match nothing":  {Choice{States: defaults, Only: []string{"Oak", "", "Sectigo", "sectigo "}}, "", []string{"Oak", ""}},
		"part of a name is no name": {Choice{States: defaults, Only: []string{"Argon"}}, "", []string{"Argon"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.choice.Now = now
			chosen, unmatched := Choose(logs, test.choice)
			var got strings.Builder
			for _, l := range chosen {
				got.WriteByte('0' + l.ID[0])
			}
			if got.String() != test.want {
				t.Errorf("chose %s, want %s", &got, test.want)
			}
			if diff := cmp.Diff(test.unmatched, unmatched); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The placeholders of the real lists are not chosen.
func TestChooseOmitsRealPlaceholders(t *testing.T) {
	for _, file := range []string{"log_list-85.92.json", "gstatic-all_logs_list-89.25.json"} {
		list, _, err := Parse(realFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		chosen, _ := Choose(list.Logs, Choice{States: []string{"qualified", "usable", "readonly", "retired"}, Now: list.Timestamp})
		if len(chosen) < 40 {
			t.Errorf("%s: only %d logs chosen", file, len(chosen))
		}
		for _, l := range chosen {
			if strings.Contains(l.URL, "example.com") {
				t.Errorf("%s: chose %s at %s", file, l.Name, l.URL)
			}
		}
	}
}

// Find returns the log of an ID, a name or a unique part of a name.
func TestFind(t *testing.T) {
	log := func(n byte, operator, name string) ctwatch.Log {
		return ctwatch.Log{ID: ctwatch.LogID{n}, Operator: operator, Name: name}
	}
	logs := []ctwatch.Log{
		log(1, "Google", "Google 'Argon2026h1' log"),
		log(2, "Google", "Google 'Argon2026h2' log"),
		log(3, "Google", "Google 'Xenon2026h2' log"),
		log(4, "Lab", "Argon"),
		log(5, "Lab", "twin"),
		log(6, "Lab", "Twin"),
	}
	for word, want := range map[string]byte{
		ctwatch.LogID{3}.String(): 3, ctwatch.LogID{3}.Hex(): 3, "google 'argon2026h2' log": 2, "ARGON2026H1": 1,
		"argon": 4, "xenon": 3, "6h1": 1,
	} {
		if got, err := Find(logs, word); err != nil || got.ID[0] != want {
			t.Errorf("Find(%q) is %q, %v; want log %d", word, got.Name, err, want)
		}
	}
	for word, want := range map[string]string{
		"2026h2":     `matches 2 logs: Google 'Argon2026h2' log (`,
		"twin":       "matches 2 logs",
		"argon2027":  "similar: Google 'Argon2026h1' log",
		"nimbus2026": "among the 6",
		" ":          "want the name",
	} {
		if got, err := Find(logs, word); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%q) is %q, %v; want an error with %q", word, got.Name, err, want)
		}
	}
}

// A configured log takes the place of the listed one with its ID, and comes first.
func TestMerge(t *testing.T) {
	a, b, c := ctwatch.LogID{1}, ctwatch.LogID{2}, ctwatch.LogID{3}
	configured := []ctwatch.Log{{ID: b, Name: "configured"}}
	got := Merge(configured, []ctwatch.Log{{ID: a}, {ID: b, Name: "listed"}, {ID: c}})
	if len(got) != 3 || got[0].Name != "configured" || got[1].ID != a || got[2].ID != c {
		t.Errorf("merged: %+v", got)
	}
	if len(configured) != 1 {
		t.Error("the configured logs were changed")
	}
}
