// Package sendertest runs senders under test as the daemon does, by a Dispatcher.
package sendertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"ctwatch/notify"
	"ctwatch/notify/notifytest"
)

// Start runs a Dispatcher, by default with short pauses and without a poll, so that
// tests rely on Wake. stop ends it and returns what Run returned.
func Start(t *testing.T, cfg notify.Config) (d *notify.Dispatcher, stop func() error) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = notifytest.Discard()
	}
	if cfg.BackoffMin == 0 {
		cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, 5*time.Millisecond
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Hour
	}
	d, err := notify.NewDispatcher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() { cancel(); err = notifytest.Receive(t, done) })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return d, stop
}
