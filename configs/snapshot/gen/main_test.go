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
	"ctwatch/ctwatch/loglist"
)

const real = "../../../../shared/real"

func needReal(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(real); err != nil {
		t.Skipf("real data is not here: %v", err)
	}
}

func TestTheSnapshotIsWhatTheGeneratorMakesOfTheSignedList(t *testing.T) {
	needReal(t)
	list, sig := filepath.Join(real, "log_list-85.92.json"), filepath.Join(real, "log_list-85.92.sig")
	for _, args := range [][]string{{"-list", list}, {"-list", list, "-sig", sig, "-key", filepath.Join(real, "google_log_list_pubkey.pem")}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 0 {
			t.Fatalf("gen %q: status %d\n%s", args, code, &errs)
		}
		if !bytes.Equal(out.Bytes(), snapshot.LogList()) {
			t.Errorf("gen %q does not write log_list.json: it was edited, or made from another list", args)
		}
	}
}

func TestTheSnapshotReadsWithoutProblems(t *testing.T) {
	list, problems, err := loglist.Parse(snapshot.LogList())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if len(list.Logs) < 40 || list.Timestamp.Before(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d logs of %s", len(list.Logs), list.Timestamp)
	}
	// The same list in another order gives the same bytes.
	slices.Reverse(list.Logs)
	if data, err := encode(list); err != nil || !bytes.Equal(data, snapshot.LogList()) {
		t.Errorf("written in another order it differs: %v", err)
	}
}

func TestGeneratorRefusesAListItCannotVerify(t *testing.T) {
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
