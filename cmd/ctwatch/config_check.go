package main

import (
	"errors"
	"fmt"
	"slices"

	"ctwatch/cmd/ctwatch/setup"
	"ctwatch/configs"
	"ctwatch/ctwatch/keyfile"
	"ctwatch/ctwatch/words"
	"ctwatch/files"
	"ctwatch/notify"
)

// A configReport has the mistakes and warnings of a configuration, as JSON.
type configReport struct {
	File     string       `json:"file"` // "" for the built-in defaults
	OK       bool         `json:"ok"`   // there are no mistakes
	Watched  int          `json:"watched"`
	Mistakes []configNote `json:"mistakes"`
	Warnings []configNote `json:"warnings"`
}

// A configNote is about one place of a configuration.
type configNote struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1; 0 without a place
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func configNotes(list configs.Errors) []configNote {
	out := make([]configNote, 0, len(list))
	for _, e := range list {
		out = append(out, configNote{e.File, e.Line, e.Column, e.Msg})
	}
	return out
}

// errBad is the error of a check that has printed the mistakes.
var errBad = &usageError{errReported}

// checkConfig checks without a network the configuration, the files that it names, and its
// secrets. It reports all mistakes at once. It reports warnings only if there are no
// mistakes, since a misspelled setting would cause false ones.
func (a *app) checkConfig() error {
	cfg, watched, wrong, warnings := a.inspectConfig()
	var bad configs.Errors
	if err := wrong.Err(); err != nil {
		errors.As(err, &bad)
	}
	file := ""
	if cfg != nil {
		file = cfg.File()
	}
	if a.json {
		r := configReport{File: file, OK: len(bad) == 0, Watched: watched, Mistakes: configNotes(bad), Warnings: configNotes(warnings)}
		if err := a.printJSON(r); err != nil {
			return err
		}
		if len(bad) > 0 {
			return errBad
		}
		return nil
	}
	if len(bad) > 0 {
		return bad
	}
	for _, w := range warnings {
		fmt.Fprintln(a.Stderr, w)
	}
	if file == "" {
		file = "no configuration file: the built-in defaults"
	}
	if watched == 0 {
		fmt.Fprintf(a.Stderr, "%s: nothing is watched: add domains under \"watch\", or run 'ctwatch run --watch DOMAIN'\n", file)
	}
	fmt.Fprintf(a.Stdout, "%s: ok, %s\n", file, words.Count(watched, "watched name"))
	return nil
}

// inspectConfig reads a configuration as far as it can be read. It returns the mistakes,
// and the warnings if there are none. The configuration is nil if there is nothing to read.
func (a *app) inspectConfig() (cfg *configs.Config, watched int, wrong configs.Mistakes, warnings configs.Errors) {
	cfg, err := a.inspected()
	if cfg == nil {
		wrong.Add(err)
		return nil, 0, wrong, nil
	}
	wrong = configs.Mistakes{Config: cfg}
	wrong.Add(err)
	inv, err := setup.Read(cfg)
	wrong.Add(err)
	for _, check := range []func(*configs.Config) error{
		(*configs.Config).CheckSecrets,
		func(cfg *configs.Config) error { _, err := setup.ExtraLogs(cfg); return err },
		func(cfg *configs.Config) error { _, err := setup.HTTPOptions(cfg, a.logger()); return err },
		func(cfg *configs.Config) error { _, err := setup.NATSOptions(cfg, a.logger()); return err },
		a.checkLogList, a.checkKeys, a.checkSenders,
	} {
		wrong.Add(check(cfg))
	}
	if wrong.Err() != nil {
		return cfg, 0, wrong, nil
	}
	return cfg, inv.List.Len(), wrong, slices.Concat(inv.Warnings(), cfg.Unused(), cfg.Anonymous()).Sorted()
}

// inspected reads a configuration that may have mistakes; nil if it cannot be read at all.
func (a *app) inspected() (*configs.Config, error) {
	env := configs.ProcessEnv()
	env.LookupEnv = a.LookupEnv
	path, err := configs.Find(a.configFile, env)
	if err != nil {
		return nil, err
	}
	cfg, err := configs.Inspect(path, env, setup.Check)
	if cfg != nil && a.dataDir != "" {
		cfg.DataDir = a.dataDir
	}
	return cfg, err
}

func (a *app) checkSenders(cfg *configs.Config) error {
	senders, err := setup.Senders(cfg, setup.SenderOptions{Logger: a.logger()})
	notify.Close(senders...)
	return err
}

func (a *app) checkLogList(cfg *configs.Config) error {
	if cfg.Logs.List == "" {
		return nil
	}
	_, err := setup.LogListSource(cfg, nil, a.logger(), nil)
	return err
}

// checkKeys reads the signing key, and the credentials for NATS, where the configuration
// names them.
func (a *app) checkKeys(cfg *configs.Config) error {
	wrong := configs.Mistakes{Config: cfg}
	if cfg.Signing.KeyFile != "" {
		_, err := setup.OpenRing(cfg, false, a.logger())
		wrong.Add(err)
	}
	if file := cfg.NATS.CredentialsFile; file != "" {
		_, err := files.Read(file, keyfile.MaxSize)
		wrong.At(err, "nats.credentials_file")
	}
	return wrong.Err()
}
