package main

import (
	"testing"

	"ctwatch/ctwatch"
)

// Far behind, the setting that bounds the speed is named.
func TestLogsBehind(t *testing.T) {
	logs := []ctwatch.LogStatus{{TreeSize: 10, Position: 10}, {TreeSize: 1_000_000, Position: 900_001}, {TreeSize: 5, Position: 7}}
	if got := behind(logs, 200); got != "" {
		t.Errorf("little is left: %q", got)
	}
	logs[0].Position--
	want := "\n100000 entries of 2 logs are not read yet. ctwatch makes at most 200 requests/s to the logs of one operator\n" +
		"(logs.max_rate), and so reads at most 51200 entries/s of a static log. Raise it if the operator allows more.\n"
	if got := behind(logs, 200); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
