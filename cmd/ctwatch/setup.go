package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"ctwatch/configs"
	"ctwatch/configs/snapshot"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/watchlist"
)

// watchRules collects what is watched: the configuration's list and files, and
// domains from the command line, which stand for themselves and all below them.
func watchRules(cfg *configs.Config, domains []string) ([]watchlist.Rule, error) {
	var rules []watchlist.Rule
	for i, w := range cfg.Watch {
		r, err := watchlist.NewRule(w.Domain, w.Subdomains)
		if err != nil {
			return nil, &usageError{cfg.Errorf(fmt.Sprintf("watch[%d].domain", i), "%v", err)}
		}
		rules = append(rules, r)
	}
	for i, name := range cfg.WatchFiles {
		more, err := watchFile(name)
		if err != nil {
			return nil, &usageError{cfg.Errorf(fmt.Sprintf("watch_files[%d]", i), "%w", err)}
		}
		rules = append(rules, more...)
	}
	for _, d := range domains {
		r, err := watchlist.NewRule(d, true)
		if err != nil {
			return nil, usagef("--watch %s: %w", ctwatch.Printable(d, 100), err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func watchFile(name string) ([]watchlist.Rule, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return watchlist.ParseFile(f, name)
}

// extraLogs returns the logs that the configuration names itself.
func extraLogs(cfg *configs.Config) ([]ctwatch.Log, error) {
	var out []ctwatch.Log
	for i, x := range cfg.Logs.Extra {
		l, err := loglist.Extra{
			Name: x.Name, Kind: ctwatch.LogKind(x.Kind), URL: x.URL, SubmissionURL: x.SubmissionURL,
			Key: base64.StdEncoding.EncodeToString(x.Key),
		}.Log()
		if err != nil {
			return nil, &usageError{cfg.Errorf(fmt.Sprintf("logs.extra[%d]", i), "%w", err)}
		}
		out = append(out, l)
	}
	return out, nil
}

// userAgent tells log operators what reads their logs, and whom to ask.
func userAgent(cfg *configs.Config) string {
	ua := "ctwatch/" + buildVersion().Version
	if cfg.Logs.Contact != "" {
		ua += " (+" + cfg.Logs.Contact + ")"
	}
	return ua
}

// logListSource returns where the log list comes from. The list that is built in
// stands for the public one only. Where keep is false nothing is written.
func logListSource(cfg *configs.Config, client *http.Client, logger *slog.Logger, keep bool) (*loglist.Source, error) {
	key, err := loglist.LoadKey(cfg.Logs.ListKey)
	if err != nil {
		return nil, &usageError{cfg.Errorf("logs.list_key", "%w", err)}
	}
	c := loglist.Config{
		Location: cfg.Logs.List, Key: key, Refresh: cfg.Logs.Refresh,
		Client: client, UserAgent: userAgent(cfg), Logger: logger,
	}
	if cfg.Logs.List == configs.DefaultLogList {
		c.Snapshot = snapshot.LogList()
	}
	if keep {
		c.CacheDir = filepath.Join(cfg.DataDir, "loglist")
		if err := os.MkdirAll(c.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("making the cache of the log list: %w", err)
		}
	}
	s, err := loglist.NewSource(c)
	if err != nil {
		return nil, &usageError{cfg.Errorf("logs.list", "%w", err)}
	}
	return s, nil
}

// errNothingWatched is what a daemon without a watch list ends with.
var errNothingWatched = errors.New(`nothing to watch: call 'ctwatch run --watch example.com', or begin a configuration with 'ctwatch config init > ctwatch.yaml' and name domains under "watch"`)
