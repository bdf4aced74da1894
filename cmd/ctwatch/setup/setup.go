// Package setup makes what a configuration describes: what is watched, trusted and
// looked at, the sources of logs, the senders, and the options of listeners. The daemon
// and the commands start from it. Every mistake in a configuration is a configs.Error, or
// configs.Errors with all of them, and names its place.
package setup

import (
	"net/http"
	"path/filepath"
	"time"

	"ctwatch/configs"
)

// Database returns the path of the database.
func Database(cfg *configs.Config) string { return filepath.Join(cfg.DataDir, "ctwatch.db") }

// HTTPClient returns the client for logs and log lists. It keeps connections to a log,
// since logs are asked again and again.
func HTTPClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64  // of a scan
	t.MaxIdleConns = 300        // of 100 logs, two or three for each
	t.ReadBufferSize = 16 << 10 // replies are large, and each connection has a buffer
	t.ResponseHeaderTimeout = time.Minute
	return &http.Client{Transport: t}
}
