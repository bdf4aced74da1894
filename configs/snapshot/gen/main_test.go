package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ctwatch/configs/snapshot"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
)

const real = "../../../../shared/real"

func needReal(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(real); err != nil {
		t.Skipf("real data is not here: %v", err)
	}
}

// The snapshot is what the generator makes of the signed list.
func TestSnapshotIsGenerated(t *testing.T) {
	needReal(t)
	list, sig := filepath.Join(real, "log_list-85.92.json"), filepath.Join(real, "log_list-85.92.sig")
	update := filepath.Join(real, "gstatic-all_logs_list-89.25.json")
	for _, args := range [][]string{
		{"-list", list, "-update", update},
		{"-list", list, "-sig", sig, "-key", filepath.Join(real, "google_log_list_pubkey.pem"), "-update", update},
	} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 0 {
			t.Fatalf("gen %q: status %d\n%s", args, code, &errs)
		}
		if !bytes.Equal(out.Bytes(), snapshot.LogList()) {
			t.Errorf("gen %q does not write log_list.json: it was edited, or made from other lists", args)
		}
	}
}

// The built-in list has the logs that were new in the summer of 2026, and logs of several
// operators for all certificates that were issued by its date.
func TestSnapshotCovers(t *testing.T) {
	list, _, err := loglist.Parse(snapshot.LogList())
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]string)
	operators := make(map[string]bool)
	for _, l := range list.Logs {
		ids[l.ID.String()] = l.Name
		last := list.Timestamp.AddDate(0, 0, 200)
		if (l.State == ctwatch.LogUsable || l.State == ctwatch.LogQualified) && !last.Before(l.IntervalStart) && last.Before(l.IntervalEnd) {
			operators[l.Operator] = true
		}
		if !slices.Contains(listed(), l.State) {
			t.Errorf("%s is in state %q", l.Name, l.State)
		}
	}
	for id, name := range map[string]string{
		"utuIpG+cr6QJDoLlk1bbbni0pT9YLbCBl5UkLym2jJg=": "Google 'ParcelYard2026h2' log",
		"HIl0B+YBCgEpO7Z439ejaM6xjMpSHcyk04bkoy5bXQQ=": "Google 'ParcelYard2027h1' log",
		"aYS3IzyydLLRRn2l4EDXH+upCiHniGU3Srn5vPhocjc=": "Google 'ParcelYard2027h2' log",
		"IPBfqqOkkvxqwUjMM6ICNhhrSfqpfmuzkk+yXsNrHDU=": "Google 'PlumbersArms2026h2' log",
		"X/nA+6QtrHjOZELrGazggaKb1OL7U68MYzB55QWCBMk=": "Google 'PlumbersArms2027h1' log",
		"M3qex8rmqQSLdS8tk65+SyqQLSG0lxKdg+J5x1PJL4w=": "Google 'PlumbersArms2027h2' log",
	} {
		if ids[id] != name {
			t.Errorf("log %s is %q, want %s", id, ids[id], name)
		}
	}
	if len(operators) < 5 {
		t.Errorf("for certificates that end 200 days from its date there are logs of %d operators only: %v", len(operators), operators)
	}
}

// An unsigned list that disagrees with the signed one about a log is refused.
func TestUpdateMustAgree(t *testing.T) {
	signed, _, err := loglist.Parse(snapshot.LogList())
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(string(snapshot.LogList()), `"2026-08-20T`, `"2026-08-21T`, 1)
	less, err := encode(&loglist.List{Version: "1.0", Timestamp: signed.Timestamp.AddDate(0, 0, 1), Logs: signed.Logs[1:]})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ list, want string }{
		"newer":          {good, ""},
		"as old":         {string(snapshot.LogList()), "not newer"},
		"another URL":    {strings.Replace(good, "https://ct.cloudflare.com/", "https://ct.cloudflare.example/", 1), "disagrees with"},
		"another name":   {strings.Replace(good, "Nimbus2026", "Nimbus", 1), "disagrees with"},
		"a log is gone":  {string(less), "lacks"},
		"a key is wrong": {strings.Replace(good, `"key":"MFkw`, `"key":"MFkx`, 1), "skipped"},
		"no list":        {"<html>", "not JSON"},
	} {
		file := filepath.Join(t.TempDir(), "list.json")
		if err := os.WriteFile(file, []byte(tt.list), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := updated(signed, file)
		switch {
		case tt.want == "" && (err != nil || len(l.Logs) != len(signed.Logs)):
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want one with %q", name, err, tt.want)
		}
	}
}

// The snapshot parses without problems, and does not depend on the order of the list.
func TestSnapshotParses(t *testing.T) {
	list, problems, err := loglist.Parse(snapshot.LogList())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if len(list.Logs) < 40 || list.Timestamp.Before(time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d logs of %s", len(list.Logs), list.Timestamp)
	}
	// The same list in another order gives the same bytes.
	slices.Reverse(list.Logs)
	if data, err := encode(list); err != nil || !bytes.Equal(data, snapshot.LogList()) {
		t.Errorf("written in another order it differs: %v", err)
	}
}

// A list that cannot be verified is refused.
func TestUnverifiedListIsRefused(t *testing.T) {
	dir := t.TempDir()
	list, sig := filepath.Join(dir, "list.json"), filepath.Join(dir, "list.sig")
	for path, data := range map[string][]byte{list: snapshot.LogList(), sig: make([]byte, 512)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out.json")
	for want, args := range map[string][]string{
		"does not verify": {"-list", list, "-o", out},
		"want a key":      {"-list", list, "-key", "", "-o", out},
		"the signature":   {"-list", list, "-sig", sig, "-o", out},
	} {
		var errs bytes.Buffer
		if code := run(args, io.Discard, &errs); code != 1 || !strings.Contains(errs.String(), want) {
			t.Errorf("gen %q: status %d\n%s", args, code, &errs)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if code := run([]string{"list.json"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("wrong usage: status %d", code)
	}
}
