package main

import (
	"context"
	"time"

	"ctwatch/ctwatch/loglist"
	"ctwatch/ctwatch/metrics"
)

// listAlarms returns what is called with all that is wrong with the log list: it is
// shown in the metrics, and told once for each cause.
func (d *daemon) listAlarms(ctx context.Context) func([]loglist.Alarm, time.Time) {
	return func(alarms []loglist.Alarm, published time.Time) {
		state := &metrics.LogList{Published: published, Alarms: make(map[string]bool)}
		for _, code := range loglist.Codes() {
			state.Alarms[code] = false
		}
		var details []string
		for _, a := range alarms {
			details = append(details, a.Detail)
			state.Alarms[a.Code] = true
			// The outbox takes an event once for its ID, which is the cause's. That the
			// store is broken shows elsewhere, and ends the daemon.
			if err := d.db.Outbox.Add(ctx, a.Event(d.now())); err != nil && ctx.Err() == nil {
				d.logger.Error("an alarm about the log list could not be recorded", "error", err)
			}
		}
		d.logList.Store(state)
		d.listWrong.Store(&details)
	}
}

// listDetails says what is wrong with the log list. It keeps nobody from being ready: what
// was good before is read, and pin documents are served.
func (d *daemon) listDetails() []string {
	if details := d.listWrong.Load(); details != nil {
		return *details
	}
	return nil
}
