package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/configs/snapshot"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/watchlist"
	"ctwatch/files"
)

// watchRules collects what is watched: the configuration's list and files, and
// domains from the command line, which stand for themselves and all below them. With an
// error about the configuration, which has all mistakes, an entry of its list that is none
// is an empty rule.
func watchRules(cfg *configs.Config, domains []string) ([]watchlist.Rule, error) {
	var asked []watchlist.Rule
	for _, d := range domains {
		r, err := watchlist.NewRule(d, true)
		if err != nil {
			return nil, usagef("--watch: %.100q %w", d, err)
		}
		asked = append(asked, r)
	}
	wrong := configs.Mistakes{Config: cfg}
	var rules []watchlist.Rule
	for i, w := range cfg.Watch {
		r, err := w.Rule()
		wrong.At(err, "watch[%d].domain", i)
		rules = append(rules, r)
	}
	for i, name := range cfg.WatchFiles {
		more, err := watchFile(name)
		wrong.At(err, "watch_files[%d]", i)
		rules = append(rules, more...)
	}
	return append(rules, asked...), wrong.Err()
}

// maxWatchFile bounds a watch list, in bytes; one of a million domains has some 20 MB.
const maxWatchFile = 256 << 20

func watchFile(name string) ([]watchlist.Rule, error) {
	data, err := files.Read(name, maxWatchFile)
	if err != nil {
		return nil, err
	}
	if data, err = files.Text(data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return watchlist.ParseFile(bytes.NewReader(data), name)
}

// extraLogs returns the logs that the configuration names itself.
func extraLogs(cfg *configs.Config) ([]ctwatch.Log, error) {
	var out []ctwatch.Log
	wrong := configs.Mistakes{Config: cfg}
	for i, x := range cfg.Logs.Extra {
		l, err := loglist.Extra{
			Name: x.Name, Kind: ctwatch.LogKind(x.Kind), URL: x.URL, SubmissionURL: x.SubmissionURL,
			Key: base64.StdEncoding.EncodeToString(x.Key),
		}.Log()
		wrong.At(err, "logs.extra[%d]", i)
		out = append(out, l)
	}
	return out, wrong.Err()
}

// userAgent tells log operators what reads their logs, and whom to ask.
func userAgent(cfg *configs.Config) string {
	// A product's version is a token (RFC 9110 §10.1.5), which "(devel)" is not.
	version := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+-._", r) {
			return r
		}
		return -1
	}, setup.BuildVersion().Version)
	ua := "ctwatch/" + version
	if cfg.Logs.Contact != "" {
		ua += " (" + cfg.Logs.Contact + ")"
	}
	return ua
}

// logListSource returns where the log list comes from. The list that is built in
// stands for the public one only. Without onAlarms nothing is written.
func logListSource(cfg *configs.Config, client *http.Client, logger *slog.Logger, onAlarms func([]loglist.Alarm, time.Time)) (*loglist.Source, error) {
	key, err := loglist.LoadKey(cfg.Logs.ListKey)
	if err != nil {
		return nil, cfg.Errorf("logs.list_key", "%w", err)
	}
	c := loglist.Config{
		Location: cfg.Logs.List, Key: key, Refresh: cfg.Logs.Refresh,
		Client: client, UserAgent: userAgent(cfg), Logger: logger, OnAlarms: onAlarms,
	}
	if cfg.Logs.List == configs.DefaultLogList {
		c.Snapshot = snapshot.LogList()
	}
	if onAlarms != nil {
		c.CacheDir = filepath.Join(cfg.DataDir, "loglist")
		if err := os.MkdirAll(c.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("making the cache of the log list: %w", err)
		}
	}
	s, err := loglist.NewSource(c)
	if err != nil {
		return nil, cfg.Errorf("logs.list", "%w", err)
	}
	return s, nil
}

// errNothingWatched is what a daemon without a watch list ends with.
var errNothingWatched = errors.New(`nothing to watch: call 'ctwatch run --watch example.com', or begin a configuration with 'ctwatch config init > ctwatch.yaml' and name domains under "watch"`)
