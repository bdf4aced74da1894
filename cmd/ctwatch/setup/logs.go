package setup

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ctwatch/configs"
	"ctwatch/configs/snapshot"
	"ctwatch/ctwatch"
	"ctwatch/ctwatch/loglist"
)

// ExtraLogs returns the logs that the configuration names itself.
func ExtraLogs(cfg *configs.Config) ([]ctwatch.Log, error) {
	wrong := configs.Mistakes{Config: cfg}
	return extraLogs(cfg, &wrong), wrong.Err()
}

func extraLogs(cfg *configs.Config, wrong *configs.Mistakes) (out []ctwatch.Log) {
	for i, x := range cfg.Logs.Extra {
		l, err := loglist.Extra{
			Name: x.Name, Kind: x.Kind, URL: x.URL, SubmissionURL: x.SubmissionURL,
			Key: base64.StdEncoding.EncodeToString(x.Key),
		}.Log()
		wrong.At(err, "logs.extra[%d]", i)
		out = append(out, l)
	}
	return out
}

// UserAgent returns what tells log operators who reads their logs, and whom to ask.
func UserAgent(cfg *configs.Config) string {
	// A product's version is a token (RFC 9110 §10.1.5), which "(devel)" is not.
	version := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+-._", r) {
			return r
		}
		return -1
	}, BuildVersion().Version)
	ua := "ctwatch/" + version
	if cfg.Logs.Contact != "" {
		ua += " (" + cfg.Logs.Contact + ")"
	}
	return ua
}

// LogListSource returns where the log list comes from. The built-in list stands in for
// the public one only. Without onAlarms it writes nothing.
func LogListSource(cfg *configs.Config, client *http.Client, logger *slog.Logger, onAlarms func([]loglist.Alarm, time.Time)) (*loglist.Source, error) {
	key, err := loglist.LoadKey(cfg.Logs.ListKey)
	if err != nil {
		return nil, cfg.Errorf("logs.list_key", "%w", err)
	}
	c := loglist.Config{
		Location: cfg.Logs.List, Key: key, Refresh: cfg.Logs.Refresh,
		Client: client, UserAgent: UserAgent(cfg), Logger: logger, OnAlarms: onAlarms,
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
