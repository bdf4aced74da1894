package ctlog

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// findEntries finds the same entries as encoding/json.
func TestFindEntriesAgreesWithJSON(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want []string // leaf_input and extra_data of each
		bad  bool
	}{
		"plain":          {`{"entries":[{"leaf_input":"QQ==","extra_data":"Qg=="}]}`, []string{"QQ==", "Qg=="}, false},
		"spaces":         {" {\n\t\"entries\" : [ { \"leaf_input\" : \"QQ==\" , \"extra_data\" : \"Qg==\" } , {\"leaf_input\":\"Qw==\",\"extra_data\":\"\"} ] } \n", []string{"QQ==", "Qg==", "Qw==", ""}, false},
		"other order":    {`{"entries":[{"extra_data":"Qg==","leaf_input":"QQ=="}]}`, []string{"QQ==", "Qg=="}, false},
		"other members":  {`{"a":{"b":[1,-2.5e3,null,true,{"c":"}"}]},"entries":[{"x":"\"","leaf_input":"QQ==","y":[],"extra_data":"Qg=="}],"z":{}}`, []string{"QQ==", "Qg=="}, false},
		"escaped slash":  {`{"entries":[{"leaf_input":"\/\/8=","extra_data":"\/w=="}]}`, []string{"//8=", "/w=="}, false},
		"escaped letter": {`{"entries":[{"leaf_input":"\u0051Q==","extra_data":""}]}`, []string{"QQ==", ""}, false},
		"none":           {`{"entries":[]}`, nil, false},
		"three":          {`{"entries":[{"leaf_input":"QQ=="},{"leaf_input":"QQ=="},{"leaf_input":"QQ=="}]}`, nil, true},
		"no entries":     {`{"error":"x"}`, nil, true},
		"no leaf":        {`{"entries":[{"extra_data":""}]}`, nil, true},
		"number":         {`{"entries":[{"leaf_input":5}]}`, nil, true},
		"cut":            {`{"entries":[{"leaf_input":"QQ==","extra`, nil, true},
		"cut in escape":  {`{"entries":[{"leaf_input":"QQ\`, nil, true},
		"more behind":    {`{"entries":[]} x`, nil, true},
		"entries twice":  {`{"entries":[],"entries":[]}`, nil, true},
		"two documents":  {`{"entries":[]}{"entries":[]}`, nil, true},
		"list":           {`[]`, nil, true},
		"empty":          {``, nil, true},
		"no comma":       {`{"entries":[{"leaf_input":"QQ=="}{"leaf_input":"QQ=="}]}`, nil, true},
		"bare word":      {`{"entries":[{"leaf_input":"QQ==","x":nothing}]}`, nil, true},
		"deep":           {`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"entries":[]}`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			spans, err := findEntries([]byte(test.in), nil, 2)
			if (err != nil) != test.bad {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, s := range spans {
				leaf, err := plain([]byte(test.in[s.leafStart:s.leafEnd]))
				if err != nil {
					t.Fatal(err)
				}
				extra, err := plain([]byte(test.in[s.extraStart:s.extraEnd]))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(leaf), string(extra))
			}
			if strings.Join(got, "|") != strings.Join(test.want, "|") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// findEntries agrees with encoding/json about every reply, and finds nothing in what is
// not JSON.
func FuzzFindEntries(f *testing.F) {
	f.Add([]byte(`{"entries":[{"leaf_input":"QQ==","extra_data":"Q\/=="},{"x":[1,{"y":null}],"leaf_input":""}]}`))
	f.Add([]byte(`{"a":"\\","entries":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		spans, err := findEntries(in, nil, 100)
		if err != nil {
			return
		}
		if !json.Valid(in) || !utf8.Valid(in) {
			// Strings that are passed over are not decoded, so control characters and
			// wrong escapes in them go unnoticed: no one needs them.
			return
		}
		var reply map[string]json.RawMessage
		if err := json.Unmarshal(in, &reply); err != nil {
			t.Fatalf("%q: encoding/json says %v", in, err)
		}
		var entries []map[string]json.RawMessage
		if err := json.Unmarshal(reply["entries"], &entries); err != nil || len(entries) != len(spans) {
			t.Fatalf("%q: encoding/json sees %d entries (%v), %d were found", in, len(entries), err, len(spans))
		}
		for i, s := range spans {
			var want string
			if err := json.Unmarshal(entries[i]["leaf_input"], &want); err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			if got, err := plain(in[s.leafStart:s.leafEnd]); err != nil || string(got) != want {
				t.Fatalf("%q: leaf_input %q (%v), encoding/json reads %q", in, got, err, want)
			}
		}
	})
}
