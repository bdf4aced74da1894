package main

import (
	"errors"
	"strings"
	"testing"

	"ctwatch/configs"
)

// TestEmptyWatchFileIsNamed: who emptied all watch files learns which they are.
func TestEmptyWatchFileIsNamed(t *testing.T) {
	for want, names := range map[string][]string{
		"nothing to watch: ":                                                   nil,
		"/etc/a.txt lists no domain: nothing to watch: ":                       {"/etc/a.txt"},
		"/etc/a.txt and 2 more watch files list no domain: nothing to watch: ": {"/etc/a.txt", "/etc/b.txt", "/etc/c.txt"},
	} {
		if err := nothingWatched(&configs.Config{WatchFiles: names}); !errors.Is(err, errNothingWatched) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v", names, err)
		}
	}
}
